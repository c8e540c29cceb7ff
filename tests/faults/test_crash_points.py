"""A process dies just before or just after any one of its calls to the world.

Submit, run, commit, close and cancel are cut off at every call that they make, one after the other;
then the client repeats itself, or only the sweeper is left. Either way the promises hold.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import pytest

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.data_plane import encode_lines, read_outcomes
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.loss import lose
from stepgrid_core.memory.payload_store import MemoryPayloadStore
from stepgrid_core.names import input_key
from stepgrid_core.outputs import read_output
from stepgrid_core.packing import pack
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Session
from stepgrid_core.session_events import SessionEvent, ended
from stepgrid_core.states import EventKind, SessionState, TaskState
from tests.faults.fuse import POINTS, Fuse, fused
from tests.submitting import submit

OWNER = "owner"


KINDS: dict[str, dict[str, Any]] = {
    "a burst": {"tasks": list(range(5))},
    "a burst of one chunk": {"tasks": list(range(5)), "options": {"chunk_size": 5}},
    "a map of inline tasks": {"tasks": list(range(100)), "options": {"chunk_size": 2}},
    "a burst of stored tasks": {"tasks": ["x" * 1000] * 60, "options": {"chunk_size": 3}},
    "a map of stored tasks": {"tasks": ["x" * 1000] * 60, "options": {"chunk_size": 1}},
    "a map of chunks of many sizes": {
        "tasks": list(range(100)),
        "options": {"task_seconds": 2, "max_concurrency": 2},
    },
    "a map of uploaded parts": {"tasks": list(range(100)), "options": {"chunk_size": 2}},
}
UPLOAD_ID = "0" * 32
UPLOAD_KEY = input_key(OWNER, UPLOAD_ID)


def request_of(kind: str) -> SubmitRequest:
    body: dict[str, Any] = {"client_token": "t", "worker": "echo", **KINDS[kind]}
    if kind == "a map of uploaded parts":
        packed, data = pack(encode_lines(body.pop("tasks")), body["options"]["chunk_size"])
        body["input"] = {**upload_in_parts(MemoryPayloadStore(), data), **asdict(packed)}
    return SubmitRequest.model_validate(body)


def upload_in_parts(payloads: MemoryPayloadStore, data: bytes) -> dict[str, Any]:
    """What a client has done before it submits, and says of it; the grid completes the upload."""
    multipart_id = payloads.start_multipart(UPLOAD_KEY)
    parts = [data[:50], data[50:]]
    etags = [
        payloads.put_part(UPLOAD_KEY, multipart_id, number, part)
        for number, part in enumerate(parts, start=1)
    ]
    return {"upload_id": UPLOAD_ID, "multipart_id": multipart_id, "etags": etags}


def make_memory() -> InMemoryGrid:
    """A grid in memory; the first upload in parts has always the same id."""
    memory = InMemoryGrid({"echo": lambda task, context: task}, autorun=False)
    _, data = pack(encode_lines(KINDS["a map of uploaded parts"]["tasks"]))
    upload_in_parts(memory.payloads, data)
    return memory


def heal(memory: InMemoryGrid) -> None:
    """Only the sweeper and the state machines go on."""
    for _ in range(4):
        memory.run()
        memory.clock.advance(1000)
        memory.sweep()
    memory.run()


def sessions(memory: InMemoryGrid) -> list[Session]:
    return list(memory.table.list_sessions(OWNER, None, None, 10).items)


def results(memory: InMemoryGrid, session: Session) -> list[Any]:
    lines = [
        line
        for shard in memory.table.read_shards(session.session_id)
        for slot in range(len(shard.chunks))
        for line in read_outcomes(read_output(memory.wiring, session, shard, slot))
    ]
    assert [line["i"] for line in lines] == list(range(len(lines)))
    return [line["result"] for line in lines]


def check_finished(memory: InMemoryGrid, kind: str) -> None:
    (session,) = sessions(memory)
    assert session.verdict is SessionState.FINISHED
    assert results(memory, session) == KINDS[kind]["tasks"]
    assert ended(session).event_id in {event.event_id for event in memory.events.published}
    assert memory.table.due_sessions(memory.clock.now() + 1e9, 10) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("repeated", [True, False], ids=["client repeats", "client is gone"])
def test_submit_cut_off_anywhere(kind: str, repeated: bool) -> None:
    """Repeated, it gives the one session; otherwise the sweeper finishes what was begun."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        fuse = Fuse(call, moment)
        try:
            submit(fused(memory.wiring, fuse), OWNER, request_of(kind))
        except EnvironmentDied:
            cut += 1
        if repeated:
            submit(memory.wiring, OWNER, request_of(kind))
        heal(memory)
        if repeated or sessions(memory):
            check_finished(memory, kind)
    assert cut >= 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noticed", [True, False], ids=["death is noticed", "nobody notices"])
def test_run_and_commit_cut_off_anywhere(kind: str, noticed: bool) -> None:
    """The chunk runs again, by the recorder's word or when its lease ends; results appear once."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        session = submit(memory.wiring, OWNER, request_of(kind))
        if not noticed:
            memory.dispatcher.started.clear()
        for chunk in range(session.chunks):
            cut += run_once(memory, session, chunk, Fuse(call, moment), noticed)
        if not noticed:
            memory.dispatcher.stop(session)
        heal(memory)
        check_finished(memory, kind)
    assert cut >= 6


def run_once(memory: InMemoryGrid, session: Session, chunk: int, fuse: Fuse, noticed: bool) -> bool:
    """One worker whose world has the fuse; True if it blew."""
    grid = fused(memory.wiring, fuse)
    invocation = Invocation(facts_of(session), chunk, f"token-{chunk:04d}-a")
    try:
        memory.executions.invoke_on(grid, invocation)
    except EnvironmentDied:
        if noticed:
            lose(memory.wiring, invocation, "Runtime.ExitError")
        return True
    return False


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "one chunk" not in kind])
def test_cancel_cut_off_anywhere(kind: str) -> None:
    """Once it was written down, the sweeper ends what the cancel left; counts always add up."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        session = submit(memory.wiring, OWNER, request_of(kind))
        run_once(memory, session, 0, Fuse(None, ""), noticed=True)
        try:
            cancel(fused(memory.wiring, Fuse(call, moment)), OWNER, [session.session_id])
        except EnvironmentDied:
            cut += 1
        begun = (call, moment) not in {(0, "before"), (0, "after"), (1, "before")}
        memory.clock.advance(100)
        memory.sweep()
        (stored,) = sessions(memory)
        if begun:
            assert stored.verdict is SessionState.CANCELLED
        heal(memory)
        (stored,) = sessions(memory)
        assert stored.counts is not None
        assert sum(stored.counts.values()) == stored.tasks
        assert stored.counts[TaskState.FINISHED] >= stored.layout.tasks_in(0)
    assert cut >= 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_whose_submit_was_cut_off_can_be_cancelled(kind: str) -> None:
    """All of its tasks are counted, and the repeated submit starts none of them."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        try:
            submit(fused(memory.wiring, Fuse(call, moment)), OWNER, request_of(kind))
        except EnvironmentDied:
            cut += 1
        for session in sessions(memory):
            counts = cancel(memory.wiring, OWNER, [session.session_id])[session.session_id]
            assert counts.total_cancelled_tasks == session.tasks
            submit(memory.wiring, OWNER, request_of(kind))
            heal(memory)
            (stored,) = sessions(memory)
            assert stored.verdict is SessionState.CANCELLED
            assert stored.counts is not None
            assert stored.counts[TaskState.CANCELLED] == session.tasks
    assert cut >= 6


class TornTable:
    """Gives no answer to who commits and closes at once, whether it did so or not."""

    def __init__(self, table: StateTable, *, does_it: bool) -> None:
        self._table = table
        self._does_it = does_it

    def commit_and_close(self, *what: Any) -> None:
        if self._does_it:
            self._table.commit_and_close(*what)
        raise Unavailable("no answer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


@pytest.mark.parametrize("does_it", [True, False])
def test_a_commit_without_an_answer_is_not_lost(does_it: bool) -> None:
    """The row is written alone then: no task runs again, and the session is closed and told."""
    kind = "a burst of one chunk"
    started: list[int] = []
    memory = InMemoryGrid({"echo": lambda task, _: started.append(task) or task}, autorun=False)
    torn = cast("StateTable", TornTable(memory.table, does_it=does_it))
    session = submit(memory.wiring, OWNER, request_of(kind))
    invocation = Invocation(facts_of(session), 0, "token-0000-a")
    memory.executions.invoke_on(replace(memory.wiring, table=torn), invocation)
    (stored,) = sessions(memory)
    assert stored.verdict is SessionState.FINISHED
    heal(memory)
    check_finished(memory, kind)
    assert started == KINDS[kind]["tasks"]


class DeafBus:
    """An event bus that takes nothing."""

    def publish(self, events: Sequence[SessionEvent]) -> None:
        raise Unavailable("no room on the bus")


def test_a_lost_event_costs_nothing_but_itself() -> None:
    """Sessions close and cancels answer while the bus is down; later the sweeper tells it."""
    memory = make_memory()
    deaf = replace(memory.wiring, events=DeafBus())
    session = submit(deaf, OWNER, request_of("a burst"))
    counts = cancel(deaf, OWNER, [session.session_id])[session.session_id]
    assert counts.total_cancelled_tasks == session.tasks
    assert memory.events.published == []
    memory.clock.advance(61)
    memory.sweep()
    (event,) = memory.events.published
    assert (event.session_id, event.kind) == (session.session_id, EventKind.CANCELLED)
