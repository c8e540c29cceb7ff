"""What an operator sets for an owner is what the state table reads."""

import boto3

from stepgrid_core.aws.quota_registry import AwsQuotaRegistry
from stepgrid_core.aws.state_table import AwsStateTable
from stepgrid_core.budgets import Quota

from .aws_stack import AwsStack
from .samples import OTHER_OWNER, OWNER


def test_a_quota_is_read_as_it_was_set(stack: AwsStack) -> None:
    """Field by field, for this owner alone; nothing set reads as nothing set."""
    table = stack.create_table()
    registry = AwsQuotaRegistry(table, boto3.client("dynamodb"))
    assert registry.read(OWNER) == Quota()
    registry.set(OWNER, Quota(sessions=3, slots=0))
    assert registry.read(OWNER) == Quota(sessions=3, slots=0)
    assert AwsStateTable(table).read_quota(OWNER) == Quota(sessions=3, slots=0)
    assert AwsStateTable(table).read_quota(OTHER_OWNER) == Quota()
    registry.set(OWNER, Quota())
    assert registry.read(OWNER) == Quota()
