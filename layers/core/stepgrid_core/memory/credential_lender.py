"""A lender whose credentials are of no worth."""

from ..ports import LentCredentials
from ..records import Session


class MemoryLender:
    """Remembers to which sessions it lent."""

    def __init__(self) -> None:
        self.lent: list[str] = []

    def lend(self, session: Session) -> LentCredentials:
        self.lent.append(session.session_id)
        return LentCredentials("key", "secret", "token", session.expires_at)
