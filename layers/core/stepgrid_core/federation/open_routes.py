"""What clients ask before all else: which version, is it there, are large files taken."""

from .http import Answer, Call, Route
from .principals import UserPrincipal
from .records import Organization
from .shapes import organization_shape
from .task_repeats import note_prepared

#: vantage6's version that the routes and shapes are those of: clients compare it with their own.
VERSION = "4.15.2"
#: No session has this id: the question is whether the table answers.
_NO_SESSION = "health"


def _version(_: Call) -> Answer:
    return Answer({"version": VERSION})


def _health(call: Call) -> Answer:
    call.federation.grid.table.read_session(_NO_SESSION)
    return Answer({"database": True})


def _blob_store(call: Call) -> Answer:
    """Inputs and results travel in the requests themselves."""
    note_prepared(call)
    return Answer({"blob_store_enabled": False})


def _whoami(call: Call) -> Answer:
    """Who asks, as the federation knows them."""
    principal, registry = call.principal, call.federation.registry
    assert isinstance(principal, UserPrincipal)
    own = registry.find(Organization, principal.organization_id)
    shown = None if own is None else organization_shape(call, own)
    user = principal.user
    return Answer({"id": user.id, "username": user.username, "organization": shown})


ROUTES = (
    Route("GET", "/whoami", _whoami, who=("user",)),
    Route("GET", "/version", _version, who=()),
    Route("GET", "/health", _health, who=()),
    Route("GET", "/blobstream/status", _blob_store),
)
