"""Each port as both adapters offer it. A test that takes `table` runs on memory and on AWS (moto).

Where a test has to stand on the other side of the port (upload to a URL, deploy a worker, consume
an event), a bench does it for the adapter at hand.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from moto import mock_aws

from stepgrid_core.aws.clock import SystemClock
from stepgrid_core.aws.dispatcher import AwsDispatcher
from stepgrid_core.aws.event_bus import AwsEventBus
from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.aws.log_reader import AwsLogReader
from stepgrid_core.aws.payload_store import AwsPayloadStore
from stepgrid_core.aws.state_table import AwsStateTable
from stepgrid_core.aws.subscriptions import AwsSubscriptions
from stepgrid_core.aws.worker_registry import AwsWorkerRegistry
from stepgrid_core.memory import (
    MemoryDispatcher,
    MemoryEventBus,
    MemoryFederationTable,
    MemoryLogReader,
    MemoryPayloadStore,
    MemoryStateTable,
    MemorySubscriptions,
    MemoryWorkerRegistry,
    VirtualClock,
)
from stepgrid_core.names import execution_name
from stepgrid_core.payload_cache import CachedPayloadStore
from stepgrid_core.ports import (
    Dispatcher,
    EventBus,
    FederationTable,
    LogReader,
    PayloadStore,
    StateTable,
    Subscriptions,
    Worker,
    WorkerRegistry,
)
from stepgrid_core.redis_cache import RedisCache
from tests.redis_bench import redis_server

from .aws_stack import REGION, RELAY, AwsStack

__all__ = ["redis_server"]

ADAPTERS = ("memory", "aws")
#: nobody listens on port 1 of loopback
UNREACHABLE = "redis://127.0.0.1:1/0"
STORES = (*ADAPTERS, "redis", "redis lost")


@pytest.fixture(scope="session")
def boto_session() -> boto3.Session:
    """One for all tests, because each reads the service models anew. Its keys open nothing."""
    return boto3.Session("testing", "testing", region_name=REGION)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, boto_session: boto3.Session) -> Iterator[AwsStack]:
    """An empty AWS account in this process; nothing of the developer's own settings is used."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto_session)
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield AwsStack()


@pytest.fixture(params=ADAPTERS)
def table(request: pytest.FixtureRequest) -> StateTable:
    if request.param == "memory":
        return MemoryStateTable()
    stack: AwsStack = request.getfixturevalue("stack")
    return AwsStateTable(stack.create_table())


@pytest.fixture(params=ADAPTERS)
def registry(request: pytest.FixtureRequest) -> WorkerRegistry:
    if request.param == "memory":
        return MemoryWorkerRegistry()
    stack: AwsStack = request.getfixturevalue("stack")
    return AwsWorkerRegistry(stack.create_table())


@pytest.fixture(params=ADAPTERS)
def federation_table(request: pytest.FixtureRequest) -> FederationTable:
    if request.param == "memory":
        return MemoryFederationTable()
    stack: AwsStack = request.getfixturevalue("stack")
    return AwsFederationTable(stack.create_table())


@dataclass(frozen=True, slots=True)
class PayloadBench:
    """A payload store, and a client that has nothing but the URLs."""

    store: PayloadStore
    upload: Callable[[str, bytes], str]  #: PUT to a presigned URL; answers the ETag
    download: Callable[[str], bytes]
    abort: Callable[[str], None]  #: DELETE a presigned URL


@pytest.fixture(params=STORES)
def payloads(request: pytest.FixtureRequest) -> Iterator[PayloadBench]:
    """In memory; S3; S3 behind a cache; S3 behind a cache that does not answer."""
    if request.param == "memory":
        memory = MemoryPayloadStore()
        yield PayloadBench(
            memory, _memory_upload(memory), _memory_download(memory), _memory_abort(memory)
        )
        return
    stack: AwsStack = request.getfixturevalue("stack")
    bucket = stack.create_bucket()
    store: PayloadStore = AwsPayloadStore(bucket)
    if request.param == "aws":
        yield PayloadBench(store, _http_upload, _http_download, _http_abort)
        return
    lost = request.param == "redis lost"
    url = UNREACHABLE if lost else request.getfixturevalue("redis_server").url
    with closing(RedisCache(url, uuid.uuid4().hex)) as cache:
        cached = CachedPayloadStore(store, cache, SystemClock())
        yield PayloadBench(cached, _http_upload, _http_download, _http_abort)


@pytest.fixture
def store(payloads: PayloadBench) -> PayloadStore:
    return payloads.store


def _memory_upload(memory: MemoryPayloadStore) -> Callable[[str, bytes], str]:
    def upload(url: str, body: bytes) -> str:
        key, *part = url.removeprefix("memory:").split("#")
        if part:
            multipart_id, number = part
            return memory.put_part(key, multipart_id, int(number), body)
        return memory.put(key, body).etag

    return upload


def _memory_download(memory: MemoryPayloadStore) -> Callable[[str], bytes]:
    return lambda url: memory.get(url.removeprefix("memory:"))


def _memory_abort(memory: MemoryPayloadStore) -> Callable[[str], None]:
    def abort(url: str) -> None:
        key, multipart_id = url.removeprefix("memory:").split("#")
        memory.abort_multipart(key, multipart_id)

    return abort


def _http_upload(url: str, body: bytes) -> str:
    answer = requests.put(url, data=body, timeout=10)
    answer.raise_for_status()
    return answer.headers["ETag"]


def _http_download(url: str) -> bytes:
    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    return answer.content


def _http_abort(url: str) -> None:
    requests.delete(url, timeout=10).raise_for_status()


@dataclass(frozen=True, slots=True)
class DispatchBench:
    """A dispatcher, and those who deploy workers and look at executions."""

    dispatcher: Dispatcher
    registry: WorkerRegistry
    deploy: Callable[[Worker], None]
    executions: Callable[[], Sequence[str]]  #: names of those that were started, in any order


@pytest.fixture(params=ADAPTERS)
def dispatch(request: pytest.FixtureRequest) -> DispatchBench:
    if request.param == "memory":
        return _memory_dispatch()
    stack: AwsStack = request.getfixturevalue("stack")
    settings = stack.dispatcher_settings()
    machines = (settings.session_machine_arn, settings.burst_machine_arn)
    return DispatchBench(
        AwsDispatcher(settings, AwsWorkerRegistry(stack.create_table())),
        AwsWorkerRegistry(settings.table),
        stack.deploy_worker,
        lambda: [execution["name"] for arn in machines for execution in list_executions(arn)],
    )


def _memory_dispatch() -> DispatchBench:
    registry = MemoryWorkerRegistry()
    memory = MemoryDispatcher(registry=registry, relay=RELAY)

    def deploy(worker: Worker) -> None:
        memory.workers[worker.name] = worker

    def executions() -> list[str]:
        return [execution_name(d.session.session_id, d.number) for d in memory.started]

    return DispatchBench(memory, registry, deploy, executions)


def list_executions(machine_arn: str) -> list[dict[str, Any]]:
    answer = boto3.client("stepfunctions").list_executions(stateMachineArn=machine_arn)
    return list(answer["executions"])


Written = Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class LogBench:
    """A log reader, and environments of workers that write: (environment, [(time, line)])."""

    reader: LogReader
    write: Callable[[str, Written], None]


@pytest.fixture(params=ADAPTERS)
def logs(request: pytest.FixtureRequest) -> LogBench:
    if request.param == "memory":
        return _memory_logs()
    stack: AwsStack = request.getfixturevalue("stack")
    group = stack.create_worker_log_group()
    return LogBench(AwsLogReader(group), stack.write_log)


def _memory_logs() -> LogBench:
    memory = MemoryLogReader()

    def write(environment: str, lines: Written) -> None:
        for at, text in lines:
            memory.add(at, text)

    return LogBench(memory, write)


@dataclass(frozen=True, slots=True)
class EventBench:
    """A bus, and a consumer: it answers (event id, owner) for each event that arrived."""

    bus: EventBus
    received: Callable[[], list[tuple[str, str]]]


@pytest.fixture(params=ADAPTERS)
def events(request: pytest.FixtureRequest) -> EventBench:
    if request.param == "memory":
        memory = MemoryEventBus()
        return EventBench(
            memory, lambda: [(each.event_id, each.session.owner) for each in memory.published]
        )
    stack: AwsStack = request.getfixturevalue("stack")
    bus = AwsEventBus(stack.create_bus())
    queue_url = stack.create_queue_of_events()
    return EventBench(bus, lambda: [_brief(event) for event in receive_events(queue_url)])


@dataclass(frozen=True, slots=True)
class SubscriptionBench:
    """Subscriptions to a bus, and the bus."""

    subscriptions: Subscriptions
    bus: EventBus


@pytest.fixture(params=ADAPTERS)
def subscribing(request: pytest.FixtureRequest) -> SubscriptionBench:
    if request.param == "memory":
        memory = MemoryEventBus()
        return SubscriptionBench(MemorySubscriptions(memory, VirtualClock()), memory)
    stack: AwsStack = request.getfixturevalue("stack")
    stack.create_table()
    bus = AwsEventBus(stack.create_bus())
    return SubscriptionBench(AwsSubscriptions(stack.settings()), bus)


def receive_events(queue_url: str) -> list[dict[str, Any]]:
    answer = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", ())]


def _brief(event: dict[str, Any]) -> tuple[str, str]:
    return event["detail"]["event_id"], event["detail"]["owner"]
