"""What the local cloud remembers between two commands: its process and what is deployed in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stepgrid.local.emulator import Emulator
from stepgrid.local.process_tree import ProcessIdentity
from stepgrid.local.redis_server import RedisServer
from stepgrid.local.storage import LocalPaths, read_json, write_private_json

#: Raised when the file's meaning changes; a file of another version counts as none.
STATE_VERSION = 1


@dataclass(frozen=True)
class Deployment:
    """A deployment that was completed in the running emulator."""

    #: Of the sources, parameters and tools it was made from.
    fingerprint: str
    #: The stack's outputs.
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalState:
    """deployment is None from before the first change to the stack until its last."""

    emulator: Emulator
    deployment: Deployment | None = None
    #: The payload cache, if `up` was asked for one.
    redis: RedisServer | None = None
    #: Of the profile that `up` wrote: tells our profile from another one in its place.
    profile_access_key_id: str | None = None


def save_state(paths: LocalPaths, state: LocalState) -> None:
    """Replace the state file."""
    write_private_json(paths.state, {"state_version": STATE_VERSION, **asdict(state)})


def load_state(paths: LocalPaths) -> LocalState | None:
    """The remembered state; None when there is none, or none that can be read."""
    content = read_json(paths.state)
    if content is None or content.get("state_version") != STATE_VERSION:
        return None
    try:
        return _parse_state(content)
    except (KeyError, TypeError):
        # Written by hand or by an unknown version. Processes are found by their mark all the same.
        return None


def _parse_state(content: dict[str, Any]) -> LocalState:
    emulator = dict(content["emulator"])
    identity = ProcessIdentity(**emulator.pop("identity"))
    deployment, redis = content["deployment"], content.get("redis")
    return LocalState(
        emulator=Emulator(identity=identity, **emulator),
        deployment=None if deployment is None else Deployment(**deployment),
        redis=None if redis is None else _parse_redis(redis),
        profile_access_key_id=content["profile_access_key_id"],
    )


def _parse_redis(content: dict[str, Any]) -> RedisServer:
    return RedisServer(ProcessIdentity(**content["identity"]), content["port"])
