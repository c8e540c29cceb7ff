"""The namespace /tasks: what clients say over their connections, and what that does.

Nodes and users join their rooms when they connect. Clients of vantage6 before 4 ask for a room by
name: they get those that they may receive events of. What a node says of a run counts for its own
runs only, and goes to the room of the run's collaboration, whatever else the message names.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, TypeGuard

from ..ports import Socket
from . import notices, socketio
from .changes import revise
from .connections import Hub
from .presence import bid_farewell, welcome_silent
from .principals import NodePrincipal, Principal
from .records import FederatedTask, RunRecord, run_place
from .rooms import NAMESPACE, may_join, rooms_about, rooms_to_join
from .socket_access import prove
from .socketio import SocketKind, SocketPacket

if TYPE_CHECKING:
    from .service import Federation

MAX_STATUS_CHARACTERS = 64
MAX_CONFIG_CHARACTERS = 20_000
#: What is kept of a run's log; its end is what tells most.
MAX_LOG_CHARACTERS = 64_000
#: Of one message of it, also as it is told.
MAX_LOG_MESSAGE_CHARACTERS = 16_000

Does = Callable[[Hub, Socket, Principal, Any], list[SocketPacket]]


def handle(
    hub: Hub, socket: Socket, principal: Principal | None, packet: SocketPacket
) -> list[SocketPacket]:
    """Answers what goes back to the client. Raises UnknownSocket."""
    if packet.kind is SocketKind.CONNECT:
        return _connect(hub, socket, principal, packet)
    if packet.namespace != NAMESPACE or NAMESPACE not in socket.namespaces:
        return []
    if packet.kind is SocketKind.DISCONNECT:
        _disconnect(hub, socket, principal)
    if packet.kind is not SocketKind.EVENT:
        return []
    answers = []
    if principal is not None and (does := EVENTS.get(packet.event)):
        answers = does(hub, socket, principal, next(iter(packet.arguments), None))
    return answers if packet.ack is None else [*answers, socketio.acknowledged(packet)]


def left(hub: Hub, principal: Principal) -> None:
    """A connection of this principal has ended."""
    if isinstance(principal, NodePrincipal):
        bid_farewell(hub.federation, principal.node)


def _connect(
    hub: Hub, socket: Socket, principal: Principal | None, packet: SocketPacket
) -> list[SocketPacket]:
    """Also where nobody is proved to be there: what is wrong with the token is told by an event."""
    if packet.namespace not in (socketio.ROOT, NAMESPACE):
        refusal = socketio.refused(socket.version, packet.namespace, "Invalid namespace")
        return [refusal]
    # Protocol 5 wants an id for each namespace; nobody here asks for it again.
    connected = socketio.connected(socket.version, packet.namespace, token_urlsafe(12))
    if packet.namespace == socketio.ROOT or packet.namespace in socket.namespaces:
        return [connected]
    if principal is None and packet.data and packet.data.get("token"):
        socket, principal = _prove(hub, socket, str(packet.data["token"]))
    hub.federation.sockets.connect(socket.sid, NAMESPACE)
    # Before it is in any room: nothing may reach it that it is not ready for.
    hub.send(socket, [connected])
    if principal is None:
        return [socketio.event(NAMESPACE, socket.refusal)]
    return _welcome(hub, socket, principal)


def _prove(hub: Hub, socket: Socket, token: str) -> tuple[Socket, Principal | None]:
    proof = prove(hub.federation, token.removeprefix("Bearer "))
    hub.federation.sockets.prove(socket, proof.bearer, proof.ends_at, proof.refusal)
    socket = hub.find(socket.sid)
    return socket, hub.look_up(socket)


def _welcome(hub: Hub, socket: Socket, principal: Principal) -> list[SocketPacket]:
    for room in rooms_to_join(hub.federation.registry, principal):
        hub.federation.sockets.enter(socket.sid, room, socket.bearer_ends_at)
    if not isinstance(principal, NodePrincipal):
        return []
    welcome_silent(hub.federation, principal.node)
    # It is in its rooms by now: whatever it does not find in the lists, it will be told.
    return [socketio.event(NAMESPACE, "sync")]


def _disconnect(hub: Hub, socket: Socket, principal: Principal | None) -> None:
    for room in socket.rooms:
        hub.federation.sockets.leave(socket.sid, room)
    hub.federation.sockets.disconnect(socket.sid, NAMESPACE)
    if principal is not None:
        left(hub, principal)


def _join_room(hub: Hub, socket: Socket, principal: Principal, room: Any) -> list[SocketPacket]:
    if not (isinstance(room, str) and may_join(hub.federation.registry, principal, room)):
        return [socketio.event(NAMESPACE, "error", ["this room is not yours to join"])]
    if room not in socket.rooms:
        hub.federation.sockets.enter(socket.sid, room, socket.bearer_ends_at)
    return [socketio.event(NAMESPACE, "message", [f"joined room {room}"])]


def _ping(hub: Hub, socket: Socket, principal: Principal, _: Any) -> list[SocketPacket]:
    if isinstance(principal, NodePrincipal):
        welcome_silent(hub.federation, principal.node)
    return []


def _algorithm_status_change(
    hub: Hub, socket: Socket, principal: Principal, said: Any
) -> list[SocketPacket]:
    status = said.get("status") if isinstance(said, dict) else None
    task = _own_task(hub.federation, principal, said)
    if task is not None and _is_status(status):
        notices.algorithm_status_change(hub.federation, task, said["run_id"], status)
    return []


def _algorithm_log(hub: Hub, socket: Socket, principal: Principal, said: Any) -> list[SocketPacket]:
    """The log of a run that has ended stays as it is."""
    log = said.get("log") if isinstance(said, dict) else None
    task = _own_task(hub.federation, principal, said)
    if task is None or not isinstance(log, str):
        return []
    run_id, log = said["run_id"], log[-MAX_LOG_MESSAGE_CHARACTERS:]
    _keep_log(hub.federation, run_id, log)
    place = task.organization_ids[run_place(run_id)[1]]
    payload = {"run_id": run_id, "task_id": task.id, "log": log}
    notices.tell(
        hub.federation, rooms_about(task.collaboration_id, [place]), "algorithm_log", payload
    )
    return []


def _node_info_update(
    hub: Hub, socket: Socket, principal: Principal, config: Any
) -> list[SocketPacket]:
    """What the node tells of itself takes the place of what it told before."""
    if isinstance(principal, NodePrincipal) and _is_config(config):
        revise(hub.federation.registry, principal.node, lambda node: replace(node, config=config))
    return []


def _is_status(said: Any) -> TypeGuard[str]:
    """It goes over the bus, and before people's eyes."""
    return isinstance(said, str) and len(said) <= MAX_STATUS_CHARACTERS and said.isprintable()


def _is_config(config: Any) -> bool:
    """What can be kept, and shown."""
    if not isinstance(config, dict):
        return False
    try:
        return len(json.dumps(config, allow_nan=False)) <= MAX_CONFIG_CHARACTERS
    except (ValueError, RecursionError):
        return False


def _own_task(federation: "Federation", principal: Principal, said: Any) -> FederatedTask | None:
    """The task of the run that is spoken of, if that is one of this node's."""
    run_id = said.get("run_id") if isinstance(said, dict) else None
    if not isinstance(principal, NodePrincipal) or type(run_id) is not int or run_id < 0:
        return None
    task_id, index = run_place(run_id)
    task = federation.registry.find(FederatedTask, task_id)
    if task is None or index >= len(task.organization_ids):
        return None
    place = (task.collaboration_id, task.organization_ids[index])
    return task if place == (principal.collaboration_id, principal.organization_id) else None


def _logged(run: RunRecord, log: str) -> RunRecord:
    if run.finished_at is not None:
        return run
    break_ = "\n" if run.log and not run.log.endswith("\n") else ""
    return replace(run, log=f"{run.log}{break_}{log}"[-MAX_LOG_CHARACTERS:])


def _keep_log(federation: "Federation", run_id: int, log: str) -> None:
    """Whoever else changes the run meanwhile."""
    table = federation.table
    while (old := table.read(RunRecord.KIND, run_id)) is not None:
        new = _logged(RunRecord.read(run_id, old.values), log)
        if table.replace(old, new.as_values()) is not None:
            return


#: node_metrics_update, of vantage6's Prometheus, and message are taken and lead to nothing.
EVENTS: dict[str, Does] = {
    "join_room": _join_room,
    "ping": _ping,
    "algorithm_status_change": _algorithm_status_change,
    "algorithm_log": _algorithm_log,
    "node_info_update": _node_info_update,
}
