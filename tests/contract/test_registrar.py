"""The registrar against Lambda and DynamoDB (moto): what an operator may register, and what not."""

from dataclasses import replace
from typing import Any

import boto3
import pytest

from stepgrid.registrar import TAG, GridStack, Registrar
from stepgrid_core.aws.worker_registry import AwsWorkerRegistry
from stepgrid_core.budgets import Quota
from stepgrid_core.errors import ConfigurationError, Conflict, InvalidRequest, NotFound

from .aws_stack import REGION, RELAY, STACK_NAME, TABLE, AwsStack
from .samples import WORKER

HOME = f"arn:aws:lambda:{REGION}:123456789012:function:"
GRID = GridStack(STACK_NAME, TABLE, "grid-worker-", RELAY, HOME)


@pytest.fixture
def grid(stack: AwsStack) -> AwsStack:
    stack.create_table()
    return stack


def make_client(service: str) -> Any:
    """The registrar takes any client by its name; boto3's own types want each name written out."""
    client: Any = boto3.client
    return client(service)


def registrar(stack: GridStack = GRID) -> Registrar:
    return Registrar(stack, make_client)


def tags(arn: str) -> dict[str, str]:
    return boto3.client("lambda").list_tags(Resource=arn)["Tags"]


def test_a_function_is_registered_with_its_own_limits(grid: AwsStack) -> None:
    """Runtime, memory and timeout are the function's; the tag lets the relay call it."""
    arn = grid.deploy_function("pricer-cpp", 60, 256, "provided.al2023")
    done = registrar().register("pricer", "pricer-cpp", concurrency=5)
    assert AwsWorkerRegistry(TABLE).read("pricer") == done
    assert (done.target, done.runtime, done.timeout_seconds, done.memory_mib, done.concurrency) == (
        (arn, "provided.al2023", 60, 256, 5)
    )
    assert tags(arn) == {TAG: STACK_NAME}


def test_registering_again_changes_the_registration(grid: AwsStack) -> None:
    """The same name and function again is no error; the newer limits count."""
    arn = grid.deploy_function("pricer-cpp", 60, 256)
    registrar().register("pricer", arn)
    assert registrar().register("pricer", arn, timeout_seconds=20).timeout_seconds == 20
    assert [one.timeout_seconds for one in AwsWorkerRegistry(TABLE).list_registered()] == [20]


@pytest.mark.parametrize("name", ["Pricer", "1st", "with space", "", "x" * 49])
def test_a_name_must_be_one_of_a_worker(grid: AwsStack, name: str) -> None:
    """Nothing that a submit could not name is registered."""
    with pytest.raises(InvalidRequest, match="is no name of a worker"):
        registrar().register(name, "pricer-cpp")


def test_a_function_must_exist(grid: AwsStack) -> None:
    """And nothing is stored for one that does not."""
    with pytest.raises(NotFound, match="there is no function pricer-cpp"):
        registrar().register("pricer", "pricer-cpp")
    assert AwsWorkerRegistry(TABLE).list_registered() == []


def test_a_package_is_not_shadowed(grid: AwsStack) -> None:
    """The name of a deployed worker is taken."""
    grid.deploy_worker(WORKER)
    grid.deploy_function("pricer-cpp", 60, 256)
    with pytest.raises(Conflict, match="grid-worker-pricing"):
        registrar().register(WORKER.name, "pricer-cpp")


@pytest.mark.parametrize("function", [WORKER.function, RELAY])
def test_the_grids_own_functions_are_refused(grid: AwsStack, function: str) -> None:
    """A relay that calls itself would never end."""
    grid.deploy_function(function, 900, 1769)
    with pytest.raises(InvalidRequest, match="belongs to the grid itself"):
        registrar().register("loop", function)


def test_a_timeout_over_the_functions_own_is_refused(grid: AwsStack) -> None:
    """Lambda would end the function before; the message says how long it may run."""
    arn = grid.deploy_function("pricer-cpp", 60, 256)
    with pytest.raises(InvalidRequest, match="after 60 s"):
        registrar().register("pricer", "pricer-cpp", timeout_seconds=61)
    assert TAG not in tags(arn)


def test_a_function_elsewhere_is_refused(grid: AwsStack) -> None:
    """The relay may call functions of its own account and Region."""
    grid.deploy_function("pricer-cpp", 60, 256)
    elsewhere = replace(GRID, home="arn:aws:lambda:us-west-2:123456789012:function:")
    with pytest.raises(InvalidRequest, match="another account or Region"):
        registrar(elsewhere).register("pricer", "pricer-cpp")


def test_a_function_of_another_grid_is_left_to_it(grid: AwsStack) -> None:
    """Its tag names one grid; a second one does not take it away."""
    arn = grid.deploy_function("pricer-cpp", 60, 256)
    boto3.client("lambda").tag_resource(Resource=arn, Tags={TAG: "other-grid"})
    with pytest.raises(Conflict, match="other-grid"):
        registrar().register("pricer", "pricer-cpp")
    assert tags(arn) == {TAG: "other-grid"}


@pytest.mark.parametrize("runtime", ["java17", "java21", "dotnet8", "ruby3.3"])
def test_the_local_cloud_refuses_what_its_emulator_only_pretends(
    grid: AwsStack, runtime: str
) -> None:
    """The message names the runtime, and those that do run; on AWS the same is accepted."""
    grid.deploy_function("annuity", 60, 256, runtime)
    with pytest.raises(InvalidRequest, match=rf"{runtime}.*It runs python, nodejs, provided"):
        registrar(replace(GRID, emulated=True)).register("annuity", "annuity")
    assert registrar().register("annuity", "annuity").runtime == runtime


@pytest.mark.parametrize("runtime", ["python3.12", "nodejs22.x", "provided.al2023"])
def test_the_local_cloud_takes_what_it_runs(grid: AwsStack, runtime: str) -> None:
    """Python, Node.js and custom runtimes."""
    grid.deploy_function("f", 60, 256, runtime)
    emulated = registrar(replace(GRID, emulated=True))
    assert emulated.register("f", "f").runtime == runtime


def test_unregistering_forgets_and_untags(grid: AwsStack) -> None:
    """The function itself stays."""
    arn = grid.deploy_function("pricer-cpp", 60, 256)
    registrar().register("pricer", arn)
    registrar().unregister("pricer")
    assert AwsWorkerRegistry(TABLE).read("pricer") is None
    assert TAG not in tags(arn)


def test_a_function_under_two_names_keeps_its_tag_until_the_last_goes(grid: AwsStack) -> None:
    """Unregistering one name does not break the other."""
    arn = grid.deploy_function("pricer-cpp", 60, 256)
    registrar().register("pricer", arn)
    registrar().register("pricer-small", arn, concurrency=1)
    registrar().unregister("pricer")
    assert tags(arn) == {TAG: STACK_NAME}


def test_a_deleted_function_can_be_unregistered(grid: AwsStack) -> None:
    """Its tags went with it."""
    registrar().register("pricer", grid.deploy_function("pricer-cpp", 60, 256))
    boto3.client("lambda").delete_function(FunctionName="pricer-cpp")
    registrar().unregister("pricer")
    assert AwsWorkerRegistry(TABLE).list_registered() == []


def test_what_is_not_registered_can_not_be_unregistered(grid: AwsStack) -> None:
    """Least of all a package."""
    grid.deploy_worker(WORKER)
    with pytest.raises(NotFound, match="no function is registered as 'pricing'"):
        registrar().unregister(WORKER.name)


def test_workers_of_both_kinds_are_limited(grid: AwsStack) -> None:
    """A limit needs a worker."""
    grid.deploy_worker(WORKER)
    registrar().register("pricer", grid.deploy_function("pricer-cpp", 60, 256))
    registrar().limit(WORKER.name, 3)
    registrar().limit("pricer", 4)
    registry = AwsWorkerRegistry(TABLE)
    assert (registry.read_limit(WORKER.name), registry.read_limit("pricer")) == (3, 4)
    with pytest.raises(NotFound, match="there is no worker 'nobody'"):
        registrar().limit("nobody", 1)
    assert registry.read_limit("nobody") is None


def test_a_quota_is_for_an_owner(grid: AwsStack) -> None:
    """A user's name is not what the grid calls an owner, and a quota of it would never count."""
    with pytest.raises(InvalidRequest, match="'ann' is no owner"):
        registrar().set_quota("ann", tasks=3)
    registrar().set_quota("cognito:us-east-1:6f1c", tasks=3)
    assert registrar().read_quota("cognito:us-east-1:6f1c") == Quota(tasks=3)


def test_a_stack_is_read_from_its_outputs() -> None:
    """Account and Region come with the bus's ARN; a stack without a relay must be deployed anew."""
    outputs = {
        "EventBusArn": f"arn:aws:events:{REGION}:123456789012:event-bus/grid",
        "TableName": TABLE,
        "WorkerPrefix": "grid-worker-",
        "RelayFunctionName": RELAY,
    }
    assert GridStack.read(STACK_NAME, outputs) == GRID
    del outputs["RelayFunctionName"]
    with pytest.raises(ConfigurationError, match="RelayFunctionName"):
        GridStack.read(STACK_NAME, outputs)
