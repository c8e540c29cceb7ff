"""The work that all contenders do: the tasks, the functions that run them, the check of results.

It is imported by the workers of every contender, so it needs the standard library alone.

No two tasks of a contender's process are equal: Dask, for one, runs equal calls only once.
"""

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

Task: TypeAlias = dict[str, Any]

#: Bytes of a task, and of its result, as compact JSON.
TASK_BYTES = 1024
_FILLING = TASK_BYTES - len('{"index":"","filling":""}') - 12


class WrongResult(Exception):
    """A contender returned something else than it was given, or not all of it."""


class TaskNumbers:
    """Numbers for tasks, none of them twice."""

    def __init__(self) -> None:
        self._next = itertools.count()

    def take(self, count: int) -> range:
        """The next `count` numbers."""
        first = next(self._next)
        self._next = itertools.count(first + count)
        return range(first, first + count)


def make_task(number: int) -> Task:
    """The task of this number: a dict of TASK_BYTES bytes as JSON."""
    return {"index": f"{number:012d}", "filling": str(number).rjust(_FILLING, ".")}


def make_nap(number: int, milliseconds: int) -> Task:
    """A task of a known time."""
    return {"index": number, "milliseconds": milliseconds}


def echo(task: Task) -> Task:
    """The no-op."""
    return task


def echo_all(tasks: list[Task]) -> list[Task]:
    """The no-op, for users who cut their tasks into chunks by hand."""
    return [echo(task) for task in tasks]


def nap(task: Task) -> int:
    """Sleep for the task's milliseconds, and return them."""
    milliseconds: int = task["milliseconds"]
    if milliseconds:
        time.sleep(milliseconds / 1000)
    return milliseconds


def make_chunks(numbers: range, size: int) -> Iterator[list[Task]]:
    """The tasks of these numbers in lists of `size`, the last may be shorter."""
    for first in range(0, len(numbers), size):
        yield [make_task(number) for number in numbers[first : first + size]]


def check_echoes(results: Iterable[Task], numbers: range) -> None:
    """Take every result, and compare it with its task. Raises WrongResult."""
    expected = iter(numbers)
    for position, result in enumerate(results):
        number = next(expected, None)
        if number is None:
            raise WrongResult(f"more results than the {len(numbers)} tasks")
        if result != make_task(number):
            raise WrongResult(f"result {position} of {len(numbers)} is {str(result)[:80]}")
    _check_no_more(expected, len(numbers))


def check_naps(results: Iterable[Any], milliseconds: int, count: int) -> None:
    """Take every result of `count` naps, and check it. Raises WrongResult."""
    expected = iter(range(count))
    for position, result in enumerate(results):
        if next(expected, None) is None or result != milliseconds:
            raise WrongResult(f"result {position} of {count} naps is {str(result)[:80]}")
    _check_no_more(expected, count)


def _check_no_more(expected: Iterator[int], count: int) -> None:
    missing = sum(1 for _ in expected)
    if missing:
        raise WrongResult(f"{missing} of {count} results are missing")
