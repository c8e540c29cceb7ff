"""What an owner may have at work, and what happens to the rest."""

import pytest

from stepgrid_core.admission import admit_waiting, show_quota
from stepgrid_core.budgets import Quota
from stepgrid_core.errors import QuotaExceeded
from tests.unit.admission_bench import OWNER, RIVAL, Bench


def test_an_over_quota_submit_leaves_no_trace() -> None:
    """No session, no object, no count; the message says what is there and what is allowed."""
    bench = Bench(owner_sessions=1)
    bench.submit("first")
    before = show_quota(bench.memory.wiring, OWNER)
    with pytest.raises(QuotaExceeded, match=r"you have 1 open sessions.*allows you 1"):
        bench.submit("second", tasks=4000)
    assert len(bench.memory.table.list_sessions(OWNER, None, None, 10).items) == 1
    assert bench.memory.payloads.list_keys() == []
    assert show_quota(bench.memory.wiring, OWNER) == before


def test_the_quota_of_tasks_counts_open_sessions() -> None:
    """What has ended counts no more."""
    bench = Bench(owner_tasks=10)
    bench.submit("first", tasks=6)
    with pytest.raises(QuotaExceeded, match="5 tasks"):
        bench.submit("second", tasks=5)
    bench.memory.run()
    assert bench.submit("second", tasks=5).tasks == 5


def test_a_repeated_submit_is_within_the_quota() -> None:
    """Its session is there already."""
    bench = Bench(owner_sessions=1)
    assert bench.submit("first").session_id == bench.submit("first").session_id


def test_quotas_are_each_owner_s_own() -> None:
    """And an administrator may give one owner another."""
    bench = Bench(owner_sessions=1)
    bench.memory.table.quotas[RIVAL] = Quota(sessions=2)
    bench.submit("first")
    for name in ("a", "b"):
        bench.submit(name, owner=RIVAL)
    with pytest.raises(QuotaExceeded):
        bench.submit("c", owner=RIVAL)


def test_an_owner_s_part_of_a_worker_is_limited() -> None:
    """His further sessions wait while those of others start, also from behind him in the queue."""
    bench = Bench(worker_concurrency=4, owner_concurrency=2)
    bench.submit("mine", tasks=9)
    assert bench.submit("mine too", tasks=9).waiting
    assert bench.submit("a rival's", owner=RIVAL, tasks=2, priority=0).waiting
    admit_waiting(bench.memory.wiring, "work")
    bench.memory.run()
    assert bench.ran == ["mine", "a rival's", "mine too"]


def test_within_one_owner_s_part_nobody_passes_either() -> None:
    """A small session behind a large one of the same owner waits its turn, as on a full worker."""
    bench = Bench(worker_concurrency=8, owner_concurrency=4)
    bench.submit("first", tasks=3)
    assert bench.submit("large", tasks=4).waiting
    assert bench.submit("small").waiting
    admit_waiting(bench.memory.wiring, "work")
    bench.memory.run()
    assert bench.ran == ["first", "large", "small"]
