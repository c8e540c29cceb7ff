"""Who still belongs to the collaboration that a federated task was asked in."""

from typing import Protocol

from ..records import Session


class Membership(Protocol):
    """Asked at every request for a session of a federated task, so that who is removed from a
    collaboration loses at once what it had there.
    """

    def may_read(self, session: Session) -> bool:
        """May the owner of the session still see it? Raises Unavailable."""


class NoMembers:
    """Of a grid without a federation: nobody is a member of anything."""

    def may_read(self, session: Session) -> bool:
        return session.federation is None
