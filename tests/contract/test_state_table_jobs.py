"""The contract of the StateTable port: how far jobs have come."""

from dataclasses import replace

import pytest

from stepgrid_core.ports import StateTable
from stepgrid_core.records import JobFacts, JobFile, JobRecord
from stepgrid_core.states import JobState

from .samples import NOW, make_session, store_session

SESSION = make_session().session_id
EXPIRES_AT = int(NOW) + 1_000_000
STAGING = JobRecord(1, JobState.STAGING_INPUTS, staging_inputs_at=NOW + 0.25)
PROCESSING = replace(STAGING, state=JobState.PROCESSING, processing_at=NOW + 1.125)
COMPLETED = replace(
    PROCESSING,
    state=JobState.COMPLETED,
    staging_outputs_at=NOW + 2,
    ended_at=NOW + 3.5,
    exit_code=0,
    outputs=(JobFile("out/é #1.txt", 7, "a" * 64), JobFile("STDOUT.txt", 0, "b" * 64)),
    missing=("*.csv",),
)
FAILED = replace(COMPLETED, state=JobState.FAILED, exit_code=3, error="exit 3", error_code=3)


def put(table: StateTable, record: JobRecord, index: int = 0) -> bool:
    return table.put_job(SESSION, index, record, EXPIRES_AT)


def test_a_job_that_never_reported_is_none(table: StateTable) -> None:
    """Nothing is known of it, and that is no error."""
    assert table.read_job(SESSION, 0) is None
    assert table.read_jobs(SESSION, 0, 10) == {}


def test_reports_are_kept_as_they_come(table: StateTable) -> None:
    """The last one counts, with every field."""
    for record in (STAGING, PROCESSING, COMPLETED):
        assert put(table, record)
        assert table.read_job(SESSION, 0) == record


@pytest.mark.parametrize("late", [STAGING, PROCESSING, FAILED])
def test_an_end_is_final_for_its_attempt(table: StateTable, late: JobRecord) -> None:
    """What the same start says after its end changes nothing."""
    assert put(table, COMPLETED)
    assert not put(table, late)
    assert table.read_job(SESSION, 0) == COMPLETED


def test_an_earlier_attempt_is_refused(table: StateTable) -> None:
    """A container that was given up, and still speaks."""
    newer = replace(STAGING, attempt=2)
    assert put(table, newer)
    for late in (PROCESSING, COMPLETED):
        assert not put(table, late)
    assert table.read_job(SESSION, 0) == newer


def test_a_later_attempt_begins_again(table: StateTable) -> None:
    """Also after an end: its container died before it could commit."""
    assert put(table, FAILED)
    again = replace(STAGING, attempt=2)
    assert put(table, again)
    assert table.read_job(SESSION, 0) == again


def test_the_same_end_again_is_no_refusal(table: StateTable) -> None:
    """The answer to the first may have been lost."""
    assert put(table, COMPLETED)
    assert put(table, COMPLETED)


def test_jobs_of_an_array_are_read_by_index(table: StateTable) -> None:
    """A range of them; those without a report are left out."""
    for index in (0, 3, 9, 10, 9_999):
        assert put(table, replace(PROCESSING, exit_code=index), index)
    found = table.read_jobs(SESSION, 3, 7)
    assert {index: record.exit_code for index, record in found.items()} == {3: 3, 9: 9}
    assert list(table.read_jobs(SESSION, 9_999, 1)) == [9_999]
    assert table.read_jobs(SESSION, 4, 5) == {}


def test_jobs_of_other_sessions_are_others(table: StateTable) -> None:
    """The same index in two sessions."""
    put(table, PROCESSING)
    assert table.read_job(make_session("other").session_id, 0) is None


def test_jobs_go_with_their_session(table: StateTable) -> None:
    """Nothing of a deleted session is left."""
    session = store_session(table, make_session())
    for index in range(30):
        put(table, COMPLETED, index)
    table.delete_session(session)
    assert table.read_jobs(SESSION, 0, 100) == {}


def test_a_session_keeps_what_is_told_of_its_jobs(table: StateTable) -> None:
    """Facts of jobs are read as they were stored."""
    facts = JobFacts("run é", 300, ("a", "*.b"), "run.sh", ("x_1",))
    session = make_session(worker="job", queue="Test", output_days=30, job=facts)
    store_session(table, session)
    assert table.read_session(session.session_id) == session


def test_jobs_are_no_shards(table: StateTable) -> None:
    """A session that is read with its shards is not disturbed by the reports beside them."""
    session = store_session(table, make_session())
    put(table, PROCESSING)
    assert table.read_session_and_shards(SESSION, 16) == (session, [])
    assert table.read_shards(SESSION) == []
