"""Events on the deployed grid: bus, rule, queue and API, and who gets what."""

from collections.abc import Callable

from stepgrid import Grid, SessionEvent
from stepgrid.local import LocalCloud
from stepgrid_core.states import EventKind

BUS = "stepgrid-local"
PREFIX = f"{BUS}-events-"


def test_a_stream_tells_own_sessions_as_they_run(
    grid: Grid, make_grid: Callable[[str], Grid]
) -> None:
    """Events come over the bus, each once and in order; those of others do not come."""
    events: list[SessionEvent] = []
    with grid.events() as stream:
        make_grid("rival").submit("mock-compute", [{"worker_arguments": ["1", "1", "1"]}])
        session = grid.submit("mock-compute", [{"worker_arguments": ["1", "1", "1"]}] * 4)
        for event in stream:
            events.append(event)
            if event.kind is EventKind.FINISHED:
                break
    assert {event.session_id for event in events} == {session.id}
    # On a busy machine it may take long enough to tell progress too.
    told = [event.kind for event in events if event.kind is not EventKind.PROGRESSED]
    assert told == ["accepted", "started", "finished"]
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
    assert not any(event.inferred for event in events)
    assert events[-1].counts == session.wait().counts


def test_progress_is_told_of_a_session_that_takes_its_time(grid: Grid) -> None:
    """A session of some seconds tells its tenths, by callback, and nothing after its end."""
    nap = {"worker_arguments": ["500", "1", "1"]}
    session = grid.submit("mock-compute", [nap] * 10, chunk_size=1, max_concurrency=1)
    events: list[SessionEvent] = []
    with session.subscribe(events.append) as subscription:
        description = session.wait(60)
        assert subscription.join(60)
    assert (events[-1].kind, events[-1].counts) == (description.state, description.counts)
    percents = [event.percent for event in events if event.percent is not None]
    assert percents
    assert percents == sorted(set(percents))


def test_nothing_is_left_of_subscriptions(grid: Grid, cloud: LocalCloud) -> None:
    """A queue and a rule are there while a stream is open, and gone after it."""
    before = (queues(cloud), rules(cloud))  # other tests may have left theirs to the sweeper
    with grid.events():
        assert len(queues(cloud)) == len(before[0]) + 1
        assert len(rules(cloud)) == len(before[1]) + 1
    assert (queues(cloud), rules(cloud)) == before


def queues(cloud: LocalCloud) -> list[str]:
    found = cloud.client("sqs").list_queues(QueueNamePrefix=PREFIX)
    return sorted(found.get("QueueUrls", []))


def rules(cloud: LocalCloud) -> list[str]:
    found = cloud.client("events").list_rules(EventBusName=BUS, NamePrefix=PREFIX)
    return sorted(rule["Name"] for rule in found["Rules"])
