"""The queues that jobs are submitted to: how many run at once, how large, how long, and for whom.

A table in the grid's configuration (parameter `Queues` of the template, JSON); where none is given
there are Cloud Kotta's two.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from .container_sizes import check_memory
from .contract import MAX_WALLTIME_SECONDS, first_fault
from .contract.container import Vcpu
from .errors import InvalidRequest

#: Sessions without a queue have slots under these names: see records.lane_name.
RESERVED = ("lambda", "fargate")


class Queue(BaseModel):
    """One queue. Sizes are what a job gets that asks for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")
    concurrency: int = Field(ge=1, description="jobs that run at once, of all owners")
    vcpu: Vcpu = 1
    memory_mib: int = 2048
    storage_gib: int = Field(21, ge=21, le=200)
    spot: bool = False
    #: where Spot has no room, or took a container away, the next one is on demand
    fallback: bool = True
    walltime_seconds: int = Field(300, ge=1, le=MAX_WALLTIME_SECONDS)
    max_walltime_seconds: int = Field(MAX_WALLTIME_SECONDS, ge=1, le=MAX_WALLTIME_SECONDS)
    #: patterns of owners who may use it, as GET /v1/quota names them
    owners: tuple[str, ...] = ("*",)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        check_memory(self.vcpu, self.memory_mib)
        if self.walltime_seconds > self.max_walltime_seconds:
            raise ValueError(
                f"walltime_seconds is {self.walltime_seconds}, over max_walltime_seconds, "
                f"{self.max_walltime_seconds}"
            )
        if self.name in RESERVED:
            raise ValueError(f"{self.name} is the name of a backend: call the queue otherwise")
        return self

    def admits(self, owner: str) -> bool:
        return any(fnmatchcase(owner, pattern) for pattern in self.owners)


#: For trying things out: small, at once. And for work: large, cheap.
_KOTTA = """[
  {"name": "Test", "concurrency": 10, "vcpu": 1, "memory_mib": 2048, "max_walltime_seconds": 1800},
  {"name": "Prod", "concurrency": 100, "vcpu": 4, "memory_mib": 16384, "storage_gib": 100,
   "spot": true, "fallback": true}
]"""
_TABLE = TypeAdapter(tuple[Queue, ...])


@lru_cache(maxsize=8)
def read_queues(text: str) -> tuple[Queue, ...]:
    """The table of the configuration, which never changes. Raises ValueError if it is none."""
    try:
        queues = _TABLE.validate_json(text if text.strip() else _KOTTA)
    except ValidationError as error:
        raise ValueError(f"the table of queues: {first_fault(error, 'all of it')}") from error
    names = [queue.name for queue in queues]
    if len(names) > len(set(names)):
        raise ValueError(f"the table of queues: one is named twice: {', '.join(names)}")
    return queues


def find_queue(queues: Sequence[Queue], name: str, owner: str) -> Queue:
    """Raises InvalidRequest, in the same words for one that is not there and one of others."""
    for queue in queues:
        if queue.name == name and queue.admits(owner):
            return queue
    known = ", ".join(queue.name for queue in queues if queue.admits(owner))
    raise InvalidRequest(f"Queue : [{name}] is not valid; you have {known or 'none'}")
