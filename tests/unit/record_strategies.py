"""Arbitrary records, as hypothesis makes them: everything that the types and their rules allow."""

import hypothesis.strategies as st

from stepgrid_core.layout import Layout
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.records import Chunk, CommonRef, InputRef, Output, Session, Shard
from stepgrid_core.states import ChunkState, SessionState, TaskState

small_counts = st.integers(0, 20)
#: Seconds, as durations and since the epoch. DynamoDB's numbers go down to 1e-130, floats further.
times = st.just(0.0) | st.floats(1e-6, 4e9)
#: Sizes with many repetitions, as a plan has them.
layouts = st.lists(st.sampled_from([1, 2, 3, 10]), min_size=1, max_size=40).map(Layout.of)
session_ids = st.uuids().map(str)
#: Tokens come from the state machine and digests from data_plane: neither holds a separator.
base64_texts = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", max_size=22
)
outputs = st.builds(
    Output,
    attempt=st.integers(1, 99),
    part=small_counts,
    size=st.integers(0, 2**40),
    digest=base64_texts,
)


@st.composite
def chunks(draw: st.DrawFn, tasks: int | None = None) -> Chunk:
    tasks = draw(st.integers(1, 100_000)) if tasks is None else tasks
    finished = draw(st.integers(0, tasks))
    failed = draw(st.integers(0, tasks - finished))
    return Chunk(
        tasks=tasks,
        state=draw(st.sampled_from(ChunkState)),
        attempt=draw(small_counts),
        token=draw(base64_texts),
        lease_until=draw(st.integers(0, 4_000_000_000)),
        finished=finished,
        failed=failed,
        retrying=draw(st.integers(0, tasks - finished - failed)),
        output=draw(st.none() | outputs),
        losses=draw(small_counts),
        idle_losses=draw(small_counts),
        suspect=draw(st.none() | st.integers(0, tasks - 1)),
        suspect_starts=draw(small_counts),
        milliseconds=draw(st.integers(0, 10**10)),
    )


@st.composite
def shards(draw: st.DrawFn) -> Shard:
    rows = draw(st.lists(chunks(), min_size=1, max_size=CHUNKS_PER_SHARD))
    number = len(rows)
    return Shard(
        session_id=draw(session_ids),
        number=draw(st.integers(0, 624)),
        chunks=tuple(rows),
        start=draw(st.integers(0, 2**43)),
        lengths=tuple(draw(st.integers(1, 2**30)) for _ in range(number)),
        inline=draw(st.dictionaries(st.integers(0, number - 1), st.binary(max_size=50))),
    )


counts = st.fixed_dictionaries(dict.fromkeys(TaskState, small_counts))
texts = st.text(st.characters(codec="utf-8"), max_size=20)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    verdict = draw(st.none() | st.sampled_from(SessionState))
    layout = draw(layouts)
    return Session(
        session_id=draw(session_ids),
        owner=draw(texts),
        worker=draw(texts),
        function=draw(texts),
        tasks=layout.tasks,
        digest=draw(base64_texts),
        input=draw(st.builds(InputRef, key=st.none() | texts, etag=texts, size=small_counts)),
        layout=layout,
        route=draw(st.sampled_from(["burst", "map"])),
        children=draw(st.sampled_from(["express", "standard"])),
        max_concurrency=draw(small_counts),
        watch_seconds=draw(times),
        task_timeout_seconds=draw(times),
        max_attempts=draw(small_counts),
        priority=draw(small_counts),
        created_at=draw(times),
        deadline_at=draw(times),
        expires_at=draw(st.integers(0, 4_000_000_000)),
        name=draw(st.none() | texts),
        tags=draw(st.dictionaries(texts, texts, max_size=3)),
        depends_on=tuple(draw(st.lists(session_ids, max_size=3))),
        blocked=draw(st.booleans()),
        common=draw(st.none() | st.builds(CommonRef, key=texts, sha256=texts, size=small_counts)),
        dispatches=draw(small_counts),
        dispatched_at=draw(times),
        cancelling=draw(st.booleans()),
        verdict=verdict,
        closed_at=draw(times) if verdict else None,
        counts=draw(counts) if verdict else None,
    )
