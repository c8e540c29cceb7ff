"""The tables of docs/simulation.md are what the simulation says today.

Not all of them: it would take a minute. `python -m tests.unit.simulation_tables` prints them whole.
"""

import re

import pytest

from stepgrid.bench.simulation.bottlenecks import LIMITS, Case
from stepgrid.bench.simulation.plans import plan_session
from stepgrid.bench.simulation.profiles import AWS
from tests.unit.simulation_tables import (
    DOCUMENT,
    HELD_UP,
    MOST_LIMITS,
    SESSION_COLUMNS,
    SESSIONS,
    numbers,
    read_tables,
    scenario_of,
    seconds,
    session_row,
    simulated,
)

SESSION_TABLE, LIMIT_TABLE = read_tables()
STALE = "paste what `python -m tests.unit.simulation_tables` prints into docs/simulation.md"


def test_the_document_has_a_row_for_each_session() -> None:
    """In the order in which they are printed, and what holds some of them up."""
    head, *rows = SESSION_TABLE
    assert head == SESSION_COLUMNS
    assert [tuple(numbers(row[0] + " " + row[1])) for row in rows] == SESSIONS
    head, *rows = LIMIT_TABLE
    assert [tuple(numbers(cell)) for cell in head[1:]] == HELD_UP
    assert [row[0] for row in rows] == ["now", *(str(n + 1) for n in range(MOST_LIMITS))]


@pytest.mark.parametrize(("workers", "copies"), HELD_UP)
def test_a_session_takes_what_the_document_says(workers: int, copies: int) -> None:
    """Times, workers and dollars of the first row of each number of workers."""
    row = next(row for row in SESSION_TABLE if row[:2] == (f"{workers:,}", str(copies)))
    assert row == session_row(workers, copies), STALE
    now = LIMIT_TABLE[1][1 + HELD_UP.index((workers, copies))]
    assert now == seconds(simulated(workers, copies).results_at), STALE


def test_limits_take_what_the_document_says() -> None:
    """The first two that it names are lifted; that no other would gain more takes a search."""
    workers, copies = HELD_UP[0]
    scenario = scenario_of(workers, copies)
    case = Case(scenario, AWS, plan_session(scenario))
    for _, cell, *_ in LIMIT_TABLE[2:4]:
        limit, _, said = cell.partition(": ")
        case = LIMITS[limit].lift(case)
        assert said == seconds(case.run().results_at), STALE


def test_the_defaults_of_a_stack_are_those_of_the_template() -> None:
    """How many chunks it allows at once, where the document says that a simulation takes more."""
    template = (DOCUMENT.parents[1] / "template.yaml").read_text(encoding="utf-8")
    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    for name, said in [
        ("WorkerConcurrency", "{} chunks at once on a worker (`WorkerConcurrency`)"),
        ("DefaultConcurrency", "{} of one session (`DefaultConcurrency`)"),
    ]:
        found = re.search(rf"^  {name}:\n    Type: Number\n    Default: (\d+)$", template, re.M)
        assert found is not None
        assert said.format(found[1]) in text
