"""The stack's resources on moto, made from template.yaml itself, so that the tests can't drift off.

What moto can't show of AWS, and where it is proved instead:

- its conditional writes are not atomic across threads: races are in tests/faults and tests/system
- reads and indexes are always consistent at once: nothing here relies on it but the reads after
  writes that AWS also promises (ConsistentRead)
- it runs no execution, so none ends by itself: tests/system sees sessions through
- it takes any cursor of a log search: tests/system
- completing a multipart upload that never existed raises KeyError inside moto: tests/system
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import yaml

from stepgrid_core.ports import Worker
from stepgrid_core.settings import Settings

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
STACK_NAME = "grid"
REGION = "eu-central-1"
BUCKET = "grid-payloads"
TABLE = "grid-state"
RELAY = "grid-relay"
ROLE_ARN = "arn:aws:iam::123456789012:role/execution"
TABLE_PROPERTIES = (
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "BillingMode",
)
#: Does nothing for longer than any test: moto keeps every execution running until it is stopped.
DEFINITION = {
    "StartAt": "Wait",
    "States": {"Wait": {"Type": "Wait", "Seconds": 9_999, "End": True}},
}


class TemplateLoader(yaml.SafeLoader):
    """Reads a template; `!Ref X` and its kin become their bare argument."""


def _argument(loader: TemplateLoader, _name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


TemplateLoader.add_multi_constructor("!", _argument)


@cache
def read_template() -> dict[str, Any]:
    text = TEMPLATE.read_text(encoding="utf-8").replace("${AWS::StackName}", STACK_NAME)
    template: dict[str, Any] = yaml.load(text, TemplateLoader)
    return template


class AwsStack:
    """Table, bucket, bus and state machines; workers are deployed by the tests."""

    def __init__(self) -> None:
        self._template = read_template()

    def _properties(self, resource: str) -> dict[str, Any]:
        properties: dict[str, Any] = self._template["Resources"][resource]["Properties"]
        return properties

    @property
    def worker_prefix(self) -> str:
        shared = self._template["Globals"]["Function"]["Environment"]["Variables"]
        return str(shared["STEPGRID_WORKER_PREFIX"])

    def create_table(self) -> str:
        properties = self._properties("StateTable")
        boto3.client("dynamodb").create_table(
            TableName=TABLE, **{name: properties[name] for name in TABLE_PROPERTIES}
        )
        return TABLE

    def create_bucket(self) -> str:
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return BUCKET

    def create_machine(self, resource: str) -> str:
        """The machine's name and type are the template's; moto doesn't run the real definition."""
        properties = self._properties(resource)
        machine = boto3.client("stepfunctions").create_state_machine(
            name=properties["Name"],
            type=properties["Type"],
            definition=json.dumps(DEFINITION),
            roleArn=ROLE_ARN,
        )
        return str(machine["stateMachineArn"])

    def create_bus(self) -> str:
        # The template names the bus after the stack: !Ref AWS::StackName.
        boto3.client("events").create_event_bus(Name=STACK_NAME)
        return STACK_NAME

    def create_queue_of_events(self) -> str:
        """A consumer: a queue to which a rule sends every event of the bus. Answers its URL."""
        sqs, events = boto3.client("sqs"), boto3.client("events")
        queue_url = sqs.create_queue(QueueName="consumer")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        pattern = json.dumps({"source": ["stepgrid"]})
        events.put_rule(Name="sessions", EventBusName=STACK_NAME, EventPattern=pattern)
        events.put_targets(
            Rule="sessions",
            EventBusName=STACK_NAME,
            Targets=[{"Id": "consumer", "Arn": attributes["Attributes"]["QueueArn"]}],
        )
        return str(queue_url)

    def create_worker_log_group(self) -> str:
        name = str(self._properties("WorkerLogGroup")["LogGroupName"])
        boto3.client("logs").create_log_group(logGroupName=name)
        return name

    def write_log(self, environment: str, lines: Sequence[tuple[float, str]]) -> None:
        """What an environment of a worker writes: a stream of its own in the group."""
        logs = boto3.client("logs")
        stream = {
            "logGroupName": str(self._properties("WorkerLogGroup")["LogGroupName"]),
            "logStreamName": environment,
        }
        logs.create_log_stream(**stream)
        events = [{"timestamp": int(at * 1000), "message": text} for at, text in lines]
        logs.put_log_events(**stream, logEvents=events)

    def deploy_function(
        self,
        name: str,
        timeout_seconds: int,
        memory_mib: int,
        runtime: str = "python3.11",
        architecture: str = "arm64",
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Answers its ARN."""
        function = boto3.client("lambda").create_function(
            FunctionName=name,
            Role=_execution_role(),
            Runtime=runtime,  # type: ignore[arg-type]
            Handler="stepgrid_core.worker.handler",
            Timeout=timeout_seconds,
            MemorySize=memory_mib,
            Code={"ZipFile": _package()},
            Architectures=[architecture],  # type: ignore[list-item]
            Environment={"Variables": dict(variables)},
        )
        return str(function["FunctionArn"])

    def deploy_worker(self, worker: Worker) -> None:
        self.deploy_function(
            worker.function,
            worker.timeout_seconds,
            worker.memory_mib,
            worker.runtime,
            worker.architecture,
        )

    def settings(self) -> Settings:
        return Settings(
            table=TABLE,
            bucket=BUCKET,
            event_bus=STACK_NAME,
            worker_prefix=self.worker_prefix,
            subscription_prefix=self._variable("ApiFunction", "STEPGRID_SUBSCRIPTION_PREFIX"),
        )

    def _variable(self, function: str, name: str) -> str:
        return str(self._properties(function)["Environment"]["Variables"][name])

    def dispatcher_settings(self) -> Settings:
        return self.settings().model_copy(
            update={
                "session_machine_arn": self.create_machine("SessionMachine"),
                "burst_machine_arn": self.create_machine("BurstMachine"),
                "relay_function": RELAY,
            }
        )


def _execution_role() -> str:
    """moto looks the role up before it creates a function."""
    iam = boto3.client("iam")
    if not iam.list_roles()["Roles"]:
        iam.create_role(RoleName="execution", AssumeRolePolicyDocument="{}")
    return str(iam.get_role(RoleName="execution")["Role"]["Arn"])


def _package() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("worker.py", "")
    return stream.getvalue()
