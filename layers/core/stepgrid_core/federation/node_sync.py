"""The long poll of stepgrid's own node: what it has to do, and what it has to stop.

    node --held runs, room for more--> renew leases --> hand out what waits --> answer soon, or late

A claim bears the process that made it, so what was handed out in an answer that got lost is handed
out again to that process, and to no other.

A request outlives a process that ended while it waited for the answer: what it took then would be
nobody's until its lease ends. So it takes nothing once the process has left, or another one asks.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..errors import NotFound
from ..long_poll import poll
from ..records import Session
from ..wiring import Grid
from .backlog import backlog_of, drop_run
from .http import Answer, Call, Refused, Route
from .nodes import note_instance
from .presence import let_go, welcome
from .principals import NodePrincipal
from .records import Collaboration, FederatedTask, Node, RunRecord, run_id, run_place
from .run_rows import claim_of, claim_run, read_run, renew_run
from .runs import keep_record
from .service import Federation
from .sessions import read_input
from .statuses import INITIALIZING
from .task_shapes import show_run, show_task
from .task_state import RunState, read_task

MOST_WAIT_SECONDS = 20.0
MOST_CAPACITY = 64
#: Inputs in one answer: 6 MB of a function's can be used (Lambda quotas), as text within text.
MOST_INPUT_CHARACTERS = 4_500_000
_INSTANCE = re.compile(r"[0-9a-f]{16,32}")


@dataclass(frozen=True, slots=True)
class Sync:
    """What a node asked."""

    instance: str
    holding: Mapping[int, str]  #: claims by run ids
    capacity: int
    wait_seconds: float
    leaving: bool = False  #: the process ends: this is its last word


@dataclass(frozen=True, slots=True)
class Handout:
    """A run that is now the node's."""

    task: FederatedTask
    index: int
    claim: str
    input: str


@dataclass(frozen=True, slots=True)
class News:
    runs: tuple[Handout, ...] = ()
    stop: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.stop)


def sync(call: Call) -> Answer:
    """Raises Refused."""
    principal, federation = call.principal, call.federation
    assert isinstance(principal, NodePrincipal)
    node = principal.node
    if call.number("id") != node.id:
        raise Refused(HTTPStatus.NOT_FOUND, f"Node id={call.number('id')} is not found")
    asked = read_sync(call.json())
    news = News()
    if asked.leaving:
        let_go(federation, node, asked.instance)
    else:
        welcome(federation, node)
        note_instance(federation.registry, node, asked.instance)
        desk = Desk(federation, node, asked)
        news = poll(federation.grid.clock, asked.wait_seconds, desk.look, bool)
    return Answer(
        {
            "runs": [_show(call, node, each) for each in news.runs],
            "stop": list(news.stop),
            "lease_seconds": federation.grid.settings.node_lease_seconds,
        }
    )


def read_sync(body: Mapping[str, Any]) -> Sync:
    """Raises Refused."""
    try:
        instance = str(body["instance"])
        holding = {int(each["run_id"]): str(each["claim"]) for each in body.get("holding", ())}
        capacity, wait_seconds = int(body.get("capacity", 1)), float(body.get("wait_seconds", 0))
        fits = 0 <= wait_seconds <= MOST_WAIT_SECONDS and 0 <= capacity <= MOST_CAPACITY
        if not _INSTANCE.fullmatch(instance) or not fits or len(holding) > 2 * MOST_CAPACITY:
            raise ValueError
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", {}) from None
    return Sync(instance, holding, capacity, wait_seconds, body.get("leaving") is True)


class Desk:
    """Serves one request; it remembers what it has read of tasks, which do not change."""

    def __init__(self, federation: Federation, node: Node, asked: Sync) -> None:
        self._federation = federation
        self._node = node
        self._asked = asked
        self._lease_seconds = federation.grid.settings.node_lease_seconds
        self._tasks: dict[int, tuple[FederatedTask, Session] | None] = {}

    def look(self) -> News:
        """What there is now."""
        stop = tuple(
            run for run, claim in self._asked.holding.items() if not self._is_held(run, claim)
        )
        return News(tuple(self._take()), stop)

    def _is_held(self, run: int, claim: str) -> bool:
        """Renews the lease, where that is due."""
        known = self._find(run)
        if known is None:
            return False
        _, session = known
        index, grid = run_place(run)[1], self._federation.grid
        return renew_run(grid, session, index, claim, self._lease_seconds)

    def _take(self) -> list[Handout]:
        waiting = self._waiting()
        if not waiting or not self._is_awaited():
            return []
        taken: list[Handout] = []
        size = 0
        for run in waiting:
            with_it = size + self._size(run)
            if len(taken) >= self._asked.capacity or (taken and with_it > MOST_INPUT_CHARACTERS):
                break
            handout = self._claim(run)
            if handout is not None:
                taken.append(handout)
                size = with_it
        return taken

    def _size(self, run: int) -> int:
        """Of its input and its task, at most. Told before: what is taken has to be answered."""
        known = self._find(run)
        if known is None:
            return 0
        task, session = known
        return session.input.size + len(json.dumps(task.as_values()))

    def _waiting(self) -> Sequence[int]:
        if not self._asked.capacity:
            return ()
        listed = backlog_of(self._node.organization_id, self._node.collaboration_id)
        ids = self._federation.table.list_ids(listed, limit=10 * MOST_CAPACITY)
        return [id for id in ids if id not in self._asked.holding]

    def _is_awaited(self) -> bool:
        """Is the answer still waited for, by a node that may have it?

        Read anew: it may have been asked for 20 s ago, with a key that is none any more.
        """
        registry, node = self._federation.registry, self._node
        found = registry.find(Node, node.id)
        if found is None or found.instance != self._asked.instance:
            return False
        place = registry.find(Collaboration, node.collaboration_id)
        is_member = place is not None and node.organization_id in place.organization_ids
        return is_member and found.key_hash == node.key_hash

    def _claim(self, run: int) -> Handout | None:
        known, index = self._find(run), run_place(run)[1]
        if known is None:
            return None
        task, session = known
        grid = self._federation.grid
        chunk = claim_run(grid, session, index, self._asked.instance, self._lease_seconds)
        if chunk is None:
            if _is_over(grid, session, index):
                drop_run(self._federation, task, index, run)
            return None
        record = RunRecord(run_id(task.id, index), INITIALIZING, chunk.attempt, self._node.id)
        keep_record(self._federation, record)
        return Handout(task, index, claim_of(chunk), read_input(grid, session, index))

    def _find(self, run: int) -> tuple[FederatedTask, Session] | None:
        """Of a run of this node's; None for any other, and for one that is not quite there yet."""
        task_id, index = run_place(run)
        if task_id not in self._tasks:
            self._tasks[task_id] = self._read(task_id)
        known = self._tasks[task_id]
        if known is None:
            del self._tasks[task_id]
            return None
        task, _ = known
        own = (
            task.collaboration_id == self._node.collaboration_id
            and index < len(task.organization_ids)
            and task.organization_ids[index] == self._node.organization_id
        )
        return known if own else None

    def _read(self, task_id: int) -> tuple[FederatedTask, Session] | None:
        task = self._federation.registry.find(FederatedTask, task_id)
        if task is None:
            return None
        session = self._federation.grid.table.read_session(task.session_id)
        return None if session is None or session.deleted else (task, session)


def _is_over(grid: Grid, session: Session, index: int) -> bool:
    try:
        return read_run(grid, session, index).terminal
    except NotFound:  # deleted this moment
        return True


def _show(call: Call, node: Node, handout: Handout) -> dict[str, Any]:
    state = read_task(call.federation, handout.task)
    run: RunState = state.runs[handout.index]
    shown = show_run(call, run, node, handout.input)
    return {**shown, "task": show_task(call, state), "claim": handout.claim}


ROUTES = (Route("POST", "/node/{id}/sync", sync, who=("node",)),)
