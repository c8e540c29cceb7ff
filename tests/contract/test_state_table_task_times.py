"""The contract of the StateTable port: how long the tasks of a worker take, as sessions measure."""

import itertools

import pytest

from stepgrid_core.ports import StateTable
from stepgrid_core.records import Work
from stepgrid_core.task_time import Measurement, TaskTime

from .samples import NOW, finished, make_session, store_session

_numbers = itertools.count()


def measure(table: StateTable, time: TaskTime) -> None:
    """A session that is submitted, and ends after its tasks took so long each."""
    known = table.read_lane("pricing").task_time
    token = f"measured {next(_numbers)}"
    session = store_session(table, make_session(token, slots=1, worker_task_time=known))
    work = Work(NOW, time.mean * session.tasks, Measurement(time, session.tasks))
    assert table.close_session(session.session_id, finished(session, NOW, work))


def test_an_unmeasured_worker_has_no_time(table: StateTable) -> None:
    """Nothing is known of a worker that has run nothing."""
    assert table.read_lane("pricing").task_time is None


@pytest.mark.parametrize("time", [TaskTime(0.0125, 0.5), TaskTime(0.0, 0.0)], ids=str)
def test_the_first_measurement_is_what_is_known(table: StateTable, time: TaskTime) -> None:
    """Both times come back, and workers don't mix."""
    measure(table, time)
    assert table.read_lane("pricing").task_time == time
    assert table.read_lane("mock-compute").task_time is None


def test_what_is_known_moves_with_each_session(table: StateTable) -> None:
    """From what the session knew when it was submitted, as far as its tasks count."""
    measure(table, TaskTime(1.0, 2.0))
    measure(table, TaskTime(3.0, 6.0))
    assert table.read_lane("pricing").task_time == TaskTime(pytest.approx(3**0.5, 0.01), 6.0)
