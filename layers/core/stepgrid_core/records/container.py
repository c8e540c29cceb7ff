"""ContainerSize: what one Fargate task of a session is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContainerSize:
    """A size that Fargate has."""

    vcpu: float
    memory_mib: int
    storage_gib: int
    spot: bool
    architecture: str  #: "arm64" or "x86_64"

    @property
    def pullers(self) -> int:
        """How many of its processes take chunks: one for each vCPU."""
        return max(1, int(self.vcpu))
