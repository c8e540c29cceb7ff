"""What the state table asks of DynamoDB when several threads ask at once."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from stepgrid_core.aws.state_table import AwsStateTable

THREADS, QUERIES = 16, 400
READS = ("read_shards", "read_session_and_shards", "read_jobs")


class Nothing:
    """A body without items."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield b'{"Items": [], "Count": 0}'


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("read", READS)
def test_threads_do_not_mix_their_conditions(read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 keeps one builder for all of them, whose placeholders would be each other's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    table, asked = AwsStateTable("table"), list[dict[str, Any]]()

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        asked.append(json.loads(request.body))
        return AWSResponse(request.url, 200, {}, Nothing())

    table._table.meta.client.meta.events.register("before-send.dynamodb.Query", answer)
    arguments = {"read_shards": (), "read_session_and_shards": (16,), "read_jobs": (0, 16)}[read]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda n: getattr(table, read)(f"session-{n}", *arguments), range(QUERIES)))
    forms = {request["KeyConditionExpression"] for request in asked}
    names = {tuple(request["ExpressionAttributeNames"].values()) for request in asked}
    keys = {request["ExpressionAttributeValues"][":v0"]["S"] for request in asked}
    assert forms == {"(#n0 = :v0 AND #n1 BETWEEN :v1 AND :v2)"}
    assert names == {("pk", "sk")}
    assert keys == {f"S#session-{n}" for n in range(QUERIES)}
