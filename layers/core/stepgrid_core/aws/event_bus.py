"""EventBus on EventBridge."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .. import telemetry
from ..errors import Unavailable
from ..event_detail import SOURCE, bus_event, detail_type
from ..records import Session
from ..session_events import SessionEvent
from ..states import TERMINAL_EVENTS, TERMINAL_TASKS
from .translate import make_client, translated


class AwsEventBus:
    def __init__(self, name: str) -> None:
        self._name = name
        self._events = make_client("events")

    def publish(self, events: Sequence[SessionEvent]) -> None:
        """See EventBus.publish; PutEvents takes 10 entries."""
        what = f"events of session {events[0].session_id}"
        with translated(what):
            answer = self._events.put_events(Entries=[self._entry(event) for event in events])
        if answer["FailedEntryCount"]:
            reasons = {entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry}
            raise Unavailable(f"{what} were refused: {', '.join(sorted(reasons))}")
        for event in events:
            if event.kind in TERMINAL_EVENTS:
                _measure(event.session)

    def _entry(self, event: SessionEvent) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": detail_type(event),
            "Time": datetime.fromtimestamp(event.at, UTC),
            "Resources": [event.session_id],
            "Detail": bus_event(event).model_dump_json(),
        }


def _measure(session: Session) -> None:
    """The same news as metrics: how many tasks ended how, and how long the session took."""
    counts = session.counts or {}
    for state in TERMINAL_TASKS:
        telemetry.count(f"Tasks{state.capitalize()}", counts.get(state, 0), worker=session.worker)
    if session.closed_at is not None:
        seconds = session.closed_at - session.created_at
        telemetry.measure_seconds("SessionDuration", seconds, worker=session.worker)
