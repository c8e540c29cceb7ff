"""WorkerRegistry in the state table: one item for each worker, beside its measured task time.

A registered function also carries the keys of the by-owner index, so that all of them are found by
one query; no owner's key can equal theirs, for those begin with `O#`.
"""

from typing import Any

from botocore.exceptions import ClientError

from ..registration import Registration
from .items import typed, untyped
from .rows import Item, worker_key
from .transactions import repeat_conflicts
from .translate import code_of, make_client, translated

INDEX_KEY = "WORKERS"
#: Written by a registration and removed with it; the measured task time stays.
ATTRIBUTES = ("target", "runtime", "timeout_seconds", "memory_mib", "owner_key", "owner_sort")


class AwsWorkerRegistry:
    def __init__(self, table: str, client: Any = None) -> None:
        """client: of DynamoDB; one with this process's own credentials when left out."""
        self._table = table
        self._client = client or make_client("dynamodb")
        repeat_conflicts(self._client)

    def register(self, registration: Registration) -> None:
        values = {
            "target": registration.target,
            "runtime": registration.runtime,
            "timeout_seconds": registration.timeout_seconds,
            "memory_mib": registration.memory_mib,
            "owner_key": INDEX_KEY,
            "owner_sort": registration.name,
        }
        if registration.concurrency is None:
            self._update(registration.name, values, remove=("concurrency",))
        else:
            self._update(registration.name, {**values, "concurrency": registration.concurrency})

    def unregister(self, name: str) -> bool:
        try:
            self._update(
                name,
                {},
                remove=(*ATTRIBUTES, "concurrency"),
                ConditionExpression="attribute_exists(target)",
            )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def read(self, name: str) -> Registration | None:
        item = self._get(name)
        return _read(item) if "target" in item else None

    def list_registered(self) -> list[Registration]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="by-owner",
            KeyConditionExpression="owner_key = :workers",
            ExpressionAttributeValues={":workers": {"S": INDEX_KEY}},
        )
        with translated(f"table {self._table}"):
            items = [untyped(item) for page in pages for item in page["Items"]]
        return [_read(item) for item in items]

    def limit(self, name: str, concurrency: int | None) -> None:
        if concurrency is None:
            self._update(name, {}, remove=("concurrency",))
        else:
            self._update(name, {"concurrency": concurrency})

    def read_limit(self, name: str) -> int | None:
        return _limit(self._get(name))

    def _get(self, name: str) -> Item:
        with translated(f"table {self._table}"):
            answer = self._client.get_item(
                TableName=self._table, Key=typed(worker_key(name)), ConsistentRead=True
            )
        return untyped(answer.get("Item", {}))

    def _update(
        self, name: str, values: Item, remove: tuple[str, ...] = (), **condition: str
    ) -> None:
        names = [*values, *remove]
        sets = ", ".join(f"#{n} = :{n}" for n in range(len(values)))
        removes = ", ".join(f"#{n}" for n in range(len(values), len(names)))
        expression = (f"SET {sets} " if sets else "") + (f"REMOVE {removes}" if removes else "")
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": typed(worker_key(name)),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {f"#{n}": field for n, field in enumerate(names)},
            **condition,
        }
        if values:
            numbered = {f":{n}": value for n, value in enumerate(values.values())}
            request["ExpressionAttributeValues"] = typed(numbered)
        with translated(f"table {self._table}"):
            self._client.update_item(**request)


def _read(item: Item) -> Registration:
    return Registration(
        name=item["pk"].removeprefix("W#"),
        target=item["target"],
        runtime=item["runtime"],
        timeout_seconds=int(item["timeout_seconds"]),
        memory_mib=int(item["memory_mib"]),
        concurrency=_limit(item),
    )


def _limit(item: Item) -> int | None:
    limit = item.get("concurrency")
    return None if limit is None else int(limit)
