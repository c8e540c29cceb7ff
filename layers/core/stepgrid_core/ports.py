"""The seam between stepgrid and the world: small protocols.

Each has a real adapter (stepgrid_core.aws) and one in memory (stepgrid_core.memory), and one
contract suite that both pass. A port knows no rule: it stores, swaps, starts and tells.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from .budgets import Lane, Limits, Quota, Usage
from .data_plane import TaskFault
from .metrics import Values
from .records import NO_WORK, Chunk, Session, Shard, Work
from .registration import Registration
from .session_events import SessionEvent
from .states import EventKind, SessionState, TaskState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Swap:
    """What became of a conditional write: did ours win, and what is stored now."""

    won: bool
    shard: Shard


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, and where to go on (None at its end)."""

    items: tuple[T, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Worker:
    """A function that runs tasks, as the grid knows it."""

    name: str
    function: str  #: what the state machine invokes; for a registered worker that is the relay
    timeout_seconds: int
    memory_mib: int
    runtime: str = ""  #: as Lambda calls it
    target: str = ""  #: ARN of the registered function; empty for a package worker

    @property
    def is_registered(self) -> bool:
        """A plain function that the relay calls, and no package of the stack."""
        return bool(self.target)


def registered_worker(registration: Registration, relay: str) -> Worker:
    """What a registration is to the grid: the relay runs its chunks and calls the function."""
    return Worker(
        name=registration.name,
        function=relay,
        timeout_seconds=registration.timeout_seconds,
        memory_mib=registration.memory_mib,
        runtime=registration.runtime,
        target=registration.target,
    )


class Refusal(StrEnum):
    """Why a session was not stored or not started: nothing was changed."""

    QUOTA = "quota"  #: of its owner: open sessions, or tasks in them
    NO_ROOM = "no room"  #: too few slots are left, or others wait for them already
    CHANGED = "changed"  #: the session is no longer as it was read


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry in the queue of a worker."""

    place: str  #: sorts by rank; as a cursor it leads to those behind
    session_id: str


class StateTable(Protocol):
    """Sessions and shards. Reads are strongly consistent unless said otherwise.

    Whatever changes what a session holds of a budget changes the session in the same transaction:
    budgets are the sums over open sessions at any moment, whoever dies.
    """

    def create_session(self, session: Session, blob: bytes, limits: Limits) -> Session | Refusal:
        """Store both unless the id is taken; answer what is stored.

        The blob is what the shards can be made from again: the tasks themselves where the table
        keeps them, otherwise the chunk boundaries. The session holds its `slots` from then on, or
        if it is `waiting` gets its place in the queue.
        """

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        """What was stored with the session. Raises NotFound."""

    def create_shards(self, session: Session, shards: Sequence[Shard]) -> None:
        """Store those that are not there yet; never touches one that is."""

    def read_session(self, session_id: str) -> Session | None: ...

    def read_shard(self, session_id: str, number: int) -> Shard | None: ...

    def read_shards(self, session_id: str, first: int = 0, limit: int | None = None) -> list[Shard]:
        """In order of their numbers, from `first` on; at most `limit` numbers."""

    def swap_chunk(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        """One row, only if it is still `shard.chunks[slot]`; other rows may have changed.

        Also won if what is stored is `new`: then the answer to our own write got lost.
        With the row, the first `claimed_at` (epoch seconds) that
        is given for any row of the shard is kept as its `first_claim_at`.
        Raises NotFound if there is no such shard.
        """

    def swap_shard(self, old: Shard, new: Shard) -> Swap:
        """All rows at once, only if none of them changed."""

    def latch(self, session_id: str, shard: int, expires_at: int) -> int:
        """Note that a shard is terminal; answers how many are. Repeating it changes nothing.

        What it keeps is removed some time after `expires_at` (epoch seconds).
        """

    def mark_dispatched(self, session_id: str, dispatch: int, now: float, due_at: float) -> bool:
        """Raise `dispatches` from `dispatch` - 1 to `dispatch`; False if somebody else did."""

    def read_lane(self, worker: str) -> Lane: ...

    def read_usage(self, owner: str, worker: str) -> Usage: ...

    def read_quota(self, owner: str) -> Quota:
        """What an administrator allowed this owner; may be a minute old."""

    def list_waiting(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        """The queue of a worker in order of rank, from behind the place `after`."""

    def drop_waiting(self, worker: str, entry: Waiting) -> None:
        """Remove an entry whose session waits no longer."""

    def clear_waiting(self, worker: str, stamp: str) -> None:
        """Note that nobody waits, unless somebody began to since `stamp` was read (see Lane)."""

    def admit(
        self, session: Session, slots: int, limits: Limits, now: float, due_at: float
    ) -> Session | Refusal:
        """Take a waiting session out of the queue and give it slots, as its next dispatch."""

    def pause(self, session: Session, due_at: float) -> bool:
        """Give back its slots, or its place in the queue; False if it is not as it was read."""

    def enqueue(self, session: Session, due_at: float) -> bool:
        """A paused session waits again; False if it is not as it was read."""

    def set_priority(self, session: Session, priority: int) -> bool:
        """Also moves it in the queue; False if it is not as it was read."""

    def mark_cancelling(self, session_id: str, due_at: float) -> None:
        """So that a cancel which dies half-way is finished by the sweeper."""

    def raise_progress(self, session_id: str, percent: int) -> Session | None:
        """Only who raises it first so far gets the session, and only while it is open."""

    def close_session(
        self,
        session_id: str,
        verdict: SessionState,
        counts: dict[TaskState, int],
        now: float,
        work: Work = NO_WORK,
    ) -> Session | None:
        """Only the first closes: it gets the session, everybody after it None.

        What the session held of budgets is free from then on.
        """

    def postpone(self, session_id: str, due_at: float | None) -> None:
        """When the sweeper is to look again; None: never."""

    def due_sessions(self, now: float, limit: int) -> list[str]:
        """Ids of sessions whose time to look has come (eventually consistent)."""

    def list_sessions(
        self, owner: str, state: SessionState | None, cursor: str | None, limit: int
    ) -> Page[Session]:
        """Newest first (eventually consistent). Raises InvalidRequest for a bad cursor."""

    def delete_session(self, session: Session) -> None:
        """Remove shards, blob and latch; what is left of the session says only that it is deleted.

        An old execution of it may still claim chunks: a new session of the same id would get them.
        """

    def record_task_seconds(self, worker: str, before: float | None, seconds: float) -> None:
        """Move the running mean of one task's time on a worker, which was `before` (see Lane)."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    size: int
    etag: str


#: how long a presigned URL is good
URL_SECONDS = 3600


class PayloadStore(Protocol):
    """Objects by key. Knows nothing of what is in them."""

    def put(self, key: str, body: bytes) -> StoredObject: ...

    def get(self, key: str) -> bytes:
        """Raises NotFound."""

    def get_range(self, key: str, start: int, length: int, etag: str) -> bytes:
        """Raises NotFound if it is gone, PayloadCorrupted if it is another object than `etag`."""

    def head(self, key: str) -> StoredObject | None: ...

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those outputs that are at hand without a request that is billed for each; maybe none."""

    def delete_prefix(self, prefix: str) -> list[str]:
        """Answers the keys that it deleted."""

    def presign_get(self, key: str) -> str: ...

    def presign_put(self, key: str) -> str: ...

    def start_multipart(self, key: str) -> str:
        """Answers the id of the multipart upload."""

    def presign_part(self, key: str, multipart_id: str, number: int) -> str: ...

    def complete_multipart(self, key: str, multipart_id: str, etags: Sequence[str]) -> None:
        """Raises InvalidRequest for parts that don't fit; repeating it is no error."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One execution to start: which chunks of a session, and for a burst their lines."""

    session: Session
    number: int
    chunks: Sequence[int]
    lines: Sequence[str] | None = None


class ExecutionState(StrEnum):
    ABSENT = "absent"  #: was never started
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"  #: an EXPRESS execution can't be asked


class Dispatcher(Protocol):
    """Starts the workflows that run chunks, and knows the workers."""

    def start(self, dispatch: Dispatch) -> None:
        """The same session and number again is success."""

    def look(self, session: Session) -> ExecutionState:
        """The session's newest execution, as far as it can be asked."""

    def locate(self, session: Session) -> str:
        """The ARN of the session's newest execution."""

    def stop(self, session: Session) -> None:
        """Best effort: keeps chunks that were not started from being dispatched."""

    def wake(self, worker: str) -> None:
        """Have `admission.admit_waiting` run soon, elsewhere. Best effort: the sweeper does too."""

    def find_worker(self, name: str) -> Worker | None: ...

    def list_workers(self) -> list[Worker]: ...


class WorkerRegistry(Protocol):
    """What operators said about workers: registered functions, and limits of any worker."""

    def register(self, registration: Registration) -> None:
        """Store it, in place of an earlier one of this name."""

    def unregister(self, name: str) -> bool:
        """Forget the function and its limit; False if none was registered under this name."""

    def read(self, name: str) -> Registration | None: ...

    def list_registered(self) -> list[Registration]:
        """All registered functions, by name (eventually consistent)."""

    def limit(self, name: str, concurrency: int | None) -> None:
        """So many chunks of a worker of either kind run at once; None: the grid's number."""

    def read_limit(self, name: str) -> int | None: ...


class EventBus(Protocol):
    def publish(self, events: Sequence[SessionEvent]) -> None:
        """Tell the world, all in one request: 1 to 10 events.

        Raises Unavailable if any was not taken. Some of them may be told again then, so consumers
        drop repeats by `event_id`.
        """


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Which lines of the workers' log; times are epoch seconds."""

    session_id: str
    task: int | None  #: None: of every task
    every: bool  #: also what the grid itself wrote about the session
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line of a log; `text` is what the worker wrote."""

    at: float  #: epoch seconds
    text: str


class LogReader(Protocol):
    """The log of all workers."""

    def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
        """Every line that was searched for, in order of time; others may be among them.

        A page may be empty although others follow. A line is found some seconds after it was
        written. Raises InvalidRequest for a bad cursor.
        """


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody's wish for the events of an owner. Nothing in the filters means everything."""

    subscription_id: str
    owner: str
    session_ids: tuple[str, ...]
    kinds: tuple[EventKind, ...]
    created_at: float
    stale_at: float  #: it may be removed, unless it is used before


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that waits in a subscription until its receipt is acknowledged."""

    receipt: str
    detail: dict[str, Any]  #: as the bus carries it: contract.BusEvent


class Subscriptions(Protocol):
    """Queues of events, each for one owner. Delivers at least once, in any order."""

    def create(self, subscription: Subscription) -> Subscription:
        """Store it unless the id is taken; answers what is stored, and keeps its events from now.

        Raises QuotaExceeded if the bus takes no more of them.
        """

    def find(self, subscription_id: str) -> Subscription | None: ...

    def count(self, owner: str) -> int:
        """How many the owner has (eventually consistent)."""

    def keep(self, subscription_id: str, stale_at: float) -> None:
        """It is in use: put its removal off. No error if it is gone."""

    def receive(self, subscription_id: str, wait_seconds: float) -> list[Delivery]:
        """Up to 10 events; waits for the first. Each comes again if it is not acknowledged.

        Raises NotFound if it is gone.
        """

    def acknowledge(self, subscription_id: str, receipts: Sequence[str]) -> None:
        """These are done; a receipt that is unknown or too old is no error."""

    def delete(self, subscription_id: str) -> None:
        """Remove all of it. Repeating it is no error."""

    def stale(self, now: float, limit: int) -> list[str]:
        """Ids of those whose time is over (eventually consistent)."""


class MetricSink(Protocol):
    """Where measured values go."""

    def emit(self, worker: str, values: Values, **properties: Any) -> None:
        """Tell values of one worker, all at once; counts of nothing are left out.

        The properties are for whoever looks for the line (session_id, chunk). Never fails.
        """


class Clock(Protocol):
    def now(self) -> float:
        """Epoch seconds."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class TaskInput:
    """One task as the runner gets it; `line` is its JSON text."""

    index: int
    task_id: str
    attempt: int
    line: bytes


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What became of one start of a task: a result (JSON text) or a fault."""

    index: int
    milliseconds: float
    result: bytes | None = None
    fault: TaskFault | None = None


@dataclass(frozen=True, slots=True)
class CommonInput:
    """What all tasks of a session share; `text` is its JSON text."""

    session_id: str
    text: bytes = field(repr=False)


class TaskRunner(Protocol):
    """Runs user code, one task after the other."""

    def run(
        self,
        tasks: Sequence[TaskInput],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Generator[TaskOutcome | None, None, None]:
        """One outcome for each task, in order; None now and then while nothing happens.

        It may end early, after a pause, where a task can't be started now; that is no outcome.
        Closing the generator early kills the task that runs, and starts none of the others.
        """

    def permit(self, seconds: float) -> None:
        """Tasks may start for so many seconds from now; after that none does, until the next."""


@dataclass(frozen=True, slots=True)
class FunctionReply:
    """What a registered function answered: its result, or what it says of its failure."""

    payload: bytes
    failed: bool = False


class FunctionCall(Protocol):
    """One call under way. It can't be taken back: Lambda runs it to its end."""

    def wait(self, seconds: float) -> FunctionReply | None:
        """The reply; None if there is none after so many seconds.

        Raises Unavailable if the function was certainly not started (throttled, unreachable),
        NotFound or AccessDenied if it never can be, RequestTooLarge for a payload that Lambda
        refuses, ServiceError if nobody knows whether it ran.
        """


class FunctionCaller(Protocol):
    """Calls registered functions, each call once: repeating one is the caller's decision."""

    def begin(self, function: str, payload: bytes) -> FunctionCall:
        """Send the payload (JSON text) to the function, an ARN; does not wait."""
