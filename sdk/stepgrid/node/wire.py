"""What a node says to a server and asks of it: one function for each route. Knows no patience."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from stepgrid.node.journal import Ending
from stepgrid.node.server import Json, Refusal, Request, Server
from stepgrid.node.statuses import ACTIVE
from stepgrid_core.errors import Unavailable

#: The server holds its answer so long where there is nothing to do; API Gateway waits for 29 s.
WAIT_SECONDS = 20
#: A request to a function may have 6 MB (Lambda quotas); the rest is for what is around it.
MOST_RESULT_CHARACTERS = 4_400_000
_NOT_OURS = frozenset({HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND})
_MALFORMED = (KeyError, TypeError, ValueError)
_NO_SERVER = "what answers at server_url does not speak as a server of stepgrid: is it right?"


@dataclass(frozen=True, slots=True)
class Identity:
    """What the server says that this node is."""

    node_id: int
    name: str
    organization_id: int
    organization: str
    public_key: str  #: of the organization; empty: none was given
    collaboration_id: int
    collaboration: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Handout:
    """A run that this node is to do."""

    run_id: int
    claim: str
    input: str
    task: Mapping[str, Any]

    @property
    def image(self) -> str:
        return str(self.task["image"])

    @property
    def task_id(self) -> int:
        return int(self.task["id"])

    @property
    def job_id(self) -> int:
        return int(self.task["job_id"])

    @property
    def init_org_id(self) -> int:
        return int(self.task["init_org"]["id"])


@dataclass(frozen=True, slots=True)
class News:
    runs: tuple[Handout, ...]
    stop: tuple[int, ...]


def read_identity(server: Server) -> Identity:
    """Raises StepgridError."""
    try:
        return _read_identity(server)
    except _MALFORMED as error:
        raise Unavailable(_NO_SERVER) from error


def _read_identity(server: Server) -> Identity:
    node = server.call(Request("GET", f"/node/{_subject(server.log_in())}"))
    organization = read_organization(server, int(node["organization"]["id"]))
    collaboration_id = int(node["collaboration"]["id"])
    collaboration = server.call(Request("GET", f"/collaboration/{collaboration_id}"))
    return Identity(
        node_id=int(node["id"]),
        name=str(node["name"]),
        organization_id=int(organization["id"]),
        organization=str(organization["name"]),
        public_key=str(organization.get("public_key") or ""),
        collaboration_id=collaboration_id,
        collaboration=str(collaboration["name"]),
        encrypted=bool(collaboration["encrypted"]),
    )


def _subject(token: str) -> int:
    """Whose a token is. The server gave it, so its signature is not looked at."""
    try:
        payload = token.split(".")[1]
        padded = payload + "=" * (-len(payload) % 4)
        return int(json.loads(base64.urlsafe_b64decode(padded))["sub"])
    except (IndexError, KeyError, TypeError, ValueError):
        raise Unavailable("the server's answer to the login holds no token of a node") from None


def read_organization(server: Server, id: int) -> Json:
    found: Json = server.call(Request("GET", f"/organization/{id}"))
    return found


def read_username(server: Server, id: int) -> str | None:
    """None where the server does not tell."""
    try:
        return str(server.call(Request("GET", f"/user/{id}"))["username"])
    except (KeyError, Refusal):
        return None


def give_public_key(server: Server, organization_id: int, text: str) -> None:
    server.call(Request("PATCH", f"/organization/{organization_id}", {"public_key": text}))


def sync(
    server: Server,
    node_id: int,
    *,
    instance: str,
    holding: Mapping[int, str],
    capacity: int,
    wait_seconds: int,
) -> News:
    """Renews what is held; waits for what there is to do. Raises Refusal, Unavailable."""
    answer = server.call(
        Request(
            "POST",
            f"/node/{node_id}/sync",
            {
                "instance": instance,
                "holding": [{"run_id": run, "claim": claim} for run, claim in holding.items()],
                "capacity": capacity,
                "wait_seconds": wait_seconds,
            },
        )
    )
    try:
        runs: Sequence[Json] = answer["runs"]
        return News(tuple(map(_read_handout, runs)), tuple(map(int, answer["stop"])))
    except _MALFORMED as error:
        raise Unavailable(_NO_SERVER) from error


def leave(server: Server, node_id: int, instance: str) -> None:
    """The last word of a process. Raises StepgridError where that is lost, which costs a while."""
    body = {"instance": instance, "capacity": 0, "wait_seconds": 0, "leaving": True}
    server.call(Request("POST", f"/node/{node_id}/sync", body, repeat=False))


def _read_handout(run: Json) -> Handout:
    return Handout(int(run["id"]), str(run["claim"]), str(run["input"] or ""), run["task"])


def make_container_token(server: Server, task_id: int, image: str) -> str:
    body = {"task_id": task_id, "image": image}
    return str(server.call(Request("POST", "/token/container", body))["container_token"])


def tell_started(server: Server, run_id: int, claim: str, started_at: str) -> bool:
    """Once, and for people only: the word of its end says it again.

    False: the run is not this node's any more.
    """
    body = {"claim": claim, "status": ACTIVE, "started_at": started_at}
    try:
        reply = server.send(Request("PATCH", f"/run/{run_id}", body, repeat=False))
    except Unavailable:
        return True
    return reply.status not in _NOT_OURS


def tell_ended(server: Server, run_id: int, claim: str, ending: Ending) -> bool:
    """False: the run is not this node's any more. Raises Refusal for whatever else is wrong."""
    body = {
        "claim": claim,
        "status": ending.status,
        "result": ending.result,
        "log": ending.log,
        "started_at": ending.started_at,
        "finished_at": ending.finished_at,
    }
    given = {name: value for name, value in body.items() if value is not None}
    try:
        server.call(Request("PATCH", f"/run/{run_id}", given))
    except Refusal as refusal:
        if refusal.status in _NOT_OURS:
            return False
        raise
    return True
