"""Federations as their researchers see them: `grid.federation`.

    submit(image, method, kwargs, collaboration) --> one run at each organization --> its node
         --> FederatedSession: an ordinary session, whose results are told by organization

Data stay where they are: what travels is the algorithm's name, its arguments and its answer. In an
encrypted collaboration arguments and answers travel encrypted, and this module does it.
"""

import base64
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepgrid_core.errors import ConfigurationError, InvalidRequest, NotFound

from .connection import Connection
from .federated_session import FederatedSession, Reader, read_plain

if TYPE_CHECKING:
    from .federation_crypto import PrivateKey


@dataclass(frozen=True, slots=True)
class Organization:
    """A member of a collaboration. public_key: as the server keeps it, or empty."""

    id: int
    name: str
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class Collaboration:
    """Organizations that work together."""

    id: int
    name: str
    encrypted: bool
    organizations: tuple[Organization, ...]


@dataclass(frozen=True, slots=True)
class FederationNode:
    """The program that runs an organization's part. online: was it heard of lately?"""

    id: int
    name: str
    organization_id: int
    collaboration_id: int
    online: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Who one is in the federation."""

    user_id: int
    username: str
    organization: Organization


class Federation:
    """Tasks for the organizations of a collaboration. All methods raise what requests raise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def whoami(self) -> Member:
        """Raises AccessDenied for somebody who is no user of the federation."""
        found = self._ask("GET", "/whoami")
        own = found["organization"]
        organization = Organization(own["id"], own["name"], own["public_key"] or "")
        return Member(found["id"], found["username"], organization)

    def collaborations(self) -> list[Collaboration]:
        """Those of one's own organization, or all for those who may see all."""
        return [self._read(each) for each in self._list("/collaboration")]

    def nodes(self, collaboration: str | int) -> list[FederationNode]:
        """Of a collaboration, by its name or id. Raises NotFound."""
        id = self._find(collaboration)["id"]
        return [
            FederationNode(
                each["id"],
                each["name"],
                each["organization"]["id"],
                id,
                each["status"] == "online",
            )
            for each in self._list("/node", collaboration_id=id)
        ]

    def collaboration(self, name: str | int) -> Collaboration:
        """By name or id. Raises NotFound, which says what there is."""
        return self._read(self._find(name))

    def submit(
        self,
        image: str,
        method: str,
        *,
        collaboration: str | int,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        organizations: Iterable[str | int] | None = None,
        databases: Iterable[str | Mapping[str, Any]] = ("default",),
        name: str = "",
        description: str = "",
        study_id: int | None = None,
        timeout_seconds: float | None = None,
        private_key: "str | PathLike[str] | PrivateKey | None" = None,
        client_token: str | None = None,
    ) -> FederatedSession:
        """Have an algorithm run at the organizations of a collaboration; answers at once.

        image, method, args, kwargs: the algorithm as the nodes know it, its function, and JSON
        values for it. organizations: names or ids, of which each has a node; all of the study or
        collaboration when left out. study_id: of one of the collaboration's. databases: labels of
        the nodes' databases, or mappings with `label` and parameters. timeout_seconds: until all
        runs have ended; without it they wait for their nodes without limit. private_key: one's own
        organization's, needed for an encrypted collaboration: a PEM file. client_token: the same
        token and task give the same session; a new one when left out.

        Raises NotFound for an unknown collaboration or organization, InvalidRequest for what the
        server refuses or JSON can't say, ConfigurationError for a key that is missing or wrong.
        """
        place = self.collaboration(collaboration)
        if organizations is None and study_id is not None:
            organizations = [each["id"] for each in self._list("/organization", study_id=study_id)]
        chosen = _choose(place, organizations)
        message = _encode({"method": method, "args": list(args), "kwargs": dict(kwargs or {})})
        key = _load(private_key) if place.encrypted else None
        inputs = [{"id": each.id, "input": _seal(place, each, message)} for each in chosen]
        body = {
            "client_token": client_token or uuid.uuid4().hex,
            "collaboration_id": place.id,
            "image": image,
            "name": name,
            "description": description,
            "databases": [_database(each) for each in databases],
            "organizations": inputs,
            **({} if study_id is None else {"study_id": study_id}),
            **({} if timeout_seconds is None else {"timeout_seconds": timeout_seconds}),
        }
        task = self._ask("POST", "/task", body=body)
        return self._attach(task, place, key)

    def session(
        self, task_id: int, private_key: "str | PathLike[str] | PrivateKey | None" = None
    ) -> FederatedSession:
        """Attach to a task that you made, by its id. Raises NotFound."""
        task = self._ask("GET", f"/task/{task_id}")
        place = self.collaboration(task["collaboration"]["id"])
        return self._attach(task, place, _load(private_key) if place.encrypted else None)

    def _attach(
        self, task: Mapping[str, Any], place: Collaboration, key: "PrivateKey | None"
    ) -> FederatedSession:
        description = self._connection.api.describe(task["session_id"])
        names = {each.id: each.name for each in place.organizations}
        read: Reader = key.decrypt if key is not None else read_plain
        return FederatedSession(self._connection, description, task["id"], names, read)

    def _find(self, name: str | int) -> dict[str, Any]:
        """Raises NotFound."""
        found = self._list("/collaboration")
        for each in found:
            if name in (each["name"], each["id"]):
                return each
        names = ", ".join(repr(each["name"]) for each in found) or "none"
        raise NotFound(f"there is no collaboration {name!r} of yours; there is: {names}")

    def _read(self, found: Mapping[str, Any]) -> Collaboration:
        members = self._list("/organization", collaboration_id=found["id"])
        return Collaboration(
            found["id"],
            found["name"],
            bool(found["encrypted"]),
            tuple(
                Organization(each["id"], each["name"], each["public_key"] or "") for each in members
            ),
        )

    def _list(self, path: str, **query: int) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._ask(
            "GET", path, {"no_pagination": "1", **{k: str(v) for k, v in query.items()}}
        )["data"]
        return listed

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | float] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return self._connection.api.ask_federation(method, path, query, body)


def _choose(place: Collaboration, wanted: Iterable[str | int] | None) -> list[Organization]:
    """Raises NotFound."""
    if wanted is None:
        return list(place.organizations)
    known = {key: each for each in place.organizations for key in (each.id, each.name)}
    chosen = []
    for each in wanted:
        if each not in known:
            names = ", ".join(repr(one.name) for one in place.organizations)
            raise NotFound(f"{place.name!r} has no organization {each!r}; it has {names}")
        chosen.append(known[each])
    return chosen


def _encode(message: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(message).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"args and kwargs have to be JSON values: {error}") from error


def _load(key: "str | PathLike[str] | PrivateKey | None") -> "PrivateKey":
    """Raises ConfigurationError."""
    from .federation_crypto import PrivateKey  # noqa: PLC0415 - few need it

    if isinstance(key, PrivateKey):
        return key
    if key is None:
        raise ConfigurationError(
            "this collaboration is encrypted: give private_key, your organization's PEM file"
        )
    try:
        return PrivateKey.load(Path(key))
    except OSError as error:
        raise ConfigurationError(f"the private key can't be read: {error}") from error


def _database(given: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"label": given} if isinstance(given, str) else dict(given)


def _seal(place: Collaboration, organization: Organization, message: bytes) -> str:
    """As the organization's node can read it. Raises ConfigurationError for one without a key."""
    if not place.encrypted:
        return base64.b64encode(message).decode()
    from .federation_crypto import PublicKey  # noqa: PLC0415 - loaded with the private key

    return PublicKey.read(organization.public_key, organization.name).encrypt(message)
