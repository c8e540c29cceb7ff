"""Quotas of single owners in the state table, as an operator sets them."""

from typing import Any

from ..budgets import Quota
from .items import typed, untyped
from .rows import owner_key, read_quota, write_quota
from .translate import translated


class AwsQuotaRegistry:
    """`client` is DynamoDB's, with the operator's credentials."""

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client

    def set(self, owner: str, quota: Quota) -> None:
        """What is None is as for everybody."""
        item = typed(write_quota(owner, quota))
        with translated(f"table {self._table}"):
            self._client.put_item(TableName=self._table, Item=item)

    def read(self, owner: str) -> Quota:
        key = typed(owner_key(owner, "QUOTA"))
        with translated(f"table {self._table}"):
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return read_quota(untyped(answer.get("Item", {})))
