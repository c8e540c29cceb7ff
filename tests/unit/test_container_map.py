"""The Map of containers, walked through with a session's facts: what ECS would be told."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.aws import dispatcher
from stepgrid_core.container.settings import ContainerSettings
from stepgrid_core.invocation import Invocation, capacity_of, facts_of
from stepgrid_core.ports import Dispatch
from stepgrid_core.records import ContainerSize, Session
from tests.contract.samples import make_session
from tests.unit.translated_template import read_definition

MACHINE = read_definition("session")["States"]
FAN_OUT = MACHINE["FanOutContainers"]
CHILD = FAN_OUT["ItemProcessor"]["States"]
#: What the template fills in.
SUBSTITUTIONS = {
    "ClusterArn": "cluster-arn",
    "TaskDefinition": "stack-worker",
    "SubnetIds": "subnet-a,subnet-b",
    "SecurityGroupIds": "sg-1",
    "AssignPublicIp": "ENABLED",
    "RecorderFunctionArn": "recorder-arn",
}
SIZE = ContainerSize(4, 16_384, 50, spot=True, architecture="arm64")
UUID = "01234567-89ab-4cde-8f01-23456789abcd"


def fargate_session(size: ContainerSize = SIZE, **changes: Any) -> Session:
    defaults: dict[str, Any] = {
        "children": "standard",
        "backend": "fargate",
        "container": size,
        "ticket": "t" * 32,
        "slots": 12,
    }
    return make_session(**{**defaults, **changes})


def execution_input(session: Session, chunks: int = 50) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        json.dumps(dispatcher.execution_input(Dispatch(session, 1, list(range(chunks)))))
    )
    return told


def filled(template: Any, data: dict[str, Any], value: Any = None) -> Any:
    """Parameters as Step Functions fills them; only with what is used here, and nothing missing."""
    if isinstance(template, list):
        return [filled(entry, data, value) for entry in template]
    if isinstance(template, dict):
        return {
            name.removesuffix(".$"): computed(entry, data, value)
            if name.endswith(".$")
            else filled(entry, data, value)
            for name, entry in template.items()
        }
    if isinstance(template, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: SUBSTITUTIONS[found[1]], template)
    return template


def computed(path: str, data: dict[str, Any], value: Any) -> Any:
    path = filled(path, data, value)
    if path == "States.UUID()":
        return UUID
    if path == "$$.Map.Item.Value":
        return value
    if split := re.fullmatch(r"States\.StringSplit\('(.*)', ','\)", path):
        return split[1].split(",")
    if item := re.fullmatch(r"States\.ArrayGetItem\((\S+), (\d+)\)", path):
        return found(item[1], data)[int(item[2])]
    return found(path, data)


def found(path: str, data: Any) -> Any:
    assert re.fullmatch(r"\$(\.\w+)*", path), path
    for name in path.split(".")[1:]:
        data = data[name]
    return data


def walk(data: dict[str, Any], first: str, last: str) -> dict[str, Any]:
    """The state data after the Pass states from `first` on to `last`, which is not entered."""
    while first != last:
        state = CHILD[first]
        assert state["Type"] == "Pass"
        result = filled(state["Parameters"], data)
        data = {**data, state["ResultPath"].removeprefix("$."): result}
        first = state["Next"]
    return data


def item_of(session: Session) -> dict[str, Any]:
    told: dict[str, Any] = filled(FAN_OUT["ItemSelector"], execution_input(session), value=0)
    return told


def at_container(session: Session) -> dict[str, Any]:
    return walk(item_of(session), FAN_OUT["ItemProcessor"]["StartAt"], "RunContainer")


def run_task(session: Session) -> dict[str, Any]:
    asked: dict[str, Any] = filled(CHILD["RunContainer"]["Parameters"], at_container(session))
    return asked


def test_there_is_one_child_for_each_container() -> None:
    """As many as its slots and chunks ask for; all of them at once."""
    told = execution_input(fargate_session())
    assert told["chunks"] == [0, 1, 2]
    assert told["max_concurrency"] == 3
    assert execution_input(fargate_session(), chunks=5)["chunks"] == [0, 1]
    assert execution_input(fargate_session(replace(SIZE, vcpu=0.25)))["max_concurrency"] == 12


def test_ecs_is_told_of_the_sessions_size() -> None:
    """Its numbers are texts where ECS has them as texts, and a number where it has a number."""
    overrides = run_task(fargate_session())["Overrides"]
    assert (overrides["Cpu"], overrides["Memory"]) == ("4096", "16384")
    assert overrides["EphemeralStorage"] == {"SizeInGiB": 50}
    assert run_task(fargate_session(replace(SIZE, vcpu=0.25)))["Overrides"]["Cpu"] == "256"


@pytest.mark.parametrize(
    ("spot", "provider"), [(True, "FARGATE_SPOT"), (False, "FARGATE")], ids=["spot", "on demand"]
)
def test_the_first_one_is_as_the_session_wants_it(spot: bool, provider: str) -> None:
    """Spot, or on demand."""
    asked = run_task(fargate_session(replace(SIZE, spot=spot)))
    assert asked["CapacityProviderStrategy"] == [{"CapacityProvider": provider, "Weight": 1}]
    assert "LaunchType" not in asked, "ECS refuses both"


def test_containers_run_where_the_template_says() -> None:
    """Cluster, definition, subnets and groups."""
    asked = run_task(fargate_session())
    assert (asked["Cluster"], asked["TaskDefinition"]) == ("cluster-arn", "stack-worker")
    assert asked["NetworkConfiguration"]["AwsvpcConfiguration"] == {
        "AssignPublicIp": "ENABLED",
        "Subnets": ["subnet-a", "subnet-b"],
        "SecurityGroups": ["sg-1"],
    }


def test_the_container_reads_what_it_is_told() -> None:
    """All values are texts, as ECS wants them, and its settings can be made of them."""
    session = fargate_session()
    (override,) = run_task(session)["Overrides"]["ContainerOverrides"]
    environment = {entry["Name"]: entry["Value"] for entry in override["Environment"]}
    assert all(isinstance(value, str) for value in environment.values())
    assert environment["STEPGRID_FUNCTION"] == session.function
    broker = {"STEPGRID_BROKER_FUNCTION": "broker", "STEPGRID_STARTED_AT": "1.5"}
    settings = ContainerSettings.read(environment | broker)
    assert (settings.session_id, settings.ticket) == (session.session_id, session.ticket)
    assert (settings.container, settings.pullers) == (UUID, session.pullers)
    assert settings.memory_mib == SIZE.memory_mib


def test_overrides_fit_into_a_start() -> None:
    """ECS takes 8,192 characters of overrides (API reference, RunTask)."""
    session = fargate_session(function="f" * 140, ticket="t" * 32)
    assert len(json.dumps(run_task(session)["Overrides"])) < 8_192 / 4


def test_its_end_is_told_to_the_recorder() -> None:
    """Facts, token and error, which is empty if the container ended well."""
    session = fargate_session()
    well = CHILD["RunContainer"]["ResultSelector"]
    data = {**at_container(session), "error": filled(well, {})}
    payload = filled(CHILD["ContainerEnded"]["Parameters"]["Payload"], data)
    assert payload["action"] == "container"
    assert payload["token"] == UUID
    assert payload["error"] == {"Error": "", "Cause": ""}
    assert Invocation.read_facts(payload["session"]) == facts_of(session)


def test_another_one_follows_as_the_recorder_says() -> None:
    """With a token of its own, and on the capacity that was answered."""
    answer = {"outcome": "again", "capacity": list(capacity_of(spot=False))}
    selected = filled(CHILD["ContainerEnded"]["ResultSelector"], {"Payload": answer})
    (choice,) = CHILD["AnotherContainer"]["Choices"]
    assert (found(choice["Variable"], {"next": selected}), choice["StringEquals"]) == (
        "again",
        "again",
    )
    assert CHILD[choice["Next"]]["Type"] == "Wait"
    assert CHILD[choice["Next"]]["Next"] == "IssueToken"
    data = {**item_of(fargate_session()), CHILD["ContainerEnded"]["ResultPath"][2:]: selected}
    asked = filled(CHILD["RunContainer"]["Parameters"], walk(data, "IssueToken", "RunContainer"))
    assert asked["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE", "Weight": 1}]


def test_a_container_is_awaited_and_stopped_with_its_execution() -> None:
    """`.sync`, and for longer than any session lasts; nothing else limits it."""
    run = CHILD["RunContainer"]
    assert run["Resource"] == "arn:aws:states:::ecs:runTask.sync"
    assert run["TimeoutSeconds"] == 31 * 86_400
    assert "HeartbeatSeconds" not in run


def test_no_failure_leads_past_the_recorder() -> None:
    """However a container ends, what it held is given back."""
    run = CHILD["RunContainer"]
    assert {catcher["Next"] for catcher in run["Catch"]} == {"ContainerEnded"}
    assert run["Next"] == "ContainerEnded"
    assert run["ResultPath"] == "$.error"
    assert all(catcher["ResultPath"] == "$.error" for catcher in run["Catch"])


def test_a_start_that_can_be_repeated_is_one_that_did_not_happen() -> None:
    """Only faults of ECS itself are repeated under one token."""
    (retrier,) = CHILD["RunContainer"]["Retry"]
    assert set(retrier["ErrorEquals"]) == {"ECS.ServerException", "ECS.ThrottlingException"}
