"""Builds the world once: settings and adapters, as the one value that the planes are given."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .common_cache import CommonCache
from .ports import (
    Broker,
    Clock,
    CredentialLender,
    Dispatcher,
    EventBus,
    FunctionCaller,
    LogReader,
    Membership,
    MetricSink,
    NoLogin,
    NoMembers,
    NoSigner,
    NoTokens,
    PayloadStore,
    SocketTable,
    StateTable,
    Subscriptions,
    TokenVerifier,
)
from .request_tally import RequestTally
from .settings import Settings
from .telemetry import EmfMetrics

if TYPE_CHECKING:
    from .federation.service import Federation

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Grid:
    """All that the planes may touch."""

    table: StateTable
    payloads: PayloadStore
    dispatcher: Dispatcher
    events: EventBus
    logs: LogReader
    subscriptions: Subscriptions
    metrics: MetricSink
    clock: Clock
    settings: Settings
    threads: int = 1  #: requests to the table and the store that may be under way at once
    #: what this environment has read of common inputs
    commons: CommonCache = field(default_factory=CommonCache)
    #: what the invocation has sent to AWS; it stays empty unless the settings ask for it
    tally: RequestTally = field(default_factory=RequestTally)
    #: who bears a token, for requests that are not signed
    tokens: TokenVerifier = field(default_factory=NoTokens)
    #: who may see the sessions of federated tasks
    members: Membership = field(default_factory=NoMembers)

    def each(self, call: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """Call for each item, several at once where this grid may; answers in order."""
        work = list(items)
        if self.threads == 1 or len(work) < 2:
            return [call(item) for item in work]
        with ThreadPoolExecutor(min(self.threads, len(work))) as pool:
            return list(pool.map(call, work))


def aws_grid(environment: dict[str, str]) -> Grid:
    """The grid of the stack that this function belongs to."""
    # boto3 takes a while to import, and a grid in memory does without it.
    from .aws.clock import SystemClock  # noqa: PLC0415
    from .aws.dispatcher import AwsDispatcher  # noqa: PLC0415
    from .aws.event_bus import AwsEventBus  # noqa: PLC0415
    from .aws.federation_table import AwsFederationTable  # noqa: PLC0415
    from .aws.log_reader import AwsLogReader  # noqa: PLC0415
    from .aws.state_table import AwsStateTable  # noqa: PLC0415
    from .aws.subscriptions import AwsSubscriptions  # noqa: PLC0415
    from .aws.worker_registry import AwsWorkerRegistry  # noqa: PLC0415
    from .federation.membership import TableMembership  # noqa: PLC0415

    settings, clock = Settings.read(environment), SystemClock()
    tally = _tally(settings, environment)
    return Grid(
        table=AwsStateTable(settings.table),
        payloads=_payloads(settings, clock),
        dispatcher=AwsDispatcher(settings, AwsWorkerRegistry(settings.table)),
        events=AwsEventBus(settings.event_bus),
        logs=AwsLogReader(settings.worker_log_group),
        subscriptions=AwsSubscriptions(settings),
        metrics=EmfMetrics(),
        clock=clock,
        settings=settings,
        threads=16,
        tally=tally,
        tokens=_tokens(settings, clock),
        members=TableMembership(AwsFederationTable(settings.table)),
    )


def aws_federation(environment: dict[str, str]) -> "Federation":
    """The federation of the stack that this function belongs to."""
    from .aws.federation_table import AwsFederationTable  # noqa: PLC0415
    from .aws.sockets import AwsSockets  # noqa: PLC0415
    from .aws.token_signer import AwsTokenSigner  # noqa: PLC0415
    from .aws.user_directory import AwsUserDirectory  # noqa: PLC0415
    from .aws.user_login import AwsUserLogin  # noqa: PLC0415
    from .federation.service import Federation  # noqa: PLC0415

    grid = aws_grid(environment)
    return Federation(
        grid,
        AwsFederationTable(grid.settings.table),
        AwsTokenSigner(grid.settings.signing_key),
        AwsUserLogin(grid.settings),
        sockets=AwsSockets(grid.settings.table),
        directory=AwsUserDirectory(grid.settings),
    )


def aws_upkeep(environment: dict[str, str]) -> "Federation":
    """The same for who keeps it in order: nobody logs in there."""
    from .aws.federation_table import AwsFederationTable  # noqa: PLC0415
    from .federation.service import Federation  # noqa: PLC0415

    grid = aws_grid(environment)
    return Federation(grid, AwsFederationTable(grid.settings.table), NoSigner(), NoLogin())


def aws_sockets(table: str) -> SocketTable:
    """The connections of Socket.IO, for who has nothing else to do with a federation."""
    from .aws.sockets import AwsSockets  # noqa: PLC0415

    return AwsSockets(table)


def _tokens(settings: Settings, clock: Clock) -> TokenVerifier:
    if not settings.identity_pool_id:
        return NoTokens()
    from .aws.token_verifier import AwsTokenVerifier  # noqa: PLC0415
    from .token_cache import TokenCache  # noqa: PLC0415

    return TokenCache(AwsTokenVerifier(settings), clock)


def _tally(settings: Settings, environment: dict[str, str]) -> RequestTally:
    """To be made before the clients: those that were there already would not count."""
    if not settings.count_requests:
        return RequestTally()
    from .aws.request_hooks import hang_in  # noqa: PLC0415

    tally = RequestTally(
        environment.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")),
        enabled=True,
    )
    hang_in(tally)
    return tally


def aws_caller() -> FunctionCaller:
    """Calls registered functions as this function's role may."""
    from .aws.function_caller import AwsFunctionCaller  # noqa: PLC0415

    return AwsFunctionCaller()


def system_clock() -> Clock:
    """The clock of this machine."""
    from .aws.clock import SystemClock  # noqa: PLC0415

    return SystemClock()


def aws_broker(function: str) -> Broker:
    """The broker as a function that this container's role may call."""
    from .aws.broker_caller import AwsBroker  # noqa: PLC0415

    return AwsBroker(function)


def aws_lender(settings: Settings) -> CredentialLender:
    """Lends from the role of the containers, as this function's role may."""
    from .aws.credential_lender import AwsCredentialLender  # noqa: PLC0415

    return AwsCredentialLender(settings)


def lent_client(borrow: Callable[[], Mapping[str, Any]]) -> Any:
    """A client of S3 with credentials that are borrowed again before they end."""
    from .aws.lent_client import lent_client as make  # noqa: PLC0415

    return make(borrow)


def lent_payloads(bucket: str, client: Any) -> PayloadStore:
    """The payloads as far as such a client may touch them."""
    from .aws.payload_store import LentPayloadStore  # noqa: PLC0415

    return LentPayloadStore(bucket, client)


def lent_store(bucket: str, client: Any) -> Callable[[str, Path], None]:
    """Stores files of any size by such a client."""
    from .aws.file_store import AwsFileStore  # noqa: PLC0415

    return AwsFileStore(bucket, client).store


def container_tally(enabled: bool, memory_mib: int) -> RequestTally:
    """Counts what a puller sends to AWS, if that is asked for; to be made before the clients."""
    if not enabled:
        return RequestTally()
    from .aws.request_hooks import hang_in  # noqa: PLC0415

    tally = RequestTally("container", memory_mib, enabled=True)
    hang_in(tally)
    return tally


def _payloads(settings: Settings, clock: Clock) -> PayloadStore:
    """S3, and in front of it what the deployment has: redis-py is only imported for a cache."""
    from .aws.payload_store import AwsPayloadStore  # noqa: PLC0415

    store = AwsPayloadStore(settings.bucket)
    url = settings.redis_url.get_secret_value()
    if not url:
        return store
    from .payload_cache import CachedPayloadStore  # noqa: PLC0415
    from .redis_cache import RedisCache  # noqa: PLC0415

    login = None
    if settings.redis_user:
        from .aws.cache_login import ElastiCacheLogin  # noqa: PLC0415

        login = ElastiCacheLogin(settings.redis_cache, settings.redis_user)
    cache = RedisCache(url, settings.bucket, login)
    return CachedPayloadStore(
        store, cache, clock, settings.cache_object_bytes, settings.cache_seconds
    )
