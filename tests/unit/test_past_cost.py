"""What a session of the past has used, and its bill."""

from typing import Any

import pytest

from stepgrid.bench.cost.bill import Usage, amounts
from stepgrid.bench.cost.meter import CostMeter
from stepgrid.bench.cost.past import PastUse, with_tasks
from stepgrid.bench.cost.session_bill import SessionBill, bill_lines
from stepgrid.testing import InMemoryGrid
from stepgrid_core import prices
from stepgrid_core.contract import ContainerUse
from stepgrid_core.errors import ConfigurationError
from tests.unit.bench_fakes import FakeLogs, FakeStates, tally_event

OTHER = "another"


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({"echo": lambda event, context: event})


def container(seconds: float, **changes: Any) -> ContainerUse:
    values = {
        "vcpu": 2,
        "memory_mib": 4096,
        "storage_gib": 20,
        "spot": False,
        "architecture": "arm64",
        "started_at": 1_000.0,
        "seen_at": 1_000.0 + seconds,
    }
    return ContainerUse.model_validate(values | changes)


class TestLookBack:
    def look(
        self, memory: InMemoryGrid, logs: FakeLogs, states: FakeStates, **options: Any
    ) -> PastUse:
        """At a session of 100 tasks; its lines are those of `ours`."""
        clients: dict[str, Any] = {"logs": logs, "stepfunctions": states}
        with memory.client() as grid:
            session = grid.submit("echo", range(100), client_token="t", **options)
            session.wait()
            for events in logs.events.values():
                for event in events:
                    event["message"] = event["message"].replace('"ours"', f'"{session.id}"')
                    event["timestamp"] += int(session.status().timings.created_at * 1000)
            meter = CostMeter(grid, "grid", clients.__getitem__, memory.clock, now=9e9)
            return meter.look_back(session.status())

    def lines(self, *parts: str, **fields: Any) -> FakeLogs:
        fields = {"session_id": "ours"} | fields
        return FakeLogs(
            {
                f"/aws/lambda/grid-{part}": [tally_event(n, **fields) for n in range(2)]
                for part in parts
            }
        )

    def test_lines_since_it_was_made_are_added_up(self, memory: InMemoryGrid) -> None:
        """Each line of the API is a call; nothing is waited for."""
        logs = self.lines("api", "worker", requests={"s3.GetObject": 3}, units={"write": 2.0})
        past = self.look(memory, logs, FakeStates(), chunk_size=50)
        assert past.counted
        assert past.usage.requests == {"execute-api.calls": 2, "s3.GetObject": 12}
        assert past.usage.units == {"write": 8.0}
        assert past.usage.invocations == 4
        assert past.usage.function_gb_seconds == pytest.approx(4 * 0.1)
        assert (past.usage.express_executions, past.usage.state_transitions) == (1, 0)

    def test_those_of_other_sessions_are_left_out(self, memory: InMemoryGrid) -> None:
        """A past session is read while others run."""
        past = self.look(memory, self.lines("api", session_id=OTHER), FakeStates())
        assert not past.counted
        assert past.usage.invocations == 0

    def test_an_execution_has_a_history(self, memory: InMemoryGrid) -> None:
        """Of the Map with its children."""
        states = FakeStates(["Route", "FanOutExpress"], [100])
        past = self.look(memory, self.lines("worker"), states, chunk_size=1)
        assert past.usage.state_transitions == 104
        assert past.usage.express_executions == 100

    def test_a_history_that_is_forgotten_costs_nothing(self, memory: InMemoryGrid) -> None:
        """The rest is told."""
        states = FakeStates(forgotten=True)
        past = self.look(memory, self.lines("worker"), states, chunk_size=1)
        assert past.usage.state_transitions == 0
        assert past.usage.invocations == 2

    def test_it_takes_an_operators_rights(self, memory: InMemoryGrid) -> None:
        """Said in a sentence."""
        with pytest.raises(ConfigurationError, match="takes an operator's"):
            self.look(memory, FakeLogs(forbidden=True), FakeStates())


class TestBill:
    def test_each_part_has_a_line(self) -> None:
        """With its amounts and its dollars; what was not used has none."""
        usage = Usage(
            requests={"s3.PutObject": 2, "s3.GetObject": 1, "execute-api.calls": 3},
            units={"write": 4.0, "read": 1.0, "events": 2.0},
            invocations=5,
            state_transitions=6,
            express_executions=7,
            function_gb_seconds=8.0,
            express_gb_seconds=9.0,
        )
        lines = {line.part: line for line in bill_lines(usage, [])}
        assert list(lines) == ["lambda", "step functions", "dynamodb", "s3", "events", "API"]
        assert lines["lambda"].used == {"invocations": 5, "GB-s": 8.0}
        assert lines["lambda"].dollars == pytest.approx(5 * 0.2e-6 + 8 * 0.0000133334)
        states = 6 * 25e-6 + 7 * 1e-6 + 9 * 0.00001667
        assert lines["step functions"].dollars == pytest.approx(states)
        assert lines["dynamodb"].dollars == pytest.approx(4 * 0.625e-6 + 0.125e-6)
        assert lines["s3"].dollars == pytest.approx(2 * 5e-6 + 0.4e-6)
        assert lines["API"].dollars == pytest.approx(3 * 3.5e-6)

    def test_all_that_is_billed_is_in_a_line(self) -> None:
        """Nothing that has a price gets lost between the bill's tables."""
        usage = Usage(
            {"s3.PutObject": 1, "s3.GetObject": 1, "execute-api.x": 1, "sqs.SendMessage": 1},
            {"read": 1, "write": 1, "events": 1},
            *[1] * 5,
        )
        priced = sum(price.dollars * n for price, n in amounts(usage).items())
        assert sum(line.dollars for line in bill_lines(usage, [])) == pytest.approx(priced)
        assert len(amounts(usage)) == 12

    def test_containers_are_billed_by_the_second_and_a_minute_at_least(self) -> None:
        """Their vCPUs, memory, disk and public address, on Spot or on demand."""
        (line,) = bill_lines(Usage(), [container(3_600), container(10, spot=True)])
        assert line.part == "fargate"
        assert line.used == {"containers": 2, "vCPU-s": 7_320.0, "GB-s": 14_640.0}
        an_hour = 2 * 0.03238 + 4 * 0.00356
        spot = an_hour * (1 - prices.SPOT_DISCOUNT) / 60
        addresses = 0.005 * (1 + 1 / 60)
        assert line.dollars == pytest.approx(an_hour + spot + addresses)

    def test_dollars_are_for_a_million_tasks_as_well(self) -> None:
        """To be compared with other sessions."""
        lines = bill_lines(Usage(invocations=1_000_000), [])
        bill = SessionBill("ses", 500_000, True, lines)
        assert bill.dollars == pytest.approx(0.20)
        assert bill.dollars_per_million == pytest.approx(0.40)

    def test_time_that_nobody_told_is_that_of_the_tasks(self) -> None:
        """By the memory of their function."""
        assert with_tasks(Usage(), 10, 2048).function_gb_seconds == 20
        assert with_tasks(Usage(function_gb_seconds=1), None, 2048).function_gb_seconds == 1
