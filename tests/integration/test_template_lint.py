"""cfn-lint on what CloudFormation gets: a program of its own, as it changes the SAM translator."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.translated_template import (
    PROJECT,
    REGION,
    properties,
    read_definition,
    read_template,
    translate,
)

EXAMPLE = PROJECT / "docs" / "examples" / "event_consumer" / "template.yaml"


def cfn_lint(path: Path) -> tuple[int, str]:
    """Exit code and output."""
    program = Path(sys.executable).with_name("cfn-lint")
    command = [program, "--regions", REGION, "--", path]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.returncode, found.stdout + found.stderr


def with_inline_definitions(template: dict[str, Any]) -> dict[str, Any]:
    """A copy with the state machines' definitions in it: cfn-lint reads no others."""
    inlined: dict[str, Any] = json.loads(json.dumps(template))
    for name, file in (("SessionMachine", "session"), ("BurstMachine", "burst")):
        machine = properties(inlined, name)
        del machine["DefinitionS3Location"]
        machine["DefinitionString"] = json.dumps(read_definition(file))
    return inlined


@pytest.mark.parametrize(
    "given",
    [
        {},
        {
            "PayloadCache": "elasticache",
            "VpcSubnetIds": "subnet-0a",
            "VpcSecurityGroupIds": "sg-0a",
        },
        {"PayloadCache": "url", "RedisUrl": "rediss://cache.example:6379/0"},
        {"Dashboard": "off", "ApiAccessLog": "on", "Tracing": "Active"},
        {"FargateNetwork": "off"},
        {
            "FargateNetwork": "given",
            "FargateSubnetIds": "subnet-0a,subnet-0b",
            "FargateSecurityGroupIds": "sg-0a",
            "FargatePublicIp": "DISABLED",
        },
    ],
    ids=["defaults", "elasticache", "url", "observed otherwise", "no Fargate", "given network"],
)
def test_cfn_lint_finds_nothing(given: dict[str, str], tmp_path: Path) -> None:
    """With these parameters, CloudFormation's rules hold for the translated template."""
    translated = with_inline_definitions(translate(read_template()))
    for name, value in given.items():
        translated["Parameters"][name]["Default"] = value
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(translated), "utf-8")
    assert cfn_lint(path) == (0, "")


def test_cfn_lint_finds_nothing_in_the_example_of_a_consumer() -> None:
    """What users copy is right, as they write it."""
    assert cfn_lint(EXAMPLE) == (0, "")
