"""Who depends on a session: an item for each of them beside it, and a mark on the session itself.

    S#<dependency> / DEP#<dependent>        S#<dependency> / SESSION has_dependents

Both are written in the transaction that stores the dependent. Pure; knows no rule about when a
dependency has ended well.
"""

from boto3.dynamodb.conditions import Attr

from ..records import Session
from .rows import dependent_key, session_key
from .transactions import Write, put, update


def hang_on(table: str, session: Session) -> dict[str, Write]:
    """For each of its dependencies an entry and the mark.

    What refuses is named after the dependency: one that is gone, deleted or not of this owner.
    """
    # A deleted session has lost its key in the index of its owner.
    is_owners = Attr("owner_key").eq(f"O#{session.owner}")
    writes = {}
    for dependency in session.depends_on:
        entry = dependent_key(dependency, session.session_id)
        writes[f"dependent {dependency}"] = put(table, {**entry, "expires_at": session.expires_at})
        writes[f"dependency {dependency}"] = update(
            table, session_key(dependency), change={"has_dependents": True}, condition=is_owners
        )
    return writes
