"""`stepgrid cost`, with usage that is made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import Result

from stepgrid.bench.cost.bill import Usage
from stepgrid.bench.cost.past import PastUse
from stepgrid.cli.context import App
from stepgrid_core.contract import ContainerUse, SessionDescription, SessionTimings
from stepgrid_core.errors import ConfigurationError
from tests.unit.cli_fakes import SESSION_ID, FakeGrid, FakeSession, json_lines, run_app

COUNTED = PastUse(
    Usage(
        requests={"s3.PutObject": 1_000, "execute-api.calls": 4},
        units={"write": 2_040.0},
        invocations=1_005,
        state_transitions=1_006,
        express_executions=1_000,
        function_gb_seconds=5_230.4,
        express_gb_seconds=62.5,
    ),
    counted=True,
)
SHOWN = """\
PART             USED                                                      DOLLARS
lambda           1,005 invocations, 5,230 GB-s                                0.07
step functions   1,006 transitions, 1,000 EXPRESS executions, 62.5 GB-s      0.027
dynamodb         2,040 write units                                          0.0013
s3               1,000 PUT                                                   0.005
API              4 calls                                                  0.000014
total            2 tasks                                                      0.10
a million tasks                                                          51,710.45

Dollars at the prices of 2026-11, us-east-1, without free tiers.
Not in it: transfers of the client by presigned URL, uploads' calls, data transfer, storage, logs, \
the sweeper.
"""
CONTAINER = ContainerUse(
    vcpu=4,
    memory_mib=8192,
    storage_gib=21,
    spot=True,
    architecture="arm64",
    started_at=0,
    seen_at=1_200,
)


@dataclass
class CostlySession(FakeSession):
    """task_seconds: in user code, of all its tasks."""

    task_seconds: float = 100.0
    changes: dict[str, Any] = field(default_factory=dict)

    def status(self) -> SessionDescription:
        found = super().status()
        timings = found.timings.model_dump() | {"task_seconds": self.task_seconds}
        more = {"timings": SessionTimings.model_validate(timings)} | self.changes
        return found.model_copy(update=more)


def run(
    past: PastUse | ConfigurationError, *arguments: str, state: str = "finished", **changes: Any
) -> Result:
    session = CostlySession([1, 2], state=state, changes=changes)
    grid: Any = FakeGrid(session)

    class Meter:
        def look_back(self, status: SessionDescription) -> PastUse:
            assert not isinstance(past, ConfigurationError)
            return past

    def open_meter(*_: Any) -> Any:
        if isinstance(past, ConfigurationError):
            raise past
        return Meter()

    app = App(open_grid=lambda: grid, open_cost_meter=open_meter)
    return run_app(app, "cost", SESSION_ID, *arguments)


def test_a_line_for_each_part_of_aws() -> None:
    """Amounts and dollars, the total, that of a million tasks, and what is not in it."""
    result = run(COUNTED)
    assert (result.exit_code, result.stdout, result.stderr) == (0, SHOWN, "")


def test_containers_have_a_line() -> None:
    """Beside the functions that served them, whose own time is not that of the tasks."""
    lines = run(COUNTED, backend="fargate", containers=[CONTAINER]).stdout.splitlines()
    assert lines[2].split() == [
        *("fargate", "1", "container,", "4,800", "vCPU-s,", "9,600", "GB-s"),
        "0.023",
    ]


def test_runs_on_nodes_cost_the_grid_no_machine() -> None:
    """Which is said, since those of the organizations do cost something."""
    result = run(PastUse(Usage(), counted=False), backend="node")
    assert "nodes of organizations" in result.stderr
    assert "GB-s" not in result.stdout


def test_json_has_the_same() -> None:
    """With every request by name, and the date of the prices."""
    (bill,) = json_lines(run(COUNTED, "--json").stdout)
    assert (bill["counted"], bill["tasks"]) == (True, 2)
    assert bill["lines"][0]["used"] == {"invocations": 1_005, "GB-s": 5_230.4}
    assert bill["dollars"] == pytest.approx(sum(line["dollars"] for line in bill["lines"]))
    assert bill["dollars_per_million_tasks"] == pytest.approx(bill["dollars"] * 500_000)
    assert bill["requests"]["s3.PutObject"] == 1_000
    assert bill["prices_checked"] == "2026-11"


def test_without_counts_there_is_the_time_of_the_tasks() -> None:
    """It says that requests are not in it, and how to count them."""
    result = run(PastUse(Usage(), counted=False))
    assert "requests are not in it" in result.stderr
    assert "CountRequests=on" in result.stderr
    first = result.stdout.splitlines()[1].split()
    assert first == ["lambda", "173", "GB-s", "0.0023"]  # 100 s of 1,769 MiB


def test_a_user_sees_the_time_of_the_tasks() -> None:
    """Whoever has no rights on the stack is told why there is no more."""
    result = run(ConfigurationError("the grid's stack is not known: give --stack NAME"))
    assert result.exit_code == 0
    assert "requests are not in it: the grid's stack is not known" in result.stderr
    assert "173 GB-s" in result.stdout


def test_a_stack_that_was_named_must_be_there() -> None:
    """Then it is an error."""
    result = run(ConfigurationError("there is no stack none"), "--stack", "none")
    assert result.exit_code != 0
    assert "there is no stack none" in result.stderr


def test_one_that_runs_is_told_so_far() -> None:
    """And operations without a price are named."""
    result = run(PastUse(Usage({"kms.Decrypt": 1}), counted=True), state="running")
    assert "has not ended" in result.stderr
    assert "no price is known for kms.Decrypt" in result.stderr
