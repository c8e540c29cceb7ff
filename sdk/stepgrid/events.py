"""News of sessions as they happen: each once, in order, and none of what matters lost.

    bus --> subscription --> receive --> ledger --> the program
                 sessions themselves --> look ---^

Events are hints: they come twice, late, shuffled or never. The ledger lets each through once and
none after a session's end; and every now and then the stream looks at the sessions themselves, and
makes up the end of one whose event did not come (`inferred`).
"""

import atexit
import contextlib
import math
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from pydantic import Field

from stepgrid_core import contract
from stepgrid_core.contract import (
    MAX_SUBSCRIBED_SESSIONS,
    MAX_WAIT_SECONDS,
    ReceiveRequest,
    SessionDescription,
    SubscribeRequest,
)
from stepgrid_core.errors import InvalidRequest, NotFound, ServiceError, StepgridError
from stepgrid_core.names import event_id
from stepgrid_core.states import (
    TERMINAL_EVENTS,
    TERMINAL_SEQUENCE,
    TERMINAL_SESSIONS,
    EventKind,
    event_sequence,
)

from .closable import Closable
from .connection import Connection
from .truth import Truth

#: After a receive that found no grid.
PAUSE_SECONDS = 1.0
#: Beyond what a receive waits: for its answer, with all repetitions.
RECEIVE_SECONDS = 10.0
#: A close must not hold a program up: what it leaves behind, the grid removes.
CLOSE_SECONDS = 5.0
#: Sessions that a stream over all of them remembers.
MOST_REMEMBERED = 100_000


class SessionEvent(contract.SessionEvent):
    """One piece of news of a session, which is described as it was then."""

    inferred: bool = Field(False, description="made from the session itself: no event came")

    def __str__(self) -> str:
        """For `subscribe(print)`: which session, what, and how far it was; repr tells all."""
        percent = "" if self.percent is None else f" {self.percent} %"
        ended = self.counts.finished + self.counts.failed + self.counts.cancelled
        return (
            f"session {self.session_id} {self.kind}{percent}: {ended} of {self.tasks} tasks ended"
        )


def infer(description: SessionDescription) -> SessionEvent:
    """The event that a session which has ended must have had."""
    timings = description.timings
    return _make_up(
        description, EventKind(description.state), timings.closed_at or timings.created_at
    )


def _make_up(description: SessionDescription, kind: EventKind, at: float) -> SessionEvent:
    return SessionEvent(
        **dict(description),
        event_id=event_id(description.session_id, kind),
        kind=kind,
        sequence=event_sequence(kind),
        at=at,
        inferred=True,
    )


class Ledger:
    """Which event of each session came last. Lets only later ones through."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def admit(self, session_id: str, sequence: int) -> bool:
        """True once for each event, and never for one that others have overtaken."""
        last = self._last.pop(session_id, -1)
        self._last[session_id] = max(last, sequence)
        if len(self._last) > MOST_REMEMBERED:
            del self._last[next(iter(self._last))]
        return sequence > last

    def has_ended(self, session_id: str) -> bool:
        return self._last.get(session_id) == TERMINAL_SEQUENCE


class EventStream(Closable):
    """Events of some sessions, or of all that are yours; see Grid.events.

    Iterate over it once. The subscription behind it is made on entry, and deleted on exit.
    """

    def __init__(
        self,
        connection: Connection,
        session_ids: Sequence[str] | None,
        kinds: Iterable[EventKind | str] | None,
    ) -> None:
        self._connection = connection
        self._ids = None if session_ids is None else frozenset(session_ids)
        self._kinds = _check_kinds(kinds)
        self._ledger = Ledger()
        self._truth = Truth(connection.api, self._ids, self._ledger.has_ended)
        self._name: str | None = None
        self._ack: list[str] = []
        self._closed = False
        self._look_at = connection.clock.monotonic()

    def open(self) -> Self:
        """Make the subscription, unless it is there. Raises QuotaExceeded for one too many."""
        if self._name is None and not self._closed:
            for session_id in self._truth.start():
                self._ledger.admit(session_id, TERMINAL_SEQUENCE)
            self._subscribe()
            if self._ids is None:  # of all, what was before is no news
                self._look_at += self._truth.pause_seconds
        return self

    def _subscribe(self) -> None:
        wanted: dict[str, object] = {"client_token": uuid.uuid4().hex}
        if self._ids is not None and 0 < len(self._ids) <= MAX_SUBSCRIBED_SESSIONS:
            wanted |= {"session_ids": sorted(self._ids)}
        if self._kinds is not None:
            wanted |= {"kinds": sorted(self._kinds | TERMINAL_EVENTS)}
        request = SubscribeRequest.model_validate(wanted, strict=False)
        self._name = self._connection.api.subscribe(request).subscription_id

    def close(self) -> None:
        """Delete the subscription; an iteration that waits ends soon. Repeating it does nothing."""
        self._closed = True
        name, self._name = self._name, None
        if name is not None:
            # Nobody needs to know: unused for an hour, it goes anyway.
            with contextlib.suppress(StepgridError):
                self._connection.api.unsubscribe(name, CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self.open()

    def __iter__(self) -> Iterator[SessionEvent]:
        """Ends when all the sessions that were named have ended; without names, never."""
        try:
            self.open()
            while not self._closed and not self._truth.is_over():
                yield from self._next()
        finally:
            self.close()

    def _next(self) -> Iterator[SessionEvent]:
        """What has come; where nothing has for a while, what the sessions themselves say."""
        late_seconds = self._connection.clock.monotonic() - self._look_at
        events = self._receive(-late_seconds)
        for event in events:
            yield from self._admit(event)
        # First what was sent: of what is looked up, the way there is no longer known.
        if late_seconds >= (self._truth.pause_seconds if events else 0):
            for description in self._truth.look():
                yield from self._admit(infer(description))
            self._look_at = self._connection.clock.monotonic() + self._truth.pause_seconds

    def _receive(self, seconds: float) -> list[SessionEvent]:
        """What has come; the last answer is acknowledged only now, when it was dealt with."""
        name, ack = self._name, self._ack
        if name is None:
            return []
        wait_seconds = float(min(MAX_WAIT_SECONDS, max(0, math.ceil(seconds))))
        request = ReceiveRequest(wait_seconds=wait_seconds, ack=ack)
        try:
            patience_seconds = wait_seconds + RECEIVE_SECONDS
            batch = self._connection.api.receive(name, request, patience_seconds)
        except NotFound:
            if not self._closed:  # nobody asked for an hour, so it was removed
                self._subscribe()
            self._ack = []
            return []
        except ServiceError:  # the sessions themselves may still be asked, and now
            self._connection.clock.sleep(PAUSE_SECONDS)
            self._look_at = self._connection.clock.monotonic()
            return []
        self._ack = batch.ack
        return [SessionEvent(**dict(event)) for event in batch.events]

    def _admit(self, event: SessionEvent) -> Iterator[SessionEvent]:
        if self._ids is not None and event.session_id not in self._ids:
            return
        if not self._ledger.admit(event.session_id, event.sequence):
            return
        if self._kinds is None or event.kind in self._kinds:
            yield event


def _check_kinds(kinds: Iterable[EventKind | str] | None) -> frozenset[EventKind] | None:
    if kinds is None:
        return None
    if isinstance(kinds, str):
        raise InvalidRequest(f"kinds is one kind; give a list: [{kinds!r}]")
    try:
        found = frozenset(EventKind(kind) for kind in kinds)
    except ValueError as error:
        raise InvalidRequest(f"{error}; there are {', '.join(EventKind)}") from error
    if not found:
        raise InvalidRequest("kinds is empty; leave it out for all")
    return found


def so_far(description: SessionDescription) -> Iterator[SessionEvent]:
    """What must have been told of a session until now; its progress is not kept anywhere."""
    timings = description.timings
    yield _make_up(description, EventKind.ACCEPTED, timings.created_at)
    if timings.dispatched_at is not None:
        yield _make_up(description, EventKind.STARTED, timings.dispatched_at)
    if description.state in TERMINAL_SESSIONS:
        yield infer(description)


class Subscription(Closable):
    """A callback that is told of a session's events, by a thread of its own.

    It ends with the session, when it is closed, or when the callback raises.
    """

    def __init__(self, stream: EventStream, callback: Callable[[SessionEvent], object]) -> None:
        self._stream = stream.open()
        self._callback = callback
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stepgrid-events", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    def _run(self) -> None:
        try:
            for event in self._stream:
                self._callback(event)
        except BaseException as error:
            self._error = error
        finally:
            self._stream.close()
            atexit.unregister(self.close)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end; False if the seconds passed first.

        Raises what the callback raised, or what kept the events from being read.
        """
        self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def close(self) -> None:
        """No more calls begin; one that is under way goes on. Repeating it does nothing."""
        self._stream.close()
