"""What this organization lets run: node.yaml's word against a task's. Pure.

The server says what a task's image is and who sent it. Names that it tells are asked for only where
the file names somebody by name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from stepgrid.node.config import Algorithm, Policies

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_TAG = re.compile(r"(@[^/]*|:[^/:@]*(@[^/]*)?)$")
#: vantage6's signs for a pattern: without one of them a policy is a plain name.
_PATTERN_SIGNS = frozenset("*\\?$^[](){}|+")


@dataclass(frozen=True, slots=True)
class Names:
    """Ways to find out names; None: it is not known."""

    of_user: Callable[[int], str | None]
    of_organization: Callable[[int], str | None]


def find_algorithm(algorithms: Sequence[Algorithm], image: str) -> Algorithm | None:
    """The first that fits. What can't be an image's name fits none."""
    if not _IMAGE.fullmatch(image):
        return None
    return next((each for each in algorithms if fnmatchcase(image, each.image)), None)


def why_refused(policies: Policies, task: Mapping[str, Any], names: Names) -> str | None:
    """None: it may run."""
    image = str(task["image"])
    if not is_allowed_image(policies.allowed_algorithms, image):
        return f"this node does not allow the algorithm {image}"
    if not _is_allowed_sender(policies, task, names):
        return "this node does not allow tasks of this user and this organization"
    return None


def is_allowed_image(allowed: Sequence[str], image: str) -> bool:
    return not allowed or any(_fits(policy, image) for policy in allowed)


def _fits(policy: str, image: str) -> bool:
    if _PATTERN_SIGNS.isdisjoint(policy):
        return policy in (image, _TAG.sub("", image))
    return re.match(policy, image) is not None


def _is_allowed_sender(policies: Policies, task: Mapping[str, Any], names: Names) -> bool:
    """One of both is enough, as in vantage6."""
    if not policies.allowed_users and not policies.allowed_organizations:
        return True
    return _is_named(task.get("init_user"), policies.allowed_users, names.of_user) or _is_named(
        task.get("init_org"), policies.allowed_organizations, names.of_organization
    )


def _is_named(sender: Any, allowed: Sequence[str], find_name: Callable[[int], str | None]) -> bool:
    if not isinstance(sender, dict) or not allowed:
        return False
    if str(sender["id"]) in allowed:
        return True
    by_name = any(not each.isdigit() for each in allowed)
    return by_name and find_name(int(sender["id"])) in allowed
