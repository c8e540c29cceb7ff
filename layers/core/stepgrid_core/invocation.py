"""The event with which a state machine invokes a worker or the recorder.

The session's facts travel in the execution input, so that a worker needs no read to begin.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .layout import Layout
from .names import CHUNKS_PER_SHARD, replica_names
from .records import ContainerSize, Session


@dataclass(frozen=True, slots=True)
class ContainerCall:
    """What the state machine says to ECS when it starts a container; the strings are ECS's."""

    cpu: str  #: 1024 for a vCPU
    memory: str  #: MiB
    storage_gib: int
    pullers: str  #: chunks that it runs at once
    capacity: tuple[dict[str, Any], ...]  #: the capacity provider strategy
    dispatch: str  #: number of the execution that starts it
    ticket: str = field(repr=False)  #: what the container shows to the broker

    @classmethod
    def read(cls, call: dict[str, Any]) -> "ContainerCall":
        known = {name: call[name] for name in cls.__dataclass_fields__ if name in call}
        return cls(**{**known, "capacity": tuple(call["capacity"])})


def capacity_of(spot: bool) -> tuple[dict[str, Any], ...]:
    provider = "FARGATE_SPOT" if spot else "FARGATE"
    return ({"CapacityProvider": provider, "Weight": 1},)


def _call_of(session: Session, size: ContainerSize) -> ContainerCall:
    return ContainerCall(
        cpu=str(int(size.vcpu * 1024)),
        memory=str(size.memory_mib),
        storage_gib=size.storage_gib,
        pullers=str(session.pullers),
        capacity=capacity_of(size.spot),
        dispatch=str(session.dispatches),
        ticket=session.ticket,
    )


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a worker must know of a session; the same for all of its chunks."""

    session_id: str
    blob_id: str
    worker: str
    functions: tuple[str, ...]  #: any of them may run a chunk; the first one again at the end
    replicas: int  #: how many different ones
    tasks: int
    layout: Layout
    route: str
    children: str
    input_key: str | None
    input_etag: str
    task_timeout_seconds: float
    max_attempts: int
    watch_seconds: float
    deadline_at: float
    dispatched_at: float = 0.0
    common_key: str | None = None
    common_sha256: str = ""
    target: str = ""  #: ARN of the registered function that the relay calls for each task
    backend: str = "lambda"
    container: ContainerCall | None = None  #: for the state machine alone
    #: of a session of one chunk, as it was dispatched: who commits the chunk closes it
    session: Session | None = None

    @property
    def chunks(self) -> int:
        return self.layout.chunks

    @property
    def shards(self) -> int:
        return -(-self.chunks // CHUNKS_PER_SHARD)

    def as_dict(self) -> dict[str, Any]:
        session = None if self.session is None else self.session.as_dict()
        plain = asdict(replace(self, session=None))
        return {**plain, "layout": str(self.layout), "session": session}


def facts_of(session: Session) -> SessionFacts:
    return SessionFacts(
        session_id=session.session_id,
        blob_id=session.blob_id,
        worker=session.worker,
        functions=_functions(session),
        replicas=session.replicas,
        tasks=session.tasks,
        layout=session.layout,
        route=session.route,
        children=session.children,
        input_key=session.input.key,
        input_etag=session.input.etag,
        task_timeout_seconds=session.task_timeout_seconds,
        max_attempts=session.max_attempts,
        watch_seconds=session.watch_seconds,
        deadline_at=session.deadline_at,
        dispatched_at=session.dispatched_at,
        common_key=session.common.key if session.common else None,
        common_sha256=session.common.sha256 if session.common else "",
        target=session.target,
        backend=session.backend,
        container=_call_of(session, session.container) if session.container else None,
        session=session if session.chunks == 1 and session.container is None else None,
    )


def is_current(session: Session, facts: SessionFacts) -> bool:
    """May the execution with these facts start more of the session?

    Not while it is paused, nor after: then another one does, with the slots that it was given anew.
    """
    started = facts.container is None or int(facts.container.dispatch) == session.dispatches
    return started and not (session.paused or session.waiting)


def _functions(session: Session) -> tuple[str, ...]:
    """The state machine takes one by States.MathRandom(0, replicas).

    On AWS that is never `replicas` itself; the local cloud's emulator draws it like the others.
    """
    return (*replica_names(session.function, session.replicas), session.function)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One chunk for one worker. The token is new for each time the state machine asks."""

    facts: SessionFacts
    chunk: int
    token: str
    lines: str | None = None  #: a burst carries the chunk's tasks

    @classmethod
    def read(cls, event: dict[str, Any]) -> "Invocation":
        facts = cls.read_facts(event["session"])
        return cls(facts, event["chunk"], event["token"], event.get("lines"))

    @staticmethod
    def read_facts(session: dict[str, Any]) -> SessionFacts:
        """Facts that this version does not know are ignored: a newer API may have sent them."""
        known = SessionFacts.__dataclass_fields__
        facts = {name: value for name, value in session.items() if name in known}
        whole, call = facts.get("session"), facts.get("container")
        typed = {
            "layout": Layout.read(session["layout"]),
            "functions": tuple(session["functions"]),
            "session": Session.read(whole) if whole else None,
            "container": ContainerCall.read(call) if call else None,
        }
        return SessionFacts(**{**facts, **typed})
