"""Who owns what a request makes: derived from the identity that API Gateway verified, alone.

Source of the fields: API Gateway developer guide, "$context variables" (identity.*).
"""

from typing import Any

from .errors import AccessDenied

#: Role names that IAM Identity Center makes; there the session name is a person, set by AWS.
PERMISSION_SET_ROLE = "AWSReservedSSO_"
#: Session name that Cognito gives the role of every user of an identity pool.
COGNITO_SESSION = "CognitoIdentityCredentials"
#: What stands before a user's subject where Cognito says by what somebody logged in.
COGNITO_LOGIN = ":CognitoSignIn:"


def owner_of(identity: dict[str, Any]) -> str:
    """A Cognito identity, an IAM user, a role, or a person behind a permission set.

    The session name of an assumed role is left out: whoever may assume the role chooses it, so it
    tells nobody apart, and the next process of the same program would not find its sessions.
    Raises AccessDenied if nothing was verified, and for a session of an identity pool without its
    identity: all its users share one role, and would be one owner.
    """
    if cognito_id := identity.get("cognitoIdentityId"):
        return f"cognito:{cognito_id}"
    arn = identity.get("userArn")
    if not arn:
        raise AccessDenied("the request bears no verified identity; sign it with AWS credentials")
    if ":assumed-role/" not in arn:
        return str(arn)
    account, _, assumed = str(arn).partition(":assumed-role/")
    role, _, session_name = assumed.rpartition("/")
    if session_name == COGNITO_SESSION:
        raise AccessDenied("the request bears no Cognito identity id; log in again: stepgrid login")
    person = f"/{session_name}" if role.startswith(PERMISSION_SET_ROLE) else ""
    return f"{account}:assumed-role/{role}{person}"


def subject_of(identity: dict[str, Any]) -> str:
    """As whom a federation knows the caller: a user's subject in its pool, otherwise the owner.

    Raises AccessDenied as `owner_of`.
    """
    owner = owner_of(identity)
    if not identity.get("cognitoIdentityId"):
        return owner
    provider = str(identity.get("cognitoAuthenticationProvider") or "")
    _, found, subject = provider.rpartition(COGNITO_LOGIN)
    return subject if found and subject else owner
