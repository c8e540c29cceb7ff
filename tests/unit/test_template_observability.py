"""The dashboard, the alarms and the traces: asserted on the nested and the translated template."""

import copy
import json
import re
from typing import Any

import pytest

from stepgrid_core.metrics import Metric
from tests.unit.translated_template import (
    properties,
    read_observability,
    read_template,
    resources_of_type,
    translate,
)

TEMPLATE = read_template()
NESTED = read_observability()
ALARMS = resources_of_type(NESTED, "AWS::CloudWatch::Alarm")


def translate_with(**defaults: str) -> dict[str, Any]:
    template = copy.deepcopy(TEMPLATE)
    for name, value in defaults.items():
        template["Parameters"][name]["Default"] = value
    return translate(template)


def read_dashboard() -> list[dict[str, Any]]:
    body = properties(NESTED, "Dashboard")["DashboardBody"]["Fn::Sub"]
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


class TestAlarms:
    @pytest.mark.parametrize("name", sorted(ALARMS))
    def test_an_alarm_is_quiet_without_work(self, name: str) -> None:
        """It says what to look at, is silent without data, and tells the topic, if any."""
        described = properties(NESTED, name)
        assert "Look at" in described["AlarmDescription"]
        assert described["TreatMissingData"] == "notBreaching"
        assert described["AlarmActions"]["Fn::If"][0] == "HasAlarmTopic"

    def test_what_a_user_would_notice_has_one(self) -> None:
        """A failing or slow API, sessions left to the sweeper, and a sweeper that fails."""
        assert {properties(NESTED, name)["MetricName"] for name in ALARMS} == {
            "5XXError",
            "ExecutionsFailed",
            "Latency",
            "NumberOfMessagesSent",
            "Throttles",
            "WriteThrottleEvents",
        }


class TestDashboard:
    def test_every_metric_of_the_grid_is_shown(self) -> None:
        """By its own name, so that a renamed metric does not leave an empty graph."""
        shown = set(
            re.findall(r'MetricName="(\w+)"', json.dumps(read_dashboard()).replace("\\", ""))
        )
        assert shown - {"ConcurrentExecutions", "Throttles", "Errors"} == set(Metric)

    def test_widgets_do_not_overlap(self) -> None:
        """Three in a row of 24 columns."""
        places = [(widget["x"], widget["y"]) for widget in read_dashboard()]
        assert len(set(places)) == len(places)
        assert all(widget["x"] + widget["width"] <= 24 for widget in read_dashboard())

    def test_only_known_names_are_substituted(self) -> None:
        """A misspelt one would be refused at the deployment only."""
        used = set(re.findall(r"\$\{([\w:]+)\}", json.dumps(read_dashboard())))
        assert used <= {*NESTED["Parameters"], "AWS::Region"}


class TestNesting:
    def test_the_nested_stack_gets_its_parameters(self) -> None:
        """All of them, and none that it does not know."""
        nested = TEMPLATE["Resources"]["Observability"]
        assert set(nested["Properties"]["Parameters"]) == set(NESTED["Parameters"])
        assert nested["Condition"] == "HasDashboard"
        assert nested["Properties"]["TemplateURL"] == "observability.yaml"


class TestTracing:
    def test_it_is_off_by_default(self) -> None:
        """No function is traced, and no role may write traces."""
        translated = translate(TEMPLATE)
        functions = resources_of_type(translated, "AWS::Lambda::Function")
        assert not any("TracingConfig" in each["Properties"] for each in functions.values())
        roles = resources_of_type(translated, "AWS::IAM::Role")
        assert "XRay" not in json.dumps(roles)
        assert translated["Resources"]["MachineTracePolicy"]["Condition"] == "HasTracing"

    def test_it_can_be_turned_on(self) -> None:
        """Functions, the API and both machines write traces, and may."""
        translated = translate_with(Tracing="Active")
        for name, function in resources_of_type(translated, "AWS::Lambda::Function").items():
            assert function["Properties"]["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}
            assert "AWSXrayWriteOnlyAccess" in json.dumps(properties(translated, f"{name}Role"))
        (stage,) = resources_of_type(translated, "AWS::ApiGateway::Stage").values()
        assert stage["Properties"]["TracingEnabled"] == {"Fn::If": ["HasTracing", True, False]}
        machines = resources_of_type(translated, "AWS::StepFunctions::StateMachine")
        assert {
            json.dumps(each["Properties"]["TracingConfiguration"]) for each in machines.values()
        } == {'{"Enabled": {"Fn::If": ["HasTracing", true, false]}}'}
        roles = properties(translated, "MachineTracePolicy")["Roles"]
        assert roles == [{"Ref": "SessionMachineRole"}, {"Ref": "BurstMachineRole"}]


class TestCountedRequests:
    def test_they_are_off_unless_asked_for(self) -> None:
        """Every function is told by one parameter, which is off by default."""
        assert TEMPLATE["Parameters"]["CountRequests"]["Default"] == "off"
        functions = resources_of_type(translate(TEMPLATE), "AWS::Lambda::Function")
        for function in functions.values():
            told = function["Properties"]["Environment"]["Variables"]
            assert told["STEPGRID_COUNT_REQUESTS"] == {"Ref": "CountRequests"}
