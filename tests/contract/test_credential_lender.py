"""What is lent to containers: the policy of each session, and clients that borrow again in time."""

import json
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from stepgrid_core.aws.credential_lender import LENT_SECONDS, AwsCredentialLender, session_policy
from stepgrid_core.aws.lent_client import LentProvider, lent_client
from stepgrid_core.aws.payload_store import AwsPayloadStore
from stepgrid_core.errors import Unavailable
from stepgrid_core.names import common_key, input_key, output_key
from stepgrid_core.ports import LentCredentials
from stepgrid_core.records import CommonRef, InputRef, Session
from stepgrid_core.settings import Settings

from .aws_stack import BUCKET, REGION, AwsStack
from .samples import OTHER_OWNER, OWNER, make_session

ROLE = "arn:aws:iam::123456789012:role/grid-containers"
UPLOAD, OTHER_UPLOAD = "0" * 32, "1" * 32
COMMON = CommonRef(common_key(OWNER, UPLOAD), "s" * 64, 10)
INLINE = make_session("inline", input=InputRef(None, "", 100))
UPLOADED = make_session("uploaded", input=InputRef(input_key(OWNER, UPLOAD), "e", 100))
SHARED = make_session("shared", input=InputRef(input_key(OWNER, UPLOAD), "e", 1), common=COMMON)
SESSIONS = {"inline": INLINE, "uploaded": UPLOADED, "common": SHARED}
#: STS takes so many characters of a session policy, whitespace and all.
POLICY_CHARACTERS = 2_048
LONGEST_BUCKET = "b" * 63


def allowed(session: Session, action: str) -> list[str]:
    """The resources on which a session's containers may do this."""
    return [
        resource
        for statement in session_policy("arn:aws:s3:::bucket", session)["Statement"]
        for resource in statement["Resource"]
        if action in statement["Action"] and statement["Effect"] == "Allow"
    ]


def may(session: Session, action: str, key: str) -> bool:
    return any(
        fnmatchcase(f"arn:aws:s3:::bucket/{key}", pattern) for pattern in allowed(session, action)
    )


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_results_of_the_session_are_read_and_written(session: Session) -> None:
    """Of all its chunks and attempts; inputs are never written."""
    key = output_key(session.session_id, 9_999, 3, 2)
    assert may(session, "s3:GetObject", key)
    assert may(session, "s3:PutObject", key)
    prefix = f"arn:aws:s3:::bucket/results/{session.session_id}/"
    assert all(resource.startswith(prefix) for resource in allowed(session, "s3:PutObject"))


def test_inputs_are_those_that_the_session_has() -> None:
    """Inline tasks are in the table, an uploaded file and a common input in the bucket."""
    inputs = {
        name: [key for key in allowed(session, "s3:GetObject") if "/inputs/" in key]
        for name, session in SESSIONS.items()
    }
    uploaded = f"arn:aws:s3:::bucket/{input_key(OWNER, UPLOAD)}"
    common = f"arn:aws:s3:::bucket/{COMMON.key}"
    assert inputs == {"inline": [], "uploaded": [uploaded], "common": [uploaded, common]}


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
@pytest.mark.parametrize(
    "key",
    [
        output_key(make_session("stranger").session_id, 0, 1, 0),
        "results/x",
        input_key(OWNER, OTHER_UPLOAD),
        input_key(OTHER_OWNER, UPLOAD),
        common_key(OTHER_OWNER, UPLOAD),
        "jobs/7/x/y/0/out",
        "files/x",
    ],
)
def test_nothing_else_is_touched(session: Session, key: str) -> None:
    """Neither of another session nor of another upload."""
    assert not may(session, "s3:GetObject", key)
    assert not may(session, "s3:PutObject", key)


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_it_allows_no_list_and_no_delete(session: Session) -> None:
    """Two actions, on keys, of one bucket."""
    for statement in session_policy("arn:aws:s3:::bucket", session)["Statement"]:
        actions = statement["Action"]
        named = {actions} if isinstance(actions, str) else set(actions)
        assert named <= {"s3:GetObject", "s3:PutObject"}
        assert "Principal" not in statement
        assert all("*" not in resource.rstrip("*") for resource in statement["Resource"])


def test_the_longest_policy_fits() -> None:
    """With the longest bucket name, and all that a session can have."""
    policy = session_policy(f"arn:aws-us-gov:s3:::{LONGEST_BUCKET}", SHARED)
    assert len(json.dumps(policy, separators=(",", ":"))) <= POLICY_CHARACTERS / 2


def settings(role: str = ROLE, bucket: str = BUCKET) -> Settings:
    return Settings(
        table="t", bucket=bucket, event_bus="e", worker_prefix="", container_role_arn=role
    )


@pytest.fixture
def sts() -> Any:
    """A client with keys that open nothing."""
    return boto3.client("sts", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="s")


EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
ANSWER = {
    "Credentials": {
        "AccessKeyId": "ASIAXXXXXXXXXXXXXXXX",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": EXPIRES,
    }
}


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_a_role_is_assumed_with_the_sessions_policy(sts: Any, partition: str) -> None:
    """For an hour, under the session's name, so that CloudTrail tells whose it was."""
    role = ROLE.replace("arn:aws:", f"arn:{partition}:")
    policy = session_policy(f"arn:{partition}:s3:::{BUCKET}", SHARED)
    asked = {
        "RoleArn": role,
        "RoleSessionName": SHARED.session_id,
        "DurationSeconds": LENT_SECONDS,
        "Policy": json.dumps(policy, separators=(",", ":")),
    }
    with Stubber(sts) as stub:
        stub.add_response("assume_role", ANSWER, asked)
        lent = AwsCredentialLender(settings(role), sts).lend(SHARED)
    assert lent == LentCredentials("ASIAXXXXXXXXXXXXXXXX", "secret", "token", EXPIRES.timestamp())
    json.dumps(lent.as_dict())


def test_a_busy_sts_is_unavailable(sts: Any) -> None:
    """The container asks again; a role that may not be assumed is a fault of the deployment."""
    lender = AwsCredentialLender(settings(), sts)
    with Stubber(sts) as stub:
        stub.add_client_error("assume_role", "Throttling")
        with pytest.raises(Unavailable):
            lender.lend(SHARED)
        stub.add_client_error("assume_role", "AccessDenied")
        with pytest.raises(ClientError):
            lender.lend(SHARED)


def test_sts_takes_what_is_asked(stack: AwsStack) -> None:
    """moto checks the request as AWS does: names, durations, the policy's size."""
    lent = AwsCredentialLender(settings()).lend(SHARED)
    assert lent.access_key_id.startswith("ASIA")
    assert lent.expires_at > datetime.now(UTC).timestamp()


class Pawnbroker:
    """Lends credentials that live so long, each time others."""

    def __init__(self, *lives: timedelta) -> None:
        self._lives = list(lives)
        self.lent = 0

    def lend(self) -> dict[str, Any]:
        life = self._lives[min(self.lent, len(self._lives) - 1)]
        self.lent += 1
        expires_at = (datetime.now(UTC) + life).timestamp()
        return LentCredentials(f"key-{self.lent}", "secret", "token", expires_at).as_dict()


HOUR, OVER = timedelta(hours=1), timedelta(hours=-1)


def test_credentials_are_borrowed_once_while_they_live() -> None:
    """However often they are used."""
    lender = Pawnbroker(HOUR)
    credentials = LentProvider(lender.lend).load()
    keys = {credentials.get_frozen_credentials().access_key for _ in range(5)}
    assert (keys, lender.lent) == ({"key-1"}, 1)


@pytest.mark.parametrize("life", [OVER, timedelta(minutes=5)], ids=["over", "about to end"])
def test_credentials_are_borrowed_again_before_they_end(life: timedelta) -> None:
    """No request is signed with those that have ended, or are about to."""
    lender = Pawnbroker(life, HOUR)
    credentials = LentProvider(lender.lend).load()
    assert credentials.get_frozen_credentials().access_key == "key-2"
    assert credentials.get_frozen_credentials().token == "token"
    assert lender.lent == 2


def test_a_client_knows_no_other_credentials(
    stack: AwsStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those of its environment nor those of its container."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-environment")
    bucket = stack.create_bucket()
    lender = Pawnbroker(OVER, HOUR)
    client = lent_client(lender.lend)
    store = AwsPayloadStore(bucket, client)
    store.put("results/x", b"data")
    assert store.get("results/x") == b"data"
    signed = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"})
    assert "Credential=key-2%2F" in signed
    assert lender.lent == 2
