"""The contract of the EventBus port, and what an event looks like on AWS."""

from datetime import UTC, datetime

import pytest

from stepgrid_core.aws.event_bus import AwsEventBus
from stepgrid_core.federation.events import FederationEvent, FederationKind
from stepgrid_core.memory import MemoryEventBus
from stepgrid_core.records import Session
from stepgrid_core.session_events import accepted, ended, progressed, started
from stepgrid_core.states import SessionState, TaskState

from .aws_stack import AwsStack
from .conftest import EventBench, receive_events
from .samples import FRACTION, NOW, OWNER, ended_counts, make_session


def closed_session(token: str = "token", verdict: SessionState = SessionState.FINISHED) -> Session:
    open_session = make_session(token, name="nightly", tags={"book": "rates"})
    return make_session(
        token,
        name=open_session.name,
        tags=open_session.tags,
        verdict=verdict,
        closed_at=NOW + 60 + FRACTION,
        counts=ended_counts(open_session),
    )


@pytest.mark.parametrize(
    "verdict", [SessionState.FINISHED, SessionState.FAILED, SessionState.CANCELLED]
)
def test_the_world_is_told_that_a_session_is_closed(
    events: EventBench, verdict: SessionState
) -> None:
    """An event names the session, how it ended and whose it is."""
    session = closed_session(verdict=verdict)
    events.bus.publish([ended(session)])
    assert events.received() == [(f"{session.session_id}:{verdict}", OWNER)]


def test_several_events_go_out_together(events: EventBench) -> None:
    """Each of up to ten events of one call arrives by itself."""
    session = make_session()
    steps = [progressed(session, percent, [], NOW) for percent in range(10, 90, 10)]
    news = [accepted(session), started(session), *steps]
    events.bus.publish(news)
    assert sorted(events.received()) == sorted((each.event_id, OWNER) for each in news)


def test_publishing_again_is_no_error(events: EventBench) -> None:
    """At least once: a repeated event arrives too, and can be told by its event id."""
    event = ended(closed_session())
    events.bus.publish([event])
    events.bus.publish([event])
    received = events.received()
    assert received
    assert {event_id for event_id, _ in received} == {event.event_id}


def test_every_session_has_its_own_event(events: EventBench) -> None:
    """Events of different sessions don't replace each other."""
    sessions = [closed_session("first"), closed_session("second")]
    for session in sessions:
        events.bus.publish([ended(session)])
    received = [event_id for event_id, _ in events.received()]
    assert sorted(received) == sorted(ended(session).event_id for session in sessions)


def test_an_event_on_aws_can_be_filtered_without_reading_the_table(stack: AwsStack) -> None:
    """Source, detail type, resource and the session's public description are in the event."""
    bus = AwsEventBus(stack.create_bus())
    queue_url = stack.create_queue_of_events()
    session = closed_session()
    bus.publish([ended(session)])
    (event,) = receive_events(queue_url)
    assert event["source"] == "stepgrid"
    assert event["detail-type"] == "Session finished"
    assert event["resources"] == [session.session_id]
    assert event["detail"]["counts"][TaskState.FINISHED] == session.tasks
    assert event["detail"]["worker"] == session.worker
    assert event["detail"]["name"] == "nightly"
    assert event["detail"]["tags"] == {"book": "rates"}
    # moto stamps events with its own clock, so the time of closing is read from the detail
    # (on AWS `time` is the entry's own): tests/system.
    closed_at = datetime.fromtimestamp(event["detail"]["timings"]["closed_at"], UTC)
    assert closed_at == datetime.fromtimestamp(NOW + 60 + FRACTION, UTC)


def federation_event(number: int) -> FederationEvent:
    facts = {"id": number, "parent_id": None}
    return FederationEvent(
        FederationKind.TASK_CREATED, f"task-{number}-created", NOW + FRACTION, 7, (1, 2), facts
    )


def test_an_event_of_a_federation_says_what_it_is_about(stack: AwsStack) -> None:
    """A rule finds it by its detail type; whoever gets it reads the same event again."""
    bus = AwsEventBus(stack.create_bus())
    queue_url = stack.create_queue_of_events()
    event = federation_event(3)
    bus.notify([event])
    (received,) = receive_events(queue_url)
    assert received["source"] == "stepgrid"
    assert received["detail-type"] == "stepgrid federation task_created"
    assert received["resources"] == ["collaboration/7"]
    assert FederationEvent.read(received["detail"]) == event


def test_events_of_a_federation_reach_who_listens() -> None:
    """In memory: each of them, in order."""
    bus, heard = MemoryEventBus(), []
    bus.notifiers.append(heard.append)
    news = [federation_event(1), federation_event(2)]
    bus.notify(news)
    assert heard == bus.notified == news
