"""Whether nodes are there: what follows when one is heard of, and when one goes.

vantage6's nodes say nothing of a run between its begin and its end, so what they hold is theirs for
as long as they are heard of at all. stepgrid's own node says what it holds, see `node_sync`.
"""

from ..states import ChunkState
from . import notices
from .backlog import backlog_of
from .nodes import is_online, note_left, note_online, note_seen
from .records import FederatedTask, Node, RunRecord, run_place
from .run_moves import claim_of, token_of
from .run_rows import read_run, renew_run
from .service import Federation

#: A node of vantage6 that is not heard of for so long loses what it holds.
SILENT_LEASE_SECONDS = 900.0


def claimant_of(node: Node) -> str:
    """Of nodes that show no claim: any process that has the node's key is the node."""
    return f"node{node.id:08d}"


def welcome(federation: Federation, node: Node) -> None:
    """It was heard of; if it was away, the others are told."""
    now = federation.grid.clock.now()
    if is_online(node, now):
        note_seen(federation.registry, node, now)
        return
    note_online(federation.registry, node, now)
    notices.node_online(federation, node)


def welcome_silent(federation: Federation, node: Node) -> None:
    """As `welcome`, and what it holds without a claim stays its own.

    What it has begun has a record; all that only waits is not looked at.
    """
    welcome(federation, node)
    listed = backlog_of(node.organization_id, node.collaboration_id)
    ids = federation.table.list_ids(listed)
    for record in federation.registry.find_many(RunRecord, ids):
        if record.node_id == node.id and record.finished_at is None:
            _keep(federation, node, record.id)


def _keep(federation: Federation, node: Node, run: int) -> None:
    task_id, index = run_place(run)
    task = federation.registry.find(FederatedTask, task_id)
    session = federation.grid.table.read_session(task.session_id) if task is not None else None
    if session is None or session.verdict is not None:
        return
    row = read_run(federation.grid, session, index)
    if row.state is ChunkState.RUNNING and row.token == token_of(claimant_of(node)):
        renew_run(federation.grid, session, index, claim_of(row), SILENT_LEASE_SECONDS)


def bid_farewell(federation: Federation, node: Node) -> None:
    """It is gone. What it holds stays its own for as long as the lease does."""
    note_left(federation.registry, node, federation.grid.clock.now())
    notices.node_offline(federation, node)


def let_go(federation: Federation, node: Node, instance: str) -> None:
    """The process ends. It says nothing about another one of the same node."""
    if node.instance == instance:
        bid_farewell(federation, node)


def look_for_lost(federation: Federation) -> int:
    """Tell of nodes that fell silent since they were last told to be there; answers how many."""
    now = federation.grid.clock.now()
    nodes = federation.registry.find_all(Node)
    lost = [node for node in nodes if node.online and not is_online(node, now)]
    for node in lost:
        bid_farewell(federation, node)
    return len(lost)
