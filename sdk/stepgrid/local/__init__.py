"""The local cloud: run the grid's AWS part on this machine, from the same template.

Needs the extra `stepgrid[local]`.
"""

from stepgrid.local.access import UserCredentials
from stepgrid.local.cloud import LocalCloud, LocalStatus
from stepgrid.local.errors import DeploymentError, EmulatorError, LocalCloudError, NotRunningError

__all__ = [
    "DeploymentError",
    "EmulatorError",
    "LocalCloud",
    "LocalCloudError",
    "LocalStatus",
    "NotRunningError",
    "UserCredentials",
]
