"""SocketTable as dictionaries."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from ..ports.sockets import OUTBOX_BYTES, OUTBOX_ENTRIES, TOLD_IDS, Append, Queued, Socket


class MemorySockets:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sockets: dict[str, Socket] = {}
        self._rooms: dict[str, dict[str, None]] = {}  #: sids in order of entry

    def open(self, socket: Socket) -> None:
        with self._lock:
            self._sockets[socket.sid] = socket

    def read(self, sid: str) -> Socket | None:
        with self._lock:
            return self._sockets.get(sid)

    def prove(self, socket: Socket, bearer: str, ends_at: float, refusal: str = "") -> bool:
        with self._lock:
            kept = self._sockets.get(socket.sid)
            if kept is None or kept.bearer != socket.bearer:
                return False
            new = replace(kept, bearer=bearer, bearer_ends_at=ends_at, refusal=refusal)
            self._sockets[socket.sid] = new
            return True

    def keep(self, sid: str, pinged_at: float, expires_at: float) -> bool:
        with self._lock:
            kept = self._sockets.get(sid)
            if kept is None:
                return False
            self._sockets[sid] = replace(kept, pinged_at=pinged_at, expires_at=expires_at)
            return True

    def append(self, sid: str, queued: Sequence[Queued], now: float) -> Append:
        with self._lock:
            kept = self._sockets.get(sid)
            if kept is None or kept.expires_at <= now:
                return Append.GONE
            if any(_is_known(kept, each) for each in queued):
                return Append.DONE
            outbox = (*kept.outbox, *queued)
            size = sum(len(each.text) for each in outbox)
            if len(outbox) > OUTBOX_ENTRIES or size > OUTBOX_BYTES:
                return Append.FULL
            self._sockets[sid] = replace(kept, outbox=outbox)
            return Append.DONE

    def take(self, socket: Socket, count: int) -> bool:
        with self._lock:
            kept = self._sockets.get(socket.sid)
            if kept is None or kept.taken != socket.taken:
                return False
            told = (*kept.told, *(each.event_id for each in kept.outbox[:count] if each.event_id))
            self._sockets[socket.sid] = replace(
                kept,
                outbox=kept.outbox[count:],
                taken=kept.taken + count,
                told=told[-TOLD_IDS:],
            )
            return True

    def connect(self, sid: str, namespace: str) -> bool:
        with self._lock:
            kept = self._sockets.get(sid)
            if kept is None:
                return False
            self._sockets[sid] = replace(kept, namespaces=kept.namespaces | {namespace})
            return True

    def disconnect(self, sid: str, namespace: str) -> None:
        with self._lock:
            kept = self._sockets.get(sid)
            if kept is not None:
                self._sockets[sid] = replace(kept, namespaces=kept.namespaces - {namespace})

    def enter(self, sid: str, room: str, expires_at: float) -> bool:
        with self._lock:
            kept = self._sockets.get(sid)
            if kept is None:
                return False
            self._sockets[sid] = replace(kept, rooms=kept.rooms | {room})
            self._rooms.setdefault(room, {})[sid] = None
            return True

    def leave(self, sid: str, room: str) -> None:
        with self._lock:
            self._rooms.get(room, {}).pop(sid, None)
            kept = self._sockets.get(sid)
            if kept is not None:
                self._sockets[sid] = replace(kept, rooms=kept.rooms - {room})

    def members(self, room: str) -> list[str]:
        with self._lock:
            return list(self._rooms.get(room, ()))

    def close(self, socket: Socket) -> bool:
        with self._lock:
            kept = self._sockets.pop(socket.sid, None)
            for room in () if kept is None else kept.rooms:
                self._rooms.get(room, {}).pop(socket.sid, None)
            return kept is not None


def _is_known(kept: Socket, queued: Queued) -> bool:
    return bool(queued.event_id) and (
        queued.event_id in kept.told or any(each == queued for each in kept.outbox)
    )
