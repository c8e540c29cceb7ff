"""The worked examples of docs/planning.md, "Backend", made by the planner.

    python -m tests.unit.backend_tables           prints them

Their figures are nowhere but in the document: paste what is printed when a rule, a constant or a
price has changed. test_planning_document.py finds out that this was forgotten.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stepgrid.cli.rendering import dollars, duration
from stepgrid.testing import InMemoryGrid
from stepgrid_core.container_sizes import default_size
from stepgrid_core.contract import PlanDescription, PlanRequest
from stepgrid_core.plans import plan_session

DOCUMENT = Path(__file__).parents[2] / "docs" / "planning.md"
COLUMNS = ("Session", "Runs on", "Chunks", "Takes", "Costs", "The other", "Because")


@dataclass(frozen=True)
class Example:
    """A session of a worker that can run on both, on a grid with the defaults of the template."""

    title: str
    tasks: int
    options: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


EXAMPLES = (
    Example("1,000 x 0.1 s", 1_000, {"task_seconds": 0.1}),
    Example("1,000,000 tasks, nothing known", 1_000_000, {}),
    Example("40 x 20 min", 40, {"task_seconds": 1_200, "task_timeout_seconds": 1_800}),
    Example(
        "40 x 20 min, 4 vCPU on demand",
        40,
        {
            "task_seconds": 1_200,
            "task_timeout_seconds": 1_800,
            "container": {"vcpu": 4, "spot": False},
        },
    ),
    Example("10,000 x 60 s", 10_000, {"task_seconds": 60}),
    Example("the same, 64 at once", 10_000, {"task_seconds": 60, "max_concurrency": 64}),
    Example(
        "the same, `FargateConcurrency=400`",
        10_000,
        {"task_seconds": 60},
        {"fargate_concurrency": 400},
    ),
    Example(
        "the same, on demand",
        10_000,
        {"task_seconds": 60, "max_concurrency": 64, "container": {"spot": False}},
    ),
    Example("the same, asked for", 10_000, {"task_seconds": 60, "backend": "fargate"}),
)


def plan_of(example: Example) -> PlanDescription:
    memory = InMemoryGrid({"echo": lambda task, _: task}, settings=example.settings)
    worker = memory.dispatcher.workers["echo"]
    memory.dispatcher.workers["echo"] = replace(worker, container=default_size("arm64"))
    request = {"worker": "echo", "tasks": example.tasks, "options": example.options}
    return plan_session(memory.wiring, "owner", PlanRequest.model_validate(request))


def row_of(example: Example) -> tuple[str, ...]:
    plan = plan_of(example)
    others = (f"{duration(each.seconds)}, ${dollars(each.dollars)}" for each in plan.others)
    count = f" in {plan.containers.count}" if plan.containers else ""
    return (
        example.title,
        plan.backend + count,
        f"{plan.chunks:,}",
        duration(plan.estimate.seconds),
        f"${dollars(plan.estimate.dollars)}",
        next(others, "-"),
        plan.reason,
    )


def table() -> Iterator[str]:
    """As lines of Markdown."""
    for cells in (COLUMNS, ("---",) * len(COLUMNS), *map(row_of, EXAMPLES)):
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(table()))
