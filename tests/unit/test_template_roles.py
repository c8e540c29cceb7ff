"""Who may do what in the deployed stack: asserted on the roles that the SAM transform makes."""

from typing import Any

import pytest

from stepgrid.registrar import TAG
from tests.unit.translated_template import (
    listed,
    properties,
    read_template,
    resources_of_type,
    statements_of,
    translate,
    worker_names,
)

TEMPLATE = read_template()

#: Every action that each role may take, whatever policy it comes from. Logs of functions apart.
WORKER_ACTIONS = {
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
    "elasticache:Connect",
    "events:PutEvents",
    "lambda:InvokeFunction",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
}
LOG_DELIVERY_ACTIONS = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
#: Only where tracing is on.
TRACE_ACTIONS = {
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
ROLE_ACTIONS = {
    "ApiFunctionRole": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "elasticache:Connect",
        "events:DeleteRule",
        "events:PutEvents",
        "events:PutRule",
        "events:PutTargets",
        "events:RemoveTargets",
        "lambda:GetFunctionConfiguration",
        "lambda:InvokeFunction",
        "lambda:ListFunctions",
        "logs:FilterLogEvents",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sqs:CreateQueue",
        "sqs:DeleteMessage",
        "sqs:DeleteQueue",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    },
    "SweeperFunctionRole": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "events:DeleteRule",
        "events:PutEvents",
        "lambda:InvokeFunction",
        "events:RemoveTargets",
        "s3:DeleteObject",
        "s3:ListBucket",
        "sqs:DeleteQueue",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    },
    "RecorderFunctionRole": {
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "events:PutEvents",
        "lambda:InvokeFunction",
        "sqs:SendMessage",
        "states:StartExecution",
    },
    "RelayFunctionRole": WORKER_ACTIONS,
    "BrokerFunctionRole": {
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "events:PutEvents",
        "lambda:InvokeFunction",
        "s3:GetObject",
        "s3:ListBucket",
        "sts:AssumeRole",
    },
    "FederationFunctionRole": {
        "cognito-idp:AdminCreateUser",
        "cognito-idp:AdminDeleteUser",
        "cognito-idp:AdminGetUser",
        "cognito-idp:AdminInitiateAuth",
        "cognito-idp:AdminRespondToAuthChallenge",
        "cognito-idp:AdminSetUserPassword",
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "elasticache:Connect",
        "events:PutEvents",
        "kms:GetPublicKey",
        "kms:Sign",
        "lambda:InvokeFunction",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    },
    "FederationNotifierFunctionRole": {
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "sqs:SendMessage",
    },
    "FederationExecutorFunctionRole": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "elasticache:Connect",
        "events:PutEvents",
        "lambda:GetFunctionConfiguration",
        "lambda:InvokeFunction",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sqs:SendMessage",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    },
    "ContainerRole": {"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"},
    "TaskRole": {"lambda:GetFunction", "lambda:GetLayerVersion", "lambda:InvokeFunction"},
    "TaskExecutionRole": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "SessionMachineRole": LOG_DELIVERY_ACTIONS
    | TRACE_ACTIONS
    | {
        "ecs:DescribeTasks",
        "ecs:RunTask",
        "ecs:StopTask",
        "ecs:TagResource",
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
        "iam:PassRole",
        "lambda:InvokeFunction",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    },
    "UserRole": {"execute-api:Invoke"},
    "BurstMachineRole": LOG_DELIVERY_ACTIONS | TRACE_ACTIONS | {"lambda:InvokeFunction"},
    **{f"{worker}Role": WORKER_ACTIONS for worker in worker_names(TEMPLATE)},
}
#: SAM adds the second one to a function that may be placed in a VPC, whether it is or not.
SERVICE_POLICIES = {"AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole"}
#: Statements on any resource: these actions know no resource.
UNBOUND_STATEMENTS = {
    "FindWorkers": {"lambda:ListFunctions"},
    "DeliverLogs": LOG_DELIVERY_ACTIONS,
    "WriteTraces": TRACE_ACTIONS,
}


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return translate(TEMPLATE)


@pytest.mark.parametrize("role", sorted(ROLE_ACTIONS))
def test_a_role_may_do_what_it_uses_and_no_more(translated: dict[str, Any], role: str) -> None:
    """A role's actions are exactly those listed, none with a wildcard."""
    allowed = {
        action
        for statement in statements_of(translated, role)
        for action in listed(statement["Action"])
        if statement["Effect"] == "Allow"
    }
    assert allowed == ROLE_ACTIONS[role]
    attached = properties(translated, role).get("ManagedPolicyArns", [])
    of_aws = [arn for arn in attached if isinstance(arn, str)]
    assert {arn.rpartition("/")[2] for arn in of_aws} <= SERVICE_POLICIES


def test_every_role_is_known(translated: dict[str, Any]) -> None:
    """A role that a change adds has to be listed here with what it may do."""
    assert set(resources_of_type(translated, "AWS::IAM::Role")) == set(ROLE_ACTIONS)


def test_resources_are_named(translated: dict[str, Any]) -> None:
    """A statement names its resources, except where the action knows none."""
    unbound = {
        statement["Sid"]: set(listed(statement["Action"]))
        for role in ROLE_ACTIONS
        for statement in statements_of(translated, role)
        if statement["Effect"] == "Allow" and "*" in listed(statement["Resource"])
    }
    assert unbound == UNBOUND_STATEMENTS


@pytest.mark.parametrize("role", ["ApiFunctionRole", "SweeperFunctionRole"])
def test_queues_and_rules_are_those_of_subscriptions(translated: dict[str, Any], role: str) -> None:
    """Other queues of the account, and other rules of the bus, are out of reach."""
    found = {
        statement["Sid"]: statement["Resource"]["Fn::Sub"]
        for statement in statements_of(translated, role)
        if statement.get("Sid", "").startswith("Subscription")
    }
    assert found["SubscriptionQueues"].endswith(":${AWS::StackName}-events-*")
    assert found["SubscriptionRules"].endswith(":rule/${EventBus}/${AWS::StackName}-events-*")


def test_workers_write_results_only(translated: dict[str, Any]) -> None:
    """User code, which runs with a worker's role, can't change a session's input."""
    statements = properties(translated, "WorkerPolicy")["PolicyDocument"]["Statement"]
    (written,) = (each for each in statements if "s3:PutObject" in listed(each["Action"]))
    assert written["Resource"] == {"Fn::Sub": "${PayloadBucket.Arn}/results/*"}


def test_what_jobs_left_behind_is_read_or_deleted(translated: dict[str, Any]) -> None:
    """Only containers write it; the API, and whoever has a URL that it signed, can't change it."""
    found = [
        action
        for statement in statements_of(translated, "ApiFunctionRole")
        for action in listed(statement["Action"])
        if {"Fn::Sub": "${PayloadBucket.Arn}/jobs/*"} in listed(statement["Resource"])
    ]
    assert sorted(found) == ["s3:DeleteObject", "s3:GetObject"]


def test_workers_write_their_own_logs_only(translated: dict[str, Any]) -> None:
    """User code can't write into another program's log, though AWS's own policy would let it."""
    statements = properties(translated, "WorkerPolicy")["PolicyDocument"]["Statement"]
    (denied,) = (each for each in statements if each["Action"] == "logs:*")
    groups = {
        properties(translated, name)["LoggingConfig"]["LogGroup"]["Ref"]
        for name in (*worker_names(TEMPLATE), "RelayFunction")
    }
    # Lambda writes the function's lines by the same role (Lambda guide, source function ARN).
    assert (denied["Effect"], "Condition" in denied) == ("Deny", False)
    spared = {each["Fn::Sub"].partition(":log-group:")[2] for each in denied["NotResource"]}
    assert spared == {f"${{{group}}}{end}" for group in groups for end in ("", ":*")}


def test_the_relay_calls_registered_functions_only(translated: dict[str, Any]) -> None:
    """A function that the registrar has not tagged for this very stack can't be called by it."""
    functions, recorder = sorted(
        (
            statement
            for statement in statements_of(translated, "RelayFunctionRole")
            if "lambda:InvokeFunction" in listed(statement["Action"])
        ),
        key=lambda statement: "Condition" not in statement,
    )
    assert functions["Condition"] == {
        "StringEquals": {f"aws:ResourceTag/{TAG}": {"Ref": "AWS::StackName"}}
    }
    assert functions["Resource"]["Fn::Sub"].endswith(":${AWS::AccountId}:function:*")
    assert recorder["Resource"]["Fn::Sub"].endswith(":function:${AWS::StackName}-recorder")


@pytest.mark.parametrize("role", ["SessionMachineRole", "BurstMachineRole"])
def test_state_machines_invoke_workers_relay_and_recorder(
    translated: dict[str, Any], role: str
) -> None:
    """Registered functions are the relay's alone to call."""
    invoked = [
        statement["Resource"]
        for statement in statements_of(translated, role)
        if "lambda:InvokeFunction" in listed(statement["Action"])
    ]
    workers, relay, recorder = invoked
    assert workers["Fn::Sub"].endswith(":function:${AWS::StackName}-worker-*")
    assert relay == {"Fn::GetAtt": ["RelayFunction", "Arn"]}
    assert recorder == {"Fn::GetAtt": ["RecorderFunction", "Arn"]}


def test_clients_may_call_the_api_only(translated: dict[str, Any]) -> None:
    """The policy for submitters covers this API's /v1 and nothing else."""
    (statement,) = properties(translated, "ClientPolicy")["PolicyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"]["Fn::Sub"].endswith(":${Api}/${Stage}/*/v1/*")
