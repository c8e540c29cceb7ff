"""The route /socket.io/: handshakes, polls, and what a client may not send."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepgrid_core.federation.connections import LIFE_SECONDS, WAIT_SECONDS
from stepgrid_core.federation.engineio import EngineKind, EnginePacket, Framing
from stepgrid_core.federation.socketio import SocketKind, SocketPacket

from .socket_world import ANN, Client, SocketWorld

NOOP, PING = EnginePacket(EngineKind.NOOP), EnginePacket(EngineKind.PING)
QUERY = {"EIO": "4", "transport": "polling"}


@pytest.fixture
def world() -> SocketWorld:
    return SocketWorld()


@pytest.fixture
def ann(world: SocketWorld) -> Client:
    client = Client(world, token=world.user_token(ANN)).connect()
    client.poll()
    return client


@pytest.mark.parametrize("path", ["/socket.io/", "/socket.io", "/api/socket.io/"])
def test_a_handshake_offers_polling_only(world: SocketWorld, path: str) -> None:
    answer = world.request("GET", QUERY, path=path)
    (packet,) = Framing(4).decode(answer.data)
    values = json.loads(packet.data)
    assert (packet.kind, values["upgrades"]) == (EngineKind.OPEN, [])
    assert answer.content_type.startswith("text/plain")


def test_protocol_3_is_framed_in_bytes_unless_it_asks_for_text(world: SocketWorld) -> None:
    query = {"EIO": "3", "transport": "polling"}
    in_bytes, in_text = world.request("GET", query), world.request("GET", {**query, "b64": "1"})
    assert in_bytes.content_type == "application/octet-stream"
    assert in_bytes.data[0] == 0
    assert in_text.content_type.startswith("text/plain")
    assert in_text.data.partition(b":")[2].startswith(b'0{"sid"')


def test_clients_of_protocol_3_are_told_that_the_root_is_connected(world: SocketWorld) -> None:
    assert Client(world, 3).open().poll() == [EnginePacket(EngineKind.MESSAGE, "0")]


@pytest.mark.parametrize(("version", "beat"), [(4, PING), (3, NOOP)])
def test_a_poll_ends_before_api_gateway_gives_up(
    world: SocketWorld, version: int, beat: EnginePacket
) -> None:
    """With the server's ping in protocol 4, with nothing in 3; again and again."""
    client = Client(world, version, world.user_token(ANN)).connect()
    client.poll()
    for _ in range(10):
        begun = world.now
        assert client.poll() == [beat]
        assert 0 < world.now - begun <= WAIT_SECONDS


def test_a_ping_is_not_held_up_by_events(world: SocketWorld, ann: Client) -> None:
    """A client that is always told something is pinged in time all the same."""
    world.memory.clock.advance(WAIT_SECONDS)
    ann.emit("join_room", "collaboration_1")
    first, second = ann.poll()
    assert (first, second.kind) == (PING, EngineKind.MESSAGE)


def test_a_ping_of_protocol_3_is_answered(world: SocketWorld) -> None:
    client = Client(world, 3).open()
    client.poll()
    client.post(EnginePacket(EngineKind.PING, "probe"))
    assert client.poll() == [EnginePacket(EngineKind.PONG, "probe")]


def test_pings_keep_a_connection_of_protocol_3(world: SocketWorld) -> None:
    """Also where its client does not poll, because it has something else to do."""
    client = Client(world, 3, world.user_token(ANN)).open()
    for _ in range(10):
        world.memory.clock.advance(WAIT_SECONDS)
        client.post(PING)
    assert not client.is_unknown()


def test_a_silent_connection_ends(world: SocketWorld, ann: Client) -> None:
    world.memory.clock.advance(LIFE_SECONDS)
    assert ann.is_unknown()
    assert world.sockets.members("collaboration_1") == []


def test_who_proves_nothing_is_not_kept(world: SocketWorld) -> None:
    """However eagerly it polls."""
    client = Client(world).open()
    while world.now < 1_800_000_000 + LIFE_SECONDS - WAIT_SECONDS:
        assert client.poll() == [PING]
    world.memory.clock.advance(WAIT_SECONDS)
    assert client.is_unknown()


def test_a_client_may_close(world: SocketWorld, ann: Client) -> None:
    ann.post(EnginePacket(EngineKind.CLOSE))
    assert ann.is_unknown()


def test_a_poll_takes_sixteen_packets(world: SocketWorld, ann: Client) -> None:
    """Clients refuse more; the rest comes with the next one, in order."""
    for number in range(20):
        ann.say(SocketPacket(SocketKind.EVENT, "/tasks", ["none"], number))
    first, rest = ann.poll(), ann.poll()
    assert (len(first), len(rest)) == (16, 4)
    assert [each.data for each in first + rest] == [f"3/tasks,{number}[]" for number in range(20)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"EIO": "5", "transport": "polling"}, 5),
        ({"EIO": "4", "transport": "websocket"}, 0),
        ({"EIO": "4"}, 0),
        ({"EIO": "3", "transport": "polling", "j": "0"}, 3),
        ({"EIO": "4", "transport": "polling", "sid": "unknown"}, 1),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_can_not_be_answered_is_refused(
    world: SocketWorld, method: str, query: dict[str, str], code: int
) -> None:
    """In Engine.IO's own form."""
    answer = world.request(method, query, b"2")
    assert (answer.status, answer.body["code"]) == (400, code)


@pytest.mark.parametrize("body", [b"", b"9", b"4", b"4x", b'42["a"', b"b!", b"\xff", b"bAAAA"])
def test_a_body_that_can_not_be_read_is_refused(ann: Client, body: bytes) -> None:
    """And the connection goes on."""
    query = {**QUERY, "sid": ann.sid}
    answer = ann.world.request("POST", query, body)
    assert (answer.status, answer.body["code"]) == (400, 3)
    assert ann.poll() == [PING]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), version=st.sampled_from(["3", "4"]))
def test_whatever_is_posted_is_answered(ann: Client, body: bytes, version: str) -> None:
    query = {"EIO": version, "transport": "polling", "sid": ann.sid}
    assert ann.world.request("POST", query, body).status in (200, 400)
