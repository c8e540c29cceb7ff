"""Requests for tasks that come twice: vantage6's clients repeat what they got no answer to.

    the same body, from the same one, within a minute --> the same task, unless it is known to be
    the same client_token, however much later        --> the same task                   another one

Known to be another one: the first was asked for by its id since, or the client prepared a new
task. Knows nothing of what is asked for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..ports import Entity
from .http import Call, Refused
from .principals import ContainerPrincipal, UserPrincipal
from .records import FederatedTask
from .service import Federation
from .task_orders import Origin

#: A client that got no answer sends the same again for so long; see also note_prepared.
REPEAT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Note:
    """By what a request is known when it comes again. lasts: it has a token, which never ends."""

    place: int
    digest: str
    lasts: bool


def note_prepared(call: Call) -> None:
    """Clients ask for GET /blobstream/status before each new task, and never before a repeat.

    So two equal tasks that are meant as two are told from one that was sent twice.
    """
    federation, principal = call.federation, call.principal
    if isinstance(principal, UserPrincipal):
        now = federation.grid.clock.now()
        _keep(federation, "preparation", principal.user.id, {"at": now})


def note_known(call: Call, task: FederatedTask) -> None:
    """Who asks by the task's id has got it: the same request is another task from now on.

    Only who made it tells that: its nodes ask at once, perhaps before a lost answer is noticed.
    """
    federation = call.federation
    if not _is_maker(call, task):
        return
    if federation.grid.clock.now() - task.created_at > REPEAT_SECONDS:
        return
    noted = federation.table.read("request", task.request)
    if noted is not None and noted.values["task_id"] == task.id and not noted.values.get("known"):
        federation.table.replace(noted, {**noted.values, "known": True})


def note_gone(federation: Federation, task: FederatedTask) -> None:
    """It is deleted: a late repeat of the request that made it makes no other one."""
    table = federation.table
    while (noted := table.read("request", task.request)) is not None:
        of_task = noted.values["task_id"] == task.id and not noted.values.get("gone")
        if not of_task or table.replace(noted, {**noted.values, "gone": True}) is not None:
            return


def _is_maker(call: Call, task: FederatedTask) -> bool:
    principal = call.principal
    if isinstance(principal, ContainerPrincipal):
        return task.parent_id == principal.task_id
    if not isinstance(principal, UserPrincipal):
        return False
    return task.parent_id is None and task.init_user_id == principal.user.id


def make_note(origin: Origin, body: Mapping[str, Any]) -> Note:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    token = body.get("client_token")
    name = f"{origin.who}\ntoken {token}" if token else f"{origin.who}\n{digest}"
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])
    return Note(place, digest, lasts=bool(token))


def reserve_id(federation: Federation, origin: Origin, note: Note) -> int:
    """The id of the task: a new one, or that of the same request before. Raises Refused."""
    table = federation.table
    while True:
        old, now = table.read("request", note.place), federation.grid.clock.now()
        if old is not None and _is_repeat(federation, origin, old, now):
            if old.values["digest"] != note.digest:
                message = "This client_token was used for another task; use a new one."
                raise Refused(HTTPStatus.CONFLICT, message)
            return int(old.values["task_id"])
        task_id = table.next_id(FederatedTask.KIND)
        values = {"task_id": task_id, "at": now, "digest": note.digest, "lasts": note.lasts}
        new = table.replace(old, values) if old else table.create("request", note.place, values)
        if new is not None:
            return task_id


def _is_repeat(federation: Federation, origin: Origin, old: Entity, now: float) -> bool:
    at = float(old.values["at"])
    recent = now - at <= REPEAT_SECONDS
    if old.values["lasts"]:
        return recent or _was_made(federation, old)
    if not recent or old.values.get("known"):
        return False
    prepared = None
    if origin.parent is None and origin.user_id is not None:
        prepared = federation.table.read("preparation", origin.user_id)
    return prepared is None or float(prepared.values["at"]) <= at


def _was_made(federation: Federation, noted: Entity) -> bool:
    """A creation that was cut off long ago is not gone on with: the sweeper clears it away."""
    if noted.values.get("gone"):
        return True
    return federation.table.read(FederatedTask.KIND, int(noted.values["task_id"])) is not None


def _keep(federation: Federation, kind: str, id: int, values: dict[str, float]) -> None:
    """Whatever was there before."""
    table = federation.table
    while True:
        old = table.read(kind, id)
        if (table.replace(old, values) if old else table.create(kind, id, values)) is not None:
            return
