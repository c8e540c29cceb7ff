"""Containers die, are taken away, live on too long or never begin; their sessions end all the same.

The pullers are the real ones, and so is the broker; what they lack is Fargate.
"""

import itertools
import json
from dataclasses import replace
from typing import Any, cast

import pytest

from stepgrid.testing import EnvironmentDied
from stepgrid.testing.containers import MemoryBroker
from stepgrid_core.broker import LEASE_SECONDS
from stepgrid_core.cancellation import permit_seconds
from stepgrid_core.container_loss import Replacement
from stepgrid_core.invocation import facts_of
from stepgrid_core.loss import settle
from stepgrid_core.outputs import list_tasks
from stepgrid_core.ports import StateTable
from stepgrid_core.records import MAX_IDLE_LOSSES, NO_ANSWER, Session, count
from stepgrid_core.states import ChunkState, FailureReason, SessionState, TaskState
from tests.faults.agreement import agreed_counts
from tests.faults.fleet import (
    DIED,
    FAILED,
    FIRST,
    OWNER,
    SECOND,
    SPOT_TAKEN,
    THIRD,
    Fleet,
    FusedBroker,
)
from tests.faults.fuse import POINTS, Fuse, fused

NO_SPOT = "Capacity is unavailable at this time. Please try again later"


@pytest.mark.parametrize("noticed", [True, False], ids=["death is noticed", "nobody notices"])
@pytest.mark.parametrize("chunk_size", [1, 6])
def test_a_container_cut_off_at_any_question(noticed: bool, chunk_size: int) -> None:
    """Its chunk runs again, by the recorder's word or when its lease ends; results appear once."""
    for point in POINTS:
        fleet = Fleet(chunk_size=chunk_size)
        cut = False
        try:
            broker = FusedBroker(MemoryBroker(fleet.grid), Fuse(*point))
            fleet.puller(FIRST, broker=broker).pull(fleet.runner)
        except EnvironmentDied:
            cut = True
        if noticed and cut:
            fleet.end(FIRST)
        if not noticed:
            fleet.forget_execution()
        fleet.heal()
        fleet.check_finished()
        if not cut:
            return
    pytest.fail("there are more questions than points")


@pytest.mark.parametrize("chunk_size", [1, 3, 12])
def test_the_broker_itself_is_cut_off_anywhere(chunk_size: int) -> None:
    """Just before or after any call that it makes, and the container with it."""
    for call, moment in itertools.product(range(400), ("before", "after")):
        fleet = Fleet(tasks=12, chunk_size=chunk_size)
        fuse = Fuse(call, moment)
        broker = MemoryBroker(fused(fleet.grid, fuse))
        cut = False
        try:
            fleet.puller(FIRST, broker=broker).pull(fleet.runner)
        except EnvironmentDied:
            cut = True
        fleet.forget_execution()
        fleet.heal()
        fleet.check_finished()
        if not cut:
            return


@pytest.mark.parametrize("killer", range(6))
@pytest.mark.parametrize("chunk_size", [1, 2, 6])
def test_a_task_that_kills_its_container_fails_alone(killer: int, chunk_size: int) -> None:
    """After as many starts as it may have; those beside it finish."""
    fleet = Fleet(chunk_size=chunk_size, max_attempts=2)
    fleet.poison = {killer}
    fleet.heal()
    assert fleet.stored.verdict is SessionState.FINISHED
    assert fleet.starts[killer] == 2
    (failed,) = list_tasks(
        fleet.grid, OWNER, fleet.session.session_id, TaskState.FAILED, None
    ).tasks
    assert (failed.index, failed.reason) == (killer, FailureReason.WORKER_LOST)
    assert agreed_counts(fleet.memory, OWNER, fleet.session.session_id).finished == 5


@pytest.mark.parametrize(
    ("error", "cause"),
    [(FAILED, DIED), ("ECS.ClientException", "no such image"), ("", "")],
    ids=["fails", "cannot start", "ends at once as if all were well"],
)
@pytest.mark.parametrize("containers", [1, 3])
def test_containers_that_never_begin_end_their_session(
    error: str, cause: str, containers: int
) -> None:
    """A broken package is started a few times, and never for ever."""
    fleet = Fleet(container={"count": containers})
    tokens = (f"{number:08x}" for number in itertools.count())
    started, left = 0, containers
    while left:
        wanted = [True] * left
        while any(wanted):
            started += sum(wanted)
            wanted = [fleet.end(next(tokens), error, cause).wanted for each in wanted if each]
        left = len(settle(fleet.grid, facts_of(fleet.session)))
    assert fleet.stored.verdict is SessionState.FINISHED
    assert MAX_IDLE_LOSSES <= started <= (MAX_IDLE_LOSSES + 1) * containers
    counts = agreed_counts(fleet.memory, OWNER, fleet.session.session_id)
    assert counts.failed == fleet.session.tasks


def test_one_mishap_of_all_containers_at_once_ends_nothing() -> None:
    """A registry that is away for a moment fails many starts: of each container its first."""
    fleet = Fleet(tasks=80, container={"count": 40})
    mishap = "CannotPullContainerError: dial tcp: i/o timeout"
    for number in range(40):
        assert fleet.end(f"{number * 2654435761 % 2**32:08x}", FAILED, mishap).wanted
    assert {row.state for row in fleet.rows()} == {ChunkState.PENDING}
    assert sum(row.idle_losses for row in fleet.rows()) == 40


class SpotAlone:
    """Knows every session as one that never runs on demand."""

    def __init__(self, table: StateTable) -> None:
        self._table = table

    def read_session(self, session_id: str) -> Session | None:
        session = self._table.read_session(session_id)
        assert session is not None
        assert session.container is not None
        return replace(session, container=replace(session.container, fallback=False))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


class TestSpot:
    def test_one_that_was_taken_is_replaced_on_demand(self) -> None:
        """And the next one after that is on Spot again."""
        fleet = Fleet(container={"spot": True})
        assert fleet.end(FIRST, cause=SPOT_TAKEN) == Replacement(wanted=True, spot=False)
        assert fleet.end(SECOND) == Replacement(wanted=True, spot=True)

    def test_where_spot_has_no_room_it_is_on_demand(self) -> None:
        """ECS says so in words."""
        fleet = Fleet(container={"spot": True})
        assert fleet.end(FIRST, "ECS.AmazonECSException", NO_SPOT).spot is False

    def test_who_wants_spot_alone_waits_for_it(self) -> None:
        """For as long as the session lasts."""
        fleet = Fleet(container={"spot": True})
        fleet.grid = replace(fleet.grid, table=cast("StateTable", SpotAlone(fleet.grid.table)))
        assert fleet.end(FIRST, cause=SPOT_TAKEN) == Replacement(wanted=True, spot=True)

    def test_who_wants_none_gets_none(self) -> None:
        """Whatever happens to a container."""
        fleet = Fleet(container={"spot": False})
        for cause in (SPOT_TAKEN, DIED, NO_SPOT):
            assert fleet.end(FIRST, cause=cause).spot is False

    @pytest.mark.parametrize(
        "cause",
        [
            SPOT_TAKEN,
            NO_SPOT,
            "Rate exceeded",
            "You've reached the limit on the number of vCPUs you can run concurrently",
            json.dumps(
                {"Failures": [{"Arn": "a", "Reason": "Capacity is unavailable at this time"}]}
            ),
            json.dumps({**json.loads(DIED), "Containers": [{"ExitCode": NO_ANSWER}]}),
        ],
    )
    def test_want_of_room_is_held_against_nobody(self, cause: str) -> None:
        """However often it happens, nothing is lost and another one follows."""
        fleet = Fleet()
        for number in range(3 * MAX_IDLE_LOSSES):
            assert fleet.end(f"{number:08x}", cause=cause).wanted
        assert {row.idle_losses for row in fleet.rows()} == {0}
        fleet.heal()
        fleet.check_finished()

    @pytest.mark.parametrize("name", ["throttled", "rate exceeded", "spotinterruption"])
    def test_a_name_is_no_reason(self, name: str) -> None:
        """What users call their things is in the description of a task, and says nothing."""
        environment = [{"Name": "STEPGRID_FUNCTION", "Value": f"grid-worker-{name}"}]
        overrides = {"ContainerOverrides": [{"Name": "worker", "Environment": environment}]}
        said = {**json.loads(DIED), "Overrides": overrides, "Group": name}
        fleet = Fleet()
        for number in range(MAX_IDLE_LOSSES):
            fleet.end(f"{number:08x}", cause=json.dumps(said))
        assert fleet.stored.verdict is SessionState.FINISHED

    @pytest.mark.parametrize("cause", ["[]", "7", "null", '{"Containers": null}', '{"Reason": 1}'])
    def test_whatever_ecs_says_is_read(self, cause: str) -> None:
        """A description of another shape is a failure like any other."""
        assert Fleet().end(FIRST, cause=cause).wanted


class TestStop:
    @pytest.mark.parametrize("task", range(6))
    def test_what_is_left_is_handed_back(self, task: int) -> None:
        """Another container finishes it, and no task is started twice."""
        fleet = Fleet(chunk_size=3)
        puller = fleet.puller(FIRST)

        def stop() -> None:
            puller.stopping.begin()
            fleet.memory.clock.advance(permit_seconds(fleet.session.watch_seconds))

        fleet.meanwhile[task] = stop
        puller.pull(fleet.runner)
        assert sum(fleet.starts.values()) == task + 1, "its permit has ended with the stop"
        assert ChunkState.RUNNING not in {row.state for row in fleet.rows()}
        assert fleet.end(FIRST, cause=SPOT_TAKEN).wanted is (task < 5)
        fleet.puller(SECOND).pull(fleet.runner)
        fleet.check_finished()
        assert set(fleet.starts.values()) == {1}

    def test_one_that_was_stopped_before_its_first_chunk_takes_none(self) -> None:
        """It has a successor."""
        fleet = Fleet()
        puller = fleet.puller(FIRST)
        puller.stopping.begin()
        assert puller.pull(fleet.runner) == 0
        assert fleet.end(FIRST, cause=SPOT_TAKEN).wanted


class TestOverlaps:
    @pytest.mark.parametrize("second", [FIRST, SECOND], ids=["under the same token", "another one"])
    def test_two_that_take_turns_do_each_chunk_once(self, second: str) -> None:
        """Also a container that ECS started twice under one token."""
        fleet = Fleet(tasks=8)
        pullers = [fleet.puller(FIRST), fleet.puller(second)]
        while True:
            claims = [(puller, puller.claim()) for puller in pullers]
            for puller, claim in claims:
                if claim is not None:
                    puller.run(claim, fleet.runner())
            if not any(claim for _, claim in claims):
                break
        fleet.check_finished()
        assert set(fleet.starts.values()) == {1}
        assert {row.losses for row in fleet.rows()} == {0}

    def test_one_that_lives_on_has_nothing_to_say(self) -> None:
        """Its claim was taken over: what it writes is refused, and what the other found stays."""
        fleet = Fleet(chunk_size=6)
        late = fleet.puller(FIRST)
        claim = late.claim()
        assert claim is not None
        fleet.memory.clock.advance(LEASE_SECONDS + 1)
        taken = fleet.puller(SECOND).claim()
        assert taken is not None
        assert late.run(claim, fleet.runner()) == "ended"
        assert fleet.rows()[0].finished == 0
        fleet.puller(THIRD).pull(fleet.runner)
        fleet.memory.clock.advance(LEASE_SECONDS + 1)
        fleet.puller(THIRD).pull(fleet.runner)
        fleet.check_finished()

    @pytest.mark.parametrize("task", range(6))
    def test_taken_over_in_the_middle(self, task: int) -> None:
        """While it is thought dead it runs on: whoever has the row then finishes alone."""
        fleet = Fleet(chunk_size=3)

        def overtake() -> None:
            fleet.memory.clock.advance(LEASE_SECONDS + 1)
            fleet.puller(SECOND).pull(fleet.runner)

        fleet.meanwhile[task] = overtake
        fleet.puller(FIRST).pull(fleet.runner)
        fleet.check_finished()
        assert all(starts <= 2 for starts in fleet.starts.values())

    def test_given_back_while_it_lives(self) -> None:
        """The state machine thought that it had ended; its successor has the chunk."""
        fleet = Fleet(chunk_size=6)

        def replace_it() -> None:
            assert fleet.end(FIRST).wanted
            fleet.puller(SECOND).pull(fleet.runner)

        fleet.meanwhile[2] = replace_it
        fleet.puller(FIRST).pull(fleet.runner)
        fleet.check_finished()

    def test_an_end_told_twice_is_one(self) -> None:
        """The recorder is asked again if its answer was lost."""
        fleet = Fleet()
        fleet.puller(FIRST).claim()
        first = fleet.end(FIRST)
        rows = fleet.rows()
        assert fleet.end(FIRST) == first
        assert fleet.rows() == rows


def test_a_dead_execution_is_replaced() -> None:
    """Container and execution are gone without a word: the sweeper starts another one."""
    fleet = Fleet()
    puller = fleet.puller(FIRST)
    assert puller.claim() is not None
    fleet.forget_execution()
    fleet.memory.clock.advance(LEASE_SECONDS + 1)
    fleet.memory.sweep()
    (again,) = fleet.memory.dispatcher.started
    assert again.number == 2
    fleet.heal()
    fleet.check_finished()


def test_a_session_that_is_gone_ends_its_containers() -> None:
    """Deleted, it has no ticket, and nobody follows."""
    fleet = Fleet()
    fleet.grid.table.delete_session(fleet.stored)
    assert not fleet.end(FIRST).wanted
    assert fleet.rows() == []


def test_counts_add_up_while_containers_die() -> None:
    """After each death, whichever task it was."""
    fleet = Fleet(tasks=12, chunk_size=4)
    for number, task in enumerate(range(0, 12, 3)):
        fleet.poison = {task}
        container = f"{number:08x}"
        with pytest.raises(EnvironmentDied):
            fleet.puller(container).pull(fleet.runner)
        assert sum(count(fleet.rows()).values()) == 12
        fleet.end(container)
        agreed_counts(fleet.memory, OWNER, fleet.session.session_id)
    fleet.poison = set()
    fleet.heal()
    fleet.check_finished()
