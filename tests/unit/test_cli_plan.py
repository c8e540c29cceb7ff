"""`stepgrid plan`, on a fake grid."""

import pytest

from stepgrid.cli.session_options import CONTAINER
from stepgrid_core.contract import ContainerOptions
from tests.unit.cli_fakes import LONG_PLAN, SESSION_ID, FakeGrid, json_lines, run

SHOWN = """\
backend     fargate
because     a task may need 1,500 s, and a function of this worker gives it 840 s at most
chunks      40 of up to 1 task, 40 at once
containers  10 of 4 vCPU, 8,192 MiB and 21 GiB of disk; Spot, arm64
takes       20 min 45 s, $0.23, if a task takes 20 min
on lambda   20 min 3 s, $0.00001
prices      us-east-1, 2026-11
"""


def test_it_says_where_why_how_long_and_how_much() -> None:
    """In lines for people; nothing is submitted."""
    grid = FakeGrid()
    result = run(grid, "plan", "mock-compute", "40", "--task-seconds", "1200")
    assert (result.exit_code, result.stdout, result.stderr) == (0, SHOWN, "")
    assert grid.asked == [("plan", "mock-compute", 40, None, {"task_seconds": 1200.0})]
    assert grid.submitted == []


def test_json_is_the_plan_of_the_contract() -> None:
    """For scripts."""
    found = json_lines(run(FakeGrid(), "plan", "mock-compute", "40", "--json").stdout)
    assert found == [LONG_PLAN.model_dump(mode="json")]


def test_options_are_those_of_a_submit() -> None:
    """All that make a difference to the plan, and the size of the tasks."""
    grid = FakeGrid()
    options = ["--size", "4000", "--chunk-size", "5", "--backend", "fargate", "--vcpu", "2"]
    run(grid, "plan", "mock-compute", "40", *options)
    expected = {"chunk_size": 5, "backend": "fargate", "container": {"vcpu": 2.0}}
    assert grid.asked == [("plan", "mock-compute", 40, 4000, expected)]


def test_a_session_has_a_plan() -> None:
    """Of one that was submitted."""
    grid = FakeGrid()
    assert run(grid, "plan", "--session", SESSION_ID).stdout == SHOWN
    assert grid.asked == [SESSION_ID]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give WORKER and COUNT, or --session ID"),
        (["mock-compute"], "give WORKER and COUNT, or --session ID"),
        (["mock-compute", "0"], "0 is not in the range x>=1"),
        (["mock-compute", "1", "--session", SESSION_ID], "give nothing else"),
        (["--session", SESSION_ID, "--vcpu", "1"], "give nothing else"),
        (["mock-compute", "1", "--vcpu", "3"], "option container.vcpu"),
    ],
)
def test_wrong_usage_is_code_2_and_asks_nothing(arguments: list[str], message: str) -> None:
    """One line."""
    grid = FakeGrid()
    result = run(grid, "plan", *arguments)
    assert (result.exit_code, grid.asked) == (2, [])
    assert message in result.stderr


def test_all_that_containers_have_can_be_wished() -> None:
    """But for the architecture, which is the worker's."""
    assert set(CONTAINER.values()) == set(ContainerOptions.model_fields)
