"""The namespace /tasks: who is in which room, and what clients can do by their connections."""

from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.federation import notices
from stepgrid_core.federation.connections import TIMEOUT_SECONDS
from stepgrid_core.federation.engineio import EngineKind, EnginePacket
from stepgrid_core.federation.kill_orders import order_kill
from stepgrid_core.federation.nodes import SEEN_SECONDS, is_online
from stepgrid_core.federation.records import Collaboration, Node, RunRecord, User
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.socketio import SocketKind, SocketPacket
from stepgrid_core.federation.tasks_namespace import MAX_LOG_CHARACTERS
from stepgrid_core.ports.sockets import OUTBOX_ENTRIES
from stepgrid_core.records import FederationFacts

from .socket_world import ANN, BOB, EVE, OTHERS_RUN, RUN, Client, SocketWorld

JOINED = ("message", "joined room collaboration_1")
REFUSED = ("error", "this room is not yours to join")


@pytest.fixture
def world() -> SocketWorld:
    return SocketWorld()


def user(world: SocketWorld, id: int = ANN, version: int = 4) -> Client:
    """Connected, and has heard what everybody hears."""
    client = Client(world, version, world.user_token(id)).connect()
    client.poll()
    return client


def node(world: SocketWorld, id: int = 1) -> Client:
    client = Client(world, token=world.node_token(id)).connect()
    client.poll()
    return client


def rooms(client: Client) -> set[str]:
    socket = client.world.sockets.read(client.sid)
    assert socket is not None
    return set(socket.rooms)


def update(world: SocketWorld, status: str = "active") -> None:
    notices.status_update(world.federation, world.task, replace(world.run, status=status))


@pytest.mark.parametrize("version", [3, 4])
def test_users_are_in_the_rooms_that_they_may_hear(world: SocketWorld, version: int) -> None:
    """By rule event/r: of their collaborations, or of their organization's part."""
    assert rooms(user(world, ANN, version)) == {"collaboration_1"}
    assert rooms(user(world, BOB, version)) == {
        "collaboration_1_organization_2",
        "collaboration_2_organization_2",
    }
    assert rooms(user(world, EVE, version)) == set()


def test_a_node_is_in_its_rooms_and_told_to_sync(world: SocketWorld) -> None:
    client = Client(world, token=world.node_token(1)).connect()
    assert ("sync", None) in client.hear()
    assert rooms(client) == {"all_nodes", "collaboration_1", "collaboration_1_organization_1"}
    assert (world.node().online, world.node().seen_at) == (True, world.now)


def test_a_node_that_comes_and_goes_is_told_to_its_collaboration(world: SocketWorld) -> None:
    ann, bob, eve = user(world, ANN), user(world, BOB), user(world, EVE)
    client = node(world, 1)
    about = {"id": 1, "name": "node 1", "org_id": 1}
    assert ann.hear() == [("node-online", about)]
    client.post(EnginePacket(EngineKind.CLOSE))
    assert ann.hear() == [("node-offline", about)]
    assert not world.node().online
    assert not is_online(world.node(), world.now)
    assert (bob.hear(), eve.hear()) == ([], [])


def test_a_node_may_leave_the_namespace(world: SocketWorld) -> None:
    client = node(world)
    client.say(SocketPacket(SocketKind.DISCONNECT, "/tasks"))
    assert rooms(client) == set()
    client.emit("ping")
    assert not is_online(world.node(), world.now)


def test_a_ping_marks_the_node_seen(world: SocketWorld) -> None:
    client = node(world)
    for _ in range(10):
        world.memory.clock.advance(SEEN_SECONDS)
        client.poll()
        client.emit("ping")
        assert world.node().seen_at == world.now


def test_a_users_ping_changes_nothing(world: SocketWorld) -> None:
    ann = user(world)
    ann.emit("ping")
    assert ann.hear() == []


@pytest.mark.parametrize("version", [3, 4])
def test_clients_before_4_ask_for_a_room(world: SocketWorld, version: int) -> None:
    client = user(world, ANN, version)
    client.emit("join_room", "collaboration_1", ack=1)
    assert client.hear() == [JOINED]
    assert rooms(client) == {"collaboration_1"}


@pytest.mark.parametrize(
    ("id", "room"),
    [
        (ANN, "collaboration_2"),
        (ANN, "all_nodes"),
        (ANN, "collaboration_1x"),
        (ANN, "collaboration_99"),
        (BOB, "collaboration_1"),
        (BOB, "collaboration_1_organization_1"),
        (EVE, "collaboration_2"),
        (ANN, ["collaboration_1"]),
        (ANN, None),
    ],
)
def test_foreign_rooms_are_not_joined(world: SocketWorld, id: int, room: Any) -> None:
    client = user(world, id)
    before = rooms(client)
    client.emit("join_room", room)
    assert client.hear() == [REFUSED]
    assert rooms(client) == before


def test_a_node_joins_no_other_room(world: SocketWorld) -> None:
    client = node(world)
    client.emit("join_room", "collaboration_2")
    assert client.hear() == [REFUSED]


def test_a_status_is_told_once_and_in_order(world: SocketWorld) -> None:
    """Also to a node, which is in two of the rooms; and a repeat of an event is dropped."""
    ann, first_node = user(world, ANN), node(world, 1)
    ann.poll()
    for status in ("initializing", "active", "active", "completed"):
        update(world, status)
    told = [
        ("status_update", {"result_id": RUN, "run_id": RUN}),
        ("algorithm_status_change", None),
    ] * 3
    for client in (ann, first_node):
        heard = [(name, None if "change" in name else data) for name, data in client.hear()]
        assert heard == told
    update(world, "completed")
    assert ann.hear() == []


def test_a_change_of_status_says_all_that_vantage6_says(world: SocketWorld) -> None:
    ann = user(world)
    update(world, "completed")
    assert dict(ann.hear())["algorithm_status_change"] == {
        "status": "completed",
        "run_id": RUN,
        "task_id": 5,
        "job_id": 4,
        "collaboration_id": 1,
        "node_id": 1,
        "organization_id": 1,
        "parent_id": 4,
    }


def test_who_hears_of_one_organization_hears_of_its_runs(world: SocketWorld) -> None:
    bob = user(world, BOB)
    update(world)
    assert bob.hear() == []
    notices.status_update(world.federation, world.task, RunRecord(OTHERS_RUN, "active", 1))
    assert [name for name, _ in bob.hear()] == ["status_update", "algorithm_status_change"]


def test_tasks_and_kills_are_told(world: SocketWorld) -> None:
    client = node(world, 2)
    kill_list = [{"task_id": 5, "run_id": OTHERS_RUN, "organization_id": 2}]
    notices.new_task(world.federation, world.task)
    task = world.task
    facts = FederationFacts(task.id, task.collaboration_id, task.organization_ids)
    order_kill(world.federation.grid, facts, [1])
    notices.kill_node_containers(world.federation, world.node(2))
    assert client.hear() == [
        ("new_task", {"id": 5, "parent_id": 4}),
        ("kill_containers", {"kill_list": kill_list, "collaboration_id": 1}),
        ("kill_containers", {"node_id": 2, "collaboration_id": 1}),
    ]


def test_a_node_tells_the_status_of_its_own_runs(world: SocketWorld) -> None:
    """The rest is known here: what else the message says is not believed."""
    ann, client = user(world), node(world)
    ann.poll()
    said = {"run_id": RUN, "status": "active", "collaboration_id": 2, "job_id": 99, "node_id": 7}
    client.emit("algorithm_status_change", said)
    ((name, told),) = ann.hear()
    assert name == "algorithm_status_change"
    assert (told["status"], told["job_id"], told["node_id"]) == ("active", 4, 1)
    # What is stored later is the same piece of news.
    update(world, "active")
    assert [name for name, _ in ann.hear()] == ["status_update"]


@pytest.mark.parametrize(
    "said",
    [
        {"run_id": OTHERS_RUN, "status": "active"},
        {"run_id": 77_000, "status": "active"},
        {"run_id": 5_002, "status": "active"},
        {"run_id": -1, "status": "active"},
        {"run_id": True, "status": "active"},
        {"run_id": RUN, "status": "\ud800"},
        {"run_id": RUN, "status": "active\n"},
        {"run_id": "5000", "status": "active"},
        {"run_id": RUN, "status": 1},
        {"run_id": RUN, "status": "x" * 100},
        {"run_id": RUN},
        {"status": "active"},
        [RUN],
        None,
    ],
)
def test_a_node_tells_nothing_else(world: SocketWorld, said: Any) -> None:
    ann, client = user(world), node(world)
    ann.poll()
    client.emit("algorithm_status_change", said)
    assert ann.hear() == []


def test_users_tell_no_status_and_no_log(world: SocketWorld) -> None:
    ann = user(world)
    ann.emit("algorithm_status_change", {"run_id": RUN, "status": "active"})
    ann.emit("algorithm_log", {"run_id": RUN, "log": "x"})
    ann.emit("node_info_update", {"encryption": True})
    assert ann.hear() == []
    assert world.federation.registry.find(RunRecord, RUN) == world.run


def test_a_log_is_kept_and_told(world: SocketWorld) -> None:
    ann, client = user(world), node(world)
    ann.poll()
    for line in ("first", "second"):
        client.emit("algorithm_log", {"run_id": RUN, "task_id": 99, "log": line})
    assert ann.hear()[1] == ("algorithm_log", {"run_id": RUN, "task_id": 5, "log": "second"})
    run = world.federation.registry.find(RunRecord, RUN)
    assert run is not None
    assert run.log == "first\nsecond"


def test_a_log_has_an_end(world: SocketWorld) -> None:
    """Its last part is kept, and nothing is added to that of a run that has ended."""
    client = node(world)
    for number in range(6):
        client.emit("algorithm_log", {"run_id": RUN, "log": str(number) * 20_000})
    run = world.federation.registry.find(RunRecord, RUN)
    assert run is not None
    assert (len(run.log), run.log[-1]) == (MAX_LOG_CHARACTERS, "5")
    ended = replace(run, finished_at=2.0)
    world.federation.registry.change(ended)
    client.emit("algorithm_log", {"run_id": RUN, "log": "late"})
    client.emit("algorithm_log", {"run_id": RUN, "log": ["no text"]})
    client.emit("algorithm_log", {"run_id": OTHERS_RUN, "log": "not mine"})
    assert world.federation.registry.find(RunRecord, RUN) == ended


def test_a_node_tells_of_itself(world: SocketWorld) -> None:
    client = node(world)
    client.emit("node_info_update", {"encryption": True})
    client.emit("node_info_update", ["no object"])
    client.emit("node_info_update", {"large": "x" * 30_000})
    beyond = '2/tasks,["node_info_update",{"a number that nothing keeps":1e999}]'
    client.post(EnginePacket(EngineKind.MESSAGE, beyond))
    client.emit("node_metrics_update", {"cpu_percent": 3})
    assert world.node().config == {"encryption": True}


@pytest.mark.parametrize("version", [3, 4])
def test_a_token_that_has_ended_is_told(world: SocketWorld, version: int) -> None:
    client = Client(world, version, world.node_token(1, seconds_ago=7_200)).connect()
    assert client.hear() == [("expired_token", None)]
    assert (rooms(client), world.node().online) == (set(), False)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_token_that_proves_nothing_is_told(world: SocketWorld, token: str) -> None:
    client = Client(world, token=token).connect()
    assert client.hear() == [("invalid_token", None)]
    client.emit("join_room", "collaboration_1")
    assert client.hear() == []


def test_containers_have_no_connection(world: SocketWorld) -> None:
    client = Client(world, token=world.container_token()).connect()
    assert client.hear() == [("invalid_token", None)]


def test_a_token_may_come_with_the_connect(world: SocketWorld) -> None:
    """As newer clients of Socket.IO send it."""
    token = world.user_token(ANN)
    assert rooms(Client(world).connect({"token": f"Bearer {token}"})) == {"collaboration_1"}
    assert rooms(Client(world).connect({"token": "nonsense"})) == set()


def test_a_token_that_ends_meanwhile_ends_the_rooms(world: SocketWorld) -> None:
    """Told once; nothing of what waits is handed out any more."""
    client = Client(world, token=world.user_token(ANN, seconds=30)).connect()
    client.poll()
    update(world)
    world.memory.clock.advance(30)
    assert client.hear() == []
    assert client.hear() == [("expired_token", None)]
    assert client.hear() == []
    assert rooms(client) == set()


def test_who_was_removed_loses_the_connection_at_once(world: SocketWorld) -> None:
    """Users, nodes, and nodes that have another API key."""
    ann, first, second = user(world), node(world, 1), node(world, 2)
    registry = world.federation.registry
    removed = registry.find(User, ANN)
    assert removed is not None
    registry.delete(removed, marks_of(removed))
    registry.delete(world.node(1), marks_of(world.node(1)))
    registry.change(replace(world.node(2), key_hash="another"))
    assert [each.is_unknown() for each in (ann, first, second)] == [True, True, True]
    assert world.sockets.members("collaboration_1") == []


def test_who_may_not_hear_any_more_gets_nothing_of_what_waits(world: SocketWorld) -> None:
    """Its organization left the collaboration, or its rules were changed."""
    ann = user(world)
    update(world)
    world.federation.registry.change(Collaboration(1, "one", organization_ids=(2,)))
    assert ann.hear() == []
    assert rooms(ann) == set()
    bob = user(world, BOB)
    notices.status_update(world.federation, world.task, RunRecord(OTHERS_RUN, "active", 1))
    world.federation.registry.change(replace(world.user(BOB), rule_ids=()))
    assert bob.hear() == []


def test_a_user_is_looked_up_again_before_events_are_handed_out(world: SocketWorld) -> None:
    """Also by a poll that has begun before."""
    ann = user(world)
    client = node(world, 1)
    ann.poll()
    found = world.federation.registry.find(User, ANN)
    assert found is not None

    def remove_and_tell(event: object) -> None:
        world.federation.registry.delete(found, marks_of(found))

    world.memory.events.notifiers.append(remove_and_tell)
    client.emit("algorithm_status_change", {"run_id": RUN, "status": "active"})
    assert ann.is_unknown()


def test_who_takes_nothing_starts_anew(world: SocketWorld) -> None:
    """An outbox does not grow for ever: the connection ends, and its client looks at the table."""
    ann = user(world)
    for number in range(OUTBOX_ENTRIES // 2 + 1):
        notices.status_update(world.federation, world.task, replace(world.run, attempt=number))
    assert ann.is_unknown()
    assert world.sockets.members("collaboration_1") == []


def test_other_namespaces_are_refused(world: SocketWorld) -> None:
    for version, data in ((3, '4/admin,"Invalid namespace"'), (4, '4/admin,{"message":"Invalid')):
        client = Client(world, version).open()
        client.say(SocketPacket(SocketKind.CONNECT, "/admin"))
        assert str(client.poll()[-1].data).startswith(data)
        client.say(SocketPacket(SocketKind.CONNECT))
        assert str(client.poll()[-1].data).startswith("0")


def test_nothing_is_heard_without_a_connect(world: SocketWorld) -> None:
    client = Client(world, token=world.node_token(1)).open()
    client.emit("ping", ack=1)
    assert not world.node().online
    assert client.poll() == [EnginePacket(EngineKind.PING)]


def test_a_second_connect_changes_nothing(world: SocketWorld) -> None:
    client = node(world)
    client.say(SocketPacket(SocketKind.CONNECT, "/tasks"))
    assert client.hear() == []
    assert len(world.memory.events.notified) == 1


def test_the_dead_are_forgotten_when_a_room_is_told(world: SocketWorld) -> None:
    user(world)
    world.memory.clock.advance(2 * TIMEOUT_SECONDS)
    update(world)
    assert world.sockets.members("collaboration_1") == []


def test_an_event_that_can_not_be_published_hinders_nobody(world: SocketWorld) -> None:
    from stepgrid_core.errors import Unavailable

    def refuse(event: object) -> None:
        raise Unavailable("the bus is silent")

    world.memory.events.notifiers.append(refuse)
    client = node(world, 1)
    assert rooms(client)


def test_node_names_do_not_reach_other_collaborations(world: SocketWorld) -> None:
    world.keep(Node(9, "node 9", 3, 2, key_hash="hash 9"))
    ann = user(world)
    node(world, 9)
    assert ann.hear() == []
