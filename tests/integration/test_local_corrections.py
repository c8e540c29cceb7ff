"""Per corrected fault of the emulator: AWS's behaviour, and that the fault is still there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepgrid.local import LocalCloud

PROJECT = Path(__file__).parent / "local_project"
STACK = "yaml-definition"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    project_dir = tmp_path_factory.mktemp("corrections") / "project"
    shutil.copytree(PROJECT, project_dir)
    cloud = LocalCloud(project_dir)
    yield cloud
    cloud.down()


def run_execution(cloud: LocalCloud, machine_arn: str) -> dict[str, str]:
    states = cloud.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine_arn, input="{}")["executionArn"]
    while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        pass
    result: dict[str, str] = found
    return result


def test_a_definition_in_yaml_runs(cloud: LocalCloud) -> None:
    """AWS takes definition files in YAML: the deployed state machine runs, substitutions made."""
    status = cloud.up()
    found = run_execution(cloud, status.outputs["EchoMachine"])
    assert json.loads(found["output"]) == {"greeting": "hello"}


def test_the_emulator_still_reads_definitions_as_json_only(cloud: LocalCloud) -> None:
    """When this fails, the emulator is mended: remove write_definitions_as_json."""
    cloud.up()
    definition = (PROJECT / "statemachines" / "echo.asl.yaml").read_bytes()
    s3, cloudformation = cloud.client("s3"), cloud.client("cloudformation")
    s3.create_bucket(Bucket=STACK)
    s3.put_object(Bucket=STACK, Key="definition", Body=definition)
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::000000000000:role/any",
            "DefinitionS3Location": {"Bucket": STACK, "Key": "definition"},
        },
    }
    template = {
        "Resources": {"Machine": machine},
        "Outputs": {"Arn": {"Value": {"Ref": "Machine"}}},
    }
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
    )
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    found = run_execution(cloud, stack["Outputs"][0]["OutputValue"])
    assert (found["status"], found["error"]) == ("FAILED", "InvalidDefinition")
