"""The broker: all that the containers of a session may ask of the grid.

    container --question, with the session's ticket--> broker --> rows of that session
                                                          `-----> credentials for its payloads

A container runs code of users, so it has no right to the table, where all sessions are. It shows
the ticket that its session was given when it was submitted, and is answered for that session
alone. It changes rows that it holds, and only as a worker may; whatever a change means for the
session is done here. Times and counts of its own tasks are taken at its word.
"""

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from . import records
from .closing import shard_changed
from .errors import InvalidRequest, NotFound, RequestError, Unavailable
from .invocation import SessionFacts, facts_of
from .job_files import readable_key
from .names import CHUNKS_PER_SHARD, job_outputs_prefix, shard_of
from .ports import CredentialLender
from .progress import Commit, report_progress
from .records import (
    Chunk,
    ContainerUse,
    JobRecord,
    Session,
    Shard,
    is_claimed_by,
    puller_token,
)
from .states import ChunkState
from .wiring import Grid
from .worker_rows import is_count, may_become

#: A claim of a container holds so long after it was last heard of.
LEASE_SECONDS = 60.0
#: A look renews a lease of which so much is gone: most looks write nothing.
RENEW_AFTER_SECONDS = 20.0
#: So long after the end of a session its containers may be storing what they have.
LEND_AFTER_END_SECONDS = 900.0
#: What a job's record may take of an item, and what a file takes of that beside its name.
MOST_RECORD_BYTES, OUTPUT_BYTES = 256 * 1024, 128
#: Shards read at once when a chunk is looked for.
SHARD_PAGE = 16
#: No session is dispatched so often.
MOST_DISPATCHES = 1_000_000
#: Step Functions makes UUIDs; what is in a row must hold none of its separators.
_CONTAINER = re.compile(r"[0-9A-Za-z]{8}[0-9A-Za-z-]{0,56}")
_NONCE = re.compile(r"[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, by which container, about the session whose ticket it showed."""

    grid: Grid
    lender: CredentialLender
    session: Session
    container: str
    given: Mapping[str, Any]

    @property
    def facts(self) -> SessionFacts:
        return facts_of(self.session)

    def number(self, name: str, end: int) -> int:
        """One that was given, from 0 on and below `end`. Raises ValueError for anything else."""
        value = self.given[name]
        if not is_count(value, end - 1):
            raise ValueError(name)
        return int(value)

    def place(self) -> tuple[int, int]:
        """The shard and the slot that are meant, of those that the session has."""
        number = self.number("shard", self.session.shards)
        chunks = self.session.chunks - number * CHUNKS_PER_SHARD
        return number, self.number("slot", min(chunks, CHUNKS_PER_SHARD))


def answer(grid: Grid, lender: CredentialLender, given: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a container's question; {"error": {code, message}} if there is none."""
    try:
        question = _admit(grid, lender, given)
        return ACTIONS[str(given["action"])](question)
    except RequestError as error:
        return {"error": {"code": error.code, "message": error.message}}
    except Unavailable as error:
        return {"error": {"code": "unavailable", "message": str(error)}}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        message = f"this is no question of a container: {type(error).__name__}"
        return {"error": {"code": InvalidRequest.code, "message": message}}


def _admit(grid: Grid, lender: CredentialLender, given: Mapping[str, Any]) -> Question:
    """Raises NotFound, in the same words for an unknown session and a wrong ticket."""
    session_id, ticket, container = (
        str(given[name]) for name in ("session_id", "ticket", "container")
    )
    if not _CONTAINER.fullmatch(container):
        raise ValueError("container")
    session = grid.table.read_session(session_id) if _is_name(session_id) else None
    known = session is not None and bool(session.ticket)
    if not known or session is None or not _is_same(session.ticket, ticket):
        raise NotFound("there is no such session, or this is not its ticket")
    return Question(grid, lender, session, container, given)


def _is_name(text: str) -> bool:
    """Could this be the id of a session?"""
    return text.isascii() and text.isprintable() and 0 < len(text) <= 64


def _is_same(ticket: str, shown: str) -> bool:
    return hmac.compare_digest(ticket.encode(), shown.encode(errors="replace"))


def _open(question: Question) -> dict[str, Any]:
    """What a container must know to begin; `over` if there is nothing left to do."""
    _note(question)
    facts = {**question.facts.as_dict(), "container": None}
    session = question.session
    return {
        "facts": facts,
        "bucket": question.grid.settings.bucket,
        "outputs_prefix": job_outputs_prefix(
            session.output_days, session.owner, session.session_id
        ),
        "over": session.verdict is not None,
    }


def _lend(question: Question) -> dict[str, Any]:
    """Also a while after the end: what was cancelled still stores what it has."""
    _refuse_after_end(question)
    return question.lender.lend(question.session).as_dict()


def _refuse_after_end(question: Question) -> None:
    session, now = question.session, question.grid.clock.now()
    if session.closed_at is not None and now > session.closed_at + LEND_AFTER_END_SECONDS:
        raise InvalidRequest(f"session {session.session_id} is over; there is nothing left to do")


def _claim(question: Question) -> dict[str, Any]:
    """A chunk that is pending, or whose claimant is gone: claimed. `chunk` is None if none is."""
    session, grid = question.session, question.grid
    token = puller_token(question.container, question.number("puller", 10_000))
    nonce = question.given.get("nonce") or token_hex(3)
    after = question.given.get("after", 0)
    if not (is_count(after) and isinstance(nonce, str) and _NONCE.fullmatch(nonce)):
        raise ValueError("nonce or after")
    if not _may_claim(session, question.number("dispatch", MOST_DISPATCHES)):
        return {"chunk": None}
    first = min(int(after), session.shards - 1)
    _note(question)
    for number in _pages(first, session.shards):
        for shard in grid.table.read_shards(session.session_id, number, SHARD_PAGE):
            claimed = _claim_in(question, shard, token, nonce)
            if claimed is not None:
                return claimed
    return {"chunk": None}


def _may_claim(session: Session, dispatch: int) -> bool:
    """A container from before a pause only finishes what it has: its slots are given to others."""
    closed = session.verdict is not None or session.cancelling
    return not (closed or session.paused or session.waiting or dispatch < session.dispatches)


def _pages(first: int, shards: int) -> list[int]:
    """From the page of `first` on, and around."""
    pages = list(range(0, shards, SHARD_PAGE))
    turn = first // SHARD_PAGE
    return [*pages[turn:], *pages[:turn]]


def _claim_in(question: Question, shard: Shard, token: str, nonce: str) -> dict[str, Any] | None:
    grid = question.grid
    slot = 0
    while slot < len(shard.chunks):
        now = grid.clock.now()
        new = _claimed(shard.chunks[slot], token, nonce, now)
        if new is None:
            slot += 1
            continue
        swap = grid.table.swap_chunk(shard, slot, new, claimed_at=now)
        shard = swap.shard
        if swap.won and not new.terminal:
            return {"chunk": shard.number_of(slot), "slot": slot, "shard": shard.as_dict()}
        if swap.won:  # lost once too often
            shard_changed(grid, shard, question.session.shards)
    return None


def _claimed(row: Chunk, token: str, nonce: str, now: float) -> Chunk | None:
    """The row as it is after the claim; None for one that cannot be claimed.

    The same question, asked again because its answer got lost, finds the claim that it made. Any
    other claim holds as long as its lease, even one under the same token: it may be that of a
    container which was started twice.
    """
    if row.state is ChunkState.RUNNING and row.lease_until > now:
        return row if row.token == token + nonce else None
    return records.claim(row, token, nonce, now, now + LEASE_SECONDS)


def _look(question: Question) -> dict[str, Any]:
    """The shard of a claim as it is now; whoever looks lives, so its lease is renewed."""
    grid = question.grid
    number, slot = question.place()
    shard = grid.table.read_shard(question.session.session_id, number)
    if shard is None:
        return {"shard": None}
    row, now = shard.chunks[slot], grid.clock.now()
    due = row.lease_until - now < LEASE_SECONDS - RENEW_AFTER_SECONDS
    if due and _is_held(question, row):
        shard = grid.table.swap_chunk(shard, slot, records.renew(row, now + LEASE_SECONDS)).shard
        _note(question)
    return {"shard": shard.as_dict()}


def _is_held(question: Question, row: Chunk) -> bool:
    return row.state is ChunkState.RUNNING and is_claimed_by(row.token, question.container)


def _swap(question: Question) -> dict[str, Any]:
    """Write a row that the container holds, and do what follows from it.

    The row of the last chunk closes the session. Raises InvalidRequest for what no worker writes.
    """
    grid, session = question.grid, question.session
    number, slot = question.place()
    old, new = Chunk.read(question.given["old"]), Chunk.read(question.given["new"])
    tasks = session.layout.tasks_in(number * CHUNKS_PER_SHARD + slot)
    if old.tasks != tasks or not _is_held(question, old) or not may_become(old, new):
        raise InvalidRequest(f"chunk {slot} of shard {number} is not yours to change like this")
    stub = Shard(session.session_id, number, (*[Chunk(1)] * slot, old))
    swap = grid.table.swap_chunk(stub, slot, new)
    now_there = swap.shard.chunks[slot]
    if not swap.won and replace(now_there, lease_until=old.lease_until) == old:
        # It was renewed by a look whose answer got lost.
        if new.state is ChunkState.RUNNING:
            new = records.renew(new, now_there.lease_until)
        swap = grid.table.swap_chunk(swap.shard, slot, new)
    if swap.won and new.state is not ChunkState.RUNNING:
        ended = shard_changed(grid, swap.shard, session.shards)
        report_progress(grid, Commit(question.facts, old, swap.shard, slot, ended))
        _note(question)
    return {"won": swap.won, "shard": swap.shard.as_dict()}


def _read_blob(question: Question) -> dict[str, Any]:
    """The tasks of a small session, which are in the table."""
    session = question.session
    blob = question.grid.table.read_blob(session.session_id, session.blob_id)
    return {"blob": base64.b64encode(blob).decode()}


def _report(question: Question) -> dict[str, Any]:
    """How far a job has come. Who does not hold it tells at most how it was cancelled."""
    grid, session = question.grid, question.session
    index, record = (
        question.number("index", session.chunks),
        JobRecord.read(question.given["record"]),
    )
    number, slot = shard_of(index)
    shard = grid.table.read_shard(session.session_id, number)
    row = shard.chunks[slot] if shard is not None and slot < len(shard.chunks) else None
    if session.job is None or row is None:
        raise InvalidRequest(f"session {session.session_id} has no job {index}")
    kept = _is_held(question, row) or row.terminal
    if kept:
        kept = grid.table.put_job(session.session_id, index, fitting(record), session.expires_at)
    return {"kept": kept}


def fitting(record: JobRecord) -> JobRecord:
    """With as many outputs as an item of the table can name (DynamoDB quotas: 400 KB)."""
    size, names = 0, 0
    for file in record.outputs:
        size += len(file.name.encode()) + OUTPUT_BYTES
        if size > MOST_RECORD_BYTES:
            break
        names += 1
    if names == len(record.outputs):
        return record
    said = f"only the first {names} of {len(record.outputs)} outputs are listed"
    error = f"{record.error}; {said}" if record.error else said
    return replace(record, outputs=record.outputs[:names], error=error)


def _sign(question: Question) -> dict[str, Any]:
    """Where an input can be read that the session's owner may read."""
    grid, url = question.grid, str(question.given["url"])
    _refuse_after_end(question)
    if question.session.job is None:
        raise InvalidRequest(f"session {question.session.session_id} is no job: it has no files")
    key = readable_key(grid.settings.bucket, question.session.owner, url)
    if key is None or grid.payloads.head(key) is None:
        raise NotFound(f"there is no file {url[:256]!r} of yours; it may have expired")
    return {"url": grid.payloads.presign_get(key)}


def _leave(question: Question) -> dict[str, Any]:
    _note(question)
    return {}


def _note(question: Question) -> None:
    """When the container was first and last heard of: what it costs."""
    session, now = question.session, question.grid.clock.now()
    assert session.container is not None
    started_at = float(question.given.get("started_at", now))
    if not started_at >= session.created_at:  # also what is no number
        started_at = now
    use = ContainerUse(question.container, session.container, min(started_at, now), now)
    question.grid.table.note_container(session, use)


ACTIONS: dict[str, Callable[[Question], dict[str, Any]]] = {
    "open": _open,
    "lend": _lend,
    "claim": _claim,
    "look": _look,
    "swap": _swap,
    "blob": _read_blob,
    "report": _report,
    "sign": _sign,
    "leave": _leave,
}
