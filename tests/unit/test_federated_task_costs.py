"""How much is read of the table for what users and nodes of a federation ask."""

from collections import Counter
from collections.abc import Sequence

import pytest

from stepgrid_core.federation.presence import welcome_silent
from stepgrid_core.federation.records import Node
from stepgrid_core.memory import MemoryFederationTable
from stepgrid_core.ports import Entity
from tests.unit.hospitals import World


class Reads(MemoryFederationTable):
    """Counts what is read of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def read(self, kind: str, id: int) -> Entity | None:
        self.counts[kind] += 1
        return super().read(kind, id)

    def read_many(self, kind: str, ids: Sequence[int]) -> list[Entity]:
        found = super().read_many(kind, ids)
        self.counts[kind] += len(found)
        return found


class TestCosts:
    @pytest.mark.parametrize("asks", ["ann", "root"])
    @pytest.mark.parametrize("query", [{}, {"collaboration_id": "1"}], ids=["all", "of one"])
    def test_a_page_of_tasks_reads_no_other_task(self, asks: str, query: dict[str, str]) -> None:
        world = World(table=(table := Reads()))
        for number in range(12):
            world.create_task(name=str(number))
        table.counts.clear()
        answered = world.ask("GET", "/api/task", asks, per_page="3", page="2", **query)
        assert [each["name"] for each in answered.body["data"]] == ["8", "7", "6"]
        assert answered.headers == {"total-count": "12"}
        assert table.counts["task"] == 3

    def test_what_waits_costs_an_old_node_nothing(self) -> None:
        """It pings once a minute, and renews what it has begun."""
        world = World(table=(table := Reads()))
        for number in range(12):
            world.create_task("ann", 1, name=str(number))
        begun = {"started_at": "2026-11-30T12:00:00+00:00", "status": "active"}
        world.json("PATCH", "/api/run/3000", world.nodes[1], begun)
        node = world.registry.find(Node, 1)
        assert node is not None
        table.counts.clear()
        world.memory.clock.sleep(600)
        welcome_silent(world.federation, node)
        assert table.counts["task"] == 1
        world.memory.clock.sleep(600)
        world.memory.sweep()
        assert world.json("GET", "/api/run/3000", "ann")["attempt"] == 1
