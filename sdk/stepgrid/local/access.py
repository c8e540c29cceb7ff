"""Who may do what in the local cloud: IAM users that may call the API, a user who can log in, and
the files that hold them: the SDK's profile, and HTC-Grid's agent_config.json.

The root key deploys and nothing else: with it no permission would ever be tested.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from stepgrid.agent_config import make_agent_config, write_agent_config
from stepgrid.cognito import UserPool
from stepgrid.local.errors import LocalCloudError
from stepgrid.local.sam import STACK_NAME, AwsAccess
from stepgrid.local.storage import LocalPaths, read_json, write_private_json
from stepgrid.users import local_users, make_password
from stepgrid_core.errors import Conflict

#: The user whose keys are in the profile.
SDK_USER = "stepgrid-user"
#: The stack output that the SDK connects to.
API_OUTPUT = "ApiUrl"
POLICY_NAME = "call-the-api"
#: The user of the grid whose name and password are in agent_config.json.
LOGIN_USER = "local"

_API_URL = re.compile(r"https?://(?P<id>[a-z0-9]+)\.execute-api\.[^/]+(?P<path>/.*)")


@dataclass(frozen=True)
class UserCredentials:
    """An IAM user's long-term key."""

    user_name: str
    access_key_id: str
    secret_access_key: str


def api_id(outputs: dict[str, str]) -> str:
    """The id of the deployed REST API."""
    return _parse_api_url(outputs)["id"]


def loopback_endpoint(outputs: dict[str, str], emulator_url: str) -> str:
    """The deployed API's address, as the emulator serves it.

    AWS names an API by host (`{id}.execute-api...`), a name that does not resolve here; ministack
    serves `/_aws/execute-api/{id}/{stage}` as well, and verifies signatures over that path.
    """
    url = _parse_api_url(outputs)
    return f"{emulator_url}/_aws/execute-api/{url['id']}{url['path'].rstrip('/')}"


def _parse_api_url(outputs: dict[str, str]) -> dict[str, str]:
    match = _API_URL.fullmatch(outputs.get(API_OUTPUT, ""))
    if match is None:
        raise LocalCloudError(
            f"the stack's output {API_OUTPUT} is not the URL of a REST API: see template.yaml"
        )
    return match.groupdict()


def create_api_user(iam: Any, name: str, api_arn: str) -> UserCredentials:
    """Create an IAM user that may call the API and nothing else; an existing one gets a new key."""
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"{api_arn}/*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy))
    # AWS allows two keys; what an earlier caller was given ends here.
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return UserCredentials(name, key["AccessKeyId"], key["SecretAccessKey"])


def write_profile(
    paths: LocalPaths,
    endpoint: str,
    access: AwsAccess,
    user: UserCredentials,
    outputs: dict[str, str],
) -> None:
    """Write where and as whom the SDK connects (0600)."""
    profile = {
        "endpoint": endpoint,
        "region": access.region,
        "access_key_id": user.access_key_id,
        "secret_access_key": user.secret_access_key,
        "aws_endpoint_url": access.endpoint_url,
        "stack_name": STACK_NAME,
    }
    if "UserPoolId" in outputs:
        profile |= {
            "user_pool_id": outputs["UserPoolId"],
            "user_pool_client_id": outputs["UserPoolClientId"],
            "identity_pool_id": outputs["IdentityPoolId"],
        }
    write_private_json(paths.profile, profile)


def login_pool(outputs: dict[str, str], access: AwsAccess) -> UserPool:
    """Where users of a stack that has some log in."""
    return UserPool(
        region=access.region,
        user_pool_id=outputs["UserPoolId"],
        client_id=outputs["UserPoolClientId"],
        identity_pool_id=outputs["IdentityPoolId"],
        endpoint_url=access.endpoint_url,
    )


def agent_config_is_ours(paths: LocalPaths, outputs: dict[str, str]) -> bool:
    """Whether agent_config.json is the one that `up` wrote for these pools."""
    values = read_json(paths.agent_config) or {}
    return "UserPoolId" in outputs and values.get("user_pool_id") == outputs["UserPoolId"]


def ensure_agent_config(
    paths: LocalPaths, outputs: dict[str, str], endpoint: str, access: AwsAccess
) -> None:
    """Write agent_config.json with a user who can log in, unless it is there.

    A stack without users needs none. A user that is there already gets a new password.
    """
    values = read_json(paths.agent_config) or {}
    ours = agent_config_is_ours(paths, outputs)
    if "UserPoolId" not in outputs or (ours and values.get("public_api_gateway_url") == endpoint):
        return
    password = make_password()
    users = local_users(login_pool(outputs, access))
    with suppress(Conflict):
        users.add(LOGIN_USER)
    users.set_password(LOGIN_USER, password)
    users.close()
    values = make_agent_config(outputs, endpoint=endpoint, username=LOGIN_USER, password=password)
    write_agent_config(values, paths.agent_config)
