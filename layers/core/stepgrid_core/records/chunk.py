"""Chunk, one row: the unit of every race in the grid, and its moves.

    pending --claim--> running --commit--> ended
       ^                  |`--checkpoint--> running (some tasks settled)
       |                  |`--mark--------> running (the task about to start is written ahead)
       `---lose, hand back'              pending or running --end--> cancelled, expired

    pending --hold--> held --unhold--> pending      (a held chunk can't be claimed, but be ended)

A move answers the row to write, or None where it is not allowed.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..states import ENDINGS, TERMINAL_CHUNKS, ChunkState, SessionState, TaskState

#: environments that may die one after the other without any task settled or marked in between
MAX_IDLE_LOSSES = 10
#: Of a token, this much is kept in a row; a nonce of the one invocation follows it.
TOKEN_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Output:
    """Which object holds the outcomes of a chunk; the row that carries it publishes them."""

    attempt: int
    part: int  #: an attempt that checkpoints writes part 0, 1, 2 ...
    size: int  #: bytes
    digest: str  #: see data_plane.digest


@dataclass(frozen=True, slots=True)
class Chunk:
    """One row: the state of one slice of a session's tasks."""

    tasks: int  #: how many tasks the slice has
    state: ChunkState = ChunkState.PENDING
    attempt: int = 0  #: claims so far; with the token it fences out every earlier worker
    token: str = ""  #: whose claim it is, while running
    lease_until: int = 0  #: epoch seconds; after it anybody may take the claim over
    finished: int = 0  #: tasks with a result in `output`
    failed: int = 0  #: tasks with an error in `output`
    retrying: int = 0  #: tasks that failed once and wait for the next attempt, or are in it
    output: Output | None = None
    losses: int = 0  #: environments that died while they held the claim
    idle_losses: int = 0  #: of those, since a task was last settled or marked
    suspect: int | None = None  #: offset of the task written ahead of its start, see `mark`
    suspect_starts: int = 0
    milliseconds: int = 0  #: time in user code, of the settled tasks

    def as_dict(self) -> dict[str, Any]:
        """In values that JSON knows; `read` makes it again, of this version or a newer one."""
        return asdict(self)

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Chunk":
        output = values["output"]
        typed = {
            "state": ChunkState(values["state"]),
            "output": Output(**output) if output else None,
        }
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**known, **typed})

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL_CHUNKS

    @property
    def unsettled(self) -> int:
        return self.tasks - self.finished - self.failed

    def held_by(self, other: "Chunk") -> bool:
        """Is the claim in this row still the one that `other` describes?"""
        return (self.state, self.attempt, self.token) == (
            ChunkState.RUNNING,
            other.attempt,
            other.token,
        )


def claim(chunk: Chunk, token: str, nonce: str, now: float, lease_until: float) -> Chunk | None:
    """Take a pending chunk, or one whose claimant is gone; None if it is over or held by another.

    The same token claims again when Step Functions retries an invocation: the first one is fenced
    out by the attempt number, and counted as lost. The nonce tells the two apart if they claim at
    the same moment.
    """
    if chunk.terminal or chunk.state is ChunkState.HELD:
        return None
    if chunk.state is ChunkState.RUNNING:
        if not _claimed_with(chunk, token) and chunk.lease_until > now:
            return None
        chunk = _lost(chunk)
        if chunk.terminal:
            return chunk
    return replace(
        chunk,
        state=ChunkState.RUNNING,
        attempt=chunk.attempt + 1,
        token=token[:TOKEN_LENGTH] + nonce,
        lease_until=int(lease_until),
    )


def _claimed_with(chunk: Chunk, token: str) -> bool:
    return chunk.token[:TOKEN_LENGTH] == token[:TOKEN_LENGTH]


def mark(chunk: Chunk, offset: int, starts: int) -> Chunk:
    """Write down that the task at `offset` is about to start, so that its killer can be found.

    `starts` counts this start and all earlier ones, published or not: so that a death during it
    adds to the failures that an earlier attempt saw.
    """
    return replace(chunk, suspect=offset, suspect_starts=starts, idle_losses=0)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a worker has to show for a chunk so far: counts and the object that proves them."""

    finished: int
    failed: int
    milliseconds: int
    output: Output | None
    retrying: int = 0  #: of those not settled, the ones that have failed before


def checkpoint(chunk: Chunk, settled: Settled) -> Chunk:
    """Publish what is settled and keep the claim."""
    progressed = settled.finished + settled.failed > chunk.finished + chunk.failed
    return replace(
        chunk,
        finished=settled.finished,
        failed=settled.failed,
        retrying=settled.retrying,
        milliseconds=settled.milliseconds,
        output=settled.output,
        idle_losses=0 if progressed else chunk.idle_losses,
    )


def commit(chunk: Chunk, settled: Settled) -> Chunk:
    """Publish and let go: ended if every task settled, otherwise pending for the next claim.

    Handing back untouched again and again ends it too: its worker has no time to run anything.
    """
    before = chunk.finished + chunk.failed
    chunk = checkpoint(chunk, settled)
    if not chunk.unsettled:
        ended = release(chunk, ChunkState.ENDED)
        return replace(ended, losses=0, idle_losses=0, suspect=None, suspect_starts=0)
    progressed = settled.finished + settled.failed > before
    return release(chunk, ChunkState.PENDING) if progressed else idle(chunk)


def idle(chunk: Chunk) -> Chunk:
    """Give it back after nothing was done; for good if that has happened too often."""
    losses = chunk.idle_losses + 1
    state = ChunkState.LOST if losses >= MAX_IDLE_LOSSES else ChunkState.PENDING
    return replace(release(chunk, state), idle_losses=losses)


def lose(chunk: Chunk, token: str, blame: bool = True) -> Chunk | None:
    """The worker that was invoked with `token` failed; None if that changes nothing.

    Also one that never came so far as to claim counts, else a broken one would be tried for ever.
    The row keeps the token, so that a repeated report is not counted again. Without `blame` it was
    the grid's fault, and is not held against the chunk.
    """
    mine = _claimed_with(chunk, token)
    if chunk.terminal or chunk.state is ChunkState.HELD:
        return None
    if mine is not (chunk.state is ChunkState.RUNNING):
        return None
    given_back = idle(chunk) if blame else release(chunk, ChunkState.PENDING)
    return replace(given_back, losses=chunk.losses + mine, token=token[:TOKEN_LENGTH])


def renew(chunk: Chunk, lease_until: float) -> Chunk:
    """Its worker lives: the claim holds for longer."""
    return replace(chunk, lease_until=int(lease_until))


def expire_lease(chunk: Chunk, now: float) -> Chunk | None:
    """Nobody reported the death, but the lease ran out; None if it did not."""
    if chunk.state is not ChunkState.RUNNING or chunk.lease_until > now:
        return None
    return _lost(chunk)


def end(chunk: Chunk, state: ChunkState, nonce: str = "") -> Chunk | None:
    """Give all unsettled tasks the ending that `state` means; None if the chunk is over already.

    A nonce in the row tells two callers who end it at the same moment which of them did.
    """
    if chunk.terminal:
        return None
    return replace(release(chunk, state), token=nonce)


def hold(chunk: Chunk) -> Chunk | None:
    """Keep a chunk from being claimed; None if it runs, is held or is over."""
    return replace(chunk, state=ChunkState.HELD) if chunk.state is ChunkState.PENDING else None


def unhold(chunk: Chunk) -> Chunk | None:
    """Let it be claimed again; None if it is not held."""
    return replace(chunk, state=ChunkState.PENDING) if chunk.state is ChunkState.HELD else None


def _lost(chunk: Chunk) -> Chunk:
    return replace(idle(chunk), losses=chunk.losses + 1)


def release(chunk: Chunk, state: ChunkState) -> Chunk:
    """Nobody holds the chunk any more; with a terminal state its open tasks get that ending."""
    return replace(chunk, state=state, token="", lease_until=0)


def open_state(chunk: Chunk) -> TaskState:
    """The state of the tasks of a chunk that are not settled; of a running one, see `retrying`."""
    if chunk.terminal:
        return ENDINGS[chunk.state].task_state
    if chunk.state is ChunkState.RUNNING:
        return TaskState.PROCESSING
    return TaskState.RETRYING if chunk.attempt else TaskState.PENDING


def count(chunks: Iterable[Chunk]) -> dict[TaskState, int]:
    """Tasks by state; always all six, and they always add up to the tasks of the chunks."""
    counts = dict.fromkeys(TaskState, 0)
    for chunk in chunks:
        counts[TaskState.FINISHED] += chunk.finished
        counts[TaskState.FAILED] += chunk.failed
        retrying = chunk.retrying if chunk.state is ChunkState.RUNNING else 0
        counts[TaskState.RETRYING] += retrying
        if chunk.unsettled:
            counts[open_state(chunk)] += chunk.unsettled - retrying
    return counts


def verdict(chunks: Iterable[Chunk]) -> SessionState:
    """How a session ended whose chunks all did: the first ending found, otherwise finished."""
    states = {chunk.state for chunk in chunks}
    for state, ending in ENDINGS.items():
        if state in states and ending.session_state is not SessionState.FINISHED:
            return ending.session_state
    return SessionState.FINISHED
