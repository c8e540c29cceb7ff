"""What one session used of AWS, put together from all who know a part of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stepgrid.bench.cost import meter as cost_meter
from stepgrid.bench.cost.executions import (
    BURST,
    CHILD_STATES,
    CONTAINER_STATES,
    ExecutionUse,
    read_execution,
)
from stepgrid.bench.cost.meter import CostMeter, SessionCost
from stepgrid.bench.cost.sums import add_up
from stepgrid.bench.cost.tally_log import CONTAINER, PARTS, Invocation, TallyLog
from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import ContainerUse
from stepgrid_core.errors import ConfigurationError, DeadlineExceeded
from tests.unit.bench_fakes import FakeLogs, FakeStates, tally_event

MACHINE = Path(__file__).parents[2] / "statemachines/session.asl.yaml"


def run_of(part: str, milliseconds: float, **requests: int) -> Invocation:
    names = {f"s3.{name}": count for name, count in requests.items()}
    return Invocation(part, "ses", names, {"write": 1.5}, 2048, milliseconds)


class TestAddUp:
    def test_the_client_and_all_functions_are_one_sum(self) -> None:
        """Requests by name, units, and an invocation for each line."""
        sent = {"s3.GetObject": 1, "execute-api.POST /v1/sessions": 1}
        runs = [run_of("api", 10), run_of("worker", 20, GetObject=2), run_of("worker", 30)]
        usage = add_up(sent, runs, BURST, 0.25)
        assert usage.requests == {"s3.GetObject": 3, "execute-api.POST /v1/sessions": 1}
        assert usage.units == {"write": 4.5}
        assert usage.invocations == 3
        assert usage.function_gb_seconds == pytest.approx(2 * 0.060)

    def test_a_burst_is_one_execution_as_long_as_its_session(self) -> None:
        """EXPRESS executions are billed in steps of 100 ms and 64 MB."""
        usage = add_up({}, [run_of("worker", 20)] * 3, BURST, 0.25)
        assert (usage.express_executions, usage.state_transitions) == (1, 0)
        assert usage.express_gb_seconds == pytest.approx(0.3 * 0.0625)

    def test_children_are_as_long_as_what_they_run(self) -> None:
        """Each child of a Map is an execution, with the worker's invocation in it."""
        runs = [run_of("worker", 120), run_of("relay", 20), run_of("api", 9_000)]
        usage = add_up({}, runs, ExecutionUse(9, 2), 60)
        assert (usage.express_executions, usage.state_transitions) == (2, 9)
        assert usage.express_gb_seconds == pytest.approx((0.2 + 0.1) * 0.0625)

    def test_registered_functions_are_invocations_too(self) -> None:
        """They write no line, so the relay's calls count. The recorder writes its own."""
        calls = {"lambda.Invoke": 5}
        relay = Invocation("relay", "ses", calls, {}, 1024, 10)
        worker = Invocation("worker", "ses", {"lambda.Invoke": 1}, {}, 1024, 10)
        assert add_up({}, [relay, worker], BURST, 1).invocations == 7

    def test_containers_are_requests_and_no_invocations(self) -> None:
        """Their time is billed by the container, and the broker writes lines of its own."""
        asked = {"lambda.Invoke": 3, "s3.PutObject": 1}
        container = Invocation(CONTAINER, "ses", asked, {}, 8192, 3_600_000)
        brokers = [run_of("broker", 10, GetObject=0) for _ in range(3)]
        usage = add_up({}, [container, *brokers], ExecutionUse(9, 0), 3_600)
        assert usage.requests == {"lambda.Invoke": 3, "s3.PutObject": 1, "s3.GetObject": 0}
        assert usage.invocations == 3
        assert usage.function_gb_seconds == pytest.approx(3 * 0.02)
        assert (usage.express_executions, usage.express_gb_seconds) == (0, 0)


class TestExecutions:
    def test_transitions_are_states_start_end_and_children(self) -> None:
        """Of a Map with EXPRESS children each child is one transition, and an execution."""
        states = FakeStates(["Route", "FanOutExpress", "Settle", "Settled"], [100, 3])
        assert read_execution(states, "arn") == ExecutionUse(4 + 2 + 103, 103)

    def test_a_retry_is_a_transition(self) -> None:
        """As if its state were entered once more."""
        states = FakeStates(["Route", "FanOutExpress", "Settle", "Settled"], [1], retries=3)
        assert read_execution(states, "arn") == ExecutionUse(4 + 3 + 2 + 1, 1)

    def test_standard_children_have_transitions_of_their_own(self) -> None:
        """Which AWS bills as it does the parent's; there is no EXPRESS execution then."""
        states = FakeStates(["Route", "FanOutStandard"], [10])
        assert read_execution(states, "arn") == ExecutionUse(2 + 2 + 10 * (1 + 4 + 2), 0)

    def test_containers_are_standard_children(self) -> None:
        """Each is one of a Map, with states of its own."""
        states = FakeStates(["Route", "FanOutContainers"], [3])
        assert read_execution(states, "arn") == ExecutionUse(2 + 2 + 3 * (1 + 6 + 2), 0)

    def test_the_states_of_a_container_are_those_of_the_machine(self) -> None:
        """The way of one that ends by itself: no other follows."""
        machine = yaml.safe_load(MACHINE.read_text())
        states = machine["States"]["FanOutContainers"]["ItemProcessor"]
        way = [states["StartAt"]]
        while "End" not in (state := states["States"][way[-1]]):
            way.append(state.get("Default") or state["Next"])
        assert len(way) == CONTAINER_STATES

    def test_the_states_of_a_child_are_those_of_the_machine(self) -> None:
        """The way of a chunk that ends at once, in the definition itself."""
        machine = yaml.safe_load(MACHINE.read_text())
        states = machine["States"]["FanOutStandard"]["ItemProcessor"]
        way = [states["StartAt"]]
        while "End" not in (state := states["States"][way[-1]]):
            ended = [c for c in state.get("Choices", ()) if c["Next"] not in way]
            way.append(ended[0]["Next"] if ended else state["Next"])
        assert len(way) == CHILD_STATES


class TestTallyLog:
    def test_lines_of_all_parts_are_read_once(self) -> None:
        """Each line is given once, also when two are alike but for their request."""
        groups = {"/aws/lambda/grid-api": [tally_event(1), tally_event(2)]}
        logs = FakeLogs(groups | {"/aws/lambda/grid-worker": [tally_event(3)]})
        log = TallyLog(logs, "grid", since=0)
        assert [each.part for each in log.read_new()] == ["api", "api", "worker"]
        assert log.read_new() == []
        logs.events["/aws/lambda/grid-recorder"] = [tally_event(4)]
        assert [each.part for each in log.read_new()] == ["recorder"]

    def test_containers_write_into_the_workers_log(self) -> None:
        """Told apart by what the line says of its function."""
        events = [tally_event(1, function="grid-worker-echo"), tally_event(2, function="container")]
        groups = {"/aws/lambda/grid-worker": events, "/aws/lambda/grid-broker": [tally_event(3)]}
        log = TallyLog(FakeLogs(groups), "grid", since=0)
        assert [each.part for each in log.read_new()] == ["worker", CONTAINER, "broker"]

    @pytest.mark.parametrize("paged", [True, False])
    def test_long_logs_come_in_pages(self, monkeypatch: pytest.MonkeyPatch, paged: bool) -> None:
        """With AWS's cursors, or where an emulator has none, from the last time on."""
        monkeypatch.setattr("stepgrid.bench.cost.tally_log.PAGE_EVENTS", 10)
        events = [tally_event(at // 3, request_id=str(at)) for at in range(25)]
        logs = FakeLogs({"/aws/lambda/grid-worker": events}, page=10, paged=paged)
        assert len(TallyLog(logs, "grid", since=0).read_new()) == 25

    def test_what_was_there_before_and_other_lines_are_left_aside(self) -> None:
        """Only tallies since the given time."""
        other = {"timestamp": 9_000, "message": "REPORT"}
        logs = FakeLogs({"/aws/lambda/grid-api": [tally_event(1_000), other, tally_event(9_000)]})
        assert len(TallyLog(logs, "grid", since=5.0).read_new()) == 1


class TestMeter:
    @pytest.fixture
    def memory(self) -> InMemoryGrid:
        return InMemoryGrid({"echo": lambda event, context: event})

    def written_meanwhile(self, lines: dict[str, list[dict[str, Any]]]) -> FakeLogs:
        """Lines that are in the logs when the meter looks for the second time."""
        groups = {f"/aws/lambda/grid-{part}": lines.get(part, []) for part in PARTS}
        return FakeLogs(groups, hidden_searches=len(PARTS))

    def measure(
        self, memory: InMemoryGrid, logs: FakeLogs, states: FakeStates, tasks: int, **options: Any
    ) -> SessionCost:
        clients: dict[str, Any] = {"logs": logs, "stepfunctions": states}
        with memory.client() as grid:
            meter = CostMeter(grid, "grid", clients.__getitem__, memory.clock, now=0.0)
            return meter.measure("echo", range(tasks), client_token="t", **options)

    def session_id(self, memory: InMemoryGrid, tasks: int, **options: Any) -> str:
        """Known before it is measured: the same token gives the same session."""
        with memory.client() as grid:
            return grid.submit("echo", range(tasks), client_token="t", **options).id

    def test_lines_of_the_session_are_waited_for(self, memory: InMemoryGrid) -> None:
        """One for each chunk and each call; those of other sessions are left out."""
        ours = self.session_id(memory, 2)
        groups = {"worker": [tally_event(n, session_id=ours) for n in range(2)]}
        groups["worker"].append(tally_event(9, session_id="another"))
        groups["api"] = [tally_event(3, session_id=ours, requests={"dynamodb.GetItem": 1})]
        logs = self.written_meanwhile(groups)
        cost = self.measure(memory, logs, FakeStates(), 2)
        assert (cost.session_id, cost.tasks, cost.chunks, cost.route) == (ours, 2, 2, "burst")
        # In memory nothing goes over HTTPS, so the one call of the API is the one that measures.
        assert [each.part for each in cost.invocations] == ["worker", "worker"]

    def test_an_execution_is_waited_for(self, memory: InMemoryGrid) -> None:
        """Its history is whole when it has ended, and when the recorder has settled it."""
        ours = self.session_id(memory, 100, chunk_size=1)
        groups = {"worker": [tally_event(n, session_id=ours) for n in range(100)]}
        groups |= {part: [tally_event(1, session_id=ours)] for part in ("api", "recorder")}
        logs = self.written_meanwhile(groups)
        states = FakeStates(["Route", "FanOutExpress"], [100], running_looks=3)
        cost = self.measure(memory, logs, states, 100, chunk_size=1)
        assert cost.usage.state_transitions == 104
        assert cost.usage.express_executions == 100

    def test_lines_of_containers_stand_for_those_of_chunks(self, memory: InMemoryGrid) -> None:
        """One for each of their processes, however many chunks these ran."""
        states = FakeStates(["Route", "FanOutContainers"])
        clients: dict[str, Any] = {"logs": FakeLogs(), "stepfunctions": states}
        size = {"memory_mib": 4096, "storage_gib": 21, "spot": True, "architecture": "arm64"}
        use = ContainerUse(vcpu=2, started_at=0.0, seen_at=9.0, **size)
        with memory.client() as grid:
            session = grid.submit("echo", range(100), client_token="t", chunk_size=1)
            status = session.status().model_copy(update={"containers": [use]})
            meter = CostMeter(grid, "grid", clients.__getitem__, memory.clock, now=0.0)
        lines = [run_of(part, 10) for part in ("recorder", CONTAINER, CONTAINER)]
        assert not meter._is_complete(status, lines[:2])
        assert meter._is_complete(status, lines)

    def test_a_grid_that_does_not_count_is_told(self, memory: InMemoryGrid) -> None:
        """The message says how to turn it on."""
        with pytest.raises(ConfigurationError, match="CountRequests=on"):
            self.measure(memory, FakeLogs(), FakeStates(), 1)

    def test_lines_that_stay_away_are_told(self, memory: InMemoryGrid) -> None:
        """Nothing is made up for them."""
        ours = self.session_id(memory, 3)
        logs = self.written_meanwhile({"worker": [tally_event(1, session_id=ours)]})
        before = memory.clock.monotonic()
        with pytest.raises(DeadlineExceeded, match="only 1 invocations"):
            self.measure(memory, logs, FakeStates(), 3)
        assert memory.clock.monotonic() - before >= cost_meter.PATIENCE_SECONDS
