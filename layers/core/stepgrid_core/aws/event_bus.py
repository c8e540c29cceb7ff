"""EventBus on EventBridge."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..errors import Unavailable
from ..event_detail import SOURCE, bus_event, detail_type
from ..federation.events import FederationEvent
from ..session_events import SessionEvent
from .translate import make_client, translated


class AwsEventBus:
    def __init__(self, name: str) -> None:
        self._name = name
        self._events = make_client("events")

    def publish(self, events: Sequence[SessionEvent]) -> None:
        """See EventBus.publish; PutEvents takes 10 entries."""
        what = f"events of session {events[0].session_id}"
        self._put(what, [self._entry(event) for event in events])

    def notify(self, events: Sequence[FederationEvent]) -> None:
        """See EventBus.notify."""
        what = f"events of collaboration {events[0].collaboration_id}"
        self._put(what, [self._federation_entry(event) for event in events])

    def _put(self, what: str, entries: list[dict[str, Any]]) -> None:
        with translated(what):
            answer = self._events.put_events(Entries=entries)
        if answer["FailedEntryCount"]:
            reasons = {entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry}
            raise Unavailable(f"{what} were refused: {', '.join(sorted(reasons))}")

    def _entry(self, event: SessionEvent) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": detail_type(event),
            "Time": datetime.fromtimestamp(event.at, UTC),
            "Resources": [event.session_id],
            "Detail": bus_event(event).model_dump_json(),
        }

    def _federation_entry(self, event: FederationEvent) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": event.detail_type,
            "Time": datetime.fromtimestamp(event.at, UTC),
            "Resources": [f"collaboration/{event.collaboration_id}"],
            "Detail": json.dumps(event.as_detail()),
        }
