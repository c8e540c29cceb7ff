"""Who gets how many slots, who waits, and in which order."""

import pytest

from stepgrid_core.budgets import (
    HEAD_START_SECONDS,
    Lane,
    Limits,
    Usage,
    exceeded,
    grant,
    rank,
    slots_for,
    wanted_slots,
)
from tests.contract.samples import NOW, make_session

#: 50 chunks, and wants to run 20 of them at once.
SESSION = make_session(max_concurrency=20)


@pytest.mark.parametrize(
    ("wanted", "used", "limit", "slots"),
    [
        pytest.param(7, 0, None, 7, id="no budget"),
        pytest.param(7, 0, 10, 7, id="an idle worker"),
        pytest.param(7, 3, 10, 7, id="just enough"),
        pytest.param(7, 4, 10, 6, id="a little less than wanted"),
        pytest.param(7, 6, 10, 4, id="half of it, rounded up"),
        pytest.param(7, 7, 10, 0, id="less than half"),
        pytest.param(1, 10, 10, 0, id="full"),
        pytest.param(1, 12, 10, 0, id="a budget that was lowered"),
        pytest.param(100, 0, 10, 10, id="more than there are"),
        pytest.param(100, 5, 10, 5, id="half of what there are"),
        pytest.param(100, 6, 10, 0, id="less than half of what there are"),
    ],
)
def test_half_of_what_is_wanted_is_enough(
    wanted: int, used: int, limit: int | None, slots: int
) -> None:
    """A session starts with what is free if that is at least half of what it wants."""
    assert grant(wanted, used, limit) == slots


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        pytest.param(Limits(), 20, id="as it asks"),
        pytest.param(Limits(worker_slots=8), 8, id="the worker's budget"),
        pytest.param(Limits(worker_slots=8, owner_slots=3), 3, id="its owner's part"),
        pytest.param(Limits(worker_slots=0), 1, id="a worker that is switched off"),
    ],
)
def test_nobody_wants_more_than_there_can_be(limits: Limits, wanted: int) -> None:
    """Else it would wait for ever; a budget of 0 lets nothing start at all."""
    assert wanted_slots(SESSION, limits) == wanted
    if limits.worker_slots == 0:
        assert slots_for(SESSION, limits, Lane(), Usage()) == 0


def test_a_short_session_wants_one_slot_for_each_chunk() -> None:
    """Slots that it can't use are left to others."""
    assert wanted_slots(make_session(tasks=4, chunk_size=2, max_concurrency=20), Limits()) == 2


def test_the_smaller_of_both_grants_counts() -> None:
    """The worker may have room, and the owner none of it left."""
    limits = Limits(worker_slots=100, owner_slots=20)
    assert slots_for(SESSION, limits, Lane(used=0), Usage(slots=5)) == 15
    assert slots_for(SESSION, limits, Lane(used=0), Usage(slots=15)) == 0
    assert slots_for(SESSION, limits, Lane(used=88), Usage(slots=0)) == 12


def test_priority_goes_before_age_and_age_before_nothing() -> None:
    """Ranks: more urgent first, then older first."""
    order = [
        make_session("a", priority=9, created_at=NOW + 20),
        make_session("b", priority=4, created_at=NOW),
        make_session("c", priority=4, created_at=NOW + 1),
        make_session("d", priority=0, created_at=NOW - 60),
    ]
    assert sorted(order, key=rank) == order


def test_nobody_starves() -> None:
    """What has waited for longer than the head start goes before the most urgent newcomer."""
    patient = make_session("old", priority=0, created_at=NOW)
    for seconds, first in ((9 * HEAD_START_SECONDS - 1, False), (9 * HEAD_START_SECONDS + 1, True)):
        urgent = make_session("new", priority=9, created_at=NOW + seconds)
        assert (rank(patient) < rank(urgent)) is first


@pytest.mark.parametrize(
    ("limits", "usage", "word"),
    [
        pytest.param(Limits(sessions=3), Usage(sessions=2), None, id="the last session"),
        pytest.param(Limits(sessions=3), Usage(sessions=3), "3 open sessions", id="one more"),
        pytest.param(Limits(sessions=0), Usage(), "0 open sessions", id="none allowed"),
        pytest.param(Limits(tasks=100), Usage(tasks=90), None, id="the last tasks"),
        pytest.param(Limits(tasks=100), Usage(tasks=91), "10 tasks", id="one task more"),
        pytest.param(Limits(tasks=9), Usage(), "cut it into smaller", id="larger than the quota"),
        pytest.param(Limits(), Usage(10**6, 10**9), None, id="no quota"),
    ],
)
def test_a_quota_that_would_be_broken_is_named(
    limits: Limits, usage: Usage, word: str | None
) -> None:
    """The sentence says what is there, what was asked for and what is allowed."""
    reason = exceeded(10, limits, usage)
    assert reason is None if word is None else word in str(reason)
