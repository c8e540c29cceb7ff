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
    #: where Spot has no room, or took one away, the next one is on demand
    fallback: bool = True

    @property
    def pullers(self) -> int:
        """How many of its processes take chunks: one for each vCPU."""
        return max(1, int(self.vcpu))


#: Exit code of a container whose puller had no answer from the grid (EX_TEMPFAIL of sysexits.h): no
#: task of its chunk is to blame.
NO_ANSWER = 75

#: Of a container's token, so much is in the tokens of its pullers; their number follows.
_TOKEN_PART = 8


def puller_token(container: str, puller: int) -> str:
    """What one of its pullers claims chunks with."""
    return f"{_part_of(container)}{puller:04d}"


def is_claimed_by(token: str, container: str) -> bool:
    """Is this the token of a claim that one of its pullers made?"""
    return token.startswith(_part_of(container))


def _part_of(container: str) -> str:
    return container.replace("-", "")[:_TOKEN_PART]


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """A container of a session, as the broker saw it. Times are epoch seconds."""

    token: str  #: the state machine's, new for each start
    size: ContainerSize
    started_at: float  #: it first asked for something
    seen_at: float  #: it last did
