"""What the sweeper does for a federation, beside healing sessions, so that nothing is left behind.

    every minute      nodes that fell silent --> told; ends that were cut off --> finished;
                      the backlog of one node --> runs that have ended are taken out
    a session is due  no task refers to it, minutes after its creation --> cleared away

Where there is no federation that is a few short queries. Each part can be repeated, and is:
whatever it is cut off from, the next minute goes on with.
"""

from collections.abc import Callable
from functools import partial

from ..cancellation import cancel_open
from ..names import runs_prefix
from ..outputs import forget_session
from ..records import Session
from ..telemetry import logger
from .backlog import backlog_of
from .endings import ORPHAN_SECONDS, Aim, Ending, note_ended, note_ending
from .presence import look_for_lost
from .records import FederatedTask, Node, run_id, run_place
from .run_rows import read_runs
from .service import Federation
from .task_ending import delete_task, kill_task

#: Entries of a backlog that are looked at in a minute.
MOST_ENTRIES = 100


def look_after(federation: Federation) -> int:
    """Every minute; answers how many things were mended."""
    parts = (look_for_lost, finish_endings, tidy_backlog)
    return sum(_try(part.__name__, partial(part, federation)) for part in parts)


def _try(what: str, mend: Callable[[], int]) -> int:
    """What can't be mended now must not keep the rest from being done."""
    try:
        return mend()
    except Exception:
        logger.exception("could not be mended", what=what)
        return 0


def finish_endings(federation: Federation) -> int:
    """Kill and delete what somebody was at killing or deleting."""
    now = federation.grid.clock.now()
    ripe = [each for each in federation.registry.find_all(Ending) if each.ripe_at <= now]
    return sum(_try(f"task {each.id}", partial(_finish, federation, each)) for each in ripe)


def _finish(federation: Federation, ending: Ending) -> int:
    task = federation.registry.find(FederatedTask, ending.id)
    if ending.aim == Aim.CLEAR:
        if task is None:
            _clear_away(federation, ending.session_id)
    elif task is not None:
        (delete_task if ending.aim == Aim.DELETE else kill_task)(federation, task)
    note_ended(federation, ending.id, Aim(ending.aim))
    return 1


def tidy_backlog(federation: Federation) -> int:
    """Of one node after the other: what nodes do themselves while they ask for work."""
    nodes = federation.registry.find_all(Node)
    if not nodes:
        return 0
    turn = int(federation.grid.clock.now() // 60)
    node = nodes[turn % len(nodes)]
    listed = backlog_of(node.organization_id, node.collaboration_id)
    ids = federation.table.list_ids(listed)
    start = turn // len(nodes) * MOST_ENTRIES % max(1, len(ids) + -len(ids) % MOST_ENTRIES)
    ended = [id for id in ids[start : start + MOST_ENTRIES] if _has_ended(federation, id)]
    if ended:
        federation.table.take_out(listed, ended)
    return len(ended)


def _has_ended(federation: Federation, run: int) -> bool:
    """One without a task may be of a task that is being made."""
    task_id, index = run_place(run)
    task = federation.registry.find(FederatedTask, task_id)
    session = federation.grid.table.read_session(task.session_id) if task is not None else None
    if session is None:
        return False
    if session.verdict is not None:
        return True
    rows = read_runs(federation.grid, session)
    return index < len(rows) and rows[index].terminal


def take_over(federation: Federation, session: Session) -> bool:
    """Of a session that is due: is it one of no task? Then it is not to be healed, but ended."""
    if session.federation is None or session.deleted:
        return False
    task = federation.registry.find(FederatedTask, session.federation.task_id)
    if task is not None and task.session_id == session.session_id:
        return False
    ripe_at = session.created_at + ORPHAN_SECONDS
    if federation.grid.clock.now() < ripe_at:
        federation.grid.table.postpone(session.session_id, ripe_at)
        return True
    task_id = session.federation.task_id
    note_ending(federation, Ending(task_id, Aim.CLEAR, session.session_id))
    _clear(federation, session)
    note_ended(federation, task_id, Aim.CLEAR)
    return True


def _clear_away(federation: Federation, session_id: str) -> None:
    session = federation.grid.table.read_session(session_id)
    if session is not None:
        _clear(federation, session)
    else:  # inputs are stored before it
        federation.grid.payloads.delete_prefix(runs_prefix(session_id))


def _clear(federation: Federation, session: Session) -> None:
    """No node can take its runs, for these are found by their task."""
    facts = session.federation
    assert facts is not None

    def take_out(index: int) -> None:
        listed = backlog_of(facts.organization_ids[index], facts.collaboration_id)
        federation.table.take_out(listed, [run_id(facts.task_id, index)])

    federation.grid.each(take_out, range(len(facts.organization_ids)))
    cancel_open(federation.grid, session)
    left = federation.grid.table.read_session(session.session_id)
    if left is not None and not left.deleted:
        forget_session(federation.grid, left)
    logger.info("session without a task ended", session_id=session.session_id)
