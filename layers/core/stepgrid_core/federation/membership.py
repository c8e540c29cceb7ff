"""Whether the maker of a federated task may still see it: asked at every request for its session.

    session --> task --> its maker, as a user now --> the maker's rules and collaborations now

So who is removed, or whose organization leaves the collaboration, loses the session with the task.
"""

from ..ports import FederationTable
from ..records import Session
from .permissions import Reach
from .principals import UserPrincipal
from .records import FederatedTask, User
from .registry import Registry
from .roles import rules_of
from .rules import Operation


class TableMembership:
    """See ports.Membership."""

    def __init__(self, table: FederationTable) -> None:
        self._registry = Registry(table)

    def may_read(self, session: Session) -> bool:
        if session.federation is None:
            return True
        task = self._registry.find(FederatedTask, session.federation.task_id)
        if task is None or task.session_id != session.session_id or task.init_user_id is None:
            return False
        user = self._registry.find(User, task.init_user_id)
        return user is not None and self._may_see(user, session.owner, task)

    def _may_see(self, user: User, owner: str, task: FederatedTask) -> bool:
        principal = UserPrincipal(user, rules_of(self._registry, user), owner)
        found = tuple(self._registry.collaborations_of(user.organization_id))
        return Reach(principal, found).may_task(Operation.VIEW, task, "run")
