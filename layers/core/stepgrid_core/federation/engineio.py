"""Engine.IO's packets on the wire, as long-polling carries them: several in one body. Pure.

Protocol 3 frames them in bytes (0 or 1 for text or bytes, the length in decimal digits, 255, the
packet) or, where the client asks for `b64=1`, in text (length:packet). Protocol 4 puts a record
separator between them. Knows no connection and no Socket.IO.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ..errors import InvalidRequest

VERSIONS = (3, 4)
#: A body that a client sends is refused above.
MAX_BYTES = 1_000_000
#: In one body. Clients take no more than so many in an answer (python-engineio, engine.io).
MAX_PACKETS = 16
#: Sent by clients; the framing of protocol 3 knows no limit, and JavaScript's sends what it has.
MAX_RECEIVED = 64
TEXT_TYPE = "text/plain; charset=UTF-8"
BINARY_TYPE = "application/octet-stream"
SEPARATOR = "\x1e"
_IS_TEXT, _IS_BYTES, _END_OF_LENGTH = 0, 1, 255
_LENGTH_DIGITS = 9


class EngineKind(IntEnum):
    OPEN = 0
    CLOSE = 1
    PING = 2
    PONG = 3
    MESSAGE = 4
    UPGRADE = 5
    NOOP = 6


@dataclass(frozen=True, slots=True)
class EnginePacket:
    kind: EngineKind
    data: str | bytes = ""

    @property
    def text(self) -> str:
        """With its kind in front; of bytes, their base64."""
        if isinstance(self.data, bytes):
            return f"b{int(self.kind)}{base64.b64encode(self.data).decode()}"
        return f"{int(self.kind)}{self.data}"


@dataclass(frozen=True, slots=True)
class Framing:
    """How one client wants its bodies."""

    version: int
    in_text: bool = True  #: of protocol 3: `b64=1`

    @property
    def content_type(self) -> str:
        return TEXT_TYPE if self.version > 3 or self.in_text else BINARY_TYPE

    def encode(self, packets: Sequence[EnginePacket]) -> bytes:
        if self.version > 3:
            return SEPARATOR.join(_text_of_4(packet) for packet in packets).encode()
        if self.in_text:
            return b"".join(_frame_in_text(packet.text) for packet in packets)
        return b"".join(_frame_in_bytes(packet) for packet in packets)

    def decode(self, body: bytes) -> list[EnginePacket]:
        """The form of a body of protocol 3 is told by the body itself. Raises InvalidRequest."""
        if len(body) > MAX_BYTES:
            raise InvalidRequest(f"the body has more than {MAX_BYTES} bytes")
        if self.version > 3:
            texts = _decoded(body).split(SEPARATOR, MAX_RECEIVED)
            packets = [_read_4(text) for text in texts] if body else []
        elif body[:1] in (b"\x00", b"\x01"):
            packets = _read_bytes(body)
        else:
            packets = _read_texts(_decoded(body))
        if len(packets) > MAX_RECEIVED:
            raise InvalidRequest(f"the body has more than {MAX_RECEIVED} packets")
        return packets


def handshake(
    sid: str, version: int, interval_seconds: float, timeout_seconds: float
) -> EnginePacket:
    """Offers no other transport than polling: API Gateway carries no websocket of Engine.IO."""
    values = {
        "sid": sid,
        "upgrades": [],
        "pingInterval": int(interval_seconds * 1000),
        "pingTimeout": int(timeout_seconds * 1000),
    }
    if version > 3:
        values["maxPayload"] = MAX_BYTES
    return EnginePacket(EngineKind.OPEN, json.dumps(values, separators=(",", ":")))


def _text_of_4(packet: EnginePacket) -> str:
    """Bytes are always of a message there, and say no kind."""
    if isinstance(packet.data, bytes):
        return f"b{base64.b64encode(packet.data).decode()}"
    return packet.text


def _read_4(text: str) -> EnginePacket:
    if text.startswith("b"):
        return EnginePacket(EngineKind.MESSAGE, _unbase64(text[1:]))
    return _read_text(text)


def _frame_in_text(text: str) -> bytes:
    return f"{_units(text)}:{text}".encode()


def _frame_in_bytes(packet: EnginePacket) -> bytes:
    if isinstance(packet.data, bytes):
        mark, framed = _IS_BYTES, bytes([packet.kind]) + packet.data
    else:
        mark, framed = _IS_TEXT, packet.text.encode()
    digits = bytes(int(digit) for digit in str(len(framed)))
    return bytes([mark]) + digits + bytes([_END_OF_LENGTH]) + framed


def _read_bytes(body: bytes) -> list[EnginePacket]:
    packets: list[EnginePacket] = []
    at = 0
    while at < len(body) and len(packets) <= MAX_RECEIVED:
        end = body.find(_END_OF_LENGTH, at, at + _LENGTH_DIGITS + 2)
        digits = body[at + 1 : end] if end > 0 else b""
        if not digits or max(digits) > 9 or body[at] not in (_IS_TEXT, _IS_BYTES):
            raise InvalidRequest("a packet's length can't be read")
        length = int("".join(map(str, digits)))
        framed = body[end + 1 : end + 1 + length]
        if len(framed) < length or not framed:
            raise InvalidRequest("a packet is shorter than it says")
        is_text = body[at] == _IS_TEXT
        packets.append(_read_text(_decoded(framed)) if is_text else _read_raw(framed))
        at = end + 1 + length
    return packets


def _read_texts(text: str) -> list[EnginePacket]:
    """Lengths count UTF-16's units, as JavaScript does."""
    packets: list[EnginePacket] = []
    units = text.encode("utf-16-le")
    colon = ":".encode("utf-16-le")
    at = 0
    while at < len(units) and len(packets) <= MAX_RECEIVED:
        end = units.find(colon, at, at + 2 * _LENGTH_DIGITS + 2)
        digits = units[at:end].decode("utf-16-le", "replace") if end > at else ""
        if not (digits.isascii() and digits.isdigit()):
            raise InvalidRequest("a packet's length can't be read")
        begin, behind = end + 2, end + 2 + 2 * int(digits)
        if behind > len(units):
            raise InvalidRequest("a packet is shorter than it says")
        packets.append(_read_framed_text(_decoded(units[begin:behind], "utf-16-le")))
        at = behind
    return packets


def _read_framed_text(text: str) -> EnginePacket:
    if text.startswith("b"):
        return EnginePacket(_kind(text[1:2]), _unbase64(text[2:]))
    return _read_text(text)


def _read_text(text: str) -> EnginePacket:
    return EnginePacket(_kind(text[:1]), text[1:])


def _read_raw(framed: bytes) -> EnginePacket:
    return EnginePacket(_kind(str(framed[0])), framed[1:])


def _kind(digit: str) -> EngineKind:
    if digit not in tuple("0123456"):
        raise InvalidRequest("a packet has no kind that is known")
    return EngineKind(int(digit))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _decoded(data: bytes, encoding: str = "utf-8") -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is no text") from error


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("a packet's bytes are no base64") from error
