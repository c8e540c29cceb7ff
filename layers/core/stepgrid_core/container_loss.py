"""What becomes of the chunks of a container that has ended, and whether another one follows.

ended by itself        what is left is for the round after it: see loss.settle
failed, or was taken   its claims are given back --> again, if chunks are pending
never asked for work   its share of the pending chunks is held to it: a broken package must not
                       start for ever, but many that fail once are none
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from .closing import shard_changed
from .invocation import SessionFacts, is_current
from .records import NO_ANSWER, Chunk, Session, Shard, idle, is_claimed_by, lose, pending_chunks
from .states import ChunkState
from .wiring import Grid

#: Words in what ECS says when it has no room: waiting helps, and nobody is to blame.
NO_ROOM = ("capacity is unavailable", "throttl", "rate exceeded", "limit on the number of")
#: And when Spot takes a container away (ECS developer guide, "Amazon ECS stopped tasks").
TAKEN = ("spotinterruption", "spot capacity")


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How a container ended, as the state machine heard it."""

    token: str
    error: str  #: empty: its pullers found nothing more to do
    cause: str

    @property
    def blames(self) -> bool:
        """Is it held against the chunks that it had, or did not come to have?"""
        return not (self._tells(*NO_ROOM, *TAKEN) or _exit_code(self.cause) == NO_ANSWER)

    @property
    def is_of_spot(self) -> bool:
        """Did Spot have no room for it, or take it away?"""
        return self._tells(*NO_ROOM[:1], *TAKEN)

    def _tells(self, *words: str) -> bool:
        reasons = [reason.lower() for reason in _reasons(self.cause)]
        return any(word in reason for reason in reasons for word in words)


def _exit_code(cause: str) -> int | None:
    """Of the container, in the description of its task."""
    with suppress(ValueError, TypeError, KeyError, IndexError):
        code = json.loads(cause)["Containers"][0]["ExitCode"]
        return code if isinstance(code, int) else None
    return None


#: Where ECS says in the description of a task why it ended; the rest is named by users.
_REASONS = ("StopCode", "StoppedReason", "Reason")


def _reasons(cause: str) -> Iterator[str]:
    """All of a text; of a description, what tells why."""
    try:
        said = json.loads(cause)
    except ValueError:
        yield cause
    else:
        yield from _reasons_in(said)


def _reasons_in(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict):
        yield from (str(said[name]) for name in _REASONS if name in said)
        for name in ("Containers", "Failures"):
            for part in said.get(name) or ():
                yield from _reasons_in(part)


@dataclass(frozen=True, slots=True)
class Replacement:
    """The container that is to follow, if one is."""

    wanted: bool
    spot: bool = False


def container_ended(grid: Grid, facts: SessionFacts, end: ContainerEnd) -> Replacement:
    """Give back what it held, and say whether another one is to be started in its place."""
    session = grid.table.read_session(facts.session_id)
    if session is None or session.container is None or session.verdict is not None:
        return Replacement(wanted=False)
    opened = any(use.token == end.token for use in grid.table.read_containers(session.session_id))
    shards = grid.table.read_shards(session.session_id)
    held = frozenset() if opened or not end.blames else _share(session, shards, end.token)
    shards = [_give_back(grid, session, shard, end, held) for shard in shards]
    size = session.container
    return Replacement(
        wanted=bool(end.error and pending_chunks(shards)) and is_current(session, facts),
        spot=size.spot and not (size.fallback and end.is_of_spot),
    )


def _share(session: Session, shards: Sequence[Shard], token: str) -> frozenset[int]:
    """Pending chunks that a container would have come to, with as many as there are beside it.

    At least one, if there are any; which ones, its token says, so that in time all have their turn.
    """
    pending = pending_chunks(shards)
    containers = session.containers_for(len(pending)) or 1
    return frozenset(pending[crc32(token.encode()) % containers :: containers])


def _give_back(
    grid: Grid, session: Session, shard: Shard, end: ContainerEnd, held: frozenset[int]
) -> Shard:
    """A lost race is a write of somebody else's, of which there are finitely many."""
    while True:
        rows = tuple(
            _after(chunk, end, shard.number_of(slot) in held)
            for slot, chunk in enumerate(shard.chunks)
        )
        if rows == shard.chunks:
            return shard
        swap = grid.table.swap_shard(shard, replace(shard, chunks=rows))
        shard = swap.shard
        if swap.won:
            shard_changed(grid, shard, session.shards)
            return shard


def _after(chunk: Chunk, end: ContainerEnd, held: bool) -> Chunk:
    if chunk.state is ChunkState.RUNNING and is_claimed_by(chunk.token, end.token):
        return lose(chunk, chunk.token, blame=end.blames) or chunk
    if chunk.state is ChunkState.PENDING and held:
        return idle(chunk)
    return chunk
