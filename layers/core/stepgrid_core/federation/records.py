"""The entities of a federation: frozen values, kept as JSON, known by integer ids."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

#: Organizations that one task can go to; with it run ids are made, see `run_id`.
MAX_RUNS = 1_000


class Record:
    """What all of them can: become JSON, and be read from it, of this version or a newer one."""

    __slots__ = ()
    KIND: ClassVar[str]

    def as_values(self) -> dict[str, Any]:
        values = asdict(self)  # type: ignore[call-overload]
        del values["id"]
        return dict(values)

    @classmethod
    def read(cls, id: int, values: Mapping[str, Any]) -> Self:
        known = {each.name for each in fields(cls)} & values.keys()  # type: ignore[arg-type]
        given = {name: _frozen(values[name]) for name in known}
        return cls(**{**given, "id": id})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Organization(Record):
    KIND: ClassVar[str] = "organization"
    id: int
    name: str
    domain: str = ""
    address1: str = ""
    address2: str = ""
    zipcode: str = ""
    country: str = ""
    public_key: str = ""  #: base64 of its PEM; empty: none was given


@dataclass(frozen=True, slots=True)
class Collaboration(Record):
    """Organizations that work together."""

    KIND: ClassVar[str] = "collaboration"
    id: int
    name: str
    encrypted: bool = False  #: inputs and results are ciphertext, which nobody here can read
    organization_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Study(Record):
    """Some of the organizations of a collaboration."""

    KIND: ClassVar[str] = "study"
    id: int
    name: str
    collaboration_id: int
    organization_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Role(Record):
    """A named set of rules; without an organization it is one of everybody's."""

    KIND: ClassVar[str] = "role"
    id: int
    name: str
    description: str = ""
    rule_ids: tuple[int, ...] = ()
    organization_id: int | None = None


@dataclass(frozen=True, slots=True)
class User(Record):
    """A member of an organization, known to the grid by what its login or signature proves."""

    KIND: ClassVar[str] = "user"
    id: int
    username: str
    #: Cognito's `sub` of the user, or the owner that the grid knows an IAM identity as
    subject: str
    organization_id: int
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    role_ids: tuple[int, ...] = ()
    rule_ids: tuple[int, ...] = ()  #: beside those of its roles


@dataclass(frozen=True, slots=True)
class Node(Record):
    """The one program that runs an organization's part of a collaboration."""

    KIND: ClassVar[str] = "node"
    id: int
    name: str
    organization_id: int
    collaboration_id: int
    key_hash: str = field(default="", repr=False)  #: SHA-256 of its API key
    seen_at: float = 0.0  #: when it was last heard of; epoch seconds
    online: bool = False  #: was it last told to be so? See nodes.is_online
    #: of stepgrid's own node: the process that asked last, which alone is given runs; empty: none
    instance: str = ""
    ip: str | None = None
    config: dict[str, Any] = field(default_factory=dict)  #: what it tells of itself
    #: in the cloud: see cloud_nodes.CloudPlace; None: on premises
    cloud: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FederatedTask(Record):
    """What was asked of the organizations; run k is that of organization k."""

    KIND: ClassVar[str] = "task"
    id: int
    name: str
    description: str
    image: str
    collaboration_id: int
    session_id: str
    organization_ids: tuple[int, ...]
    init_org_id: int
    init_user_id: int | None  #: of a subtask, the user who made the first task
    job_id: int  #: shared by all subtasks; that of the first task
    parent_id: int | None
    created_at: float
    study_id: int | None = None
    databases: tuple[dict[str, Any], ...] = ()
    request: int = 0  #: where the request that made it is noted, so that a repeat finds it


@dataclass(frozen=True, slots=True)
class RunRecord(Record):
    """How far a run has come, beside its chunk's row, which is the truth."""

    KIND: ClassVar[str] = "run"
    id: int
    status: str
    attempt: int  #: of the chunk's row
    node_id: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    log: str = ""


@dataclass(frozen=True, slots=True)
class CloudRun(Record):
    """A run that the grid does itself, from when it is claimed until all of it is cleared away."""

    KIND: ClassVar[str] = "cloud_run"
    id: int  #: of the run
    node_id: int
    claim: str
    session_id: str  #: of the session that does it; there may be none yet


def run_id(task_id: int, index: int) -> int:
    """Needs no row to be found again."""
    return task_id * MAX_RUNS + index


def run_place(run: int) -> tuple[int, int]:
    """Task id and index of a run."""
    return divmod(run, MAX_RUNS)
