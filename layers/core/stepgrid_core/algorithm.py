"""Runs a package of vantage6's algorithms as a worker of a node in the cloud.

    STEPGRID_HANDLER=stepgrid_core.algorithm.handler  STEPGRID_ALGORITHM=<package>

A task names a method, and is answered with what that function of the package returns. For partial
methods that take plain arguments: vantage6's decorators want files, tokens and a server of a node,
none of which a worker has. This module knows nothing of sessions or federations.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def handler(task: Mapping[str, Any], context: object) -> Any:
    """Raises LookupError for a method that the package does not offer."""
    package = os.environ["STEPGRID_ALGORITHM"]
    method = find_method(importlib.import_module(package), task["method"])
    return method(*task["args"], **task["kwargs"])


def find_method(package: ModuleType, name: str) -> Callable[..., Any]:
    """Only what the package itself has defined: whatever it imports is nobody's to call."""
    found = getattr(package, name, None)
    home = str(getattr(found, "__module__", ""))
    own = home == package.__name__ or home.startswith(f"{package.__name__}.")
    if name.startswith("_") or not callable(found) or not own:
        raise LookupError(f"algorithm {package.__name__} has no method {name!r}")
    method: Callable[..., Any] = found
    return method
