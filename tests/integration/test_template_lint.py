"""cfn-lint on what CloudFormation gets: a program of its own, as it changes the SAM translator."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.translated_template import (
    PROJECT,
    REGION,
    properties,
    read_definition,
    read_template,
    translate,
)

EXAMPLE = PROJECT / "docs" / "examples" / "event_consumer" / "template.yaml"


def cfn_lint(*paths: Path) -> tuple[int, str]:
    """Exit code and output."""
    program = Path(sys.executable).with_name("cfn-lint")
    command = [program, "--regions", REGION, "--", *paths]
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


#: Parameters that choose what is deployed.
CASES: dict[str, dict[str, str]] = {
    "defaults": {},
    "elasticache": {
        "PayloadCache": "elasticache",
        "VpcSubnetIds": "subnet-0a",
        "VpcSecurityGroupIds": "sg-0a",
    },
    "url": {"PayloadCache": "url", "RedisUrl": "rediss://cache.example:6379/0"},
    "observed-otherwise": {"Dashboard": "off", "ApiAccessLog": "on", "Tracing": "Active"},
    "no-fargate": {"FargateNetwork": "off"},
    "given-network": {
        "FargateNetwork": "given",
        "FargateSubnetIds": "subnet-0a,subnet-0b",
        "FargateSecurityGroupIds": "sg-0a",
        "FargatePublicIp": "DISABLED",
    },
}


def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    """CloudFormation's rules hold for the translated template in each of these cases, and for the
    example of a consumer as users copy it. Its start costs as much as a template: it starts once.
    """
    translated = with_inline_definitions(translate(read_template()))
    for case, given in CASES.items():
        template = json.loads(json.dumps(translated))
        for name, value in given.items():
            template["Parameters"][name]["Default"] = value
        (tmp_path / f"{case}.json").write_text(json.dumps(template), "utf-8")
    assert cfn_lint(*sorted(tmp_path.iterdir()), EXAMPLE) == (0, "")


def test_cfn_lint_finds_what_is_wrong(tmp_path: Path) -> None:
    """In any of several templates, and says in which."""
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    bucket = {"Type": "AWS::S3::Bucket"}
    right.write_text(json.dumps({"Resources": {"Bucket": bucket}}), "utf-8")
    unknown = {**bucket, "Properties": {"NoSuchProperty": 1}}
    wrong.write_text(json.dumps({"Resources": {"Bucket": unknown}}), "utf-8")
    code, output = cfn_lint(right, wrong)
    assert code != 0
    assert "wrong.json" in output
    assert "right.json" not in output
