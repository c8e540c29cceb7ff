"""The tables of docs/simulation.md, made by the simulation.

    python -m tests.unit.simulation_tables        prints them, in about a minute

Their figures are nowhere but in the document: paste what is printed when the planner, a constant or
the model has changed. test_simulation_document.py finds out that this was forgotten.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from stepgrid.bench.simulation.bottlenecks import find_bottlenecks
from stepgrid.bench.simulation.profiles import AWS
from stepgrid.bench.simulation.report import cost
from stepgrid.bench.simulation.scenarios import Scenario
from stepgrid.bench.simulation.sessions import Simulation, simulate

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"
#: Workers and copies of the sessions.
SESSIONS = [(workers, copies) for workers in (1_000, 10_000) for copies in (1, 4, 10)]
SESSION_COLUMNS = (
    "workers",
    "copies",
    "chunks",
    "tasks done after",
    "results in hand after",
    "workers at once",
    "requests",
    "tasks' time",
    "other time",
    "total",
)
#: Of these it is said what holds them up, and so many limits in turn.
HELD_UP = [(1_000, 1), (10_000, 1)]
MOST_LIMITS = 4

Row = tuple[str, ...]


def scenario_of(workers: int, copies: int) -> Scenario:
    return Scenario(tasks=1_000_000, task_seconds=0.1, concurrency=workers, copies=copies)


@cache
def simulated(workers: int, copies: int) -> Simulation:
    return simulate(scenario_of(workers, copies), AWS)


def session_row(workers: int, copies: int) -> Row:
    done = simulated(workers, copies)
    dollars = cost(done)
    return (
        f"{workers:,}",
        f"{copies}",
        f"{len(done.plan.sizes):,}",
        seconds(done.last_commit_at),
        seconds(done.results_at),
        f"{done.peak_workers:,}",
        *(f"${amount:.2f}" for amount in [*dollars.values(), sum(dollars.values())]),
    )


def limits_of(workers: int, copies: int) -> Row:
    """The column of one session: its time, then the limits, each with those before it lifted."""
    found = find_bottlenecks(scenario_of(workers, copies), AWS, MOST_LIMITS)
    cells = [f"{item.limit}: {seconds(item.seconds_after)}" for item in found]
    missing = ["-"] * (MOST_LIMITS - len(cells))
    return (seconds(simulated(workers, copies).results_at), *cells, *missing)


def seconds(value: float) -> str:
    return f"{value:.0f} s"


def tables() -> Iterator[str]:
    """Both, as lines of Markdown."""
    yield from markdown(SESSION_COLUMNS, (session_row(*session) for session in SESSIONS))
    yield ""
    names = ("now", *(str(place + 1) for place in range(MOST_LIMITS)))
    columns = [limits_of(*session) for session in HELD_UP]
    heads = (f"{workers:,} workers, {copies} copy" for workers, copies in HELD_UP)
    yield from markdown(("", *heads), zip(names, *columns, strict=True))


def markdown(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield line_of(head)
    yield "|" + "---|" * len(head)
    yield from map(line_of, rows)


def line_of(cells: Row) -> str:
    """An empty cell has one space, as the other tables of the documents have it."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def read_tables() -> list[list[Row]]:
    """The document's tables that speak of workers: of each its head and its rows."""
    found = re.findall(r"(?:^\|.*\n)+", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return [
        [cells_of(line) for number, line in enumerate(text.splitlines()) if number != 1]
        for text in found
        if "workers" in text.splitlines()[0]
    ]


def cells_of(line: str) -> Row:
    return tuple(cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|"))


def numbers(text: str) -> list[int]:
    return [int(digits.replace(",", "")) for digits in re.findall(r"\d[\d,]*", text)]


if __name__ == "__main__":
    for line in tables():
        print(line)
