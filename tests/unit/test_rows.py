"""Records as DynamoDB items: nothing is lost on the way, and a shard stays one write unit."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given, settings

from stepgrid_core.aws import rows
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.records import Chunk, Output, Session, Shard
from stepgrid_core.states import ChunkState
from tests.unit.record_strategies import chunks, sessions, shards

WRITE_UNIT_BYTES = 1_024
SESSION_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
EXPIRES_AT = 1_800_000_000


def through_dynamodb(item: rows.Item) -> rows.Item:
    """The item as it comes back: only what the service's types can say gets through."""
    write, read = TypeSerializer().serialize, TypeDeserializer().deserialize
    return {name: read(write(value)) for name, value in item.items()}


@given(chunks())
def test_a_chunk_is_read_as_it_was_written(chunk: Chunk) -> None:
    """Every field of a row comes back, so two rows are equal exactly if their texts are."""
    assert rows.read_chunk(rows.write_chunk(chunk), chunk.tasks) == chunk


@given(shards())
@settings(max_examples=50)
def test_a_shard_is_read_as_it_was_written(shard: Shard) -> None:
    """Rows, byte ranges and inline results come back."""
    item = through_dynamodb(rows.write_shard(shard, EXPIRES_AT))
    assert rows.read_shard(item) == shard


@given(sessions())
@settings(max_examples=50)
def test_a_session_is_read_as_it_was_written(session: Session) -> None:
    """What never changes, and what the table sets later, comes back."""
    item = rows.write_session(session, due_at=1.5)
    item["cancelling"] = session.cancelling
    if session.verdict is not None:
        assert session.closed_at is not None
        assert session.counts is not None
        item["verdict"] = session.verdict.value
        item["closed_at"] = rows.decimal(session.closed_at)
        item["counts"] = {state.value: n for state, n in session.counts.items()}
    assert rows.read_session(through_dynamodb(item)) == session


@given(sessions())
@settings(max_examples=50)
def test_a_new_session_has_no_ending(session: Session) -> None:
    """The item that a submit puts says nothing of cancel or close, whatever the record holds."""
    fresh = replace(session, cancelling=False, verdict=None, closed_at=None, counts=None)
    item = through_dynamodb(rows.write_session(session, due_at=1.5))
    assert rows.read_session(item) == fresh


def test_a_row_without_history_is_short() -> None:
    """A pending chunk costs a few bytes, not a field for everything that may happen to it."""
    assert rows.write_chunk(Chunk(tasks=100)) == ChunkState.PENDING


def test_a_row_of_an_older_version_is_read() -> None:
    """Fields that were added since are taken as never set."""
    row = "R|2|5|1|900|1.0.300.digest|token|1800000000|1|1|@7|2"
    chunk = rows.read_chunk(row, 10)
    assert (chunk.suspect, chunk.suspect_starts, chunk.retrying) == (7, 2, 0)
    assert rows.write_chunk(chunk) == row


# --- size -----------------------------------------------------------------------------------------


def item_size(item: rows.Item) -> int:
    """Bytes as DynamoDB counts them: names and values; a number, half a byte for each digit."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    assert isinstance(value, int | Decimal)
    return -(-len(str(value)) // 2) + 1


PENDING = Chunk(2_000)
RUNNING = replace(
    PENDING,
    state=ChunkState.RUNNING,
    attempt=1,
    token="0123456789abcdef01",
    lease_until=1_800_000_000,
)
ENDED = replace(
    PENDING,
    state=ChunkState.ENDED,
    attempt=1,
    finished=2_000,
    output=Output(1, 0, 234_567, "0123456789abcdef"),
    milliseconds=60_000,
)
FAILURES = replace(
    ENDED, attempt=2, finished=1_990, failed=10, output=Output(2, 3, 1_234_567, "0123456789abcdef")
)
RETRYING = replace(
    RUNNING,
    finished=1_990,
    retrying=10,
    output=Output(1, 1, 234_567, "0123456789abcdef"),
    milliseconds=60_000,
)
CANCELLED = replace(PENDING, state=ChunkState.CANCELLED, attempt=1, token="012345")


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(PENDING, id="pending"),
        pytest.param(RUNNING, id="running"),
        pytest.param(ENDED, id="ended"),
        pytest.param(FAILURES, id="ended at the second attempt with failures"),
        pytest.param(CANCELLED, id="cancelled"),
    ],
)
def test_a_full_shard_is_one_write_unit(chunk: Chunk) -> None:
    """16 rows with realistic numbers, deep in an input of 5 GB, stay under 1 KB."""
    chunk_bytes = 1_234_567
    shard = Shard(
        session_id=SESSION_ID,
        number=250,
        chunks=(chunk,) * CHUNKS_PER_SHARD,
        start=250 * CHUNKS_PER_SHARD * chunk_bytes,
        lengths=(chunk_bytes,) * CHUNKS_PER_SHARD,
    )
    size = item_size(rows.write_shard(shard, EXPIRES_AT))
    assert size <= WRITE_UNIT_BYTES
