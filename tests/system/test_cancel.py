"""Cancel on the deployed grid, at random instants: counts and states agree, whatever it hits.

STEPGRID_CANCEL_ROUNDS sets how many sessions are cancelled; a few in the ordinary run.
"""

import os
from collections import Counter
from random import Random
from threading import Event
from typing import Any

from stepgrid import Grid, Session
from stepgrid_core.contract import CancelCounts, TaskCounts

ROUNDS = int(os.environ.get("STEPGRID_CANCEL_ROUNDS", "8"))
SESSIONS = 4  #: cancelled by one request
TASKS = 200
#: From the submit until nearly all tasks have ended, about.
SPAN_SECONDS = 8.0


def make_tasks(random: Random) -> list[dict[str, Any]]:
    """Most sleep a little; some always fail, and so are retrying for a while."""
    return [
        {
            "worker_arguments": [str(random.choice([5, 50, 150])), "1", "1"],
            "raise": "as asked" if random.random() < 0.2 else None,
        }
        for _ in range(TASKS)
    ]


def cancel_all(grid: Grid, random: Random) -> Counter[str]:
    """One instant: a few sessions at once; answers what was cancelled, and what was kept."""
    sessions = [
        grid.submit("mock-compute", make_tasks(random), chunk_size=20, max_concurrency=2)
        for _ in range(SESSIONS)
    ]
    Event().wait(random.uniform(0, SPAN_SECONDS))
    before = [session.status().counts for session in sessions]
    answers = grid.cancel([session.id for session in sessions])
    totals: Counter[str] = Counter()
    for session, counts in zip(sessions, before, strict=True):
        totals += check(session, counts, answers[session.id])
    again = grid.cancel([session.id for session in sessions])
    assert set(again.values()) == {CancelCounts()}
    return totals


def check(session: Session, before: TaskCounts, answer: CancelCounts) -> Counter[str]:
    """The answer, the counts, the list of tasks and the results say the same."""
    counts = session.status().counts
    assert counts.cancelled == answer.total_cancelled_tasks
    assert counts.finished + counts.failed + counts.cancelled == TASKS
    assert counts.finished >= before.finished
    listed = Counter(task.state.value for task in session.tasks())
    assert listed == {name: count for name, count in counts.model_dump().items() if count}
    assert Counter(task.state.value for task in session.as_completed()) == listed
    return Counter(answer.model_dump()) + Counter(finished=counts.finished, failed=counts.failed)


def test_counts_and_states_agree_whenever_sessions_are_cancelled(grid: Grid) -> None:
    """Sessions of 200 tasks: the cancel counts are exactly the tasks that are cancelled now."""
    random, totals = Random(), Counter[str]()
    for _ in range(ROUNDS // SESSIONS):
        totals += cancel_all(grid, random)
    print(dict(totals))
    assert sum(totals.values()) - totals["total_cancelled_tasks"] == ROUNDS * TASKS
    assert totals["cancelled_processing"] > 0
