"""The published form of the events: schema, samples, and what the adapter sends are one."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stepgrid_core.aws.event_bus import AwsEventBus
from stepgrid_core.contract import BusEvent
from stepgrid_core.event_detail import make_schema
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.session_events import SessionEvent, accepted, progressed, started
from stepgrid_core.session_events import ended as ended_event
from stepgrid_core.states import ChunkState, EventKind, SessionState, TaskState

from .aws_stack import AwsStack
from .conftest import receive_events
from .samples import NOW, claimed, ended, make_all_shards, make_session

PROJECT = Path(__file__).parents[2]
SAMPLES = PROJECT / "events" / "session"
#: The session of the samples, where it is not that of all tests.
FACTS: dict[str, Any] = {
    "name": "nightly",
    "tags": {"book": "rates"},
    "created_at": NOW,
    "dispatched_at": NOW,
}


def make_event(kind: EventKind) -> SessionEvent:
    session = make_session(**FACTS)
    if kind is EventKind.ACCEPTED:
        return accepted(session)
    if kind is EventKind.STARTED:
        return started(session)
    if kind is EventKind.PROGRESSED:
        chunks = [chunk for shard in make_all_shards(session) for chunk in shard.chunks]
        rows = [*map(ended, chunks[:CHUNKS_PER_SHARD]), *map(claimed, chunks[CHUNKS_PER_SHARD:])]
        assert rows[0].state is ChunkState.ENDED
        return progressed(session, 30, rows, NOW + 12.5)
    counts = {**dict.fromkeys(TaskState, 0), TaskState.FINISHED: 60}
    counts[TaskState.FINISHED if kind is EventKind.FINISHED else TaskState(kind)] += 40
    verdict = SessionState(kind)
    return ended_event(make_session(**FACTS, verdict=verdict, closed_at=NOW + 60.25, counts=counts))


def read_sample(kind: EventKind) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((SAMPLES / f"{kind}.json").read_text(encoding="utf-8"))
    return sample


def test_every_kind_has_a_sample_and_no_other() -> None:
    """Whoever writes a consumer finds one of each."""
    assert {path.stem for path in SAMPLES.glob("*.json")} == {kind.value for kind in EventKind}


@pytest.mark.parametrize("kind", EventKind)
def test_samples_fit_the_schema(kind: EventKind) -> None:
    """A sample's detail is valid by the published schema, which is valid itself."""
    schema = json.loads((PROJECT / "docs" / "events.schema.json").read_text(encoding="utf-8"))
    assert schema == make_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_sample(kind)["detail"], schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("kind", EventKind)
def test_the_adapter_sends_what_the_samples_show(kind: EventKind, stack: AwsStack) -> None:
    """Envelope and detail of an event that arrives on AWS are those of its sample."""
    bus = AwsEventBus(stack.create_bus())
    queue_url = stack.create_queue_of_events()
    bus.publish([make_event(kind)])
    (event,) = receive_events(queue_url)
    sample = read_sample(kind)
    for field in ("source", "detail-type", "resources"):
        assert event[field] == sample[field]
    # As models: a sample need not name a field that was added later and is not set.
    assert BusEvent.model_validate(event["detail"]) == BusEvent.model_validate(sample["detail"])


def test_the_schema_refuses_what_is_no_event() -> None:
    """An unknown kind or a missing owner is noticed."""
    detail = read_sample(EventKind.FINISHED)["detail"]
    for damaged in (
        {**detail, "kind": "exploded"},
        {name: value for name, value in detail.items() if name != "owner"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(damaged, make_schema(), jsonschema.Draft202012Validator)
