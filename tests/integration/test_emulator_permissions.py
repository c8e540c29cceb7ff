"""Permissions of the emulator: its faults that are mended, see emulator_bench."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator_bench import ALLOW_S3, REGION, Cloud

RULES = f"arn:aws:events:{REGION}:000000000000:rule/bus/mine-*"
TLS_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


def test_a_bucket_that_demands_tls(kind: str, cloud: Cloud) -> None:
    """AWS lets its callers in, over TLS; the emulator has no TLS and refuses everybody."""
    s3, iam = cloud.client("s3"), cloud.client("iam")
    s3.create_bucket(Bucket="tls-only")
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps(TLS_ONLY))
    iam.create_user(UserName="user")
    iam.put_user_policy(UserName="user", PolicyName="s3", PolicyDocument=json.dumps(ALLOW_S3))
    key = iam.create_access_key(UserName="user")["AccessKey"]
    user = cloud.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            user.put_object(Bucket="tls-only", Key="key", Body=b"body")
    else:
        user.put_object(Bucket="tls-only", Key="key", Body=b"body")
        assert user.get_object(Bucket="tls-only", Key="key")["Body"].read() == b"body"


def test_targets_are_covered_by_a_policy_on_their_rule(kind: str, cloud: Cloud) -> None:
    """AWS authorizes PutTargets and RemoveTargets on the rule; the emulator asks for the bus."""
    events, iam = cloud.client("events"), cloud.client("iam")
    events.create_event_bus(Name="bus")
    iam.create_user(UserName="subscriber")
    statement = {"Effect": "Allow", "Action": "events:*", "Resource": RULES}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="subscriber", PolicyName="rules", PolicyDocument=policy)
    key = iam.create_access_key(UserName="subscriber")["AccessKey"]
    user = cloud.client("events", key["AccessKeyId"], key["SecretAccessKey"])
    user.put_rule(Name="mine-1", EventBusName="bus", EventPattern='{"source": ["x"]}')
    targets = [{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:queue"}]
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            user.put_targets(Rule="mine-1", EventBusName="bus", Targets=targets)
        return
    user.put_targets(Rule="mine-1", EventBusName="bus", Targets=targets)
    user.remove_targets(Rule="mine-1", EventBusName="bus", Ids=["1"])
    with pytest.raises(ClientError, match="AccessDenied"):
        user.put_targets(Rule="other", EventBusName="bus", Targets=targets)


def test_a_batch_needs_the_right_to_its_single_action(kind: str, cloud: Cloud) -> None:
    """AWS knows sqs:DeleteMessage alone; the emulator asks for an action that does not exist."""
    iam = cloud.client("iam")
    url = cloud.client("sqs").create_queue(QueueName="batch")["QueueUrl"]
    iam.create_user(UserName="reader")
    statement = {"Effect": "Allow", "Action": "sqs:DeleteMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="sqs", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    user = cloud.client("sqs", key["AccessKeyId"], key["SecretAccessKey"])
    entries = [{"Id": "0", "ReceiptHandle": "unknown"}]
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            user.delete_message_batch(QueueUrl=url, Entries=entries)
    else:
        assert user.delete_message_batch(QueueUrl=url, Entries=entries)["Failed"]


def test_a_service_says_for_which_account_it_assumes_a_role(kind: str, cloud: Cloud) -> None:
    """AWS sends aws:SourceAccount along; in the emulator the root's key is the service."""
    account = cloud.client("sts").get_caller_identity()["Account"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = cloud.client("iam").create_role(RoleName="guarded", AssumeRolePolicyDocument=trust)
    asked = {"RoleArn": role["Role"]["Arn"], "RoleSessionName": "task"}
    if kind == "ministack":
        with pytest.raises(ClientError, match="AccessDenied"):
            cloud.client("sts").assume_role(**asked)
    else:
        assert cloud.client("sts").assume_role(**asked)["Credentials"]
