"""The state of a job, for each row, report and end of a session that there can be."""

from dataclasses import replace

import pytest

from stepgrid_core.job_states import array_counts, array_state, closed_state, stages_of, state_of
from stepgrid_core.records import Chunk, JobRecord
from stepgrid_core.states import ChunkState, JobState, SessionState, TaskState

from .job_world import JobWorld

PENDING, RUNNING = Chunk(1), Chunk(1, state=ChunkState.RUNNING, attempt=1)
HELD = Chunk(1, state=ChunkState.HELD)
FINISHED = Chunk(1, state=ChunkState.ENDED, attempt=1, finished=1)
FAILED = Chunk(1, state=ChunkState.ENDED, attempt=1, failed=1)
CANCELLED = Chunk(1, state=ChunkState.CANCELLED)
REPORTS = {state: JobRecord(1, state) for state in JobState}


@pytest.mark.parametrize(
    ("row", "reported", "state"),
    [
        (None, None, "pending"),
        (PENDING, None, "pending"),
        (HELD, None, "pending"),
        (PENDING, "processing", "pending"),
        (PENDING, "failed", "pending"),
        (RUNNING, None, "pending"),
        (RUNNING, "staging_inputs", "staging_inputs"),
        (RUNNING, "processing", "processing"),
        (RUNNING, "staging_outputs", "staging_outputs"),
        (RUNNING, "completed", "staging_outputs"),
        (RUNNING, "failed", "staging_outputs"),
        (RUNNING, "cancelled", "staging_outputs"),
        (FINISHED, None, "completed"),
        (FINISHED, "processing", "completed"),
        (FINISHED, "completed", "completed"),
        (FINISHED, "failed", "failed"),
        (FINISHED, "cancelled", "cancelled"),
        (FAILED, None, "failed"),
        (FAILED, "failed", "failed"),
        (FAILED, "completed", "failed"),
        (FAILED, "processing", "failed"),
        (CANCELLED, None, "cancelled"),
        (CANCELLED, "processing", "cancelled"),
        (CANCELLED, "completed", "cancelled"),
        (Chunk(1, state=ChunkState.EXPIRED), "processing", "failed"),
        (Chunk(1, state=ChunkState.UNREADABLE), None, "failed"),
        (Chunk(1, state=ChunkState.LOST), "processing", "failed"),
        (replace(FINISHED, state=ChunkState.CANCELLED), "completed", "completed"),
        (replace(FAILED, state=ChunkState.EXPIRED), "failed", "failed"),
    ],
)
def test_a_row_and_a_report_make_a_state(
    row: Chunk | None, reported: str | None, state: str
) -> None:
    """The row says whether it is over, the report how far it has come."""
    world = JobWorld()
    session = world.session(world.submit())
    record = REPORTS[JobState(reported)] if reported else None
    assert state_of(session, row, record) == state


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("cancelled", "cancelled"), ("failed", "failed"), ("finished", "failed"), (None, "pending")],
)
def test_a_session_without_rows_speaks_for_its_jobs(verdict: str | None, state: str) -> None:
    """It may end before it has any."""
    world = JobWorld()
    closed = SessionState(verdict) if verdict else None
    session = replace(world.session(world.submit()), verdict=closed)
    assert state_of(session, None, None) == state


@pytest.mark.parametrize(
    ("verdict", "counts", "state"),
    [
        ("finished", {"finished": 3}, "completed"),
        ("finished", {"finished": 2, "failed": 1}, "failed"),
        ("failed", {"failed": 3}, "failed"),
        ("cancelled", {"finished": 1, "failed": 1, "cancelled": 1}, "cancelled"),
        (None, {"pending": 3}, "pending"),
        (None, {"pending": 2, "processing": 1}, "processing"),
        (None, {"pending": 2, "failed": 1}, "processing"),
        (None, {"finished": 3}, "processing"),
    ],
)
def test_an_array_is_what_its_jobs_are(
    verdict: str | None, counts: dict[str, int], state: str
) -> None:
    """Open: pending until one is begun. Closed: completed only if all are."""
    world = JobWorld()
    tasks = {TaskState(name): number for name, number in counts.items()}
    session = replace(
        world.session(world.submit(array=3)),
        verdict=SessionState(verdict) if verdict else None,
        counts=tasks if verdict else None,
    )
    assert array_state(session, array_counts(tasks)) == state
    if verdict:
        assert closed_state(session) == state


def test_the_counts_of_an_array_add_up() -> None:
    """Whatever is between pending and its end is processing; what no job is in is left out."""
    counts = array_counts(dict.fromkeys(TaskState, 2) | {TaskState.CANCELLED: 0})
    assert counts == {
        JobState.PENDING: 2,
        JobState.PROCESSING: 4,
        JobState.COMPLETED: 2,
        JobState.FAILED: 2,
    }


@pytest.mark.parametrize(
    ("times", "stages"),
    [
        ((None, None, None, None), (None, None, None)),
        ((1.0, None, None, None), (None, None, None)),
        ((1.0, 3.0, None, None), (2.0, None, None)),
        ((1.0, 3.0, 7.0, None), (2.0, 4.0, None)),
        ((1.0, 3.0, 7.0, 8.0), (2.0, 4.0, 1.0)),
        ((1.0, None, None, 2.5), (1.5, None, None)),
        ((1.0, 3.0, None, 4.0), (2.0, 1.0, None)),
        ((3.0, 1.0, None, None), (0.0, None, None)),
    ],
)
def test_stages_take_from_their_begin_to_the_next(
    times: tuple[float | None, ...], stages: tuple[float | None, ...]
) -> None:
    """One that has not ended has no time, one that was left out neither; none is below zero."""
    took = stages_of(JobRecord(1, JobState.PROCESSING, *times))
    assert (took.staging_inputs, took.processing, took.staging_outputs) == stages


def test_without_a_report_there_are_no_stages() -> None:
    """Nothing is known of them."""
    assert stages_of(None).model_dump(exclude_none=True) == {}
