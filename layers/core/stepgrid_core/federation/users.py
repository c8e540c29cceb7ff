"""Users of a federation come and go with their logins."""

from typing import TYPE_CHECKING

from ..telemetry import logger
from .changes import remove
from .records import User

if TYPE_CHECKING:
    from .service import Federation


def dismiss(federation: "Federation", user: User) -> None:
    """Asked again it does the rest: the login goes first, and without the user nothing is let in.

    Sessions and results of the user's tasks stay: they are the organization's.
    """
    federation.directory.remove(user.username, user.subject)
    remove(federation.registry, user)
    logger.info("user was removed", user_id=user.id)
