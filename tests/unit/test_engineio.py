"""Engine.IO's framings: what goes out comes in again, and what is broken is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepgrid_core.errors import InvalidRequest
from stepgrid_core.federation.engineio import (
    MAX_BYTES,
    MAX_RECEIVED,
    EngineKind,
    EnginePacket,
    Framing,
    handshake,
)

BYTES_3, TEXT_3, TEXT_4 = Framing(3, in_text=False), Framing(3), Framing(4)
FRAMINGS = (BYTES_3, TEXT_3, TEXT_4)
#: The separator of protocol 4 stands in no JSON text, and so in no packet of Socket.IO.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"))
text_packets = st.builds(EnginePacket, st.sampled_from(EngineKind), texts)
byte_packets = st.builds(EnginePacket, st.just(EngineKind.MESSAGE), st.binary())


@pytest.mark.parametrize("framing", FRAMINGS)
@given(packets=st.lists(text_packets | byte_packets, max_size=MAX_RECEIVED))
def test_what_is_encoded_is_decoded(framing: Framing, packets: list[EnginePacket]) -> None:
    """Any packets of all kinds, of text and of bytes, in all three framings."""
    assert framing.decode(framing.encode(packets)) == packets


@pytest.mark.parametrize("framing", FRAMINGS)
@given(body=st.binary(max_size=300) | texts.map(str.encode))
def test_any_body_is_read_or_refused(framing: Framing, body: bytes) -> None:
    """Whatever arrives, there are packets, or the one error that means 400."""
    try:
        packets = framing.decode(body)
    except InvalidRequest:
        return
    assert all(isinstance(packet, EnginePacket) for packet in packets)


def test_the_bytes_of_protocol_3() -> None:
    """As socketIO-client 0.7.2 reads and writes them: lengths count bytes."""
    packet = EnginePacket(EngineKind.MESSAGE, "é")
    assert BYTES_3.encode([packet]) == b"\x00\x03\xff4\xc3\xa9"
    assert BYTES_3.content_type == "application/octet-stream"


def test_the_text_of_protocol_3() -> None:
    """Lengths count UTF-16's units, as JavaScript's do."""
    packets = [EnginePacket(EngineKind.MESSAGE, "\U0001f600"), EnginePacket(EngineKind.NOOP)]
    assert TEXT_3.encode(packets).decode() == "3:4\U0001f6001:6"
    assert TEXT_3.decode(b"6:b4AAEC") == [EnginePacket(EngineKind.MESSAGE, b"\x00\x01\x02")]


def test_the_text_of_protocol_4() -> None:
    """A separator between packets, and base64 for bytes."""
    packets = [EnginePacket(EngineKind.PING), EnginePacket(EngineKind.MESSAGE, b"\x00")]
    assert TEXT_4.encode(packets) == b"2\x1ebAA=="


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (BYTES_3, b"\x00\xff4"),  # no length
        (BYTES_3, b"\x00\x0b\xff4"),  # a digit above 9
        (BYTES_3, b"\x00\x09\xff4"),  # shorter than it says
        (BYTES_3, b"\x00\x00\xff"),  # nothing in it
        (BYTES_3, b"\x00" + b"\x09" * 400 + b"\xff4"),  # a length without an end
        (BYTES_3, b"\x00\x02\xff4\xff"),  # no UTF-8
        (BYTES_3, b"\x01\x02\xff\x09x"),  # bytes of no kind
        (TEXT_3, b"x:4"),
        (TEXT_3, b"9:4"),
        (TEXT_3, b"4"),
        (TEXT_3, b"99999999999999999999:4"),
        (TEXT_3, b"2:b4x"),
        (TEXT_3, "²:4".encode()),
        (TEXT_4, b"7"),
        (TEXT_4, b"4\x1e"),
        (TEXT_4, b"b?"),
        (TEXT_4, b"\xff"),
        (TEXT_4, b"4" + b"x" * MAX_BYTES),
        (TEXT_4, b"\x1e".join([b"6"] * (MAX_RECEIVED + 1))),
        (TEXT_3, b"1:6" * (MAX_RECEIVED + 1)),
        (BYTES_3, b"\x00\x01\xff6" * (MAX_RECEIVED + 1)),
    ],
)
def test_hostile_bodies_are_refused(framing: Framing, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        framing.decode(body)


@pytest.mark.parametrize("version", [3, 4])
def test_the_handshake_offers_no_upgrade(version: int) -> None:
    """Times in milliseconds; protocol 4 is also told how much it may send."""
    packet = handshake("the-sid", version, 25.0, 60.0)
    assert packet.kind is EngineKind.OPEN
    assert isinstance(packet.data, str)
    values = json.loads(packet.data)
    limit = values.pop("maxPayload", None)
    assert values == {
        "sid": "the-sid",
        "upgrades": [],
        "pingInterval": 25_000,
        "pingTimeout": 60_000,
    }
    assert limit == (MAX_BYTES if version == 4 else None)
