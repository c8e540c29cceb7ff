"""Who bears a token: for callers who sign nothing."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """A user whose token was verified."""

    owner: str  #: as whom the user's signed requests are known
    username: str
    email: str | None = None
    subject: str = ""  #: of the user in its pool: no later user of the same name has it


class TokenVerifier(Protocol):
    def verify(self, token: str) -> Caller | None:
        """None for whatever is no token of this grid's users, or not any more.

        Raises Unavailable.
        """


class NoTokens:
    """Of a grid without users: nothing is a token."""

    def verify(self, token: str) -> Caller | None:
        return None
