"""The contract of the WorkerRegistry port."""

from dataclasses import replace

from stepgrid_core.aws.state_table import AwsStateTable
from stepgrid_core.aws.worker_registry import AwsWorkerRegistry
from stepgrid_core.budgets import Limits
from stepgrid_core.ports import WorkerRegistry
from stepgrid_core.records import Work
from stepgrid_core.task_time import Measurement, TaskTime

from .aws_stack import AwsStack
from .samples import NOW, OWNER, PRICER, finished, make_session


def test_what_was_never_registered_is_unknown(registry: WorkerRegistry) -> None:
    """No registration, no limit, and nothing to unregister."""
    assert registry.read("pricer") is None
    assert registry.read_limit("pricer") is None
    assert registry.list_registered() == []
    assert registry.unregister("pricer") is False


def test_a_registration_is_read_as_it_was_written(registry: WorkerRegistry) -> None:
    """Every field comes back."""
    registry.register(PRICER)
    assert registry.read("pricer") == PRICER
    assert registry.read_limit("pricer") == PRICER.concurrency


def test_registering_again_replaces(registry: WorkerRegistry) -> None:
    """Also a limit that the new registration does not have."""
    registry.register(PRICER)
    newer = replace(PRICER, target=f"{PRICER.target}:live", runtime="", concurrency=None)
    registry.register(newer)
    assert registry.read("pricer") == newer
    assert registry.list_registered() == [newer]


def test_registrations_are_listed_by_name(registry: WorkerRegistry) -> None:
    """Whatever the order in which they were made."""
    for name in ("zeta", "alpha", "pricer"):
        registry.register(replace(PRICER, name=name))
    assert [one.name for one in registry.list_registered()] == ["alpha", "pricer", "zeta"]


def test_what_was_unregistered_is_gone_with_its_limit(registry: WorkerRegistry) -> None:
    """The first call says that there was something, the second that there was not."""
    registry.register(PRICER)
    assert registry.unregister("pricer") is True
    assert registry.unregister("pricer") is False
    assert (registry.read("pricer"), registry.read_limit("pricer")) == (None, None)
    assert registry.list_registered() == []


def test_a_limit_is_of_any_worker(registry: WorkerRegistry) -> None:
    """A limited package is no registered function; None takes a limit away."""
    registry.limit("package", 9)
    assert registry.read_limit("package") == 9
    assert registry.read("package") is None
    assert registry.list_registered() == []
    registry.limit("package", None)
    assert registry.read_limit("package") is None


def test_a_new_limit_is_the_registrations(registry: WorkerRegistry) -> None:
    """`limit` changes what `register` said."""
    registry.register(PRICER)
    registry.limit("pricer", 2)
    assert registry.read("pricer") == replace(PRICER, concurrency=2)
    registry.limit("pricer", None)
    assert registry.read("pricer") == replace(PRICER, concurrency=None)


# --- AWS alone: what else is in the item and in the index -----------------------------------------


def test_the_measured_time_outlives_registrations(stack: AwsStack) -> None:
    """Registering, limiting and unregistering leave the running mean of the worker alone."""
    name = stack.create_table()
    table, registry = AwsStateTable(name), AwsWorkerRegistry(name)
    registry.limit("pricer", 3)
    assert table.read_lane("pricer").task_time is None
    session = make_session(worker="pricer", slots=1)
    table.create_session(session, b"", Limits())
    work = Work(NOW, 1.5 * session.tasks, Measurement(TaskTime(1.5, 2.5), session.tasks))
    table.close_session(session.session_id, finished(session, NOW, work))
    registry.register(PRICER)
    registry.unregister("pricer")
    assert table.read_lane("pricer").task_time == TaskTime(1.5, 2.5)


def test_a_limit_is_what_admission_reads(stack: AwsStack) -> None:
    """The registry and the lane of a worker are one item."""
    name = stack.create_table()
    table, registry = AwsStateTable(name), AwsWorkerRegistry(name)
    registry.register(PRICER)
    assert table.read_lane("pricer").concurrency == 5
    registry.limit("pricer", 2)
    assert table.read_lane("pricer").concurrency == 2
    registry.limit("pricer", None)
    assert table.read_lane("pricer").concurrency is None


def test_sessions_and_functions_share_an_index_unseen(stack: AwsStack) -> None:
    """An owner's list has no function in it, and the list of functions no session."""
    name = stack.create_table()
    table, registry = AwsStateTable(name), AwsWorkerRegistry(name)
    session = make_session()
    table.create_session(session, b"", Limits())
    registry.register(PRICER)
    assert table.list_sessions(OWNER, None, None, 10).items == (session,)
    assert table.list_sessions("WORKERS", None, None, 10).items == ()
    assert registry.list_registered() == [PRICER]
