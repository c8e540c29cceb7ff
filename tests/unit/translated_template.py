"""template.yaml as CloudFormation sees it: what the SAM transform makes of it, translated offline.

Assertions on the translated template also cover what SAM adds by itself: roles, stages and so on.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

PROJECT = Path(__file__).parents[2]
REGION = "eu-central-1"
#: The properties that name local files, and which `sam deploy` replaces by S3 addresses.
LOCAL_FILE_PROPERTIES = ("CodeUri", "ContentUri", "DefinitionUri")
UPLOADED_TEMPLATE = "https://bucket.s3.amazonaws.com/key"

Resource = dict[str, Any]


def read_template() -> dict[str, Any]:
    """template.yaml, intrinsic functions in their long form."""
    template: dict[str, Any] = json.loads(_read_yaml(PROJECT / "template.yaml"))
    return template


def read_observability() -> dict[str, Any]:
    """The nested template of the dashboard and the alarms; it has no transform."""
    nested: dict[str, Any] = json.loads(_read_yaml(PROJECT / "observability.yaml"))
    return nested


def read_definition(name: str) -> dict[str, Any]:
    """A state machine's definition as the file has it, `${...}` in place."""
    path = PROJECT / "statemachines" / f"{name}.asl.yaml"
    definition: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return definition


def translate(template: dict[str, Any]) -> dict[str, Any]:
    """What CloudFormation gets once the SAM transform has run on the template."""
    translated: dict[str, Any] = json.loads(_translate(json.dumps(template)))
    return translated


@cache
def _translate(template: str) -> str:
    """As JSON: one translation serves all tests of a process, and each has a copy of its own."""
    uploaded = _with_uploaded_files(json.loads(template))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        translator = Translator(managed_policy_map={}, sam_parser=Parser())
        translated = translator.translate(uploaded, parameter_values={})
    return json.dumps(translated)


def resources_of_type(template: dict[str, Any], resource_type: str) -> dict[str, Resource]:
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found


def statements_of(template: dict[str, Any], role: str) -> Iterator[dict[str, Any]]:
    """What a role may do by inline policies, by the template's own ones, and by those apart."""
    described = properties(template, role)
    for policy in described.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]
    for attached in described.get("ManagedPolicyArns", []):
        if isinstance(attached, dict):
            yield from properties(template, attached["Ref"])["PolicyDocument"]["Statement"]
    for policy in resources_of_type(template, "AWS::IAM::Policy").values():
        if {"Ref": role} in policy["Properties"]["Roles"]:
            yield from policy["Properties"]["PolicyDocument"]["Statement"]


def chosen(template: dict[str, Any], value: Any, **parameters: Any) -> Any:
    """A value as CloudFormation sees it, with these parameters in place of the defaults."""
    return _resolve(template, value, _given(template, parameters))


def is_made(template: dict[str, Any], name: str, **parameters: Any) -> bool:
    """Does CloudFormation make this resource, with these parameters?"""
    condition = template["Resources"][name].get("Condition")
    given = _given(template, parameters)
    return condition is None or holds(template["Conditions"][condition], given)


def broken_rules(template: dict[str, Any], **parameters: Any) -> set[str]:
    """The template's rules that refuse these parameters, before anything is made."""
    given = _given(template, parameters)
    return {
        name
        for name, rule in template["Rules"].items()
        if holds(rule["RuleCondition"], given)
        and not all(holds(each["Assert"], given) for each in rule["Assertions"])
    }


def holds(condition: Any, given: dict[str, Any]) -> bool:
    """Of the conditions that are used here."""
    if "Fn::Not" in condition:
        return not holds(condition["Fn::Not"][0], given)
    if "Fn::EachMemberEquals" in condition:
        members, value = condition["Fn::EachMemberEquals"]
        return all(member == value for member in given[members["Ref"]])
    left, right = condition["Fn::Equals"]
    if "Fn::Join" in left:
        return "".join(given[left["Fn::Join"][1]["Ref"]]) == str(right)
    return bool(given[left["Ref"]] == right)


def _given(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """A list that is given as an empty text has one empty member."""
    defaults = {name: entry.get("Default") for name, entry in template["Parameters"].items()}
    lists = {
        name: [""]
        for name, entry in template["Parameters"].items()
        if entry["Type"].startswith(("CommaDelimitedList", "List<")) and not defaults[name]
    }
    return {**defaults, **lists, **parameters}


def _resolve(template: dict[str, Any], value: Any, given: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_resolve(template, entry, given) for entry in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        name, first, second = value["Fn::If"]
        taken = holds(template["Conditions"][name], given)
        return _resolve(template, first if taken else second, given)
    if value.keys() == {"Ref"} and value["Ref"] in given:
        return given[value["Ref"]]
    return {name: _resolve(template, entry, given) for name, entry in value.items()}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def worker_names(template: dict[str, Any]) -> list[str]:
    """The logical ids of the worker functions of an untranslated template."""
    functions = resources_of_type(template, "AWS::Serverless::Function")
    return sorted(
        name
        for name, function in functions.items()
        if function["Properties"]["CodeUri"].startswith("functions/workers/")
    )


@cache
def _read_yaml(path: Path) -> str:
    """As JSON, for the same reason."""
    return json.dumps(yaml_parse(path.read_text(encoding="utf-8")))


def _with_uploaded_files(uploaded: dict[str, Any]) -> dict[str, Any]:
    for resource in uploaded["Resources"].values():
        for name in LOCAL_FILE_PROPERTIES:
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://bucket/key"
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = UPLOADED_TEMPLATE
    return uploaded
