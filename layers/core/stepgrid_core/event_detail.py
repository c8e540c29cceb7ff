"""What an event looks like outside: its JSON, and the schema of it.

`python -m stepgrid_core.event_detail` prints the schema; docs/events.schema.json is checked against
it. Only the bus is told the owner: whoever may read the bus sees the events of all.
"""

import json
import sys
from typing import Any

from .contract import BusEvent
from .description import show
from .session_events import SessionEvent

SOURCE = "stepgrid"


def bus_event(event: SessionEvent) -> BusEvent:
    description = show(event.session, event.counts)
    return BusEvent(
        **dict(description),
        event_id=event.event_id,
        kind=event.kind,
        sequence=event.sequence,
        at=event.at,
        percent=event.percent,
        owner=event.session.owner,
    )


def detail_type(event: SessionEvent) -> str:
    """What most rules filter by."""
    return f"Session {event.kind}"


def make_schema() -> dict[str, Any]:
    schema = BusEvent.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def render() -> str:
    return json.dumps(make_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
