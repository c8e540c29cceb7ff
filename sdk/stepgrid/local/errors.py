"""What can go wrong with the local cloud: one branch of the tree in stepgrid_core.errors.

LocalCloudError
├── EmulatorError      the AWS emulator did not start, or is not safe to use
├── DeploymentError    `sam build` or `sam deploy` failed
└── NotRunningError    the call needs a running local cloud and there is none
"""

from __future__ import annotations

from pathlib import Path

from stepgrid_core.errors import LocalCloudError

__all__ = ["DeploymentError", "EmulatorError", "LocalCloudError", "NotRunningError"]


class EmulatorError(LocalCloudError):
    """The AWS emulator did not start, or is not safe to use."""


class DeploymentError(LocalCloudError):
    """`sam build` or `sam deploy` failed.

    log_path: the whole output of the SAM CLI.
    """

    def __init__(self, message: str, log_path: Path) -> None:
        super().__init__(message)
        self.log_path = log_path


class NotRunningError(LocalCloudError):
    """The call needs a running local cloud and there is none."""
