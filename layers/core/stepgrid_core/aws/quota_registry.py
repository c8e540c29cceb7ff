"""Quotas of single owners in the state table, as an operator sets them."""

from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from ..budgets import Quota
from .rows import owner_key, read_quota, write_quota
from .translate import translated


class AwsQuotaRegistry:
    """`client` is DynamoDB's, with the operator's credentials."""

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client

    def set(self, owner: str, quota: Quota) -> None:
        """What is None is as for everybody."""
        write = TypeSerializer().serialize
        item = {name: write(value) for name, value in write_quota(owner, quota).items()}
        with translated(f"table {self._table}"):
            self._client.put_item(TableName=self._table, Item=item)

    def read(self, owner: str) -> Quota:
        write, read = TypeSerializer().serialize, TypeDeserializer().deserialize
        key = {name: write(value) for name, value in owner_key(owner, "QUOTA").items()}
        with translated(f"table {self._table}"):
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return read_quota({name: read(value) for name, value in answer.get("Item", {}).items()})
