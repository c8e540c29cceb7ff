"""EventBus on EventBridge: one event for a session that closed."""

import json
from datetime import UTC, datetime

from .. import telemetry
from ..description import show
from ..errors import Unavailable
from ..records import Session
from ..states import TERMINAL_TASKS
from .translate import make_client, translated

SOURCE = "stepgrid"


class AwsEventBus:
    def __init__(self, name: str) -> None:
        self._name = name
        self._events = make_client("events")

    def publish(self, session: Session) -> None:
        """Raises Unavailable if the bus did not take it: the sweeper will try again."""
        description = show(session, session.counts or {})
        entry = {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": f"Session {description.state}",
            "Time": datetime.fromtimestamp(session.closed_at or session.created_at, UTC),
            "Resources": [session.session_id],
            "Detail": json.dumps({**description.model_dump(mode="json"), "owner": session.owner}),
        }
        with translated(f"event of session {session.session_id}"):
            answer = self._events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            reason = answer["Entries"][0].get("ErrorCode", "unknown reason")
            raise Unavailable(f"event of session {session.session_id} was refused: {reason}")
        _measure(session)


def _measure(session: Session) -> None:
    """The same news as metrics: how many tasks ended how, and how long the session took."""
    counts = session.counts or {}
    for state in TERMINAL_TASKS:
        telemetry.count(f"Tasks{state.capitalize()}", counts.get(state, 0), worker=session.worker)
    if session.closed_at is not None:
        seconds = session.closed_at - session.created_at
        telemetry.measure_seconds("SessionDuration", seconds, worker=session.worker)
