"""State machines and containers of the emulator: its faults that are mended, see emulator_bench."""

import json
import time
from typing import Any

from tests.integration.emulator_bench import ALLOW_S3, TRUST, Cloud

PASS = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
MAP = {
    "StartAt": "Map",
    "States": {
        "Map": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrencyPath": "$.most",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                "StartAt": "Done",
                "States": {"Done": {"Type": "Pass", "End": True}},
            },
            "End": True,
        }
    },
}


def test_a_map_takes_its_concurrency_from_its_input(kind: str, cloud: Cloud) -> None:
    """AWS follows MaxConcurrencyPath; the emulator reports that there is no limit."""
    machine = make_machine(cloud, "map", MAP)
    arn = run_to_its_end(cloud, machine, {"items": [1, 2, 3], "most": 2})
    states = cloud.client("stepfunctions")
    run = states.list_map_runs(executionArn=arn)["mapRuns"][0]["mapRunArn"]
    most = states.describe_map_run(mapRunArn=run)["maxConcurrency"]
    assert most == (0 if kind == "ministack" else 2)


def test_an_execution_begins_with_its_first_state(kind: str, cloud: Cloud) -> None:
    """AWS enters the first state at once; the emulator sleeps 150 ms before, every time."""
    machine = make_machine(cloud, "pass", PASS)

    def first_wait() -> float:
        started = run_to_its_end(cloud, machine)
        events = cloud.client("stepfunctions").get_execution_history(executionArn=started)
        begun, entered = (event["timestamp"] for event in events["events"][:2])
        return float((entered - begun).total_seconds())

    assert (min(first_wait() for _ in range(10)) >= 0.15) == (kind == "ministack")


def test_the_agents_word_ends_a_task(kind: str, cloud: Cloud) -> None:
    """AWS's agent tells by SubmitTaskStateChange how a task ended; the emulator does not listen."""
    ecs = cloud.client("ecs")
    arn = run_task(cloud, "told", "sleep", "600")
    ended = {"containerName": "main", "exitCode": 3, "status": "STOPPED", "reason": "why"}
    ecs.submit_task_state_change(
        cluster="default", task=arn, status="STOPPED", reason="it ended", containers=[ended]
    )
    task = ecs.describe_tasks(tasks=[arn])["tasks"][0]
    assert task["lastStatus"] == ("RUNNING" if kind == "ministack" else "STOPPED")
    if kind != "ministack":
        assert (task["stopCode"], task["stoppedReason"]) == ("EssentialContainerExited", "it ended")
        assert (task["containers"][0]["exitCode"], task["containers"][0]["reason"]) == (3, "why")


def test_a_stopped_task_has_no_exit_code_before_its_end(kind: str, cloud: Cloud) -> None:
    """AWS has the code of the container when that has ended; the emulator makes one up."""
    ecs = cloud.client("ecs")
    arn = run_task(cloud, "stopped", "sh", "-c", "trap '' TERM; sleep 600")
    ecs.stop_task(task=arn)
    container = ecs.describe_tasks(tasks=[arn])["tasks"][0]["containers"][0]
    assert container.get("exitCode") == (0 if kind == "ministack" else None)


def test_a_task_stops_when_its_containers_have(kind: str, cloud: Cloud) -> None:
    """AWS lets a stopped task come to its end; the emulator says at once that it has."""
    ecs = cloud.client("ecs")
    arn = run_task(cloud, "stopping", "sleep", "600")
    ecs.submit_task_state_change(cluster="default", task=arn, status="RUNNING")
    ecs.stop_task(task=arn, reason="enough")
    task = ecs.describe_tasks(tasks=[arn])["tasks"][0]
    if kind == "ministack":
        assert task["lastStatus"] == "STOPPED"
        return
    assert (task["lastStatus"], task["desiredStatus"]) == ("STOPPING", "STOPPED")
    ended = {"containerName": "main", "exitCode": 143, "status": "STOPPED", "reason": "it ended"}
    ecs.submit_task_state_change(
        cluster="default", task=arn, status="STOPPED", reason="it ended", containers=[ended]
    )
    task = ecs.describe_tasks(tasks=[arn])["tasks"][0]
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "UserInitiated")
    assert (task["stoppedReason"], task["containers"][0]["exitCode"]) == ("enough", 143)


def test_a_state_waits_for_its_task(kind: str, cloud: Cloud) -> None:
    """AWS answers the task in PascalCase, and fails with it; the emulator answers a list."""
    ecs = cloud.client("ecs")
    arn = run_task(cloud, "awaited", "sleep", "600")
    definition = ecs.describe_tasks(tasks=[arn])["tasks"][0]["taskDefinitionArn"]
    machine = make_machine(cloud, "awaiting", run_task_states(definition))
    states = cloud.client("stepfunctions")
    started = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    while len(arns := set(ecs.list_tasks(family="awaited")["taskArns"]) - {arn}) == 0:
        pass
    ecs.stop_task(task=arns.pop())
    while (found := states.describe_execution(executionArn=started))["status"] == "RUNNING":
        pass
    if kind == "ministack":
        assert json.loads(found["output"])["tasks"][0]["lastStatus"] == "STOPPED"
    else:
        assert found["error"] == "States.TaskFailed"
        assert json.loads(found["cause"])["StopCode"] == "UserInitiated"


def test_containers_run(kind: str, cloud: Cloud) -> None:
    """AWS runs what a task asks for; the emulator runs nothing without Docker."""
    arn = run_task(cloud, "short", "true")
    deadline = time.monotonic() + (1 if kind == "ministack" else 30)
    ecs = cloud.client("ecs")
    while (status := ecs.describe_tasks(tasks=[arn])["tasks"][0]["lastStatus"]) != "STOPPED":
        if time.monotonic() > deadline:
            break
    assert status == ("RUNNING" if kind == "ministack" else "STOPPED")


def run_task(cloud: Cloud, family: str, *command: str) -> str:
    ecs = cloud.client("ecs")
    ecs.create_cluster(clusterName="default")
    container = {"name": "main", "image": "any", "command": list(command)}
    ecs.register_task_definition(family=family, containerDefinitions=[container])
    arn: str = ecs.run_task(taskDefinition=family)["tasks"][0]["taskArn"]
    return arn


def run_task_states(definition: str) -> dict[str, Any]:
    run = {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {"Cluster": "default", "TaskDefinition": definition},
        "End": True,
    }
    return {"StartAt": "Run", "States": {"Run": run}}


def make_machine(cloud: Cloud, name: str, definition: dict[str, Any]) -> str:
    trust = {**ALLOW_S3, "Statement": [{**TRUST, "Principal": {"Service": "states.amazonaws.com"}}]}
    role = cloud.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)
    )
    arn: str = cloud.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role["Role"]["Arn"]
    )["stateMachineArn"]
    return arn


def run_to_its_end(cloud: Cloud, machine: str, given: Any = None) -> str:
    states = cloud.client("stepfunctions")
    started = states.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))
    arn: str = started["executionArn"]
    while states.describe_execution(executionArn=arn)["status"] == "RUNNING":
        pass
    return arn
