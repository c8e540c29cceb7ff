"""docs/planning.md on backends: its examples are what the planner says today."""

import re

import pytest

from stepgrid_core import container_planning, prices, routing
from stepgrid_core.contract import MAX_LAMBDA_TASK_SECONDS
from stepgrid_core.contract.container import VCPUS
from tests.unit.backend_tables import COLUMNS, DOCUMENT, EXAMPLES, Example, row_of

STALE = "paste what `python -m tests.unit.backend_tables` prints into docs/planning.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
BACKEND = TEXT[TEXT.index("## Backend") : TEXT.index("## Chunks")]


def rows() -> dict[str, tuple[str, ...]]:
    """Of all tables of the section, by their first cell."""
    lines = (line for line in BACKEND.splitlines() if line.startswith("| "))
    found = (tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines)
    return {cells[0]: cells for cells in found}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_a_session_runs_as_the_document_says(example: Example) -> None:
    """Backend, chunks, seconds, dollars and reason, row by row."""
    assert rows()[example.title] == row_of(example), STALE


def test_the_examples_have_their_columns() -> None:
    """As they are printed."""
    assert rows()["Session"] == COLUMNS, STALE


@pytest.mark.parametrize(
    ("choice", "figures"),
    [
        ("longest task on Lambda", [MAX_LAMBDA_TASK_SECONDS]),
        ("bulk work", [routing.BULK_SECONDS]),
        ("worth it", [routing.WORTH_PRICE, routing.WORTH_TIME]),
        ("start of a function", [routing.LAMBDA_START_SECONDS, routing.MAP_START_SECONDS]),
        ("start of a container", [container_planning.START_SECONDS]),
        ("least bill of a container", [routing.LEAST_BILLED_SECONDS]),
        ("work for each puller", [container_planning.LEAST_PULLER_SECONDS]),
        ("Spot", [100 * prices.SPOT_DISCOUNT]),
        ("a chunk", [1e6 * routing.CHUNK_DOLLARS]),
    ],
)
def test_a_rule_has_the_figures_of_the_code(choice: str, figures: list[float]) -> None:
    """Constants that are changed are changed in the document."""
    said = [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", rows()[choice][1])]
    assert said == figures


def test_the_largest_and_the_smallest_container_are_those_of_the_code() -> None:
    """Of the table of sizes."""
    assert f"{min(VCPUS):g} to {max(VCPUS)} vCPU" in rows()["sizes"][2]
