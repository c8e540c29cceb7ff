"""SocketTable: connections and their outboxes, in memory and in the state table."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stepgrid_core.aws.sockets import AwsSockets
from stepgrid_core.memory import MemorySockets
from stepgrid_core.ports import Append, NoSockets, Queued, Socket, SocketTable
from stepgrid_core.ports.sockets import OUTBOX_BYTES, OUTBOX_ENTRIES, TOLD_IDS

from .aws_stack import AwsStack

NOW = 1_800_000_000.0
SOCKET = Socket(
    sid="sid-1",
    version=3,
    bearer="node:3:00ff",
    bearer_ends_at=NOW + 3_600.25,
    refusal="",
    pinged_at=NOW,
    expires_at=NOW + 90,
    outbox=(Queued("40"),),
)


@pytest.fixture(params=("memory", "aws"))
def sockets(request: pytest.FixtureRequest) -> Iterator[SocketTable]:
    if request.param == "memory":
        yield MemorySockets()
        return
    stack: AwsStack = request.getfixturevalue("stack")
    yield AwsSockets(stack.create_table())


def find(sockets: SocketTable, sid: str = SOCKET.sid) -> Socket:
    socket = sockets.read(sid)
    assert socket is not None
    return socket


def test_a_connection_is_read_as_it_was_opened(sockets: SocketTable) -> None:
    sockets.open(SOCKET)
    assert find(sockets) == SOCKET
    assert sockets.read("other") is None


def test_what_is_appended_stands_in_order(sockets: SocketTable) -> None:
    """Also texts with spaces, and of several at once."""
    sockets.open(SOCKET)
    first, *others = Queued('42["a b"]', "room", "event-1"), Queued("3"), Queued("3 x")
    assert sockets.append(SOCKET.sid, [first], NOW) is Append.DONE
    assert sockets.append(SOCKET.sid, others, NOW) is Append.DONE
    assert find(sockets).outbox == (Queued("40"), first, *others)


def test_who_is_gone_or_expired_gets_nothing(sockets: SocketTable) -> None:
    sockets.open(SOCKET)
    assert sockets.append("other", [Queued("3")], NOW) is Append.GONE
    assert sockets.append(SOCKET.sid, [Queued("3")], SOCKET.expires_at) is Append.GONE
    assert find(sockets).outbox == SOCKET.outbox


def test_only_one_takes_what_is_there(sockets: SocketTable) -> None:
    """Of two who read the same outbox, the second one gets nothing of it."""
    sockets.open(SOCKET)
    sockets.append(SOCKET.sid, [Queued("3a")], NOW)
    seen = find(sockets)
    sockets.append(SOCKET.sid, [Queued("3b")], NOW)
    assert sockets.take(seen, 2)
    assert not sockets.take(seen, 2)
    assert find(sockets).outbox == (Queued("3b"),)
    assert not sockets.take(replace(SOCKET, sid="other"), 1)


def test_many_are_taken_from_the_front(sockets: SocketTable) -> None:
    """More than ten at once: places in a list are numbers, not texts."""
    sockets.open(replace(SOCKET, outbox=()))
    for number in range(20):
        sockets.append(SOCKET.sid, [Queued(f"3{number}")], NOW)
    assert sockets.take(find(sockets), 16)
    assert [each.text for each in find(sockets).outbox] == ["316", "317", "318", "319"]


def test_a_repeat_is_dropped_before_and_after_it_was_taken(sockets: SocketTable) -> None:
    sockets.open(replace(SOCKET, outbox=()))
    queued = Queued("42[]", "room", "event-1")
    for _ in range(2):
        assert sockets.append(SOCKET.sid, [queued], NOW) is Append.DONE
    assert find(sockets).outbox == (queued,)
    assert sockets.take(find(sockets), 1)
    assert sockets.append(SOCKET.sid, [queued], NOW) is Append.DONE
    assert find(sockets).outbox == ()


def test_what_has_no_event_id_may_come_again(sockets: SocketTable) -> None:
    sockets.open(replace(SOCKET, outbox=()))
    for _ in range(2):
        sockets.append(SOCKET.sid, [Queued("3")], NOW)
    assert find(sockets).outbox == (Queued("3"), Queued("3"))


def test_the_last_event_ids_are_remembered(sockets: SocketTable) -> None:
    sockets.open(replace(SOCKET, outbox=()))
    ids = [f"event-{number}" for number in range(TOLD_IDS + 1)]
    for event_id in ids:
        sockets.append(SOCKET.sid, [Queued("42[]", "room", event_id)], NOW)
    assert sockets.take(find(sockets), len(ids))
    assert find(sockets).told == tuple(ids[1:])


def test_an_outbox_has_so_many_bytes(sockets: SocketTable) -> None:
    """What was taken makes room again."""
    sockets.open(replace(SOCKET, outbox=()))
    half = Queued("4" * (OUTBOX_BYTES // 2))
    assert sockets.append(SOCKET.sid, [half], NOW) is Append.DONE
    assert sockets.append(SOCKET.sid, [half], NOW) is Append.DONE
    assert sockets.append(SOCKET.sid, [Queued("3")], NOW) is Append.FULL
    assert sockets.append(SOCKET.sid, [Queued("3", "room", "event-1")], NOW) is Append.FULL
    assert sockets.take(find(sockets), 1)
    assert sockets.append(SOCKET.sid, [Queued("3")], NOW) is Append.DONE


def test_an_outbox_has_so_many_entries(sockets: SocketTable) -> None:
    sockets.open(replace(SOCKET, outbox=()))
    most = [Queued("3")] * OUTBOX_ENTRIES
    assert sockets.append(SOCKET.sid, most[:-1], NOW) is Append.DONE
    assert sockets.append(SOCKET.sid, [Queued("3")] * 2, NOW) is Append.FULL
    assert sockets.append(SOCKET.sid, [Queued("3")], NOW) is Append.DONE


def test_a_bearer_is_proved_once(sockets: SocketTable) -> None:
    """Who changes it has read what it was."""
    sockets.open(SOCKET)
    assert sockets.prove(SOCKET, "", 0.0, "expired_token")
    assert not sockets.prove(SOCKET, "user:1", NOW)
    changed = find(sockets)
    assert (changed.bearer, changed.bearer_ends_at, changed.refusal) == ("", 0.0, "expired_token")
    assert not sockets.prove(replace(SOCKET, sid="other"), "user:1", NOW)


def test_a_sign_of_life_is_kept(sockets: SocketTable) -> None:
    sockets.open(SOCKET)
    assert sockets.keep(SOCKET.sid, NOW + 20.5, NOW + 110.5)
    assert find(sockets) == replace(SOCKET, pinged_at=NOW + 20.5, expires_at=NOW + 110.5)
    assert not sockets.keep("other", NOW, NOW)


def test_namespaces_come_and_go(sockets: SocketTable) -> None:
    sockets.open(SOCKET)
    assert sockets.connect(SOCKET.sid, "/tasks")
    assert find(sockets).namespaces == {"/tasks"}
    sockets.disconnect(SOCKET.sid, "/tasks")
    assert find(sockets).namespaces == frozenset()
    assert not sockets.connect("other", "/tasks")
    sockets.disconnect("other", "/tasks")
    assert sockets.read("other") is None


def test_rooms_have_members(sockets: SocketTable) -> None:
    for sid in ("sid-1", "sid-2"):
        sockets.open(replace(SOCKET, sid=sid))
        assert sockets.enter(sid, "one", NOW + 90)
    assert sockets.enter("sid-2", "two", NOW + 90)
    assert (sockets.members("one"), sockets.members("two")) == (["sid-1", "sid-2"], ["sid-2"])
    assert find(sockets, "sid-2").rooms == {"one", "two"}
    sockets.leave("sid-1", "one")
    assert (sockets.members("one"), find(sockets).rooms) == (["sid-2"], frozenset())
    assert not sockets.enter("other", "one", NOW + 90)
    sockets.leave("other", "one")
    assert sockets.members("none") == []


def test_who_is_closed_is_in_no_room(sockets: SocketTable) -> None:
    """Also in those that it entered after it was read."""
    sockets.open(SOCKET)
    seen = find(sockets)
    sockets.enter(SOCKET.sid, "one", NOW + 90)
    assert sockets.close(seen)
    assert not sockets.close(seen)
    assert (sockets.read(SOCKET.sid), sockets.members("one")) == (None, [])


def test_nobody_is_connected_to_a_federation_without_sockets() -> None:
    none = NoSockets()
    none.open(SOCKET)
    assert none.read(SOCKET.sid) is None
    assert none.append(SOCKET.sid, [Queued("3")], NOW) is Append.GONE
    assert not none.enter(SOCKET.sid, "one", NOW)
    assert none.members("one") == []
