"""Logins: a user by a password, a node by its API key, a container by the node that runs it.

Messages and shapes are those that vantage6's clients look at. A refresh answers both tokens, as its
clients of 4.15 want it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ..ports import SECOND_FACTOR, LoginStep, UserTokens
from . import tokens
from .api_keys import hash_key
from .authentication import authenticate_user, bearer_token, is_at_work, node_of_claims
from .http import Answer, Call, InvalidToken, Refused, Route
from .principals import NodePrincipal
from .records import FederatedTask, Node

_TEXTS: Mapping[str, type] = {"username": str, "password": str}


def _log_user_in(call: Call) -> Answer:
    body = _read(call, _TEXTS)
    code = body.get("mfa_code")
    login = call.federation.login
    entered = login.log_in(body["username"], body["password"], None if code is None else str(code))
    if entered is None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "Failed to login")
    if isinstance(entered, LoginStep):
        return _ask_for(entered)
    return Answer(_of_user(call, entered))


def _ask_for(step: LoginStep) -> Answer:
    """A code is asked for with 200: that is how the clients know that the password was right."""
    if step.challenge == SECOND_FACTOR:
        return Answer({"msg": "Please include your two-factor authentication code"})
    message = f"this user has to do {step.challenge} first: run `stepgrid login`"
    raise Refused(HTTPStatus.UNAUTHORIZED, message)


def _log_node_in(call: Call) -> Answer:
    body = _read(call, {"api_key": str})
    node_id = call.federation.table.find(f"key:{hash_key(body['api_key'])}")
    node = None if node_id is None else call.federation.registry.find(Node, node_id)
    if node is None or node.cloud is not None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "Api key is not recognized!")
    return Answer(_of_node(call, node))


def _let_container_in(call: Call) -> Answer:
    assert isinstance(call.principal, NodePrincipal)
    node = call.principal.node
    body = _read(call, {"task_id": int, "image": str})
    task = call.federation.registry.find(FederatedTask, body["task_id"])
    if task is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "Parent task does not exist!")
    if body["image"] != task.image:
        raise Refused(HTTPStatus.UNAUTHORIZED, "Image and task do no match")
    if node.collaboration_id != task.collaboration_id:
        raise Refused(HTTPStatus.UNAUTHORIZED, "You are not within the collaboration")
    if node.organization_id not in task.organization_ids:
        raise Refused(HTTPStatus.UNAUTHORIZED, f"task {task.id} has no run for this node")
    if not is_at_work(call.federation, node, task):
        raise Refused(HTTPStatus.BAD_REQUEST, "Task is already finished!")
    return Answer({"container_token": tokens.issue_container_token(call.federation, node, task)})


def _refresh(call: Call) -> Answer:
    """Of users the refresh token is Cognito's, which nobody but Cognito can read."""
    token = bearer_token(call.request)
    if not tokens.is_ours(call.federation, token):
        renewed = call.federation.login.renew(token)
        if renewed is None:
            raise InvalidToken
        return Answer(_of_user(call, renewed))
    node = node_of_claims(call.federation, tokens.verify(call.federation, token, "refresh"))
    if node is None:
        raise InvalidToken
    return Answer(_of_node(call, node))


def _of_user(call: Call, entered: UserTokens) -> dict[str, Any]:
    """Who has a password of the grid, but is in none of the organizations, is refused."""
    principal = authenticate_user(call.federation, entered.access_token)
    if principal is None:
        message = "this user is in no organization of the federation; its operator can add you"
        raise Refused(HTTPStatus.UNAUTHORIZED, message)
    urls = {"user_url": f"{call.base}/user/{principal.user.id}"}
    return _shape(call, entered.access_token, entered.refresh_token) | urls


def _of_node(call: Call, node: Node) -> dict[str, Any]:
    issued = tokens.issue_node_tokens(call.federation, node)
    urls = {"node_url": f"{call.base}/node/{node.id}"}
    return _shape(call, issued.access_token, issued.refresh_token) | urls


def _shape(call: Call, access: str, refresh: str) -> dict[str, Any]:
    """The clients put the URL behind host and port: it has to begin with the stage."""
    url = f"{call.base}/token/refresh"
    return {"access_token": access, "refresh_token": refresh, "refresh_url": url}


def _read(call: Call, fields: Mapping[str, type]) -> dict[str, Any]:
    """Raises Refused that says of each field what is wrong with it."""
    body = call.json()
    faults = {name: _fault(body, name, kind) for name, kind in fields.items()}
    errors = {name: [fault] for name, fault in faults.items() if fault}
    if errors:
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", errors)
    return body


def _fault(body: Mapping[str, Any], name: str, kind: type) -> str:
    if name not in body:
        return "Missing data for required field."
    value = body[name]
    if isinstance(value, kind) and not isinstance(value, bool) and value != "":
        return ""
    return "Not a valid string." if kind is str else "Not a valid integer."


ROUTES = (
    Route("POST", "/token/user", _log_user_in, who=()),
    # With the body of the POST: so it was written down once.
    Route("GET", "/token/user", _log_user_in, who=()),
    Route("POST", "/token/node", _log_node_in, who=()),
    Route("POST", "/token/container", _let_container_in, who=("node",)),
    Route("POST", "/token/refresh", _refresh, who=()),
)
