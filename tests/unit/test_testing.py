"""The in-memory grid as a user's own unit tests have it."""

import os
import subprocess
import sys

import pytest

from stepgrid import TaskFailed, WorkerLost
from stepgrid.testing import EnvironmentDied, InMemoryGrid


def test_a_session_runs_without_waiting() -> None:
    """Submit, results, and not a second of virtual time for instant tasks."""
    memory = InMemoryGrid({"square": lambda event, context: event["x"] ** 2})
    before = memory.clock.now()
    with memory.client() as grid:
        assert grid.submit("square", [{"x": 2}, {"x": 3}]).results() == [4, 9]
    assert memory.clock.now() - before < 1


def test_owners_do_not_see_each_other() -> None:
    """Each client has an identity, as on the real grid."""
    memory = InMemoryGrid({"echo": lambda event, context: event})
    with memory.client("ann") as ann, memory.client("bob") as bob:
        ann.submit("echo", [1])
        assert len(list(ann.sessions())) == 1
        assert list(bob.sessions()) == []


def test_large_inputs_travel_as_they_do_on_the_real_grid() -> None:
    """An upload in parts and ranged reads, over the in-memory store."""
    memory = InMemoryGrid({"length": lambda event, context: len(event)})
    with memory.client() as grid:
        tasks = ["x" * (1_000_000 + n) for n in range(17)]
        assert grid.submit("length", tasks).results() == [1_000_000 + n for n in range(17)]


def test_a_worker_can_fail_and_die() -> None:
    """An exception fails its task with a traceback; a death is healed, or charged to its task."""

    def work(event: str, context: object) -> str:
        if event == "raise":
            raise ValueError("as asked")
        if event == "die":
            raise EnvironmentDied
        return event

    memory = InMemoryGrid({"work": work})
    with memory.client() as grid:
        session = grid.submit("work", ["a", "raise", "die", "b"], chunk_size=4, max_attempts=2)
        results = session.results(return_exceptions=True)
    assert (results[0], results[3]) == ("a", "b")
    assert isinstance(results[1], TaskFailed)
    assert results[1].remote_type == "ValueError"
    assert "as asked" in results[1].traceback
    assert isinstance(results[2], WorkerLost)


def test_virtual_time_lets_a_deadline_pass() -> None:
    """Hours pass in no time: what is left of the session fails."""
    memory = InMemoryGrid({"echo": lambda event, context: event}, autorun=False)
    with memory.client() as grid:
        session = grid.submit("echo", [1, 2], timeout_seconds=3600)
        memory.clock.advance(3601)
        memory.sweep()
        assert session.status().state == "failed"
        with pytest.raises(TaskFailed, match="timeout_seconds"):
            session.results()


def test_nothing_is_printed() -> None:
    """The standard output is the user's: the planes' logs stay out of it."""
    code = """
from stepgrid.testing import InMemoryGrid
with InMemoryGrid({"double": lambda event, context: 2 * event}).client() as grid:
    assert grid.submit("double", [1]).results() == [2]
"""
    environment = {name: value for name, value in os.environ.items() if "POWERTOOLS" not in name}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout + done.stderr == b""
