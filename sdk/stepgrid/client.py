"""The grid as a Python object: where everything in the SDK begins.

Grid ── submit ──▶ Session ── results
  ├── jobs: submit, get, list
  ├── federation: submit, session, collaborations
  ├── plan, map, session, sessions, cancel, workers, health
  `── config, credentials, transport: found once, when the Grid is made
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Unpack

from stepgrid_core.contract import (
    CancelCounts,
    Health,
    PlanDescription,
    QuotaDescription,
    SessionSummary,
    WorkerDescription,
)
from stepgrid_core.data_plane import encode_lines
from stepgrid_core.errors import ConfigurationError, InvalidRequest
from stepgrid_core.states import EventKind, SessionState

from .api import Api, check_id
from .closable import Closable
from .common_input import encode_common
from .config import Config, find_config
from .connection import TRANSFERS, Connection
from .credentials import Given, find_signer
from .events import EventStream
from .federation import Federation
from .jobs import Jobs
from .login import Login
from .objects import HttpObjects, Objects
from .options import Options
from .plans import ask_plan
from .request_counts import RequestCounts
from .retry import Clock, SystemClock
from .session import Session
from .session_ids import HasId, read_ids
from .submission import make_order, submit
from .transport import DEFAULT_TIMEOUT_SECONDS, HttpTransport, Transport

#: Sessions that one cancel request may name; see contract.CancelRequest.
CANCEL_BATCH = 100


class Grid(Closable):
    """A grid, and who calls it. Safe for several threads; close it, or use it as a context."""

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        region: str | None = None,
        config: Config | None = None,
        session: Any = None,
        username: str | None = None,
        password: str | None = None,
        login: Login | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        transport: Transport | None = None,
        objects: Objects | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Find the grid and the credentials. No request is sent, unless there is a username.

        endpoint, region: of the grid; see stepgrid.config for where they are found when left out.
        config: both and more, in place of all that. session: a boto3 session whose credentials are
        to sign. username, password: of a user of the grid, who is logged in when this is needed
        first. login: one that has begun; see stepgrid.login. Where none of these is given,
        stepgrid.credentials says whose credentials sign. timeout_seconds: of one call with all its
        retries, beyond what the grid was asked to hold its answer. transport, objects, clock: how
        requests and payloads travel, and what time it is, in place of HTTPS and this machine's
        clock; transport and objects are given together.

        Raises ConfigurationError, which says what to do.
        """
        clock = clock or SystemClock()
        #: where the grid was found; None for one that was given a transport
        self.config: Config | None = None
        #: every request that this Grid has sent over HTTPS, repeated ones as well
        self.request_counts = RequestCounts()
        if (transport is None) != (objects is None):
            raise ConfigurationError("transport and objects belong together")
        if config is not None and (endpoint or region):
            raise ConfigurationError("give either config, or endpoint and region")
        if transport is None or objects is None:
            self.config = config or find_config(endpoint, region)
            given = Given(login, session, username, password, config is not None)
            signer = find_signer(self.config, given)
            transport = HttpTransport(
                self.config.endpoint,
                signer.region,
                signer.credentials,
                timeout_seconds=timeout_seconds,
                clock=clock,
                counts=self.request_counts,
            )
            objects = HttpObjects(
                self.config.endpoint, TRANSFERS, clock=clock, counts=self.request_counts
            )
        #: what sessions and executors of this grid share
        self.connection = Connection(Api(transport), objects, clock)
        #: submits and finds jobs
        self.jobs = Jobs(self.connection)
        #: has algorithms run at the organizations of a collaboration
        self.federation = Federation(self.connection)
        self._closers: list[Callable[[], None]] = [self.connection.close]
        if isinstance(transport, HttpTransport) and isinstance(objects, HttpObjects):
            self._closers += [transport.close, objects.close]

    def submit(
        self,
        worker: str,
        tasks: Iterable[Any],
        *,
        client_token: str | None = None,
        common: Any = None,
        depends_on: Iterable[HasId | str] = (),
        **options: Unpack[Options],
    ) -> Session:
        """Submit a session; answers as soon as the grid has accepted it.

        worker: its name. tasks: any iterable of JSON values, also a generator; each is what the
        worker's function gets as its event. However many there are, a few megabytes of them are
        held at once. They travel as json.dumps writes them: tuples arrive as
        lists, and keys that are numbers, True, False or None as text. client_token: the same token
        and tasks give the same session, so that a program may repeat itself; a new one when left
        out. common: a JSON value of up to 64 MiB that all tasks share: it is sent once, kept by
        warm workers, and read by the worker's function as `context.common`. depends_on: up to 20
        sessions of yours, or their ids: this one starts when every task of them has a result, and
        fails if one of them ends otherwise, its tasks with DependencyFailed. options: fields of
        stepgrid_core.contract.SessionOptions: name, tags, timeout_seconds, task_timeout_seconds,
        max_attempts, priority, max_concurrency, chunk_size, backend, container, task_seconds.

        Raises InvalidRequest for an unknown option, a task that is not JSON (its index is named), a
        common input that is none, or no tasks at all; what the iterable raises; NotFound for an
        unknown worker, or a session to depend on that is not yours; Conflict for a token that was
        used with other tasks; RequestTooLarge for more than a session may hold; QuotaExceeded for
        more than you may have at work at once. No session was made then; what was uploaded is
        removed, or expires.
        """
        after = read_ids(depends_on, "depends_on")
        order = make_order(worker, client_token, options, encode_common(common), after)
        if isinstance(tasks, str | bytes | dict) or not isinstance(tasks, Iterable):
            raise InvalidRequest(
                f"tasks is one {type(tasks).__name__}; give a list, with one entry for each task"
            )
        description = submit(self.connection, order, encode_lines(tasks))
        return Session(self.connection, description)

    def plan(
        self,
        worker: str,
        tasks: int | Iterable[Any],
        *,
        size: int | None = None,
        **options: Unpack[Options],
    ) -> PlanDescription:
        """How such a session would run, why there, how long it would take and what it would cost.

        Nothing is submitted, stored or uploaded. tasks: how many, or the tasks themselves, which
        are counted and measured here. size: of so many, their bytes as JSON Lines; 1,000 for each
        when left out. options: as in `submit`; `task_seconds` makes it a good estimate.

        Raises what a submit would raise for worker, options and size.
        """
        return ask_plan(self.connection, make_order(worker, None, options), tasks, size)

    def map(
        self,
        worker: str,
        inputs: Iterable[Any],
        *,
        timeout: float | None = None,
        return_exceptions: bool = False,
        common: Any = None,
        depends_on: Iterable[HasId | str] = (),
        **options: Unpack[Options],
    ) -> Iterator[Any]:
        """Run a worker over inputs; answers an iterator over the results, in order.

        The session is submitted before this returns. Each result comes as soon as all before it
        are there; a task that has none raises its error in its place, or hands it out with
        `return_exceptions`. timeout: seconds from the submit to the last result. An iterator that
        is given up leaves the session running: `sessions` finds it. common, depends_on, options:
        as in `submit`.
        """
        session = self.submit(worker, inputs, common=common, depends_on=depends_on, **options)
        return session.stream(return_exceptions, timeout)

    def session(self, session_id: str) -> Session:
        """Attach to a session, from any process. Raises NotFound for one that is not yours."""
        return Session(self.connection, self.connection.api.describe(session_id))

    def sessions(
        self, state: SessionState | None = None, limit: int | None = None
    ) -> Iterator[SessionSummary]:
        """Your sessions, newest first; asked for page by page.

        state: only these; pending and running both mean all that are open. limit: at most so many.
        Raises InvalidRequest for a negative limit.
        """
        if limit is not None and limit < 0:
            raise InvalidRequest(f"limit is {limit}; give 0 or more, or None for all")
        return islice(self._all_sessions(state), limit)

    def _all_sessions(self, state: SessionState | None) -> Iterator[SessionSummary]:
        cursor: str | None = None
        while True:
            page = self.connection.api.list_sessions(state, cursor)
            yield from page.sessions
            cursor = page.cursor
            if cursor is None:
                return

    def cancel(self, session_ids: Iterable[str]) -> dict[str, CancelCounts]:
        """Cancel sessions; answers how many tasks this call cancelled, for each.

        An id that is unknown or somebody else's gets zeros. Repeating it is no error.
        """
        if isinstance(session_ids, str):
            raise InvalidRequest(f"session_ids is one id; give a list: [{session_ids!r}]")
        counts: dict[str, CancelCounts] = {}
        rest = iter(session_ids)
        while batch := list(islice(rest, CANCEL_BATCH)):
            for session_id in batch:
                check_id(session_id)
            counts |= self.connection.api.cancel(batch).sessions
        return counts

    def events(
        self,
        sessions: Iterable[Session | str] | None = None,
        kinds: Iterable[EventKind | str] | None = None,
    ) -> EventStream:
        """News as it happens: iterate over it, best in a `with` block, which cleans up at once.

        sessions: these, or their ids; the iteration ends when all have ended. None: all that are
        yours, without an end. kinds: accepted, started, progressed, finished, failed, cancelled;
        all when left out.

        Each event comes once, a session's events in their order, and its end always: also if the
        event of it was lost (`inferred`), or had happened before. Raises QuotaExceeded for too many
        subscriptions, NotFound if no session that was named is yours, InvalidRequest for an
        unknown kind.
        """
        ids = None if sessions is None else read_ids(sessions, "sessions")
        return EventStream(self.connection, ids, kinds)

    def workers(self) -> list[WorkerDescription]:
        """The workers that tasks can be submitted to, with their limits."""
        return self.connection.api.list_workers().workers

    def quota(self) -> QuotaDescription:
        """What your open sessions hold, and what they may hold; None where there is no limit."""
        return self.connection.api.read_quota()

    def health(self) -> Health:
        """Ask whether the grid answers, and which version it is."""
        return self.connection.api.health()

    def close(self) -> None:
        """Let the threads and connections go. Sessions of the grid go on without it."""
        for close in self._closers:
            close()

    def __repr__(self) -> str:
        return f"<Grid {self.config.endpoint if self.config else 'in memory'}>"
