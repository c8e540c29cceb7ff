"""Socket.IO's packets: the messages that Engine.IO carries. Pure.

Protocol 4 of it goes over Engine.IO 3, protocol 5 over Engine.IO 4. They differ in how a namespace
is connected and refused; events and their acknowledgements look the same. Attachments in bytes are
not read: nobody here sends or wants any. Knows no connection.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..errors import InvalidRequest

ROOT = "/"
#: kind, then the namespace unless it is the root, the id of an acknowledgement, and JSON
_PACKET = re.compile(
    r"(?P<kind>[0-4])(?:(?P<namespace>/[^,]{0,200})(?:,|$))?(?P<ack>[0-9]{1,15})?(?P<data>[\[{\"].*)?",
    re.DOTALL | re.ASCII,
)


class SocketKind(IntEnum):
    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    ERROR = 4


@dataclass(frozen=True, slots=True)
class SocketPacket:
    kind: SocketKind
    namespace: str = ROOT
    data: Any = None  #: of an event its name and arguments
    ack: int | None = None  #: of an event: it wants to be acknowledged by this id

    @property
    def event(self) -> str:
        return str(self.data[0])

    @property
    def arguments(self) -> list[Any]:
        return list(self.data[1:])


def encode(packet: SocketPacket) -> str:
    namespace = "" if packet.namespace == ROOT else f"{packet.namespace},"
    ack = "" if packet.ack is None else str(packet.ack)
    data = "" if packet.data is None else json.dumps(packet.data, separators=(",", ":"))
    return f"{int(packet.kind)}{namespace}{ack}{data}"


def decode(text: str) -> SocketPacket:
    """Raises InvalidRequest."""
    found = _PACKET.fullmatch(text)
    if found is None:
        raise InvalidRequest("a message is no packet of Socket.IO, or has attachments")
    # Clients of protocol 4 hang a query to the namespace, which nobody here reads.
    namespace = (found["namespace"] or ROOT).partition("?")[0]
    ack = None if found["ack"] is None else int(found["ack"])
    data = None if found["data"] is None else _read_json(found["data"])
    packet = SocketPacket(SocketKind(int(found["kind"])), namespace, data, ack)
    _check(packet)
    return packet


def connected(version: int, namespace: str, socket_id: str) -> SocketPacket:
    """The answer to a connect; `version` is Engine.IO's."""
    data = {"sid": socket_id} if version > 3 else None
    return SocketPacket(SocketKind.CONNECT, namespace, data)


def refused(version: int, namespace: str, message: str) -> SocketPacket:
    """The answer to a connect that leads nowhere."""
    data = {"message": message} if version > 3 else message
    return SocketPacket(SocketKind.ERROR, namespace, data)


def event(namespace: str, name: str, arguments: Sequence[Any] = ()) -> SocketPacket:
    return SocketPacket(SocketKind.EVENT, namespace, [name, *arguments])


def acknowledged(packet: SocketPacket) -> SocketPacket:
    return SocketPacket(SocketKind.ACK, packet.namespace, [], packet.ack)


def _check(packet: SocketPacket) -> None:
    if packet.kind is SocketKind.EVENT:
        known = isinstance(packet.data, list) and packet.data and isinstance(packet.data[0], str)
        if not known:
            raise InvalidRequest("an event has no name")
    if packet.kind is SocketKind.CONNECT and not isinstance(packet.data, dict | None):
        raise InvalidRequest("a connect says who it is in an object, or not at all")


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("a message's data is no JSON") from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
