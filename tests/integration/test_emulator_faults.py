"""The faults that stepgrid.local.corrected_ministack mends, in ministack as it is published.

When one of these fails, the emulator is mended: remove the correction and the test.
"""

import base64
import io
import json
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from stepgrid.local.emulator import choose_port, emulator_environment
from stepgrid.local.storage import LocalPaths

REGION = "us-east-1"
RULES = f"arn:aws:events:{REGION}:000000000000:rule/bus/mine-*"


class Cloud:
    """A ministack of one of two kinds: as it is published, or corrected."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def client(self, service: str, key: str = "test", secret: str = "test"):  # type: ignore[no-untyped-def]
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )


@dataclass(frozen=True)
class Pools:
    """Ids of a user pool and an identity pool, and the tokens of a user who logged in."""

    pool_id: str
    client_id: str
    identity_pool_id: str
    provider: str
    tokens: dict[str, Any]


@pytest.fixture(scope="module", params=["ministack", "stepgrid.local.corrected_ministack"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def cloud(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    paths = LocalPaths(tmp_path_factory.mktemp("emulator"))
    paths.scratch.mkdir(parents=True)
    port = choose_port()
    process = subprocess.Popen(
        [sys.executable, "-m", kind],
        env=emulator_environment(paths, port, "test"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_listens(process, port)
        yield Cloud(port)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"ministack ended with {process.returncode}")


def test_a_bucket_that_demands_tls(kind: str, cloud: Cloud) -> None:
    """AWS lets its callers in, over TLS; the emulator has no TLS and refuses everybody."""
    s3, iam = cloud.client("s3"), cloud.client("iam")
    s3.create_bucket(Bucket="tls-only")
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps(TLS_ONLY))
    iam.create_user(UserName="user")
    iam.put_user_policy(UserName="user", PolicyName="s3", PolicyDocument=json.dumps(ALLOW_S3))
    key = iam.create_access_key(UserName="user")["AccessKey"]
    user = cloud.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            user.put_object(Bucket="tls-only", Key="key", Body=b"body")
    else:
        user.put_object(Bucket="tls-only", Key="key", Body=b"body")
        assert user.get_object(Bucket="tls-only", Key="key")["Body"].read() == b"body"


def test_targets_are_covered_by_a_policy_on_their_rule(kind: str, cloud: Cloud) -> None:
    """AWS authorizes PutTargets and RemoveTargets on the rule; the emulator asks for the bus."""
    events, iam = cloud.client("events"), cloud.client("iam")
    events.create_event_bus(Name="bus")
    iam.create_user(UserName="subscriber")
    statement = {"Effect": "Allow", "Action": "events:*", "Resource": RULES}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="subscriber", PolicyName="rules", PolicyDocument=policy)
    key = iam.create_access_key(UserName="subscriber")["AccessKey"]
    user = cloud.client("events", key["AccessKeyId"], key["SecretAccessKey"])
    user.put_rule(Name="mine-1", EventBusName="bus", EventPattern='{"source": ["x"]}')
    targets = [{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:queue"}]
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            user.put_targets(Rule="mine-1", EventBusName="bus", Targets=targets)
        return
    user.put_targets(Rule="mine-1", EventBusName="bus", Targets=targets)
    user.remove_targets(Rule="mine-1", EventBusName="bus", Ids=["1"])
    with pytest.raises(ClientError, match="AccessDenied"):
        user.put_targets(Rule="other", EventBusName="bus", Targets=targets)


def test_a_batch_needs_the_right_to_its_single_action(kind: str, cloud: Cloud) -> None:
    """AWS knows sqs:DeleteMessage alone; the emulator asks for an action that does not exist."""
    iam = cloud.client("iam")
    url = cloud.client("sqs").create_queue(QueueName="batch")["QueueUrl"]
    iam.create_user(UserName="reader")
    statement = {"Effect": "Allow", "Action": "sqs:DeleteMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="sqs", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    user = cloud.client("sqs", key["AccessKeyId"], key["SecretAccessKey"])
    entries = [{"Id": "0", "ReceiptHandle": "unknown"}]
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            user.delete_message_batch(QueueUrl=url, Entries=entries)
    else:
        assert user.delete_message_batch(QueueUrl=url, Entries=entries)["Failed"]


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


def test_a_service_says_for_which_account_it_assumes_a_role(kind: str, cloud: Cloud) -> None:
    """AWS sends aws:SourceAccount along; in the emulator the root's key is the service."""
    account = cloud.client("sts").get_caller_identity()["Account"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = cloud.client("iam").create_role(RoleName="guarded", AssumeRolePolicyDocument=trust)
    asked = {"RoleArn": role["Role"]["Arn"], "RoleSessionName": "task"}
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            cloud.client("sts").assume_role(**asked)
    else:
        assert cloud.client("sts").assume_role(**asked)["Credentials"]


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


def test_a_search_of_logs_goes_on_behind_its_first_page(kind: str, cloud: Cloud) -> None:
    """AWS answers a nextToken while there is more; the emulator forgets what is left."""
    logs = cloud.client("logs")
    stream = {"logGroupName": "group", "logStreamName": "stream"}
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(**stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + n // 3, "message": f"{n}"} for n in range(10)]
    logs.put_log_events(**stream, logEvents=events)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="group", PaginationConfig={"PageSize": 4}
    )
    found = [event["message"] for page in pages for event in page["events"]]
    assert found == [f"{n}" for n in range(4 if kind == "ministack" else 10)]


@pytest.mark.parametrize(
    ("runtime", "source"),
    [
        (
            "python3.11",
            {"handler.py": 'class Odd(ValueError): ...\ndef run(event, _): raise Odd("no curve")'},
        ),
        (
            "nodejs22.x",
            {
                "handler.js": "class Odd extends Error { name = 'Odd' }\n"
                "exports.run = async () => { throw new Odd('no curve') }"
            },
        ),
    ],
)
def test_the_error_of_a_handler(
    kind: str, cloud: Cloud, runtime: str, source: dict[str, str]
) -> None:
    """AWS names the exception's class and says where it was raised; the emulator does neither."""
    functions = cloud.client("lambda")
    name = make_function(cloud, runtime.replace(".", "-"), source, runtime)
    answer = functions.invoke(FunctionName=name, Payload=b"{}")
    error = json.loads(answer["Payload"].read())
    assert error["errorMessage"] == "no curve"
    assert error["errorType"] == ("Runtime.HandlerError" if kind == "ministack" else "Odd")
    assert ("Odd" in "".join(error.get("stackTrace", []))) == (kind != "ministack")


def test_an_answer_waits_for_no_log(kind: str, cloud: Cloud) -> None:
    """AWS answers when the handler returns; the emulator waits 50 ms for a line of its log."""
    silent = make_function(cloud, "silent", {"handler.py": "def run(event, _): return event"})
    functions = cloud.client("lambda")

    def seconds() -> float:
        begun = time.monotonic()
        functions.invoke(FunctionName=silent, Payload=b"{}")
        return time.monotonic() - begun

    assert (min(seconds() for _ in range(10)) >= 0.05) == (kind == "ministack")


def test_the_log_of_an_invocation_is_whole(cloud: Cloud) -> None:
    """AWS gives the last lines of the log with the answer, those of the same invocation alone."""
    text = "def run(event, _): print(event['first'], event['last'], sep='\\n', end=event['end'])"
    name = make_function(cloud, "talking", {"handler.py": text})
    functions = cloud.client("lambda")
    for number, end in enumerate(["\n", "\n\n", "\n"]):
        event = {"first": f"first {number}", "last": f"last {number}", "end": end}
        answer = functions.invoke(
            FunctionName=name, Payload=json.dumps(event).encode(), LogType="Tail"
        )
        log = base64.b64decode(answer["LogResult"]).decode().splitlines()
        told = [line for line in log if line.startswith(("first", "last"))]
        assert told == [f"first {number}", f"last {number}"]


def test_environments_have_a_layer_in_common(kind: str, cloud: Cloud) -> None:
    """AWS mounts a layer; the emulator unpacks it for each environment. A version is its own."""
    functions = cloud.client("lambda")
    text = "import os, told\ndef run(event, _): return [os.path.realpath(told.__file__), told.WORD]"
    answers = []
    for name, word in (("one", "old"), ("two", "old"), ("three", "new")):
        function = make_function(cloud, f"layered-{name}", {"handler.py": text})
        content = {"ZipFile": pack({"python/told.py": f"WORD = {word!r}"})}
        layer = functions.publish_layer_version(LayerName=word, Content=content)
        functions.update_function_configuration(
            FunctionName=function, Layers=[layer["LayerVersionArn"]]
        )
        answer = functions.invoke(FunctionName=function, Payload=b"{}")
        answers.append(json.loads(answer["Payload"].read()))
    assert [word for _, word in answers] == ["old", "old", "new"]
    assert len({path for path, _ in answers}) == (3 if kind == "ministack" else 2)


def make_echo(cloud: Cloud, api_name: str, field: str) -> str:
    """An API whose only route answers a part of its event; the route's path."""
    text = f"def run(event, _): return {{'statusCode': 200, 'body': str(event{field})}}"
    name = make_function(cloud, f"echoing-{api_name}", {"handler.py": text})
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{name}/invocations"
    post = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": uri}}
    api = {"openapi": "3.0.1", "info": {"title": api_name}, "paths": {"/echo": {"post": post}}}
    resources = {
        "Api": {
            "Type": "AWS::ApiGateway::RestApi",
            "Properties": {"Name": api_name, "Body": api, "BinaryMediaTypes": ["*~1*"]},
        },
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "stage"},
        },
    }
    stacks = cloud.client("cloudformation")
    template = {"Resources": resources, "Outputs": {"Api": {"Value": {"Ref": "Api"}}}}
    stacks.create_stack(StackName=api_name, TemplateBody=json.dumps(template))
    waiter = stacks.get_waiter("stack_create_complete")
    waiter.wait(StackName=api_name, WaiterConfig={"Delay": 1})
    (stack,) = stacks.describe_stacks(StackName=api_name)["Stacks"]
    return f"/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}/stage/echo"


def test_binary_media_types_of_a_template(kind: str, cloud: Cloud) -> None:
    """AWS takes them escaped, and bodies are bytes; for the emulator no type is one of them."""
    path = make_echo(cloud, "bytes", "['isBase64Encoded']")
    answer = requests.post(cloud.url + path, data=b"\xff", headers=OCTETS, timeout=30)
    assert answer.text == ("False" if kind == "ministack" else "True")


def test_where_a_client_asked(kind: str, cloud: Cloud) -> None:
    """On AWS it is the path of the request; the emulator leaves out what is before the stage."""
    path = make_echo(cloud, "paths", "['requestContext']['path']")
    answer = requests.post(cloud.url + path, timeout=30)
    assert answer.text == ("/stage/echo" if kind == "ministack" else path)


def make_function(
    cloud: Cloud, name: str, source: dict[str, str], runtime: str = "python3.11"
) -> str:
    trust = {**ALLOW_S3, "Statement": [{**TRUST, "Principal": {"Service": "lambda.amazonaws.com"}}]}
    role = cloud.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)
    )
    cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime=runtime,
        Handler="handler.run",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": pack(source)},
    )
    return name


def pack(source: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in source.items():
            # as old as any file: what is packed twice is the same
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


def make_pools(cloud: Cloud, **client: Any) -> Pools:
    """A user pool with the user `ann`, a client, and an identity pool that asks the user pool."""
    users, identities = cloud.client("cognito-idp"), cloud.client("cognito-identity")
    pool = users.create_user_pool(PoolName="users")["UserPool"]["Id"]
    users.admin_create_user(UserPoolId=pool, Username="ann")
    users.admin_set_user_password(
        UserPoolId=pool, Username="ann", Password=PASSWORD, Permanent=True
    )
    client_id = users.create_user_pool_client(
        UserPoolId=pool, ClientName="client", ExplicitAuthFlows=FLOWS, **client
    )["UserPoolClient"]["ClientId"]
    provider = f"cognito-idp.{REGION}.amazonaws.com/{pool}"
    asks = {"ProviderName": provider, "ClientId": client_id, "ServerSideTokenCheck": True}
    identity_pool = identities.create_identity_pool(
        IdentityPoolName="identities",
        AllowUnauthenticatedIdentities=False,
        CognitoIdentityProviders=[asks],
    )["IdentityPoolId"]
    tokens = users.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    return Pools(pool, client_id, identity_pool, provider, tokens)


def test_a_refresh_token_ends(kind: str, cloud: Cloud) -> None:
    """AWS refuses it when its life is over; the emulator takes it for ever."""
    units = {"RefreshToken": "seconds"}
    pools = make_pools(cloud, RefreshTokenValidity=1, TokenValidityUnits=units)
    users = cloud.client("cognito-idp")

    def refresh() -> None:
        users.initiate_auth(
            ClientId=pools.client_id,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": pools.tokens["RefreshToken"]},
        )

    time.sleep(2)  # twice the token's life, by the clock of the emulator's machine: this one's
    if kind == "ministack":
        refresh()
    else:
        with pytest.raises(ClientError, match="NotAuthorizedException"):
            refresh()


@pytest.mark.parametrize("leaves", ["admin_delete_user", "admin_user_global_sign_out"])
def test_a_user_who_is_gone_gets_no_keys(kind: str, cloud: Cloud, leaves: str) -> None:
    """AWS asks the user pool (ServerSideTokenCheck); the emulator takes what has not ended."""
    pools = make_pools(cloud)
    identities = cloud.client("cognito-identity")
    logins = {pools.provider: pools.tokens["IdToken"]}
    found = identities.get_id(IdentityPoolId=pools.identity_pool_id, Logins=logins)
    who = {"IdentityId": found["IdentityId"], "Logins": logins}
    assert identities.get_credentials_for_identity(**who)["Credentials"]
    getattr(cloud.client("cognito-idp"), leaves)(UserPoolId=pools.pool_id, Username="ann")
    if kind == "ministack":
        assert identities.get_credentials_for_identity(**who)["Credentials"]
    else:
        with pytest.raises(ClientError, match="NotAuthorizedException"):
            identities.get_credentials_for_identity(**who)


OCTETS = {"Content-Type": "application/octet-stream"}
PASSWORD = "Correct horse battery 1!"
FLOWS = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
TLS_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}
ALLOW_S3 = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole"}
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
