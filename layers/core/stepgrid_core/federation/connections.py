"""Connections of Socket.IO over long-polling: made, asked, told and ended.

    GET  without a sid   a new connection: what its token proves is kept, the token is not
    GET  with a sid      what is in its outbox, as soon as there is anything; else a ping
    POST with a sid      packets of the client; what they lead to goes to its outbox

All state is in the table, so any process can answer, and a new one goes on where the last one
ended. Before anything is handed out, its reader is looked up again, and the room it came through.
Knows no HTTP and no event by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe

from ..errors import InvalidRequest
from ..ports import Append, Queued, Socket
from ..telemetry import logger
from . import socketio
from .engineio import MAX_PACKETS, EngineKind, EnginePacket
from .principals import Principal
from .rooms import NAMESPACE, may_join
from .service import Federation
from .socket_access import EXPIRED, prove, recall
from .socketio import SocketPacket

#: As the handshake tells it: clients give a connection up that hears nothing for their sum.
INTERVAL_SECONDS, TIMEOUT_SECONDS = 25.0, 60.0
#: A poll is answered by then, and API Gateway waits 29 s at most.
WAIT_SECONDS = 20.0
#: Without a sign of its client a connection ends.
LIFE_SECONDS = 90.0
#: Between two looks into an outbox: quickly at first, then with patience.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH = 0.25, 1.0, 1.2
#: Of a ping; it comes back in the pong.
MAX_PING_CHARACTERS = 100


class UnknownSocket(InvalidRequest):
    """The connection has ended, or never was: the client starts a new one."""


@dataclass(frozen=True, slots=True)
class Hub:
    """The connections of a federation."""

    federation: Federation
    #: what a message means, and what is answered at once
    handle: Callable[["Hub", Socket, Principal | None, SocketPacket], list[SocketPacket]]
    #: a connection with a principal ends
    left: Callable[["Hub", Principal], None]

    @property
    def now(self) -> float:
        return self.federation.grid.clock.now()

    def open(self, version: int, token: str) -> Socket:
        """Also for who proves nothing: vantage6's clients want to be told so by an event."""
        proof = prove(self.federation, token)
        # Clients of Socket.IO 4 wait to be told that the root is connected.
        root = socketio.connected(version, socketio.ROOT, "")
        socket = Socket(
            sid=token_urlsafe(24),
            version=version,
            bearer=proof.bearer,
            bearer_ends_at=proof.ends_at,
            refusal=proof.refusal,
            pinged_at=self.now,
            expires_at=self.now + LIFE_SECONDS,
            outbox=(_queued(root),) if version == 3 else (),
        )
        self.federation.sockets.open(socket)
        return socket

    def find(self, sid: str) -> Socket:
        """Raises UnknownSocket."""
        socket = self.federation.sockets.read(sid)
        if socket is None:
            raise UnknownSocket("Session ID unknown")
        if socket.expires_at <= self.now:
            self.close(socket)
            raise UnknownSocket("Session ID unknown")
        return socket

    def look_up(self, socket: Socket) -> Principal | None:
        """Who it is now; None: nobody yet, or not any more since the token ended.

        Raises UnknownSocket where the principal was removed.
        """
        if not socket.bearer:
            return None
        if socket.bearer_ends_at <= self.now:
            self._expire(socket)
            return None
        principal = recall(self.federation, socket.bearer)
        if principal is None:
            self.close(socket)
            raise UnknownSocket("Session ID unknown")
        return principal

    def poll(self, sid: str) -> list[EnginePacket]:
        """Raises UnknownSocket."""
        socket = self.find(sid)
        self.look_up(socket)
        due = socket.pinged_at + WAIT_SECONDS
        socket = self._await_outbox(socket, due)
        packets = [self._beat(socket)] if self.now >= due else []
        packets += self._take(socket, MAX_PACKETS - len(packets))
        return packets or [EnginePacket(EngineKind.NOOP)]

    def receive(self, sid: str, packets: Sequence[EnginePacket]) -> None:
        """Raises UnknownSocket, and InvalidRequest for what is no packet of Socket.IO."""
        if not packets:
            raise InvalidRequest("the body has no packet")
        for packet in packets:
            socket = self.find(sid)
            principal = self.look_up(socket)
            if packet.kind is EngineKind.CLOSE:
                self.close(socket)
                return
            if packet.kind is EngineKind.PING:
                self._pong(socket, packet)
            elif packet.kind is EngineKind.MESSAGE:
                if not isinstance(packet.data, str):
                    raise InvalidRequest("messages in bytes are not understood")
                message = socketio.decode(packet.data)
                self.send(socket, self.handle(self, socket, principal, message))

    def send(self, socket: Socket, packets: Sequence[SocketPacket]) -> None:
        """Into the outbox of this connection. Raises UnknownSocket."""
        self._append(socket, [_queued(packet) for packet in packets])

    def close(self, socket: Socket) -> None:
        """Whose it was is told that it left, once."""
        ended = self.federation.sockets.close(socket)
        if not (ended and socket.bearer and NAMESPACE in socket.namespaces):
            return
        principal = recall(self.federation, socket.bearer)
        if principal is not None:
            self.left(self, principal)

    def _await_outbox(self, socket: Socket, until: float) -> Socket:
        pause = FIRST_PAUSE_SECONDS
        while not socket.outbox and (left := until - self.now) > 0:
            self.federation.grid.clock.sleep(min(pause, left))
            pause = min(pause * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
            socket = self.find(socket.sid)
        return socket

    def _take(self, socket: Socket, most: int) -> list[EnginePacket]:
        """Nothing where another poll was faster."""
        if not socket.outbox:
            return []
        taken = socket.outbox[:most]
        # Before they are removed: nothing that can fail may come between that and the answer.
        allowed = self._allowed(socket, self.look_up(socket), {each.room for each in taken})
        if not self.federation.sockets.take(socket, len(taken)):
            return []
        return [_packet(each.text) for each in taken if each.room in allowed]

    def _allowed(self, socket: Socket, principal: Principal | None, rooms: set[str]) -> set[str]:
        """Who may not be in a room any more gets nothing of what waits, and leaves it."""
        allowed, registry = {""}, self.federation.registry
        for room in rooms - {""}:
            if principal is not None and may_join(registry, principal, room):
                allowed.add(room)
            else:
                self.federation.sockets.leave(socket.sid, room)
        return allowed

    def _beat(self, socket: Socket) -> EnginePacket:
        """Servers ping in protocol 4; clients do in 3, where the poll is only brought to an end."""
        self._keep(socket)
        return EnginePacket(EngineKind.PING if socket.version > 3 else EngineKind.NOOP)

    def _pong(self, socket: Socket, ping: EnginePacket) -> None:
        if self.now - socket.pinged_at > WAIT_SECONDS / 2:
            self._keep(socket)
        data = ping.data[:MAX_PING_CHARACTERS] if isinstance(ping.data, str) else ""
        self._append(socket, [Queued(EnginePacket(EngineKind.PONG, data).text)])

    def _keep(self, socket: Socket) -> None:
        """Who proves nothing is not kept for longer than a connection takes to be proved."""
        ends_at = self.now + LIFE_SECONDS if socket.bearer else socket.expires_at
        if not self.federation.sockets.keep(socket.sid, self.now, ends_at):
            raise UnknownSocket("Session ID unknown")

    def _append(self, socket: Socket, queued: Sequence[Queued]) -> None:
        if not queued:
            return
        done = self.federation.sockets.append(socket.sid, queued, self.now)
        if done is Append.FULL:
            self.close(socket)
            logger.warning("connection closed, its client takes nothing", bearer=socket.bearer)
        if done is not Append.DONE:
            raise UnknownSocket("Session ID unknown")

    def _expire(self, socket: Socket) -> None:
        """Its rooms are left, and its client is told once: it comes back with another token."""
        if not self.federation.sockets.prove(socket, "", 0.0, EXPIRED):
            return
        for room in socket.rooms:
            self.federation.sockets.leave(socket.sid, room)
        if NAMESPACE in socket.namespaces:
            self.send(socket, [socketio.event(NAMESPACE, EXPIRED)])


def _queued(packet: SocketPacket) -> Queued:
    return Queued(EnginePacket(EngineKind.MESSAGE, socketio.encode(packet)).text)


def _packet(text: str) -> EnginePacket:
    return EnginePacket(EngineKind(int(text[0])), text[1:])
