"""Who may do what in the local cloud: IAM users that may call the API, and the SDK's profile.

The root key deploys and nothing else: with it no permission would ever be tested.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from stepgrid.local.errors import LocalCloudError
from stepgrid.local.sam import STACK_NAME, AwsAccess
from stepgrid.local.storage import LocalPaths, write_private_json

#: The user whose keys are in the profile.
SDK_USER = "stepgrid-user"
#: The stack output that the SDK connects to.
API_OUTPUT = "ApiUrl"
POLICY_NAME = "call-the-api"

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
    paths: LocalPaths, endpoint: str, access: AwsAccess, user: UserCredentials
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
    write_private_json(paths.profile, profile)
