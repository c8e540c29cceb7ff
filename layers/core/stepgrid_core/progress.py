"""How far a session has come, told in tenths while it runs.

    commit --> is another tenth settled? --> raise_progress (once each) --> progressed

Nothing is counted along the way: a commit learns the share from what it has at hand. With one
shard that is its own rows, with a few the rows of all, read now and then, and with many the latch.
A session that ends quickly is left alone, so that short work costs no request more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .announcement import tell
from .errors import Unavailable
from .invocation import SessionFacts
from .names import CHUNKS_PER_SHARD
from .records import Chunk, Shard
from .session_events import PROGRESS_STEP, progressed
from .telemetry import logger
from .wiring import Grid

#: A session tells nothing about its progress before it has run so long.
QUIET_SECONDS = 2.0
#: With so many shards, the number of ended ones is fine enough.
MANY_SHARDS = 10
#: Of a few shards, all are read about so often in a session's life.
LOOKS = 20


@dataclass(frozen=True, slots=True)
class Commit:
    """What a worker knows after a commit that did not close the session."""

    facts: SessionFacts
    before: Chunk  #: the row that it replaced
    shard: Shard  #: as it is now
    slot: int
    ended_shards: int  #: as the latch answered; 0 where this shard has not ended


def report_progress(grid: Grid, commit: Commit) -> None:
    """Tell it if another tenth is settled. Never fails: progress is a hint."""
    facts = commit.facts
    if grid.settings.session_events != "all":
        return
    if grid.clock.now() - facts.dispatched_at <= QUIET_SECONDS:
        return
    try:
        _report(grid, commit)
    except Unavailable as error:
        logger.warning("progress not told", session_id=facts.session_id, reason=str(error))


def _report(grid: Grid, commit: Commit) -> None:
    session_id = commit.facts.session_id
    shards, percent = _look(grid, commit)
    if not 0 < percent < 100:
        return
    session = grid.table.raise_progress(session_id, percent)
    if session is not None:
        shards = shards or grid.table.read_shards(session_id)
        chunks = [chunk for shard in shards for chunk in shard.chunks]
        tell(grid, progressed(session, percent, chunks, grid.clock.now()))


def _look(grid: Grid, commit: Commit) -> tuple[Sequence[Shard], int]:
    """The step that was reached, 0 for none; and all shards, if they had to be read for it."""
    facts = commit.facts
    if facts.shards == 1:
        settled = _settled([commit.shard])
        own = _settled_in(commit.shard.chunks[commit.slot]) - _settled_in(commit.before)
        return [commit.shard], crossed(settled - own, settled, facts.tasks)
    if facts.shards >= MANY_SHARDS:
        ended = commit.ended_shards
        return (), crossed(ended - 1, ended, facts.shards) if ended else 0
    if not is_look_due(commit.shard, facts):
        return (), 0
    shards = grid.table.read_shards(facts.session_id)
    return shards, step(_settled(shards), facts.tasks)


def step(part: int, whole: int) -> int:
    """The share in percent, rounded down to whole steps."""
    return part * 100 // whole // PROGRESS_STEP * PROGRESS_STEP


def crossed(before: int, after: int, whole: int) -> int:
    """The step that was reached between the two, or 0 if none was."""
    reached = step(after, whole)
    return reached if reached > step(before, whole) else 0


def is_look_due(shard: Shard, facts: SessionFacts) -> bool:
    """Every so many ended chunks of one shard, so that all shards together look LOOKS times."""
    every = max(2, facts.shards * CHUNKS_PER_SHARD // LOOKS)
    over = sum(chunk.terminal for chunk in shard.chunks)
    return over > 0 and over % every == 0


def _settled(shards: Sequence[Shard]) -> int:
    return sum(_settled_in(chunk) for shard in shards for chunk in shard.chunks)


def _settled_in(chunk: Chunk) -> int:
    return chunk.finished + chunk.failed
