"""Who lends a container the right to the payloads of its session."""

from dataclasses import asdict, dataclass, field
from typing import Protocol

from ..records import Session


@dataclass(frozen=True, slots=True)
class LentCredentials:
    """AWS credentials that end by themselves."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float  #: epoch seconds

    def as_dict(self) -> dict[str, str | float]:
        return asdict(self)


class CredentialLender(Protocol):
    """Lends what reads a session's input, and reads and writes its results; and nothing else."""

    def lend(self, session: Session) -> LentCredentials:
        """Raises Unavailable."""
