"""The closed lists of states, and what each terminal chunk state means.

    task:     pending -> processing -> finished        (retrying in between, failed or cancelled)
    chunk:    pending -> running -> ended               (or cancelled, expired, unreadable, lost,
                                                         or its session's dependency failed)
    session:  pending -> running -> finished            (or failed, cancelled)

Once terminal, always terminal: no move leaves a terminal state. This module knows no I/O.
"""

from dataclasses import dataclass
from enum import StrEnum


class TaskState(StrEnum):
    """What a client sees of one task; the words are HTC-Grid's."""

    PENDING = "pending"  #: waits for a worker, never claimed
    PROCESSING = "processing"  #: its chunk is claimed by a worker
    RETRYING = "retrying"  #: an attempt failed or was cut short; waits for the next, or is in it
    FINISHED = "finished"  #: has a result
    FAILED = "failed"  #: has an error, and will not be tried again
    CANCELLED = "cancelled"  #: was ended by its owner before it had a result or an error


class FailureReason(StrEnum):
    """Why a failed task is a dead letter, in a word; its error says it in full."""

    EXCEPTION = "exception"  #: the worker's function raised
    TIMEOUT = "timeout"  #: it ran longer than task_timeout_seconds
    EXITED = "exited"  #: it ended its process
    CRASHED = "crashed"  #: a signal killed its process
    OUT_OF_MEMORY = "out_of_memory"  #: it wanted more memory than its worker has
    BAD_RESULT = "bad_result"  #: what it returned is not JSON, or too large
    BAD_INPUT = "bad_input"  #: its input is not JSON, or could not be read
    WORKER_LOST = "worker_lost"  #: its whole environment died at every attempt
    SESSION_TIMEOUT = "session_timeout"  #: the session's deadline passed first
    DEPENDENCY_FAILED = "dependency_failed"  #: a session that its own depends on did not succeed


class SessionState(StrEnum):
    """What a client sees of a session."""

    PENDING = "pending"  #: accepted, no chunk was claimed yet
    RUNNING = "running"  #: at least one chunk was claimed
    FINISHED = "finished"  #: every task ended; the counts say how many failed
    FAILED = "failed"  #: its deadline passed, its input could not be read, or a dependency failed
    CANCELLED = "cancelled"  #: its owner ended it


class JobState(StrEnum):
    """What a client sees of a job; the words are Cloud Kotta's.

    pending -> staging_inputs -> processing -> staging_outputs -> completed   (or failed, cancelled)
    """

    PENDING = "pending"  #: waits for room in its queue, for its dependencies, or for a container
    STAGING_INPUTS = "staging_inputs"  #: its inputs are fetched
    PROCESSING = "processing"  #: its process runs
    STAGING_OUTPUTS = "staging_outputs"  #: what it left is stored, also after a failure
    COMPLETED = "completed"  #: its process ended with 0; outputs may be missing, and are named then
    FAILED = "failed"  #: an input could not be had, or it ended otherwise
    CANCELLED = "cancelled"  #: was ended by its owner


class EventKind(StrEnum):
    """What the grid tells about a session; the last three are its terminal states."""

    ACCEPTED = "accepted"  #: stored: it will run
    STARTED = "started"  #: its first execution was dispatched
    PROGRESSED = "progressed"  #: another tenth of its tasks is settled
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_TASKS = frozenset({TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELLED})
TERMINAL_SESSIONS = frozenset({SessionState.FINISHED, SessionState.FAILED, SessionState.CANCELLED})
TERMINAL_JOBS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
TERMINAL_EVENTS = frozenset(EventKind(state) for state in TERMINAL_SESSIONS)
TERMINAL_SEQUENCE = 100


def event_sequence(kind: EventKind, percent: int | None = None) -> int:
    """An event's place among those of its session; progressed has its percent, from 10 to 90."""
    first = {EventKind.ACCEPTED: 0, EventKind.STARTED: 1}
    return percent or first.get(kind, TERMINAL_SEQUENCE)


class ChunkState(StrEnum):
    """Where the chunk row stands; the letters are what the state table stores."""

    PENDING = "P"  #: may be claimed
    HELD = "H"  #: its session is paused: nobody may claim it until the owner resumes it
    RUNNING = "R"  #: claimed by the attempt in the row, until its lease ends
    ENDED = "E"  #: every task settled by commits
    CANCELLED = "C"  #: ended by the owner
    EXPIRED = "X"  #: the session's deadline passed
    UNREADABLE = "U"  #: its input is gone, changed or not what the submit said
    LOST = "L"  #: its workers died again and again without any progress
    DEPENDENCY = "D"  #: a session that its own depends on did not succeed: it was never started


OPEN_CHUNKS = frozenset({ChunkState.PENDING, ChunkState.HELD, ChunkState.RUNNING})
TERMINAL_CHUNKS = frozenset(ChunkState) - OPEN_CHUNKS


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of the tasks that had neither result nor error when their chunk ended."""

    task_state: TaskState
    error_type: str | None
    message: str | None
    session_state: SessionState


#: A session takes the first of these that any of its chunks has, otherwise it is finished.
ENDINGS = {
    ChunkState.CANCELLED: Ending(TaskState.CANCELLED, None, None, SessionState.CANCELLED),
    ChunkState.EXPIRED: Ending(
        TaskState.FAILED,
        "SessionTimeout",
        "the session's timeout_seconds passed before this task ended; submit it again with more",
        SessionState.FAILED,
    ),
    ChunkState.UNREADABLE: Ending(
        TaskState.FAILED,
        "InputError",
        "the session's input file is gone, was changed, or is not what the submit said",
        SessionState.FAILED,
    ),
    # Of its tasks the message is the session's reason, which names the dependency.
    ChunkState.DEPENDENCY: Ending(
        TaskState.FAILED,
        "DependencyFailed",
        "a session that this one depends on did not succeed",
        SessionState.FAILED,
    ),
    ChunkState.LOST: Ending(
        TaskState.FAILED,
        "WorkerLost",
        "the worker's environment died, or had no time left, at every attempt before any task "
        "could end; see its log",
        SessionState.FINISHED,
    ),
}
