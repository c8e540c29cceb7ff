"""The example of a consumer: its rule is right, and its function says each thing once."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stepgrid_core.states import TERMINAL_EVENTS
from tests.contract.aws_stack import TemplateLoader

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "docs" / "examples" / "event_consumer"


def load_consumer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("consumer", EXAMPLE / "consumer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_sample(kind: str) -> dict[str, Any]:
    sample = json.loads((PROJECT / "events" / "session" / f"{kind}.json").read_text("utf-8"))
    return dict(sample)


def test_its_rule_takes_the_ends_of_sessions() -> None:
    """The pattern names the source and the terminal kinds, and failures have where to go."""
    template = yaml.load((EXAMPLE / "template.yaml").read_text("utf-8"), TemplateLoader)
    properties = template["Resources"]["Consumer"]["Properties"]
    rule = properties["Events"]["SessionEnded"]["Properties"]
    sample = read_sample("finished")
    assert rule["Pattern"]["source"] == [sample["source"]]
    assert set(rule["Pattern"]["detail"]["kind"]) == set(TERMINAL_EVENTS)
    assert rule["DeadLetterConfig"]["Arn"] == "DeadLetters.Arn"
    failure = properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert failure["Destination"] == "DeadLetters.Arn"


@pytest.mark.parametrize("kind", sorted(TERMINAL_EVENTS))
def test_it_says_each_end_once(kind: str) -> None:
    """The samples are understood, and a repeat is dropped."""
    seen: set[str] = set()

    def remember(event_id: str, expires_at: int) -> bool:
        known = event_id in seen
        seen.add(event_id)
        return not known

    consumer, event = load_consumer(), read_sample(kind)
    said = consumer.handle(event, remember, 1_800_000_000.0)
    assert said.startswith(f"nightly: {kind} after 60.2 s, ")
    assert said.endswith(" of 100 tasks have a result")
    assert consumer.handle(event, remember, 1_800_000_001.0) is None
