"""Who reaches the federation, and who may sign its tokens: asserted on the translated template."""

import importlib
import re
from typing import Any

import pytest
from annotated_types import Ge, Le

from stepgrid_core.settings import Settings
from tests.unit.translated_template import (
    listed,
    properties,
    read_template,
    resources_of_type,
    statements_of,
    translate,
)

TEMPLATE = read_template()


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return translate(TEMPLATE)


def function_of(translated: dict[str, Any], method: str, path: str) -> str:
    """Which function API Gateway calls: it takes the longest path that has the method."""
    paths = properties(translated, "Api")["Body"]["paths"]

    def fits(route: str) -> bool:
        pattern = re.escape(route).replace(re.escape("{proxy+}"), ".+")
        return method in paths[route] and re.fullmatch(pattern, path) is not None

    route = max(filter(fits, paths), key=lambda each: len(each.partition("{")[0]))
    uri = paths[route][method]["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    found = re.search(r"\$\{(\w+)\.Arn\}", uri)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("get", "/version", "FederationFunction"),
        ("get", "/api/version", "FederationFunction"),
        ("post", "/api/token/user", "FederationFunction"),
        ("patch", "/run/1000", "FederationFunction"),
        ("delete", "/api/task/1", "FederationFunction"),
        ("get", "/socket.io/", "FederationFunction"),
        ("get", "/v1/health", "ApiFunction"),
        ("get", "/v1/sessions", "ApiFunction"),
        ("post", "/v1/sessions", "ApiFunction"),
        ("patch", "/v1/sessions/1", "ApiFunction"),
        ("delete", "/v1/sessions/1", "ApiFunction"),
        ("get", "/rest/v1/list_tasks", "ApiFunction"),
        ("post", "/rest/v1/submit_task", "ApiFunction"),
    ],
)
def test_the_longer_path_wins(
    translated: dict[str, Any], method: str, path: str, function: str
) -> None:
    """What was there before the federation still goes where it went."""
    assert function_of(translated, method, path) == function


def test_every_method_of_a_route_is_let_in(translated: dict[str, Any]) -> None:
    """A route whose method API Gateway refuses would be one that nobody can call."""
    routing = importlib.import_module("stepgrid_core.federation.routing")
    let_in = properties(translated, "Api")["Body"]["paths"]["/{proxy+}"]
    assert {route.method.lower() for route in routing.ROUTES} <= set(let_in)


def test_bodies_are_bytes(translated: dict[str, Any]) -> None:
    """Any type, because old clients of Socket.IO say that they accept any."""
    assert properties(translated, "Api")["BinaryMediaTypes"] == ["*~1*"]


def test_only_the_function_signs(translated: dict[str, Any]) -> None:
    """The account may administer the key; by its policy nobody else can use it."""
    statements = properties(translated, "FederationKey")["KeyPolicy"]["Statement"]
    signers = [each for each in statements if "kms:Sign" in listed(each["Action"])]
    assert [each["Principal"] for each in signers] == [
        {"AWS": {"Fn::GetAtt": ["FederationFunctionRole", "Arn"]}}
    ]
    actions = {action for each in statements for action in listed(each["Action"])}
    assert not any("*" in action for action in actions)
    assert "kms:PutKeyPolicy" in actions, "a key that nobody can administer is lost"


def test_only_the_functions_role_may_use_the_key(translated: dict[str, Any]) -> None:
    """And that key alone."""
    roles = {
        role: statement["Resource"]
        for role in resources_of_type(translated, "AWS::IAM::Role")
        for statement in statements_of(translated, role)
        if any(action.startswith("kms:") for action in listed(statement["Action"]))
    }
    assert roles == {"FederationFunctionRole": {"Fn::GetAtt": ["FederationKey", "Arn"]}}


def test_the_key_outlives_the_stack(translated: dict[str, Any]) -> None:
    """It is one of RSA, for signatures only."""
    key = translated["Resources"]["FederationKey"]
    assert key["DeletionPolicy"] == "RetainExceptOnCreate"
    assert key["UpdateReplacePolicy"] == "Retain"
    assert key["Properties"]["KeySpec"] == "RSA_2048"
    assert key["Properties"]["KeyUsage"] == "SIGN_VERIFY"


def test_passwords_go_by_the_grid_alone(translated: dict[str, Any]) -> None:
    """By this client nobody logs in who has not the right to AdminInitiateAuth on the pool."""
    client = properties(translated, "FederationClient")
    assert set(client["ExplicitAuthFlows"]) == {
        "ALLOW_ADMIN_USER_PASSWORD_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
    }
    assert client["EnableTokenRevocation"] is True
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    roles = {
        role: statement["Resource"]
        for role in resources_of_type(translated, "AWS::IAM::Role")
        for statement in statements_of(translated, role)
        if "cognito-idp:AdminInitiateAuth" in listed(statement["Action"])
    }
    assert roles == {"FederationFunctionRole": {"Fn::GetAtt": ["UserPool", "Arn"]}}


def test_the_function_is_told_what_it_needs(translated: dict[str, Any]) -> None:
    variables = properties(translated, "FederationFunction")["Environment"]["Variables"]
    assert variables["STEPGRID_SIGNING_KEY"] == {"Fn::GetAtt": ["FederationKey", "Arn"]}
    assert variables["STEPGRID_FEDERATION_CLIENT_ID"] == {"Ref": "FederationClient"}
    assert variables["STEPGRID_USER_POOL_ID"] == {"Ref": "UserPool"}


def test_objects_of_sessions_are_out_of_reach(translated: dict[str, Any]) -> None:
    """The federation reads and writes under its own prefix."""
    resources = [
        statement["Resource"]
        for statement in statements_of(translated, "FederationFunctionRole")
        if any("Object" in action for action in listed(statement["Action"]))
    ]
    assert resources == [{"Fn::Sub": "${PayloadBucket.Arn}/federation/*"}]


def test_the_notifier_hears_what_the_federation_tells(translated: dict[str, Any]) -> None:
    """All kinds of its events, and no other; what can't be delivered leaves a letter."""
    rule = properties(translated, "FederationNotifierFunctionChanges")
    assert rule["EventBusName"] == {"Ref": "EventBus"}
    assert rule["EventPattern"]["source"] == ["stepgrid"]
    ((matched,),) = (rule["EventPattern"]["detail-type"],)
    events = importlib.import_module("stepgrid_core.federation.events")
    assert matched == {"prefix": f"{events.DETAIL_TYPE} "}
    letters = {"Fn::GetAtt": ["FederationDeadLetters", "Arn"]}
    assert rule["Targets"][0]["DeadLetterConfig"] == {"Arn": letters}
    config = properties(translated, "FederationNotifierFunctionEventInvokeConfig")
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == letters


def test_the_notifier_touches_connections_alone(translated: dict[str, Any]) -> None:
    """Of all that the table keeps."""
    found = [
        statement
        for statement in statements_of(translated, "FederationNotifierFunctionRole")
        if any(action.startswith("dynamodb:") for action in listed(statement["Action"]))
    ]
    assert [each["Condition"] for each in found] == [
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["FR#*", "FS#*"]}}
    ]


def test_leases_of_nodes_are_as_long_as_the_deployment_says() -> None:
    """Within the bounds that the function takes: else it would not start."""
    variables = TEMPLATE["Resources"]["FederationFunction"]["Properties"]["Environment"][
        "Variables"
    ]
    assert variables["STEPGRID_NODE_LEASE_SECONDS"] == {"Ref": "NodeLeaseSeconds"}
    parameter, field = TEMPLATE["Parameters"]["NodeLeaseSeconds"], Settings.model_fields
    bounds = [Ge(parameter["MinValue"]), Le(parameter["MaxValue"])]
    assert field["node_lease_seconds"].metadata == bounds
    assert field["node_lease_seconds"].default == parameter["Default"]


def test_the_executor_hears_of_tasks_and_of_ends(translated: dict[str, Any]) -> None:
    """Whatever may change a run of a node in the cloud; what it fails at leaves a letter."""
    cloud_nodes = importlib.import_module("stepgrid_core.federation.cloud_nodes")
    events = importlib.import_module("stepgrid_core.federation.events")
    kinds = importlib.import_module("stepgrid_core.states").EventKind
    rules = {
        name: properties(translated, f"FederationExecutorFunction{name}")
        for name in ("Tasks", "Ends")
    }
    heard = ("TASK_CREATED", "KILL", "CLOUD_DUE")
    assert rules["Tasks"]["EventPattern"]["detail-type"] == [
        f"{events.DETAIL_TYPE} {events.FederationKind[name]}" for name in heard
    ]
    assert rules["Ends"]["EventPattern"]["detail-type"] == [
        f"Session {kinds[name]}" for name in ("FINISHED", "FAILED", "CANCELLED")
    ]
    owner = rules["Ends"]["EventPattern"]["detail"]["owner"]
    assert owner == [{"prefix": cloud_nodes.OWNER_PREFIX}]
    letters = {"Fn::GetAtt": ["FederationDeadLetters", "Arn"]}
    for rule in rules.values():
        assert rule["EventBusName"] == {"Ref": "EventBus"}
        assert rule["Targets"][0]["DeadLetterConfig"] == {"Arn": letters}
    config = properties(translated, "FederationExecutorFunctionEventInvokeConfig")
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == letters


def test_who_is_called_by_anybody_starts_nothing(translated: dict[str, Any]) -> None:
    """Executions are the executor's to start: the routes of the federation can't."""
    starters = {
        role
        for role in resources_of_type(translated, "AWS::IAM::Role")
        for statement in statements_of(translated, role)
        if "states:StartExecution" in listed(statement["Action"]) and role.startswith("Federation")
    }
    assert starters == {"FederationExecutorFunctionRole"}
