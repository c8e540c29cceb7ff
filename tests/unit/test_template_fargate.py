"""Fargate in the template: what each network makes, what containers may do, and who lets them."""

from typing import Any

import pytest

from stepgrid_core.container.puller_process import END_SECONDS
from stepgrid_core.container.settings import ContainerSettings
from stepgrid_core.planning import EXPRESS_CHUNK_SECONDS
from tests.unit.translated_template import (
    broken_rules,
    chosen,
    is_made,
    listed,
    properties,
    read_definition,
    read_template,
    resources_of_type,
    statements_of,
    translate,
)

TEMPLATE = read_template()
GIVEN = {
    "FargateNetwork": "given",
    "FargateSubnetIds": ["subnet-1", "subnet-2"],
    "FargateSecurityGroupIds": ["sg-1"],
    "FargatePublicIp": "DISABLED",
}
OFF = {"FargateNetwork": "off"}
NETWORK = {
    "ContainerVpc",
    "ContainerSubnetA",
    "ContainerSubnetB",
    "ContainerGateway",
    "ContainerGatewayAttachment",
    "ContainerRoutes",
    "ContainerDefaultRoute",
    "ContainerSubnetARoutes",
    "ContainerSubnetBRoutes",
    "ContainerS3Endpoint",
    "ContainerTableEndpoint",
    "ContainerSecurityGroup",
}
CONTAINERS = {
    "Cluster",
    "TaskDefinition",
    "TaskRole",
    "TaskExecutionRole",
    "ContainerRole",
    "BrokerFunction",
    "BrokerFunctionRole",
    "LendPolicy",
    "BrokerLogGroup",
    "RunContainersPolicy",
}


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return translate(TEMPLATE)


def made(translated: dict[str, Any], **parameters: Any) -> set[str]:
    """Of what Fargate needs, what there is with these parameters."""
    return {name for name in NETWORK | CONTAINERS if is_made(translated, name, **parameters)}


def of_sid(translated: dict[str, Any], role: str, sid: str) -> dict[str, Any]:
    (found,) = (each for each in statements_of(translated, role) if each.get("Sid") == sid)
    return found


class TestNetworks:
    def test_its_own_is_the_default(self, translated: dict[str, Any]) -> None:
        """A VPC of the stack, and all that containers need."""
        assert made(translated) == NETWORK | CONTAINERS
        assert made(translated, FargateNetwork="own") == NETWORK | CONTAINERS

    def test_a_given_one_makes_none(self, translated: dict[str, Any]) -> None:
        """Containers run in the subnets that were named, and nothing of EC2 is made."""
        assert made(translated, **GIVEN) == CONTAINERS

    def test_off_makes_nothing(self, translated: dict[str, Any]) -> None:
        """No role, no function and no cluster is left, and functions know that there are none."""
        assert made(translated, **OFF) == set()
        variables = properties(translated, "ApiFunction")["Environment"]["Variables"]
        told = variables["STEPGRID_FARGATE"]
        assert [chosen(translated, told, **each) for each in (OFF, GIVEN, {})] == [
            "off",
            "on",
            "on",
        ]

    def test_nothing_else_is_of_a_network(self, translated: dict[str, Any]) -> None:
        """Every resource of EC2 or ECS is one of those above."""
        found = {
            name
            for name, resource in translated["Resources"].items()
            if resource["Type"].startswith(("AWS::EC2::", "AWS::ECS::"))
        }
        assert found <= NETWORK | CONTAINERS

    def test_whoever_is_made_names_only_what_is_made(self, translated: dict[str, Any]) -> None:
        """Without a network or without containers, no reference leads nowhere."""
        for parameters in ({}, GIVEN, OFF):
            there = {n for n in translated["Resources"] if is_made(translated, n, **parameters)}
            for name in there:
                resource = chosen(translated, translated["Resources"][name], **parameters)
                assert referred(resource) & set(translated["Resources"]) <= there, name

    @pytest.mark.parametrize(
        ("given", "broken"),
        [
            ({}, set()),
            (OFF, set()),
            (GIVEN, set()),
            ({"FargateNetwork": "given"}, {"GivenNetworkIsGiven"}),
            ({**GIVEN, "FargateSubnetIds": [""]}, {"GivenNetworkIsGiven"}),
            ({**GIVEN, "FargateSecurityGroupIds": [""]}, {"GivenNetworkIsGiven"}),
        ],
    )
    def test_a_given_network_has_to_be_given(self, given: dict[str, Any], broken: set[str]) -> None:
        """CloudFormation refuses a network without subnets or groups before it makes anything."""
        assert broken_rules(TEMPLATE, **given) == broken

    def test_the_machine_is_told_where_containers_run(self, translated: dict[str, Any]) -> None:
        """In its own or the given subnets; in its own with a public address."""
        told = properties(translated, "SessionMachine")["DefinitionSubstitutions"]
        own, given, off = (chosen(translated, told, **each) for each in ({}, GIVEN, OFF))
        assert own["SubnetIds"] == {
            "Fn::Join": [",", [{"Ref": "ContainerSubnetA"}, {"Ref": "ContainerSubnetB"}]]
        }
        assert own["SecurityGroupIds"] == {"Fn::GetAtt": ["ContainerSecurityGroup", "GroupId"]}
        assert own["AssignPublicIp"] == "ENABLED"
        assert given["SubnetIds"] == {"Fn::Join": [",", ["subnet-1", "subnet-2"]]}
        assert given["SecurityGroupIds"] == {"Fn::Join": [",", ["sg-1"]]}
        assert given["AssignPublicIp"] == "DISABLED"
        assert off["ClusterArn"] == "none"

    def test_the_machine_runs_the_latest_revision(self, translated: dict[str, Any]) -> None:
        """No container starts of the one that a session began with, once a deployment was there."""
        told = properties(translated, "SessionMachine")["DefinitionSubstitutions"]
        assert told["TaskDefinition"] == properties(translated, "TaskDefinition")["Family"]


def referred(value: Any) -> set[str]:
    """The resources that a value names."""
    if isinstance(value, list):
        return {name for entry in value for name in referred(entry)}
    if not isinstance(value, dict):
        return set()
    if value.keys() == {"Ref"}:
        return {value["Ref"]}
    if value.keys() == {"Fn::GetAtt"}:
        return {listed(value["Fn::GetAtt"])[0].partition(".")[0]}
    return {name for entry in value.values() for name in referred(entry)}


class TestOwnNetwork:
    def test_it_costs_nothing_while_nothing_runs(self, translated: dict[str, Any]) -> None:
        """No NAT, no address, no interface endpoint: what there is has no price by the hour."""
        kinds = {translated["Resources"][name]["Type"] for name in NETWORK}
        assert kinds == {
            f"AWS::EC2::{kind}"
            for kind in (
                "InternetGateway",
                "Route",
                "RouteTable",
                "SecurityGroup",
                "Subnet",
                "SubnetRouteTableAssociation",
                "VPC",
                "VPCEndpoint",
                "VPCGatewayAttachment",
            )
        }
        for endpoint in resources_of_type(translated, "AWS::EC2::VPCEndpoint").values():
            described = endpoint["Properties"]
            assert described["VpcEndpointType"] == "Gateway"
            assert described["RouteTableIds"] == [{"Ref": "ContainerRoutes"}]

    def test_nothing_comes_in(self, translated: dict[str, Any]) -> None:
        """No rule lets anybody connect to a container, and none is added elsewhere."""
        group = properties(translated, "ContainerSecurityGroup")
        assert "SecurityGroupIngress" not in group
        assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == ["0.0.0.0/0"]
        assert resources_of_type(translated, "AWS::EC2::SecurityGroupIngress") == {}

    def test_both_subnets_lead_out(self, translated: dict[str, Any]) -> None:
        """In two zones, both by the internet gateway, which is there before its route."""
        zones = [
            properties(translated, name)["AvailabilityZone"]["Fn::Select"][0]
            for name in ("ContainerSubnetA", "ContainerSubnetB")
        ]
        assert zones == [0, 1]
        for subnet in ("ContainerSubnetA", "ContainerSubnetB"):
            association = properties(translated, f"{subnet}Routes")
            assert association["SubnetId"] == {"Ref": subnet}
            assert association["RouteTableId"] == {"Ref": "ContainerRoutes"}
        route = translated["Resources"]["ContainerDefaultRoute"]
        assert route["Properties"]["GatewayId"] == {"Ref": "ContainerGateway"}
        assert listed(route["DependsOn"]) == ["ContainerGatewayAttachment"]


class TestRights:
    def test_a_container_asks_the_broker_and_fetches_packages(
        self, translated: dict[str, Any]
    ) -> None:
        """No other function can be called, and no row, object or API is within its reach."""
        ends = {
            statement["Sid"]: statement["Resource"]["Fn::Sub"].rpartition("${AWS::AccountId}:")[2]
            for statement in statements_of(translated, "TaskRole")
        }
        assert ends == {
            "AskTheBroker": "function:${AWS::StackName}-broker",
            "FetchPackages": "function:${AWS::StackName}-worker-*",
            "FetchLayers": "layer:*",
        }

    @pytest.mark.parametrize("role", ["TaskRole", "TaskExecutionRole"])
    def test_ecs_alone_takes_their_roles(self, translated: dict[str, Any], role: str) -> None:
        """And for this account only."""
        (trust,) = properties(translated, role)["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }

    def test_the_broker_alone_lends(self, translated: dict[str, Any]) -> None:
        """The role of the payloads trusts the broker's, which may assume this role and no other."""
        (trust,) = properties(translated, "ContainerRole")["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"AWS": {"Fn::GetAtt": ["BrokerFunctionRole", "Arn"]}}
        lend = of_sid(translated, "BrokerFunctionRole", "LendPayloads")
        assert lend["Resource"] == {"Fn::GetAtt": ["ContainerRole", "Arn"]}
        who = [
            role
            for role in resources_of_type(translated, "AWS::IAM::Role")
            for statement in statements_of(translated, role)
            if "sts:AssumeRole" in listed(statement["Action"])
        ]
        assert who == ["BrokerFunctionRole"]

    def test_what_is_lent_lives_as_long_as_a_chained_role_can(
        self, translated: dict[str, Any]
    ) -> None:
        """An hour, and it can't change an input."""
        role = properties(translated, "ContainerRole")
        assert role["MaxSessionDuration"] == 3600
        writes = [
            resource["Fn::Sub"].partition("}/")[2]
            for statement in statements_of(translated, "ContainerRole")
            if {"s3:PutObject", "s3:AbortMultipartUpload"} & set(listed(statement["Action"]))
            for resource in listed(statement["Resource"])
        ]
        assert set(writes) == {"results/*", "jobs/*"}

    def test_exactly_two_roles_are_passed(self, translated: dict[str, Any]) -> None:
        """To ECS tasks only, and by the session machine only."""
        passing = {
            role: statement
            for role in resources_of_type(translated, "AWS::IAM::Role")
            for statement in statements_of(translated, role)
            if "iam:PassRole" in listed(statement["Action"])
        }
        assert set(passing) == {"SessionMachineRole"}
        statement = passing["SessionMachineRole"]
        assert statement["Resource"] == [
            {"Fn::GetAtt": ["TaskRole", "Arn"]},
            {"Fn::GetAtt": ["TaskExecutionRole", "Arn"]},
        ]
        assert statement["Condition"] == {
            "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        }

    def test_the_machine_runs_this_definition_in_this_cluster(
        self, translated: dict[str, Any]
    ) -> None:
        """Others of the account are out of its reach, and so are their tasks."""
        run = of_sid(translated, "SessionMachineRole", "RunContainers")
        family = properties(translated, "TaskDefinition")["Family"]["Fn::Sub"]
        definitions = [
            each["Fn::Sub"].partition(":task-definition/")[2] for each in run["Resource"]
        ]
        assert definitions == [family, f"{family}:*"]
        assert run["Condition"] == {
            "ArnEquals": {"ecs:cluster": {"Fn::GetAtt": ["Cluster", "Arn"]}}
        }
        follow = of_sid(translated, "SessionMachineRole", "FollowContainers")
        assert properties(translated, "Cluster")["ClusterName"] == {"Ref": "AWS::StackName"}
        assert follow["Resource"]["Fn::Sub"].endswith(":task/${AWS::StackName}/*")

    def test_containers_may_get_the_tags_that_they_are_started_with(
        self, translated: dict[str, Any]
    ) -> None:
        """Where they propagate, ECS starts none for whoever may not tag it, and only then."""
        run = read_definition("session")["States"]["FanOutContainers"]["ItemProcessor"]["States"]
        assert run["RunContainer"]["Parameters"]["PropagateTags"] == "TASK_DEFINITION"
        tag = of_sid(translated, "SessionMachineRole", "TagContainers")
        assert listed(tag["Action"]) == ["ecs:TagResource"]
        assert tag["Resource"]["Fn::Sub"].endswith(":task/${AWS::StackName}/*")
        assert tag["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}

    def test_the_broker_knows_that_an_input_is_missing(self, translated: dict[str, Any]) -> None:
        """S3 answers 403 for it to whoever may not list, which would be a fault of the broker's."""
        tell = of_sid(translated, "BrokerFunctionRole", "TellMissingFromForbidden")
        assert listed(tell["Action"]) == ["s3:ListBucket"]

    def test_the_broker_keeps_no_line_for_ever(self, translated: dict[str, Any]) -> None:
        """Its log group has the retention of all the others."""
        group = properties(translated, "BrokerLogGroup")
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        logging = properties(translated, "BrokerFunction")["LoggingConfig"]
        assert logging["LogGroup"] == {"Ref": "BrokerLogGroup"}

    def test_containers_log_where_workers_do(self, translated: dict[str, Any]) -> None:
        """ECS may write to that group and to no other; it makes none."""
        (container,) = properties(translated, "TaskDefinition")["ContainerDefinitions"]
        options = container["LogConfiguration"]["Options"]
        assert options["awslogs-group"] == {"Ref": "WorkerLogGroup"}
        assert "awslogs-create-group" not in options
        (write,) = statements_of(translated, "TaskExecutionRole")
        assert write["Resource"] == {"Fn::GetAtt": ["WorkerLogGroup", "Arn"]}


class TestTaskDefinition:
    def test_it_is_what_the_machine_overrides(self, translated: dict[str, Any]) -> None:
        """The container's name is the one that the environment of each start is meant for."""
        (container,) = properties(translated, "TaskDefinition")["ContainerDefinitions"]
        fan_out = read_definition("session")["States"]["FanOutContainers"]
        run = fan_out["ItemProcessor"]["States"]["RunContainer"]["Parameters"]
        (override,) = run["Overrides"]["ContainerOverrides"]
        assert override["Name"] == container["Name"]

    def test_variables_are_those_that_a_container_reads(self, translated: dict[str, Any]) -> None:
        """Definition, machine and bootstrap together tell all that it needs, each thing once."""
        (container,) = properties(translated, "TaskDefinition")["ContainerDefinitions"]
        fan_out = read_definition("session")["States"]["FanOutContainers"]
        run = fan_out["ItemProcessor"]["States"]["RunContainer"]["Parameters"]
        (override,) = run["Overrides"]["ContainerOverrides"]
        defined = [entry["Name"] for entry in container["Environment"]]
        overridden = [entry["Name"] for entry in override["Environment"]]
        told = [*defined, *overridden, "STEPGRID_STARTED_AT"]
        assert len(set(told)) == len(told)
        needed = {
            f"STEPGRID_{name.upper()}"
            for name, field in ContainerSettings.model_fields.items()
            if field.is_required()
        }
        assert needed <= set(told)

    def test_a_stop_leaves_as_much_time_as_there_is(self, translated: dict[str, Any]) -> None:
        """Fargate gives two minutes, the container counts on the same, and keeps some to end."""
        (container,) = properties(translated, "TaskDefinition")["ContainerDefinitions"]
        variables = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
        assert container["StopTimeout"] == 120
        assert float(variables["STEPGRID_STOP_TIMEOUT_SECONDS"]) == container["StopTimeout"]
        assert END_SECONDS < container["StopTimeout"] < EXPRESS_CHUNK_SECONDS

    def test_its_image_has_the_functions_runtime(self, translated: dict[str, Any]) -> None:
        """For every version and architecture that functions can have."""
        (container,) = properties(translated, "TaskDefinition")["ContainerDefinitions"]
        text, names = container["Image"]["Fn::Sub"]
        assert text == "public.ecr.aws/lambda/python:${Tag}-${Architecture}"
        assert names["Tag"]["Fn::FindInMap"][:2] == ["RuntimeVersion", {"Ref": "PythonRuntime"}]
        runtimes = TEMPLATE["Parameters"]["PythonRuntime"]["AllowedValues"]
        assert {
            runtime: f"python{tags['Tag']}"
            for runtime, tags in translated["Mappings"]["RuntimeVersion"].items()
        } == {runtime: runtime for runtime in runtimes}
        platform = properties(translated, "TaskDefinition")["RuntimePlatform"]
        architectures = TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]
        assert {
            name: chosen(translated, platform, Architecture=name)["CpuArchitecture"]
            for name in architectures
        } == {"arm64": "ARM64", "x86_64": "X86_64"}
