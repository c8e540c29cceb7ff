"""Telling nodes that runs were ended from outside, whoever ended them: kill, cancel, a deadline.

Known by the session alone: the planes, which end sessions, know no task of a federation. An order
is a hint: a node that misses it has its result refused.
"""

from collections.abc import Sequence

from ..announcement import tell_federation
from ..records import FederationFacts
from ..wiring import Grid
from .events import FederationEvent, FederationKind
from .records import run_id


def order_kill(grid: Grid, facts: FederationFacts, indexes: Sequence[int]) -> None:
    """indexes: which runs of the task were ended."""
    runs = [
        {
            "task_id": facts.task_id,
            "run_id": run_id(facts.task_id, index),
            "organization_id": facts.organization_ids[index],
        }
        for index in indexes
    ]
    named, now = "-".join(map(str, indexes[:8])), grid.clock.now()
    event = FederationEvent(
        FederationKind.KILL,
        f"kill-{facts.task_id}-{named}-{now:.0f}",
        now,
        facts.collaboration_id,
        tuple(facts.organization_ids[index] for index in indexes),
        {"kill_list": runs},
    )
    tell_federation(grid, event)
