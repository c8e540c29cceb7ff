"""Named faults of the emulator, and what restores AWS's behaviour. One function per fault.

Nothing here may do what AWS would not. tests/integration/test_local_corrections.py has a test per
fault that fails as soon as the emulator has mended it: then the function goes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


def write_definitions_as_json(built_template: Path) -> None:
    """Rewrite a built template so that its state machines' definition files are JSON.

    AWS: CloudFormation reads a state machine's definition from S3 as JSON or as YAML.
    ministack 1.5.33: reads it as JSON only, and every execution fails with InvalidDefinition.
    """
    template: Any = yaml.safe_load(built_template.read_text(encoding="utf-8"))
    for name, resource in template.get("Resources", {}).items():
        if resource.get("Type") != "AWS::Serverless::StateMachine":
            continue
        uri = resource.get("Properties", {}).get("DefinitionUri")
        if isinstance(uri, str) and uri.endswith((".yaml", ".yml")):
            written = _write_as_json(built_template.parent / uri, built_template.parent, name)
            resource["Properties"]["DefinitionUri"] = written.name
    text = yaml.safe_dump(template, sort_keys=False, allow_unicode=True)
    built_template.write_text(text, encoding="utf-8")


def _write_as_json(definition: Path, directory: Path, name: str) -> Path:
    written = directory / f"{name}.asl.json"
    content: Any = yaml.safe_load(definition.read_text(encoding="utf-8"))
    written.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return written
