"""The notifier function as Lambda calls it: whatever breaks or repeats, each is told once."""

import json
from pathlib import Path
from typing import Any

import pytest

from notifier import handle
from stepgrid_core.errors import Unavailable
from stepgrid_core.federation.events import FederationEvent
from stepgrid_core.memory import MemorySockets
from stepgrid_core.ports import Append

from .socket_world import ANN, Client, SocketWorld

SAMPLE = Path(__file__).parents[2] / "events" / "federation" / "run_changed.json"
CONNECTIONS = 3


@pytest.fixture
def event() -> dict[str, Any]:
    event: dict[str, Any] = json.loads(SAMPLE.read_text())
    return event


def listeners(world: SocketWorld) -> list[Client]:
    clients = [Client(world, token=world.user_token(ANN)).connect() for _ in range(CONNECTIONS)]
    for client in clients:
        client.poll()
    return clients


class BreakingSockets(MemorySockets):
    """Whose table does not answer, once, before so many more entries."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.left: int | None = None
        self._entries = entries

    def arm(self) -> None:
        self.left = self._entries

    def append(self, *arguments: Any) -> Append:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Unavailable("no answer from the service")
        return super().append(*arguments)


def test_the_sample_is_told_to_who_listens(event: dict[str, Any]) -> None:
    """events/federation/run_changed.json is an event that works."""
    world = SocketWorld()
    clients = listeners(world)
    told = handle(event, world.sockets, world.memory.clock)
    assert told == {"told": 2 * CONNECTIONS}
    for client in clients:
        assert client.hear()[0] == ("status_update", {"result_id": 5_000, "run_id": 5_000})


def test_the_sample_is_what_the_bus_is_given(event: dict[str, Any]) -> None:
    read = FederationEvent.read(event["detail"])
    assert read.as_detail() == event["detail"]
    assert read.detail_type == event["detail-type"]


@pytest.mark.parametrize("entries", range(2 * CONNECTIONS))
def test_a_delivery_that_broke_off_is_made_again(event: dict[str, Any], entries: int) -> None:
    """At whatever place: nobody is left out, and nobody is told twice."""
    sockets = BreakingSockets(entries)
    world = SocketWorld(sockets=sockets)
    clients = listeners(world)
    first = clients[0]
    sockets.arm()
    with pytest.raises(Unavailable):
        handle(event, sockets, world.memory.clock)
    heard = [name for name, _ in first.hear()]
    for _ in range(2):
        handle(event, sockets, world.memory.clock)
    heard += [name for name, _ in first.hear()]
    assert heard == ["status_update", "algorithm_status_change"]
    for client in clients[1:]:
        told = [name for name, _ in client.hear()]
        assert told == ["status_update", "algorithm_status_change"]


def test_an_event_of_a_kind_that_is_not_known_is_a_fault(event: dict[str, Any]) -> None:
    """It goes to the dead letters, and does not vanish."""
    event["detail"]["kind"] = "other"
    with pytest.raises(ValueError, match="other"):
        handle(event, MemorySockets(), SocketWorld().memory.clock)
