"""Session: what was submitted, and what became of it."""

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..layout import Layout
from ..names import CHUNKS_PER_SHARD
from ..states import SessionState, TaskState
from ..task_time import TaskTime
from .container import ContainerSize
from .federation import FederationFacts
from .job import JobFacts
from .shard import NO_WORK, Work


@dataclass(frozen=True, slots=True)
class InputRef:
    """Where a session's tasks are: an object of the payload store, or an item of the table."""

    key: str | None  #: None: the lines are in the table
    etag: str
    size: int  #: bytes


@dataclass(frozen=True, slots=True)
class CommonRef:
    """Which object holds a session's common input, and what it must be."""

    key: str
    sha256: str
    size: int  #: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """One submitted vector of tasks. `verdict` stays None until the session is closed."""

    session_id: str
    owner: str
    worker: str
    function: str  #: what runs it: the name or ARN of the worker's function
    tasks: int
    digest: (
        str  #: of worker, tasks, common input and options: tells a repeated submit from another one
    )
    input: InputRef
    layout: Layout  #: which tasks are in which chunk
    route: str  #: "burst" or "map"; of runs "node"
    #: kind of the Map's child executions: "express" or "standard"; empty where there is no Map
    children: str
    max_concurrency: int
    watch_seconds: float  #: a worker looks at its row this often; cancel waits as long
    task_timeout_seconds: float
    max_attempts: int
    priority: int
    created_at: float
    deadline_at: float
    expires_at: int
    backend: str = "lambda"  #: what runs its chunks: "lambda", "fargate" or "node"
    backend_reason: str = ""  #: why that one, in words
    container: ContainerSize | None = None  #: on Fargate
    #: what its containers show to the broker; whoever has it may run its chunks, and nothing else
    ticket: str = field(default="", repr=False)
    queue: str = ""  #: of jobs, whose slots it takes; empty: it takes those of its worker
    output_days: int = 0  #: that outputs of its jobs are kept; 0: it has no jobs
    job: JobFacts | None = None
    federation: FederationFacts | None = None  #: its tasks are runs of a federated task
    target: str = ""  #: ARN of the registered function that `function`, the relay, calls
    replicas: int = 1  #: identical functions over which its chunks are spread
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    common: CommonRef | None = None
    depends_on: tuple[str, ...] = ()  #: sessions that must have finished well before it starts
    #: what was known of its worker's tasks when it was submitted
    worker_task_time: TaskTime | None = None
    #: what it was planned by: what its owner said of the tasks, otherwise the same
    planned_task_time: TaskTime | None = None
    dispatches: int = 0  #: executions started so far
    dispatched_at: float = 0.0
    slots: int = 0  #: chunks that may run at once: what it holds of its worker's budget
    waiting: bool = False  #: in the queue of its worker
    #: waits for its dependencies: holds no slots, is in no queue, and no chunk of it starts
    blocked: bool = False
    has_dependents: bool = False  #: some session was made to wait for its end
    paused: bool = False  #: by its owner: holds no slots, and no chunk of it starts
    cancelling: bool = False
    deleted: bool = False  #: kept until it expires, so that its token makes no other session
    verdict: SessionState | None = None
    closed_at: float | None = None
    #: why it is failed, if that is not its tasks' fault; says so only once its verdict is failed
    reason: str | None = None
    counts: dict[TaskState, int] | None = None  #: written when it closes
    first_claim_at: float | None = None  #: written when it closes, as the next one
    task_seconds: float | None = None

    @property
    def lane(self) -> str:
        """Whose slots it takes, and in whose queue it waits for them."""
        return lane_name(self.worker, self.backend, self.queue)

    @property
    def pullers(self) -> int:
        """Chunks that one of its containers runs at once. A job has a container to itself."""
        if self.container is None:
            return 0
        return 1 if self.queue else self.container.pullers

    def containers_for(self, chunks: int) -> int:
        """How many containers are to share so many chunks, with the slots that it holds."""
        return -(-min(chunks, self.concurrency) // self.pullers) if self.pullers else 0

    @property
    def chunks(self) -> int:
        return self.layout.chunks

    @property
    def shards(self) -> int:
        return -(-self.chunks // CHUNKS_PER_SHARD)

    @property
    def concurrency(self) -> int:
        """Chunks of it that may run at once."""
        return self.slots or self.max_concurrency

    @property
    def blob_id(self) -> str:
        """Also says how the tasks were cut: two submits at once may have planned differently."""
        cut = hashlib.sha256(str(self.layout).encode()).hexdigest()
        return f"{self.digest[:32]}.{cut[:8]}"

    def as_dict(self) -> dict[str, Any]:
        """In values that JSON knows; `read` makes it again, of this version or a newer one."""
        return {**asdict(self), "layout": str(self.layout)}

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Session":
        common, time = values.get("common"), values.get("worker_task_time")
        planned = values.get("planned_task_time", time)  # earlier versions kept one alone
        container, job = values.get("container"), values.get("job")
        federation = values.get("federation")
        nested = {
            "input": InputRef(**values["input"]),
            "layout": Layout.read(values["layout"]),
            "common": CommonRef(**common) if common else None,
            "worker_task_time": TaskTime(**time) if time else None,
            "planned_task_time": TaskTime(**planned) if planned else None,
            "container": ContainerSize(**container) if container else None,
            "depends_on": tuple(values.get("depends_on", ())),
            "job": JobFacts.read(job) if job else None,
            "federation": FederationFacts.read(federation) if federation else None,
        }
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**known, **nested})


def lane_name(worker: str, backend: str, queue: str = "") -> str:
    """Chunks on Fargate take no slot of the functions, and jobs take those of their queue."""
    if queue:
        return f"{worker}/{queue}"
    return worker if backend == "lambda" else f"{worker}/{backend}"


def untouched(session: Session) -> dict[TaskState, int]:
    """Its tasks by state before any of them was begun."""
    return {**dict.fromkeys(TaskState, 0), TaskState.PENDING: session.tasks}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ends, as its rows tell."""

    verdict: SessionState
    counts: dict[TaskState, int]
    at: float  #: epoch seconds
    work: Work = NO_WORK


def closed(session: Session, ending: Ending) -> Session:
    """The session with its end written down; nothing of it changes any more."""
    return replace(
        session,
        waiting=False,
        blocked=False,
        verdict=ending.verdict,
        counts=dict(ending.counts),
        closed_at=ending.at,
        first_claim_at=ending.work.first_claim_at,
        task_seconds=ending.work.task_seconds,
    )
