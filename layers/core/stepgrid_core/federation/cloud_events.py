"""Which runs of nodes in the cloud are to be looked at: by what the bus tells, and once a minute.

    task created, or killed; end of a session that did a run --> bus --> executor: advance
    sweeper: ask_for_open, what waits or is noted -------------> bus ----'

An event may get lost: whatever is open is told of again when the sweeper looks the next time.
"""

from collections.abc import Sequence

from ..errors import Unavailable
from ..telemetry import logger
from .backlog import backlog_of
from .cloud_nodes import OWNER_PREFIX, RUN_TAG
from .cloud_runs import OPEN_RUNS
from .events import FederationEvent, FederationKind
from .records import CloudRun, FederatedTask, Node, run_id
from .service import Federation

#: Runs in one event: the executor looks at several at once, and has a few minutes for them.
RUNS_PER_EVENT = 50
#: Runs that wait for one node, of which a sweep tells.
MOST_WAITING = 200


def runs_about(federation: Federation, event: FederationEvent) -> list[int]:
    """Those that a piece of news may change."""
    facts = event.facts
    if event.kind is FederationKind.TASK_CREATED:
        return _runs_of_task(federation, int(facts["id"]))
    if event.kind is FederationKind.CLOUD_DUE:
        return [int(run) for run in facts["run_ids"]]
    if event.kind is not FederationKind.KILL:
        return []
    if "node_id" in facts:
        noted = federation.registry.find_many(CloudRun, _noted(federation))
        return [note.id for note in noted if note.node_id == facts["node_id"]]
    killed = {int(each["run_id"]) for each in facts["kill_list"]}
    return sorted(killed & set(_noted(federation)))


def run_of_session(federation: Federation, session_id: str) -> int | None:
    """Which run it did; None if that is not what it was for."""
    session = federation.grid.table.read_session(session_id)
    if session is None or not session.owner.startswith(OWNER_PREFIX):
        return None
    return int(session.tags[RUN_TAG])


def ask_for_open(federation: Federation) -> int:
    """Have all that is open looked at; answers how many runs.

    For the sweeper: it may read the table and publish, which is all that this takes. Where the bus
    does not answer, the next minute asks again.
    """
    runs = sorted({*_noted(federation), *_waiting(federation)})
    now = federation.grid.clock.now()
    starts = range(0, len(runs), RUNS_PER_EVENT)
    events = [_due(runs[start : start + RUNS_PER_EVENT], now) for start in starts]
    try:
        for event in events:
            federation.grid.events.notify([event])
    except Unavailable as error:
        logger.warning("runs in the cloud not asked for", runs=len(runs), reason=str(error))
        return 0
    return len(runs)


def _due(runs: Sequence[int], now: float) -> FederationEvent:
    """Of no collaboration in particular: nobody but the executor is told."""
    event_id = f"cloud-due-{runs[0]}-{now:.0f}"
    facts = {"run_ids": list(runs)}
    return FederationEvent(FederationKind.CLOUD_DUE, event_id, now, 0, (), facts)


def _noted(federation: Federation) -> list[int]:
    (listed,) = OPEN_RUNS.lists
    return list(federation.table.list_ids(listed))


def _waiting(federation: Federation) -> list[int]:
    table = federation.table
    lists = [
        backlog_of(node.organization_id, node.collaboration_id)
        for node in federation.registry.find_all(Node)
        if node.cloud is not None
    ]
    return [run for listed in lists for run in table.list_ids(listed, limit=MOST_WAITING)]


def _runs_of_task(federation: Federation, task_id: int) -> list[int]:
    task = federation.registry.find(FederatedTask, task_id)
    if task is None:
        return []
    cloud = {
        node.organization_id
        for node in federation.registry.find_all(Node)
        if node.cloud is not None and node.collaboration_id == task.collaboration_id
    }
    return [run_id(task_id, index) for index, id in enumerate(task.organization_ids) if id in cloud]
