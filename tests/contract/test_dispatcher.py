"""The contract of the Dispatcher port, and what AWS's Step Functions are told."""

import json
from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest
from botocore.stub import Stubber

from stepgrid_core.aws.dispatcher import AwsDispatcher
from stepgrid_core.aws.worker_registry import AwsWorkerRegistry
from stepgrid_core.container_sizes import default_size
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.names import execution_name
from stepgrid_core.planning import INLINE_INPUT_BYTES
from stepgrid_core.ports import Dispatch, ExecutionState, Worker
from stepgrid_core.records import ContainerSize, Session
from stepgrid_core.settings import Settings

from .aws_stack import RELAY, AwsStack
from .conftest import DispatchBench, list_executions
from .samples import PRICER, WORKER, make_session

MAP = make_session("map", route="map")
BURST = make_session("burst", route="burst")


@pytest.fixture(params=[MAP, BURST], ids=["map", "burst"])
def session(request: pytest.FixtureRequest) -> Session:
    chosen: Session = request.param
    return chosen


def test_a_started_execution_bears_the_sessions_name(
    dispatch: DispatchBench, session: Session
) -> None:
    """One start is one execution, named after the session."""
    dispatch.dispatcher.start(Dispatch(session, 1, [0, 1, 2]))
    assert dispatch.executions() == [session.session_id]


def test_starting_the_same_number_again_is_success(dispatch: DispatchBench) -> None:
    """The same session and number again is success, and starts nothing, whatever chunks it names.

    For a map only: AWS takes the name of an EXPRESS execution any number of times. The claims keep
    a second burst from doing harm (tests/faults).
    """
    dispatch.dispatcher.start(Dispatch(MAP, 1, [0, 1, 2]))
    dispatch.dispatcher.start(Dispatch(MAP, 1, [0, 1, 2]))
    dispatch.dispatcher.start(Dispatch(MAP, 1, [2]))
    assert dispatch.executions() == [MAP.session_id]


def test_another_number_is_another_execution(dispatch: DispatchBench, session: Session) -> None:
    """What is left of a session is dispatched under a name of its own."""
    dispatch.dispatcher.start(Dispatch(session, 1, [0, 1]))
    dispatch.dispatcher.start(Dispatch(session, 2, [1]))
    expected = [session.session_id, execution_name(session.session_id, 2)]
    assert sorted(dispatch.executions()) == sorted(expected)


def test_an_execution_that_was_never_started_is_absent(dispatch: DispatchBench) -> None:
    """A submit that died before its start can be told from one whose execution runs."""
    assert dispatch.dispatcher.look(MAP) is ExecutionState.ABSENT


def test_a_started_execution_is_running(dispatch: DispatchBench) -> None:
    """`look` sees what `start` started."""
    dispatch.dispatcher.start(Dispatch(MAP, 1, [0]))
    assert dispatch.dispatcher.look(MAP) is ExecutionState.RUNNING


def test_a_stopped_execution_has_ended(dispatch: DispatchBench) -> None:
    """After `stop`, what was dispatched runs no more."""
    dispatch.dispatcher.start(Dispatch(MAP, 1, [0]))
    dispatch.dispatcher.stop(MAP)
    assert dispatch.dispatcher.look(MAP) is ExecutionState.ENDED


def test_a_name_stays_taken_after_its_execution_ended(dispatch: DispatchBench) -> None:
    """Starting an ended execution again is success, but it does not run again."""
    dispatch.dispatcher.start(Dispatch(MAP, 1, [0, 1]))
    dispatch.dispatcher.stop(MAP)
    dispatch.dispatcher.start(Dispatch(MAP, 1, [1]))
    assert dispatch.dispatcher.look(MAP) is ExecutionState.ENDED
    assert dispatch.executions() == [MAP.session_id]


def test_look_asks_for_the_newest_execution(dispatch: DispatchBench) -> None:
    """The number of dispatches in the session says which execution is meant."""
    dispatch.dispatcher.start(Dispatch(MAP, 1, [0, 1]))
    dispatch.dispatcher.stop(MAP)
    again = replace(MAP, dispatches=2)
    assert dispatch.dispatcher.look(again) is ExecutionState.ABSENT
    dispatch.dispatcher.start(Dispatch(again, 2, [1]))
    assert dispatch.dispatcher.look(again) is ExecutionState.RUNNING


def test_a_burst_is_asked_as_far_as_it_can_be(dispatch: DispatchBench) -> None:
    """Where an EXPRESS execution can't be asked, the answer is unknown, never absent or ended."""
    dispatch.dispatcher.start(Dispatch(BURST, 1, [0]))
    state = dispatch.dispatcher.look(BURST)
    assert state in (ExecutionState.RUNNING, ExecutionState.UNKNOWN)


def test_what_is_left_of_a_burst_can_be_asked(dispatch: DispatchBench) -> None:
    """From its second dispatch on a burst goes through the map."""
    again = replace(BURST, dispatches=2)
    assert dispatch.dispatcher.look(again) is ExecutionState.ABSENT
    dispatch.dispatcher.start(Dispatch(again, 2, [0]))
    assert dispatch.dispatcher.look(again) is ExecutionState.RUNNING


def test_stopping_what_never_started_is_no_error(dispatch: DispatchBench, session: Session) -> None:
    """Stop is best effort: there may be nothing to stop."""
    dispatch.dispatcher.stop(session)
    assert dispatch.executions() == []


def test_stopping_twice_is_no_error(dispatch: DispatchBench, session: Session) -> None:
    """A cancel that is repeated stops again."""
    dispatch.dispatcher.start(Dispatch(session, 1, [0]))
    dispatch.dispatcher.stop(session)
    dispatch.dispatcher.stop(session)
    assert dispatch.executions() == [session.session_id]


def test_an_unknown_worker_is_none(dispatch: DispatchBench) -> None:
    """A worker that was not deployed is not found, and not listed."""
    assert dispatch.dispatcher.find_worker("pricing") is None
    assert dispatch.dispatcher.list_workers() == []


def test_a_deployed_worker_is_found_at_once(dispatch: DispatchBench) -> None:
    """Not having found a worker is not remembered; its limits are the function's."""
    assert dispatch.dispatcher.find_worker(WORKER.name) is None
    dispatch.deploy(WORKER)
    assert dispatch.dispatcher.find_worker(WORKER.name) == WORKER
    assert dispatch.dispatcher.find_worker(WORKER.name) == WORKER


def test_workers_are_listed_by_name(dispatch: DispatchBench) -> None:
    """The list is in order of the names, however they were deployed."""
    workers = [
        Worker(name, f"grid-worker-{name}", timeout_seconds, 512, "python3.11")
        for name, timeout_seconds in (("mock-compute", 900), ("zeta", 30), ("alpha", 60))
    ]
    for worker in workers:
        dispatch.deploy(worker)
    assert dispatch.dispatcher.list_workers() == sorted(workers, key=lambda worker: worker.name)


def test_a_registered_function_is_a_worker_of_the_relay(dispatch: DispatchBench) -> None:
    """It is found and listed as soon as it is registered: the relay runs its chunks."""
    dispatch.registry.register(PRICER)
    worker = dispatch.dispatcher.find_worker("pricer")
    assert worker == Worker("pricer", RELAY, 60, 256, "provided.al2023", PRICER.target)
    assert dispatch.dispatcher.list_workers() == [worker]


def test_a_package_wins_over_a_registration(dispatch: DispatchBench) -> None:
    """Of two workers with one name the deployed package is found and listed."""
    dispatch.registry.register(replace(PRICER, name=WORKER.name))
    dispatch.deploy(WORKER)
    assert dispatch.dispatcher.find_worker(WORKER.name) == WORKER
    assert dispatch.dispatcher.list_workers() == [WORKER]


# --- AWS alone: what the state machines are told --------------------------------------------------


def dispatcher_of(stack: AwsStack, settings: Settings) -> AwsDispatcher:
    return AwsDispatcher(settings, AwsWorkerRegistry(stack.create_table()))


def only_input(machine_arn: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(only_text(machine_arn))
    return told


def only_text(machine_arn: str) -> str:
    (execution,) = list_executions(machine_arn)
    client = boto3.client("stepfunctions")
    return str(client.describe_execution(executionArn=execution["executionArn"])["input"])


def test_a_map_is_told_chunk_numbers(stack: AwsStack) -> None:
    """The session machine gets the session's facts, the chunks and how many may run at once."""
    settings = stack.dispatcher_settings()
    dispatcher_of(stack, settings).start(Dispatch(MAP, 1, range(3)))
    told = only_input(settings.session_machine_arn)
    assert told["chunks"] == [0, 1, 2]
    assert told["max_concurrency"] == MAP.max_concurrency
    assert Invocation.read_facts(told["session"]) == facts_of(MAP)  # type: ignore[arg-type]


def test_a_burst_carries_its_lines(stack: AwsStack) -> None:
    """The burst machine gets each chunk with its tasks, so that a worker has nothing to read."""
    settings = stack.dispatcher_settings()
    dispatcher_of(stack, settings).start(Dispatch(BURST, 1, [0, 1], ['{"a":1}\n', '"é"\n']))
    assert only_input(settings.burst_machine_arn)["chunks"] == [
        {"chunk": 0, "lines": '{"a":1}\n'},
        {"chunk": 1, "lines": '"é"\n'},
    ]


def test_tasks_of_any_script_fit_into_an_execution(stack: AwsStack) -> None:
    """Step Functions takes 256 KiB of UTF-8; ASCII text of these would be three times as long."""
    settings = stack.dispatcher_settings()
    lines = [
        '"%s"\n' % (character * (INLINE_INPUT_BYTES // 4 - 1)) for character in "\U0001f600\x7f"
    ]
    whole = replace(BURST, tags={f"{number}\U0001f600": "\U0001f600" * 256 for number in range(50)})
    dispatcher_of(stack, settings).start(Dispatch(whole, 1, [0, 1], lines))
    assert len(only_text(settings.burst_machine_arn).encode()) < 256 * 1024 / 2


def test_a_burst_started_by_the_sweeper_carries_no_lines(stack: AwsStack) -> None:
    """The sweeper knows no task: the workers read them from the table."""
    settings = stack.dispatcher_settings()
    dispatcher_of(stack, settings).start(Dispatch(BURST, 1, [1]))
    assert only_input(settings.burst_machine_arn)["chunks"] == [{"chunk": 1, "lines": None}]


def test_the_rest_of_a_burst_goes_through_the_map(stack: AwsStack) -> None:
    """Only the first try of a burst is one."""
    settings = stack.dispatcher_settings()
    dispatcher_of(stack, settings).start(Dispatch(BURST, 2, [1]))
    assert list_executions(settings.burst_machine_arn) == []
    assert only_input(settings.session_machine_arn)["chunks"] == [1]


def test_other_functions_of_the_stack_are_no_workers(stack: AwsStack) -> None:
    """A worker is a function with the worker prefix, as template.yaml spells it."""
    stack.deploy_worker(WORKER)
    stack.deploy_function("grid-api", 29, 1024)
    stack.deploy_function("other-worker-pricing", 900, 1769)
    assert dispatcher_of(stack, stack.dispatcher_settings()).list_workers() == [WORKER]


@pytest.mark.parametrize(("said", "replicas"), [("3", 3), ("1", 1), ("0", 1), ("many", 1)])
def test_a_workers_replicas_are_what_its_environment_says(
    stack: AwsStack, said: str, replicas: int
) -> None:
    """They have the worker's name and a number, and are no workers themselves."""
    stack.deploy_worker(WORKER)
    stack.deploy_function(f"{WORKER.function}_2", 900, 1769)
    variables = {"Variables": {"STEPGRID_REPLICAS": said}}
    boto3.client("lambda").update_function_configuration(
        FunctionName=WORKER.function, Environment=variables
    )
    dispatcher = dispatcher_of(stack, stack.dispatcher_settings())
    expected = replace(WORKER, replicas=replicas)
    assert dispatcher.find_worker(WORKER.name) == expected
    assert dispatcher.list_workers() == [expected]


def test_an_execution_knows_all_replicas(stack: AwsStack) -> None:
    """The first one again at the end, where an inclusive draw would find it."""
    settings = stack.dispatcher_settings()
    session = replace(MAP, replicas=3)
    dispatcher_of(stack, settings).start(Dispatch(session, 1, [0]))
    told = only_input(settings.session_machine_arn)["session"]
    first = WORKER.function
    assert told["functions"] == [first, f"{first}_2", f"{first}_3", first]
    assert told["replicas"] == 3


@pytest.mark.parametrize(
    ("ask", "event"),
    [
        (lambda d: d.wake("pricing"), {"action": "admit", "worker": "pricing"}),
        (lambda d: d.release("an id"), {"action": "release", "session_id": "an id"}),
    ],
    ids=["wake", "release"],
)
def test_the_recorder_is_asked_and_not_waited_for(
    stack: AwsStack, ask: Callable[[AwsDispatcher], None], event: dict[str, str]
) -> None:
    """By one asynchronous call, with the event that it takes."""
    settings = stack.dispatcher_settings()
    dispatcher = AwsDispatcher(settings, AwsWorkerRegistry(stack.create_table()))
    said = {"FunctionName": settings.recorder_function, "InvocationType": "Event"}
    with Stubber(dispatcher._lambda) as stubber:
        stubber.add_response("invoke", {"StatusCode": 202}, {**said, "Payload": json.dumps(event)})
        ask(dispatcher)
        stubber.assert_no_pending_responses()


# --- AWS alone: containers ------------------------------------------------------------------------


def fargate_dispatcher(stack: AwsStack, **changes: object) -> AwsDispatcher:
    settings = stack.dispatcher_settings().model_copy(update={"fargate": True, **changes})
    return dispatcher_of(stack, settings)


def find_with(stack: AwsStack, variables: dict[str, str], runtime: str = "python3.13") -> Worker:
    stack.deploy_function(WORKER.function, 900, 1769, runtime, "x86_64", variables)
    found = fargate_dispatcher(stack).find_worker(WORKER.name)
    assert found is not None
    return found


def test_a_package_in_python_runs_in_containers(stack: AwsStack) -> None:
    """Of its own architecture, and of the size that a function has about."""
    worker = find_with(stack, {})
    assert worker.architecture == "x86_64"
    assert worker.container == default_size("x86_64")
    assert worker.on_lambda


def test_a_package_says_how_large_its_containers_are(stack: AwsStack) -> None:
    """As JSON; what it leaves out is as always."""
    worker = find_with(stack, {"STEPGRID_CONTAINER": '{"vcpu": 4, "spot": false}'})
    assert worker.container is not None
    assert (worker.container.vcpu, worker.container.memory_mib) == (4, 8 * 1024)
    assert worker.container.spot is False
    assert worker.container.architecture == "x86_64"


def test_a_package_may_have_no_function(stack: AwsStack) -> None:
    """It says so, and then it runs in containers alone."""
    assert not find_with(stack, {"STEPGRID_BACKENDS": "fargate"}).on_lambda


def test_other_runtimes_have_no_containers(stack: AwsStack) -> None:
    """The image has Python."""
    assert find_with(stack, {}, "nodejs22.x").container is None


def test_a_grid_without_fargate_has_no_containers(stack: AwsStack) -> None:
    """Whatever the package says."""
    variables = {"STEPGRID_CONTAINER": '{"vcpu": 4}'}
    stack.deploy_function(WORKER.function, 900, 1769, "python3.13", "arm64", variables)
    worker = fargate_dispatcher(stack, fargate=False).find_worker(WORKER.name)
    assert worker is not None
    assert worker.container is None


def test_an_execution_starts_as_many_containers_as_are_wanted(stack: AwsStack) -> None:
    """Its items are their numbers; how many run at once, the slots have said."""
    size = ContainerSize(2, 4096, 21, spot=True, architecture="arm64")
    session = make_session(
        "fargate",
        container=size,
        backend="fargate",
        ticket="ticket",
        slots=7,
        children="standard",
        dispatches=1,
    )
    settings = stack.dispatcher_settings()
    dispatcher_of(stack, settings).start(Dispatch(session, 1, range(50)))
    told = only_input(settings.session_machine_arn)
    assert (told["chunks"], told["max_concurrency"]) == ([0, 1, 2, 3], 4)
    facts: dict[str, object] = told["session"]  # type: ignore[assignment]
    assert facts["backend"] == "fargate"
    assert facts["container"] == {
        "dispatch": "1",
        "cpu": "2048",
        "memory": "4096",
        "storage_gib": 21,
        "pullers": "2",
        "capacity": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
        "ticket": "ticket",
    }
    assert facts["session"] is None
    assert Invocation.read_facts(facts) == facts_of(session)
