"""The containers that run a session on Fargate: as a caller may wish them, and as they were."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .model import Request, Response

#: what Fargate has (ECS developer guide, "Fargate task size")
VCPUS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)


def _check_vcpu(vcpu: float) -> float:
    if vcpu not in VCPUS:
        raise ValueError(f"Fargate has {', '.join(f'{one:g}' for one in VCPUS)}")
    return vcpu


Vcpu = Annotated[float, AfterValidator(_check_vcpu)]


class ContainerOptions(Request):
    """What is left out is what the worker says, or the least that Fargate has for the rest."""

    count: int | None = Field(
        None, ge=1, le=1000, description="so many share the session; left out: as the work asks for"
    )
    vcpu: Vcpu | None = Field(None, description="each whole one runs chunks of its own")
    memory_mib: int | None = Field(
        None, ge=512, le=249_856, description="of the whole container; Fargate has steps"
    )
    storage_gib: int | None = Field(None, ge=21, le=200, description="of its own disk")
    spot: bool | None = Field(None, description="spare capacity: cheaper, and may be taken away")
    architecture: Literal["arm64", "x86_64"] | None = Field(
        None, description="the one that the worker's package is built for"
    )


class ContainerUse(Response):
    """One container that ran, or runs, chunks of a session."""

    vcpu: float
    memory_mib: int
    storage_gib: int
    spot: bool
    architecture: str
    started_at: float = Field(description="when it first asked for work; epoch seconds")
    seen_at: float = Field(description="when it was last heard of")
