"""Sessions whose tasks are runs: how they are stored, and what is taken for the same again."""

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.admission import show_quota
from stepgrid_core.errors import Conflict, InvalidRequest, QuotaExceeded, RequestTooLarge
from stepgrid_core.federation.run_rows import read_runs
from stepgrid_core.federation.sessions import LIFE_SECONDS, create_session, read_input
from stepgrid_core.records import Chunk, FederationFacts, Session
from stepgrid_core.states import EventKind
from tests.federated import OWNER, SESSION_ID, federate


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({}, autorun=False)


def test_each_organization_has_a_row_that_waits(memory: InMemoryGrid) -> None:
    """Nothing is started, no slot is taken, and two events tell of it."""
    session = federate(memory.wiring)
    assert (session.backend, session.route, session.worker) == ("node", "node", "federation")
    assert (session.slots, session.waiting, session.dispatches) == (0, False, 0)
    assert read_runs(memory.wiring, session) == [Chunk(1)] * 3
    assert memory.dispatcher.started == []
    kinds = [event.kind for event in memory.events.published]
    assert kinds == [EventKind.ACCEPTED, EventKind.STARTED]


def test_a_session_may_wait_without_a_limit(memory: InMemoryGrid) -> None:
    """It is kept for longer than it may last."""
    session = federate(memory.wiring)
    assert session.deadline_at == session.created_at + LIFE_SECONDS
    assert session.expires_at > session.deadline_at
    limited = federate(memory.wiring, session_id="f" + SESSION_ID[1:], timeout_seconds=60)
    assert limited.deadline_at == limited.created_at + 60


@pytest.mark.parametrize("size", [10, 20_000], ids=["in the table", "as an object"])
def test_each_run_has_its_own_input(memory: InMemoryGrid, size: int) -> None:
    """However large they are; objects lie where no rule of the bucket removes them."""
    inputs = [letter * size + "\n\ud800é" for letter in "abc"]
    session = federate(memory.wiring, inputs=inputs)
    assert [read_input(memory.wiring, session, k) for k in range(3)] == inputs
    keys = memory.payloads.list_keys()
    assert [key.startswith(f"federation/{SESSION_ID}/inputs/") for key in keys] == [True] * (
        size > 10_000
    )


@pytest.mark.parametrize("organizations", [1, 16, 17, 200])
def test_the_same_again_is_the_same_session(memory: InMemoryGrid, organizations: int) -> None:
    """However many shards it has; later too, and without another event."""
    session = federate(memory.wiring, organizations)
    memory.clock.advance(1000)
    assert federate(memory.wiring, organizations) == session
    assert read_runs(memory.wiring, session) == [Chunk(1)] * organizations
    assert len(memory.events.published) == 2


def test_an_id_means_one_content(memory: InMemoryGrid) -> None:
    federate(memory.wiring)
    with pytest.raises(Conflict, match="other inputs"):
        federate(memory.wiring, inputs=["x", "y", "z"])


def test_an_id_of_a_deleted_session_is_not_used_again(memory: InMemoryGrid) -> None:
    memory.table.delete_session(federate(memory.wiring))
    with pytest.raises(Conflict, match="deleted"):
        federate(memory.wiring)


def test_the_quota_of_its_owner_holds() -> None:
    """Refused without a trace; what is there already is not refused."""
    memory = InMemoryGrid({}, autorun=False, settings={"owner_tasks": 4})
    session = federate(memory.wiring)
    assert show_quota(memory.wiring, OWNER).tasks == 3
    with pytest.raises(QuotaExceeded):
        federate(memory.wiring, session_id="f" + SESSION_ID[1:], inputs=["x" * 20_000] * 3)
    assert memory.payloads.list_keys() == []
    assert federate(memory.wiring) == session


def test_inputs_have_to_fit(memory: InMemoryGrid) -> None:
    """One for each organization, and together no more than a session may have."""
    with pytest.raises(InvalidRequest, match="2 organizations and 1 inputs"):
        create_session(
            memory.wiring,
            OWNER,
            session_id=SESSION_ID,
            facts=FederationFacts(1, 1, (1, 2)),
            inputs=["x"],
        )
    small = InMemoryGrid({}, settings={"max_input_mib": 1})
    with pytest.raises(RequestTooLarge):
        federate(small.wiring, inputs=["x" * 600_000] * 3)


def test_what_is_told_of_the_federation_is_read_again(memory: InMemoryGrid) -> None:
    session = federate(memory.wiring)
    assert Session.read(session.as_dict()) == session
    old = session.as_dict()
    del old["federation"]
    assert Session.read(old).federation is None
