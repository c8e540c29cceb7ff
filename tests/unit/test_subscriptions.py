"""Subscriptions through the API: whose events they hold, how many there may be, when they go."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import SessionEvent
from stepgrid_core.endpoints import HttpAnswer, HttpRequest, answer
from stepgrid_core.event_detail import bus_event
from stepgrid_core.memory import MemorySubscriptions
from stepgrid_core.ports import Delivery
from stepgrid_core.session_events import accepted
from stepgrid_core.subscriptions import IDLE_SECONDS, KEEP_SECONDS, remove_stale
from stepgrid_core.wiring import Grid
from tests.contract.samples import OTHER_OWNER, OWNER, make_session


class Caller:
    """Sends requests to the real routes as one owner."""

    def __init__(self, grid: Grid, owner: str = OWNER) -> None:
        self._grid = grid
        self._owner = owner

    def send(self, method: str, path: str, body: Any = None) -> HttpAnswer:
        data = b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method, path, {}, data, "request")
        return answer(self._grid, request, lambda: self._owner)

    def subscribe(self, token: str = "t", **filters: Any) -> str:
        made = self.send("POST", "/v1/subscriptions", {"client_token": token, **filters})
        assert made.status == 201, made.body
        return str(json.loads(made.body)["subscription_id"])

    def receive(self, name: str, **body: Any) -> dict[str, Any]:
        got = self.send("POST", f"/v1/subscriptions/{name}/events", body)
        assert got.status == 200, got.body
        return dict(json.loads(got.body))


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({}, settings={"max_subscriptions": 3})


@pytest.fixture
def caller(memory: InMemoryGrid) -> Caller:
    return Caller(memory.wiring)


def test_events_come_until_they_are_acknowledged(memory: InMemoryGrid, caller: Caller) -> None:
    """An answer that got lost is given again; one that was acknowledged is not."""
    name = caller.subscribe()
    event = accepted(make_session())
    memory.events.publish([event])
    first = caller.receive(name)
    memory.clock.advance(60)
    again = caller.receive(name)
    assert [each["event_id"] for each in first["events"]] == [event.event_id]
    assert again["events"] == first["events"]
    memory.clock.advance(60)
    assert caller.receive(name, ack=again["ack"]) == {"events": [], "ack": []}


def test_events_do_not_say_whose_they_are(memory: InMemoryGrid, caller: Caller) -> None:
    """The owner is on the bus, and in no answer of the API."""
    name = caller.subscribe()
    memory.events.publish([accepted(make_session())])
    (event,) = caller.receive(name)["events"]
    assert OWNER not in json.dumps(event)
    assert SessionEvent.model_validate(event).model_dump(mode="json") == event


def test_a_long_poll_waits_for_the_first_event(memory: InMemoryGrid, caller: Caller) -> None:
    """No longer than it was asked to."""
    name = caller.subscribe()
    before = memory.clock.now()
    assert caller.receive(name, wait_seconds=20)["events"] == []
    assert memory.clock.now() - before == 20


def test_foreign_and_unknown_subscriptions_answer_alike(
    memory: InMemoryGrid, caller: Caller
) -> None:
    """Byte for byte, whatever is asked of them; and nothing happens to the real one."""
    real = caller.subscribe()
    invented = "0" * 24
    rival = Caller(memory.wiring, OTHER_OWNER)
    for method, tail, body in (("DELETE", "", None), ("POST", "/events", {"ack": ["x"]})):
        answers = [
            rival.send(method, f"/v1/subscriptions/{name}{tail}", body).body.replace(name, "?")
            for name in (real, invented)
        ]
        assert answers[0] == answers[1]
        assert '"code":"not_found"' in answers[0]
    assert memory.subscriptions.find(real) is not None


def test_the_same_token_of_two_owners_makes_two_subscriptions(
    memory: InMemoryGrid, caller: Caller
) -> None:
    """A token belongs to its owner."""
    assert caller.subscribe("t") != Caller(memory.wiring, OTHER_OWNER).subscribe("t")


def test_subscribing_is_idempotent(caller: Caller) -> None:
    """The same token and filters are the same subscription; other filters are a conflict."""
    first = caller.subscribe("t", kinds=["finished"])
    assert caller.subscribe("t", kinds=["finished"]) == first
    refused = caller.send("POST", "/v1/subscriptions", {"client_token": "t", "kinds": ["failed"]})
    assert refused.status == 409


def test_an_owner_has_a_quota_of_subscriptions(memory: InMemoryGrid, caller: Caller) -> None:
    """One too many is refused and leaves no trace; repeating an old one is not; others may."""
    for token in ("a", "b", "c"):
        caller.subscribe(token)
    refused = caller.send("POST", "/v1/subscriptions", {"client_token": "d"})
    assert (refused.status, memory.subscriptions.count(OWNER)) == (429, 3)
    assert "3 subscriptions" in refused.body
    caller.subscribe("a")
    Caller(memory.wiring, OTHER_OWNER).subscribe("d")


def test_deleting_makes_room(caller: Caller) -> None:
    """A subscription that was deleted counts no longer, and gives nothing."""
    names = [caller.subscribe(token) for token in ("a", "b", "c")]
    assert caller.send("DELETE", f"/v1/subscriptions/{names[0]}").status == 200
    assert caller.send("POST", f"/v1/subscriptions/{names[0]}/events", {}).status == 404
    caller.subscribe("d")


def test_the_sweeper_removes_what_nobody_uses(memory: InMemoryGrid, caller: Caller) -> None:
    """After an hour without a poll; one that is polled now and then stays."""
    used, unused = caller.subscribe("used"), caller.subscribe("unused")
    for _ in range(20):
        memory.clock.advance(KEEP_SECONDS + 1)
        caller.receive(used)
        memory.sweep()
    assert memory.clock.now() > IDLE_SECONDS
    assert memory.subscriptions.find(used) is not None
    assert memory.subscriptions.find(unused) is None


class OneStuck(MemorySubscriptions):
    """One of the subscriptions resists its removal, the first time."""

    stuck = ""

    def delete(self, subscription_id: str) -> None:
        if subscription_id == self.stuck:
            self.stuck = ""
            raise RuntimeError("no permission")
        super().delete(subscription_id)


def test_one_that_can_not_be_removed_holds_up_no_other(memory: InMemoryGrid) -> None:
    """The sweep goes on, and comes back to it."""
    subscriptions = OneStuck(memory.events, memory.clock)
    grid = replace(memory.wiring, subscriptions=subscriptions)
    caller = Caller(grid)
    subscriptions.stuck, other = caller.subscribe("stuck"), caller.subscribe("other")
    stuck = subscriptions.stuck
    memory.clock.advance(IDLE_SECONDS)
    remove_stale(grid)
    assert (subscriptions.find(other), subscriptions.find(stuck) is None) == (None, False)
    remove_stale(grid)
    assert subscriptions.find(stuck) is None


class Leaky(MemorySubscriptions):
    """The bus put another owner's event into every queue."""

    def receive(self, subscription_id: str, wait_seconds: float) -> list[Delivery]:
        return [Delivery("receipt", bus_event(FOREIGN).model_dump(mode="json"))]


FOREIGN = accepted(make_session(owner=OTHER_OWNER))


def test_a_bus_that_filters_wrongly_gives_nothing_away(memory: InMemoryGrid) -> None:
    """A foreign event in one's own queue is acknowledged, and never handed out."""
    caller = Caller(replace(memory.wiring, subscriptions=Leaky(memory.events, memory.clock)))
    assert caller.receive(caller.subscribe()) == {"events": [], "ack": ["receipt"]}
