"""What the members of a federation are told, in vantage6's words.

    status change --> event bus --> notifier function: deliver --> outboxes of a room's connections

Whoever changes a task, a run or a node publishes one event. The notices that it becomes reach every
connection once: a repeat of the event is dropped by its id. Notices are hints, the table is the
truth: one that could not be published hinders nobody.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..announcement import tell_federation
from ..ports import Append, Queued, SocketTable
from . import socketio
from .engineio import EngineKind, EnginePacket
from .events import FederationEvent, FederationKind
from .records import FederatedTask, Node, RunRecord, run_place
from .rooms import NAMESPACE, room_of, rooms_about

if TYPE_CHECKING:
    from .service import Federation

#: The fields of an algorithm_status_change.
STATUS_FIELDS = (
    "status",
    "run_id",
    "task_id",
    "job_id",
    "collaboration_id",
    "node_id",
    "organization_id",
    "parent_id",
)


def new_task(federation: "Federation", task: FederatedTask) -> None:
    """To the nodes that are there; the others find it when they come."""
    facts = {"id": task.id, "parent_id": task.parent_id}
    event = FederationEvent(
        FederationKind.TASK_CREATED,
        f"task-{task.id}-created",
        task.created_at,
        task.collaboration_id,
        task.organization_ids,
        facts,
    )
    tell_federation(federation.grid, event)


def status_update(federation: "Federation", task: FederatedTask, run: RunRecord) -> None:
    """A run has another status, and it is stored: tells status_update, algorithm_status_change."""
    kind = FederationKind.RUN_CHANGED
    _run_event(federation, kind, task, run_id=run.id, status=run.status, attempt=run.attempt)


def algorithm_status_change(
    federation: "Federation", task: FederatedTask, run_id: int, status: str
) -> None:
    """A node says so by its connection; that it is stored is told by `status_update`."""
    run = federation.registry.find(RunRecord, run_id)
    kind, attempt = FederationKind.RUN_REPORTED, 0 if run is None else run.attempt
    _run_event(federation, kind, task, run_id=run_id, status=status, attempt=attempt)


def kill_node_containers(federation: "Federation", node: Node) -> None:
    """All that runs on a node is to end."""
    facts = {"node_id": node.id}
    tell_federation(federation.grid, _node_event(federation, FederationKind.KILL, node, facts))


def node_online(federation: "Federation", node: Node) -> None:
    tell_federation(federation.grid, _presence(federation, FederationKind.NODE_ONLINE, node))


def node_offline(federation: "Federation", node: Node) -> None:
    tell_federation(federation.grid, _presence(federation, FederationKind.NODE_OFFLINE, node))


def deliver(sockets: SocketTable, event: FederationEvent, now: float) -> int:
    """Into the outboxes; answers how many connections were told. Raises Unavailable: repeat it."""
    rooms = rooms_about(event.collaboration_id, event.organization_ids)
    if event.kind is FederationKind.KILL:
        rooms = [room_of(event.collaboration_id)]
    told = 0
    for name, event_id, payload in _notices(event):
        text = _text(name, payload)
        told += _tell(sockets, rooms, text, f"{event_id}:{name}", now)
    return told


def tell(federation: "Federation", rooms: Iterable[str], name: str, payload: Any) -> int:
    """At once, without the bus: for what nobody stores. Answers how many were told."""
    now = federation.grid.clock.now()
    return _tell(federation.sockets, rooms, _text(name, payload), "", now)


def _tell(sockets: SocketTable, rooms: Iterable[str], text: str, event_id: str, now: float) -> int:
    """Who is in several of the rooms is told once."""
    found: dict[str, str] = {}
    for room in rooms:
        for sid in sockets.members(room):
            found.setdefault(sid, room)
    told = 0
    for sid, room in found.items():
        done = sockets.append(sid, [Queued(text, room, event_id)], now)
        told += done is Append.DONE
        if done is not Append.DONE:
            _drop(sockets, sid, room)
    return told


def _drop(sockets: SocketTable, sid: str, room: str) -> None:
    """Gone, or so far behind that it has to start anew and look at the table itself."""
    socket = sockets.read(sid)
    if socket is not None:
        sockets.close(socket)
    sockets.leave(sid, room)


def _notices(event: FederationEvent) -> list[tuple[str, str, Any]]:
    """Name, id and payload of each."""
    facts = dict(event.facts)
    whole = {**facts, "collaboration_id": event.collaboration_id}
    if event.kind is FederationKind.RUN_CHANGED:
        update = {"result_id": facts["run_id"], "run_id": facts["run_id"]}
        return [
            ("status_update", event.event_id, update),
            *_notices_of_status(event, whole),
        ]
    if event.kind is FederationKind.RUN_REPORTED:
        return _notices_of_status(event, whole)
    if event.kind is FederationKind.KILL:
        return [("kill_containers", event.event_id, whole)]
    if event.kind is FederationKind.CLOUD_DUE:
        return []
    names = {
        FederationKind.TASK_CREATED: "new_task",
        FederationKind.NODE_ONLINE: "node-online",
        FederationKind.NODE_OFFLINE: "node-offline",
    }
    return [(names[event.kind], event.event_id, facts)]


def _notices_of_status(event: FederationEvent, whole: Any) -> list[tuple[str, str, Any]]:
    payload = {name: whole.get(name) for name in STATUS_FIELDS}
    return [("algorithm_status_change", event.event_id, payload)]


def _run_event(
    federation: "Federation",
    kind: FederationKind,
    task: FederatedTask,
    *,
    run_id: int,
    status: str,
    attempt: int,
) -> None:
    """Said and stored, a status is the same piece of news: their ids are the same."""
    organization_id = task.organization_ids[run_place(run_id)[1]]
    node = federation.registry.node_of(organization_id, task.collaboration_id)
    facts = {
        "status": status,
        "run_id": run_id,
        "task_id": task.id,
        "job_id": task.job_id,
        "node_id": None if node is None else node.id,
        "organization_id": organization_id,
        "parent_id": task.parent_id,
    }
    event_id = f"run-{run_id}-{attempt}-{status.replace(' ', '_')}"
    now = federation.grid.clock.now()
    place = (organization_id,)
    event = FederationEvent(kind, event_id, now, task.collaboration_id, place, facts)
    tell_federation(federation.grid, event)


def _presence(federation: "Federation", kind: FederationKind, node: Node) -> FederationEvent:
    facts = {"id": node.id, "name": node.name, "org_id": node.organization_id}
    return _node_event(federation, kind, node, facts)


def _node_event(
    federation: "Federation", kind: FederationKind, node: Node, facts: dict[str, Any]
) -> FederationEvent:
    now = federation.grid.clock.now()
    event_id = f"node-{node.id}-{kind}-{now:.3f}"
    place = (node.organization_id,)
    return FederationEvent(kind, event_id, now, node.collaboration_id, place, facts)


def _text(name: str, payload: Any) -> str:
    packet = socketio.event(NAMESPACE, name, [payload])
    return EnginePacket(EngineKind.MESSAGE, socketio.encode(packet)).text
