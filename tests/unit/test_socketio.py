"""Socket.IO's packets: what goes out comes in again, and what is broken is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepgrid_core.errors import InvalidRequest
from stepgrid_core.federation import socketio
from stepgrid_core.federation.socketio import SocketKind, SocketPacket, decode, encode
from tests.json_values import json_values

namespaces = st.sampled_from(["/", "/tasks", "/a b"])
acks = st.none() | st.integers(0, 10**15 - 1)
arguments = st.lists(json_values, max_size=3)
events = st.builds(
    lambda namespace, name, rest, ack: SocketPacket(
        SocketKind.EVENT, namespace, [name, *rest], ack
    ),
    namespaces,
    st.text(),
    arguments,
    acks,
)
answers = st.builds(SocketPacket, st.just(SocketKind.ACK), namespaces, arguments, acks)
connects = st.builds(
    SocketPacket,
    st.just(SocketKind.CONNECT),
    namespaces,
    st.none() | st.dictionaries(st.text(), json_values),
)


@given(packet=events | answers | connects)
def test_what_is_encoded_is_decoded(packet: SocketPacket) -> None:
    assert decode(encode(packet)) == packet


@given(text=st.text() | st.builds("{}{}".format, st.integers(0, 9), st.text()))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        packet = decode(text)
    except InvalidRequest:
        return
    assert packet.kind in SocketKind


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", SocketPacket(SocketKind.CONNECT)),
        ("0/tasks", SocketPacket(SocketKind.CONNECT, "/tasks")),
        ("0/tasks?token=1,", SocketPacket(SocketKind.CONNECT, "/tasks")),
        ('0/tasks,{"token":"x"}', SocketPacket(SocketKind.CONNECT, "/tasks", {"token": "x"})),
        ("1/tasks", SocketPacket(SocketKind.DISCONNECT, "/tasks")),
        ('2/tasks,7["ping"]', SocketPacket(SocketKind.EVENT, "/tasks", ["ping"], 7)),
        ("3/tasks,7", SocketPacket(SocketKind.ACK, "/tasks", None, 7)),
    ],
)
def test_what_clients_send(text: str, packet: SocketPacket) -> None:
    """As socketIO-client, python-socketio and JavaScript's clients write it."""
    assert decode(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "9",
        "2",
        "2[]",
        "2[1]",
        '2{"a":1}',
        '2["a"',
        "2[NaN]",
        '2["a",' + "[" * 100_000,
        '51-["a",{"_placeholder":true,"num":0}]',
        "2" + "1" * 16 + '["a"]',
        "0[1]",
        "0/" + "x" * 300,
    ],
)
def test_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode(text)


@pytest.mark.parametrize(
    ("version", "connected", "refused"),
    [(3, "0/tasks,", '4/tasks,"no"'), (4, '0/tasks,{"sid":"s"}', '4/tasks,{"message":"no"}')],
)
def test_how_the_protocols_differ(version: int, connected: str, refused: str) -> None:
    assert encode(socketio.connected(version, "/tasks", "s")) == connected
    assert encode(socketio.refused(version, "/tasks", "no")) == refused


def test_an_event_is_acknowledged_by_its_id() -> None:
    asked = SocketPacket(SocketKind.EVENT, "/tasks", ["ping"], 12)
    assert encode(socketio.acknowledged(asked)) == "3/tasks,12[]"


@given(name=st.text(), payload=json_values)
def test_events_are_read_by_both_protocols(name: str, payload: Any) -> None:
    packet = decode(encode(socketio.event("/tasks", name, [payload])))
    assert (packet.event, packet.arguments) == (name, [payload])
