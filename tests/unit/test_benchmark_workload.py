"""The benchmark's work: tasks of a known size, no two alike, and the check that finds any loss."""

import json

import pytest

from tests.benchmarks.contenders import ENTRIES
from tests.benchmarks.workload import (
    TASK_BYTES,
    TaskNumbers,
    WrongResult,
    check_echoes,
    check_naps,
    echo,
    echo_all,
    make_chunks,
    make_nap,
    make_task,
    nap,
)

NUMBERS = range(5, 8)


@pytest.mark.parametrize("number", [0, 7, 123_456_789])
def test_a_task_has_its_size(number: int) -> None:
    """1 KB as compact JSON, whatever its number."""
    assert len(json.dumps(make_task(number), separators=(",", ":"))) == TASK_BYTES


def test_numbers_are_given_once() -> None:
    """No two tasks of a run are equal: a contender may remember results."""
    numbers = TaskNumbers()
    assert [numbers.take(2), numbers.take(3), numbers.take(1)] == [
        range(2),
        range(2, 5),
        range(5, 6),
    ]


def test_chunks_hold_every_task_once() -> None:
    """The last chunk may be shorter, and their results are lists of the same tasks."""
    chunks = [echo_all(chunk) for chunk in make_chunks(NUMBERS, 2)]
    assert [len(chunk) for chunk in chunks] == [2, 1]
    check_echoes([task for chunk in chunks for task in chunk], NUMBERS)


@pytest.mark.parametrize(
    "results",
    [
        [make_task(5), make_task(6)],
        [make_task(5), make_task(7), make_task(6)],
        [make_task(5), make_task(6), make_task(7), make_task(8)],
        [make_task(5), None, make_task(7)],
    ],
    ids=["missing", "disordered", "too many", "changed"],
)
def test_a_wrong_result_is_found(results: list[dict[str, str]]) -> None:
    """Every result is compared with its task."""
    with pytest.raises(WrongResult):
        check_echoes(map(echo, results), NUMBERS)


@pytest.mark.parametrize("results", [[10], [10, 10, 10], [10, 11]])
def test_a_wrong_nap_is_found(results: list[int]) -> None:
    """A task that sleeps returns its milliseconds, once."""
    check_naps([10, 10], 10, 2)
    with pytest.raises(WrongResult):
        check_naps(results, 10, 2)


def test_a_nap_returns_its_milliseconds() -> None:
    """Its number only tells it from others."""
    assert nap(make_nap(number=3, milliseconds=0)) == 0


def test_the_machines_limit_is_no_rival() -> None:
    """Process pools are marked: the aim is to be ahead of the others."""
    pools = {name for name, entry in ENTRIES.items() if entry.is_pool}
    assert pools == {"pool", "loky", "joblib"}
