"""What the deployed stack is: asserted on the template after the SAM transform, offline."""

import importlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.translated_template import (
    PROJECT,
    Resource,
    properties,
    read_template,
    resources_of_type,
    translate,
    worker_names,
)

TEMPLATE = read_template()
WORKERS = worker_names(TEMPLATE)
CONTROL_FUNCTIONS = ("ApiFunction", "RecorderFunction", "SweeperFunction")
FUNCTIONS = (
    *CONTROL_FUNCTIONS,
    "BrokerFunction",
    "FederationFunction",
    "RelayFunction",
    *WORKERS,
)
#: Days that owners may keep the outputs of their jobs.
OUTPUT_DAYS = (1, 7, 30, 90, 365)


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return translate(TEMPLATE)


def test_every_route_but_a_few_needs_a_signature(translated: dict[str, Any]) -> None:
    """Unsigned are health, login, and the routes of clients that bear a token."""
    body = properties(translated, "Api")["Body"]
    security = {
        (method, path): [next(iter(scheme)) for scheme in operation["security"]]
        for path, operations in body["paths"].items()
        for method, operation in operations.items()
    }
    assert security.pop(("get", "/v1/health")) == ["NONE"]
    assert security.pop(("get", "/v1/login")) == ["NONE"]
    assert security.pop(("get", "/rest/v1/{proxy+}")) == ["NONE"]
    assert security.pop(("post", "/rest/v1/{proxy+}")) == ["NONE"]
    for method in ("get", "post", "patch", "delete"):
        assert security.pop((method, "/{proxy+}")) == ["NONE"]
    assert set(security) >= {("get", "/v1/{proxy+}"), ("post", "/v1/{proxy+}")}
    assert set(map(tuple, security.values())) == {("AWS_IAM",)}
    scheme = body["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_callers_need_no_right_on_the_function(translated: dict[str, Any]) -> None:
    """API Gateway calls the function by the function's own policy, not with the caller's rights."""
    for operations in properties(translated, "Api")["Body"]["paths"].values():
        for operation in operations.values():
            assert "credentials" not in operation["x-amazon-apigateway-integration"]


def test_the_api_is_throttled(translated: dict[str, Any]) -> None:
    """Rate and burst of every method are limited, by parameters."""
    (stage,) = resources_of_type(translated, "AWS::ApiGateway::Stage").values()
    (settings,) = stage["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}


def test_a_fresh_account_can_deploy(translated: dict[str, Any]) -> None:
    """Nothing needs the account-wide log role of API Gateway unless the access log is asked for."""
    (stage,) = resources_of_type(translated, "AWS::ApiGateway::Stage").values()
    condition, _, otherwise = stage["Properties"]["AccessLogSetting"]["Fn::If"]
    assert (condition, otherwise) == ("HasApiAccessLog", {"Ref": "AWS::NoValue"})
    assert TEMPLATE["Parameters"]["ApiAccessLog"]["Default"] == "off"
    assert all("LoggingLevel" not in each for each in stage["Properties"]["MethodSettings"])
    assert all(
        "ReservedConcurrentExecutions" not in function["Properties"]
        for function in resources_of_type(translated, "AWS::Lambda::Function").values()
    )


def test_gateway_errors_have_the_shape_of_all_errors(translated: dict[str, Any]) -> None:
    """What API Gateway refuses by itself is {"error": {code, message, details}, "request_id"}."""
    responses = properties(translated, "Api")["Body"]["x-amazon-apigateway-gateway-responses"]
    assert set(responses) == {"DEFAULT_4XX", "DEFAULT_5XX"}
    for response in responses.values():
        text = response["responseTemplates"]["application/json"]
        answer = json.loads(text.replace("$context.error.messageString", '"why"'))
        assert set(answer) == {"error", "request_id"}
        assert set(answer["error"]) == {"code", "message", "details"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_to_a_group_with_retention(translated: dict[str, Any], name: str) -> None:
    """No function lets Lambda create a log group that keeps lines for ever."""
    group = properties(translated, name)["LoggingConfig"]["LogGroup"]["Ref"]
    assert properties(translated, group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", ["SessionMachine", "BurstMachine"])
def test_a_state_machine_logs_errors_without_payloads(
    translated: dict[str, Any], name: str
) -> None:
    """Errors go to a group with retention; inputs and outputs of states do not."""
    logging = properties(translated, name)["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
    (destination,) = logging["Destinations"]
    group = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]
    assert properties(translated, group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function's handler, and a worker's own, are imported from the folder it is built from."""
    described = properties(TEMPLATE, name)
    monkeypatch.syspath_prepend(PROJECT / described["CodeUri"])
    default = TEMPLATE["Globals"]["Function"]["Handler"]
    handlers = [described.get("Handler", default)]
    if name in WORKERS:
        handlers.append(described["Environment"]["Variables"]["STEPGRID_HANDLER"])
    for handler in handlers:
        module, _, function = handler.rpartition(".")
        imported = importlib.import_module(module)
        assert callable(getattr(imported, function))
        folder = "layers/core" if module.startswith("stepgrid_core.") else described["CodeUri"]
        assert Path(str(imported.__file__)).is_relative_to(PROJECT / folder)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_a_short_resource(name: str) -> None:
    """A worker states its name, folder, rights and handler; all else is shared."""
    described = properties(TEMPLATE, name)
    required = {"FunctionName", "CodeUri", "Policies", "Environment"}
    assert required <= set(described) <= required | {"MemorySize", "Timeout"}
    folder = Path(described["CodeUri"]).name
    expected = "${AWS::StackName}-worker-" + folder.replace("_", "-")
    assert described["FunctionName"] == {"Fn::Sub": expected}
    assert {"Ref": "WorkerPolicy"} in described["Policies"]


def test_every_worker_folder_is_deployed() -> None:
    """No folder under functions/workers/ is without its resource."""
    folders = {path.name for path in (PROJECT / "functions/workers").iterdir() if path.is_dir()}
    deployed = {Path(properties(TEMPLATE, name)["CodeUri"]).name for name in WORKERS}
    assert deployed == folders - {"__pycache__"}


def test_only_those_who_start_sessions_know_the_machines(translated: dict[str, Any]) -> None:
    """No worker, whose code is the user's, has the state machines' ARNs in its environment."""
    names = {"STEPGRID_SESSION_MACHINE_ARN", "STEPGRID_BURST_MACHINE_ARN"}
    told = {
        name
        for name in FUNCTIONS
        if names & set(properties(translated, name)["Environment"]["Variables"])
    }
    assert told == set(CONTROL_FUNCTIONS)


def test_the_default_worker_is_deployed(translated: dict[str, Any]) -> None:
    """Clients that name no worker get one that is there, and the api function knows which."""
    default = TEMPLATE["Parameters"]["DefaultWorker"]["Default"]
    names = {properties(TEMPLATE, name)["FunctionName"]["Fn::Sub"] for name in WORKERS}
    assert f"${{AWS::StackName}}-worker-{default}" in names
    variables = properties(translated, "ApiFunction")["Environment"]["Variables"]
    assert "STEPGRID_DEFAULT_WORKER" in variables


def test_variables_are_settings(translated: dict[str, Any]) -> None:
    """Every STEPGRID_ variable of the template is one that the core reads."""
    settings = importlib.import_module("stepgrid_core.settings")
    known = {f"STEPGRID_{field.upper()}" for field in settings.Settings.model_fields}
    known |= set(settings.WorkerSettings.model_fields)
    known |= {"STEPGRID_BACKENDS"}  # read off a worker's function by the dispatcher
    given = {
        variable
        for name in FUNCTIONS
        for variable in properties(translated, name)["Environment"]["Variables"]
        if variable.startswith("STEPGRID_")
    }
    assert given <= known


def test_the_table_keeps_state_safely(translated: dict[str, Any]) -> None:
    """On demand, encrypted, restorable, expiring by expires_at, and kept when the stack is gone."""
    table: Resource = translated["Resources"]["StateTable"]
    described = table["Properties"]
    assert described["BillingMode"] == "PAY_PER_REQUEST"
    assert described["SSESpecification"] == {"SSEEnabled": True}
    assert described["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    expiry = {"AttributeName": "expires_at", "Enabled": True}
    assert described["TimeToLiveSpecification"] == expiry
    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == "Retain"


def test_the_table_has_its_indexes(translated: dict[str, Any]) -> None:
    """Sessions are found by owner, and open ones by the time they are due."""
    described = properties(translated, "StateTable")
    assert [key["AttributeName"] for key in described["KeySchema"]] == ["pk", "sk"]
    indexes = {
        index["IndexName"]: (
            [key["AttributeName"] for key in index["KeySchema"]],
            index["Projection"]["ProjectionType"],
        )
        for index in described["GlobalSecondaryIndexes"]
    }
    assert indexes == {
        "by-owner": (["owner_key", "owner_sort"], "ALL"),
        "by-due": (["due_key", "due_at"], "KEYS_ONLY"),
    }


def test_the_bucket_is_private_and_encrypted(translated: dict[str, Any]) -> None:
    """No public access, no ACLs, encrypted at rest, kept with the stack gone."""
    bucket: Resource = translated["Resources"]["PayloadBucket"]
    described = bucket["Properties"]
    assert set(described["PublicAccessBlockConfiguration"].values()) == {True}
    assert described["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = described["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"


def test_the_bucket_refuses_plain_http(translated: dict[str, Any]) -> None:
    """Any action on the bucket or its objects without TLS is denied to everybody."""
    (statement,) = properties(translated, "PayloadBucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] == "s3:*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [
        {"Fn::GetAtt": ["PayloadBucket", "Arn"]},
        {"Fn::Sub": "${PayloadBucket.Arn}/*"},
    ]


def test_payloads_outlive_state_by_a_day(translated: dict[str, Any]) -> None:
    """Inputs and results expire one day after the rows that point to them, for every retention."""
    rules = properties(translated, "PayloadBucket")["LifecycleConfiguration"]["Rules"]
    days = {"Fn::FindInMap": ["PayloadExpiration", {"Ref": "RetentionDays"}, "Days"]}
    kept_as_state = {rule["Prefix"] for rule in rules if rule.get("ExpirationInDays") == days}
    assert kept_as_state == {"files/", "inputs/", "results/"}
    (abort,) = (rule for rule in rules if "AbortIncompleteMultipartUpload" in rule)
    assert abort["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert translated["Mappings"]["PayloadExpiration"] == {
        days: {"Days": int(days) + 1}
        for days in TEMPLATE["Parameters"]["RetentionDays"]["AllowedValues"]
    }


def test_outputs_of_jobs_outlive_their_days_by_one(translated: dict[str, Any]) -> None:
    """A folder for each choice of days; what is kept long moves to cheaper storage."""
    rules = properties(translated, "PayloadBucket")["LifecycleConfiguration"]["Rules"]
    folders = {rule["Prefix"]: rule for rule in rules if rule.get("Prefix", "").startswith("jobs/")}
    assert TEMPLATE["Parameters"]["MaxOutputDays"]["AllowedValues"] == list(OUTPUT_DAYS)
    assert {prefix: rule["ExpirationInDays"] for prefix, rule in folders.items()} == {
        f"jobs/{days}/": days + 1 for days in OUTPUT_DAYS
    }
    moves = {
        prefix: [(move["StorageClass"], move["TransitionInDays"]) for move in rule["Transitions"]]
        for prefix, rule in folders.items()
        if "Transitions" in rule
    }
    assert moves == {
        "jobs/90/": [("STANDARD_IA", 30)],
        "jobs/365/": [("STANDARD_IA", 30), ("GLACIER_IR", 180)],
    }
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_a_failed_sweep_leaves_a_letter(translated: dict[str, Any]) -> None:
    """Once a minute; what fails, and what can't be delivered, goes to the dead letters."""
    letters = {"Fn::GetAtt": ["SweeperDeadLetters", "Arn"]}
    rule = properties(translated, "SweeperFunctionEveryMinute")
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert rule["Targets"][0]["DeadLetterConfig"] == {"Arn": letters}
    for function in ("SweeperFunction", "RecorderFunction"):
        config = properties(translated, f"{function}EventInvokeConfig")
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == letters
    statements = properties(translated, "SweeperDeadLettersPolicy")["PolicyDocument"]["Statement"]
    (writer,) = (each for each in statements if each["Effect"] == "Allow")
    assert writer["Principal"] == {"Service": "events.amazonaws.com"}
    assert writer["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert properties(translated, "SweeperFunction")["Timeout"] < 60


def test_the_sdk_finds_what_it_needs(translated: dict[str, Any]) -> None:
    """The outputs that `stepgrid connect` reads are there."""
    assert set(translated["Outputs"]) >= {
        "ApiUrl",
        "BurstMachineArn",
        "EventBusArn",
        "EventBusName",
        "IdentityPoolId",
        "PayloadBucket",
        "Region",
        "SessionMachineArn",
        "TableName",
        "UserPoolClientId",
        "UserPoolId",
        "WorkerPrefix",
    }
    assert translated["Outputs"]["ApiUrl"]["Value"]["Fn::Sub"].endswith("/${Stage}/v1")


def test_nothing_is_there_for_the_local_cloud() -> None:
    """The template knows no emulator, and no stage that is treated differently."""
    text = (PROJECT / "template.yaml").read_text(encoding="utf-8").lower()
    for word in ("ministack", "localhost", "127.0.0.1", "localstack", "endpoint_url"):
        assert word not in text
    assert "Stage" not in json.dumps(TEMPLATE["Conditions"])


def test_samconfig_fits_the_template() -> None:
    """default, local, dev and prod exist, and override only parameters of the template."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    assert set(config) == {"version", "default", "local", "dev", "prod"}
    for name in ("local", "dev", "prod"):
        parameters = config[name]["deploy"]["parameters"]
        overridden = dict(pair.split("=") for pair in parameters["parameter_overrides"].split())
        assert overridden["Stage"] == name
        for parameter, value in overridden.items():
            allowed = TEMPLATE["Parameters"][parameter].get("AllowedValues", [value])
            assert value in map(str, allowed)
