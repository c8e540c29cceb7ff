"""Records to test with: a session and its shards as a submit makes them, any field changed."""

import hashlib
from dataclasses import replace
from typing import Any

from stepgrid_core.budgets import Limits
from stepgrid_core.layout import Layout
from stepgrid_core.names import session_id
from stepgrid_core.ports import StateTable, Swap, Worker
from stepgrid_core.records import NO_WORK, Chunk, Ending, InputRef, Output, Session, Shard, Work
from stepgrid_core.registration import Registration
from stepgrid_core.sharding import make_shards
from stepgrid_core.states import ChunkState, SessionState, TaskState

NOW = 1_800_000_000.0
OWNER = "arn:aws:iam::123456789012:user/ada"
OTHER_OWNER = "arn:aws:iam::123456789012:user/bob"
#: Times with fractions, as clocks give them: a store must not round them.
FRACTION = 0.123456

WORKER = Worker(
    name="pricing",
    function="grid-worker-pricing",
    timeout_seconds=900,
    memory_mib=1769,
    runtime="python3.11",
)

PRICER = Registration(
    name="pricer",
    target="arn:aws:lambda:eu-central-1:123456789012:function:pricer",
    runtime="provided.al2023",
    timeout_seconds=60,
    memory_mib=256,
    concurrency=5,
)


def make_session(token: str = "token", chunk_size: int = 2, **changes: Any) -> Session:
    """A session of 100 tasks in 50 chunks, so of four shards, that the map route runs."""
    owner, tasks = changes.get("owner", OWNER), changes.get("tasks", 100)
    plain = Session(
        session_id=session_id(owner, token),
        owner=owner,
        worker=WORKER.name,
        function=WORKER.function,
        tasks=tasks,
        digest=hashlib.sha256(token.encode()).hexdigest(),
        input=InputRef(key="inputs/owner/upload.jsonl", etag="e" * 32, size=1_000),
        layout=Layout.even(tasks, chunk_size),
        route="map",
        children="express",
        max_concurrency=1_000,
        watch_seconds=0.5,
        task_timeout_seconds=300.0,
        max_attempts=3,
        priority=4,
        created_at=NOW + FRACTION,
        deadline_at=NOW + 86_400,
        expires_at=int(NOW) + 1_000_000,
        dispatches=1,
        dispatched_at=NOW + FRACTION,
    )
    return replace(plain, **changes)


def make_all_shards(session: Session) -> list[Shard]:
    """The session's shards as they are at first; its input has 10 bytes for each task."""
    return make_shards(session, [task * 10 for task in session.layout.first_tasks()])


def claimed(chunk: Chunk, token: str = "token") -> Chunk:
    return replace(
        chunk,
        state=ChunkState.RUNNING,
        attempt=chunk.attempt + 1,
        token=token,
        lease_until=int(NOW) + 900,
    )


def ended(chunk: Chunk, attempt: int = 1) -> Chunk:
    return replace(
        chunk,
        state=ChunkState.ENDED,
        attempt=attempt,
        token="",
        lease_until=0,
        finished=chunk.tasks,
        output=Output(attempt, 0, 234_567, "x" * 22),
        milliseconds=7_000,
    )


def ended_counts(session: Session) -> dict[TaskState, int]:
    return {**dict.fromkeys(TaskState, 0), TaskState.FINISHED: session.tasks}


def finished(session: Session, at: float, work: Work = NO_WORK) -> Ending:
    return Ending(SessionState.FINISHED, ended_counts(session), at, work)


def with_rows(shard: Shard, *chunks: Chunk) -> Shard:
    """The shard with its first rows replaced."""
    return replace(shard, chunks=(*chunks, *shard.chunks[len(chunks) :]))


def won(swap: Swap) -> Shard:
    """The shard that a swap left behind, which must have been ours."""
    assert swap.won
    return swap.shard


def store_session(table: StateTable, session: Session, blob: bytes = b"") -> Session:
    """Store a session where nothing is limited; answers what is stored."""
    stored = table.create_session(session, blob, Limits())
    assert isinstance(stored, Session)
    return stored
