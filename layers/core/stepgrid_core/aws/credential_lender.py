"""CredentialLender on STS: the role of the containers, narrowed by a session policy.

What the credentials allow is what role *and* policy allow (IAM user guide, "Session policies"); the
role itself may touch the payloads of all sessions, so it is assumed here and nowhere else. STS lets
a role that was assumed by another one live for an hour ("role chaining").
"""

import json
from typing import Any

from ..names import job_outputs_prefix, results_prefix
from ..ports import LentCredentials
from ..records import Session
from ..settings import Settings
from .translate import make_client, translated

LENT_SECONDS = 3600


class AwsCredentialLender:
    def __init__(self, settings: Settings, client: Any = None) -> None:
        """client: of STS; one with this process's own credentials when left out."""
        self._settings = settings
        self._sts = client or make_client("sts")

    def lend(self, session: Session) -> LentCredentials:
        role = self._settings.container_role_arn
        policy = session_policy(f"arn:{role.split(':')[1]}:s3:::{self._settings.bucket}", session)
        with translated(f"credentials of session {session.session_id}"):
            lent = self._sts.assume_role(
                RoleArn=role,
                RoleSessionName=session.session_id,
                DurationSeconds=LENT_SECONDS,
                Policy=json.dumps(policy, separators=(",", ":")),
            )["Credentials"]
        return LentCredentials(
            lent["AccessKeyId"],
            lent["SecretAccessKey"],
            lent["SessionToken"],
            lent["Expiration"].timestamp(),
        )


def session_policy(bucket_arn: str, session: Session) -> dict[str, Any]:
    """What the containers of a session may do with payloads. At most 2,048 characters (STS)."""
    inputs = [session.input.key, session.common.key if session.common else None]
    results = f"{results_prefix(session.session_id)}*"
    read = [*(key for key in inputs if key), results]
    allowed = [
        _allow(["s3:GetObject"], bucket_arn, read),
        _allow(["s3:PutObject"], bucket_arn, [results]),
    ]
    if session.job is not None:
        prefix = job_outputs_prefix(session.output_days, session.owner, session.session_id)
        actions = ["s3:PutObject", "s3:AbortMultipartUpload"]
        allowed.append(_allow(actions, bucket_arn, [f"{prefix}*"]))
    return {"Version": "2012-10-17", "Statement": allowed}


def _allow(actions: list[str], bucket_arn: str, keys: list[str]) -> dict[str, Any]:
    resources = [f"{bucket_arn}/{key}" for key in keys]
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
