"""The payload cache on a Redis or Valkey server, by redis-py. Every key is a command of its own.

So it also runs on a cluster (ElastiCache Serverless is one), where no command may span two slots.
Its errors become CacheFault, which names their class alone: a message could hold an address. This
module is imported only where a deployment has a cache.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from .payload_cache import CacheFault

#: The cache is to save time: an S3 request takes some 20 ms.
TIMEOUT_SECONDS = 0.25
CONNECT_SECONDS = 1.0  # TLS, once for an environment
DELETE_BATCH = 1_000


class RedisCache:
    """Keys of one grid: they begin with `namespace`, so that several may share a server."""

    def __init__(
        self, url: str, namespace: str, credentials: CredentialProvider | None = None
    ) -> None:
        """url: as redis-py reads it, redis:// or rediss:// (TLS); no connection is made yet."""
        options: dict[str, Any] = {"credential_provider": credentials} if credentials else {}
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            # Once more, for a connection that ended while the environment was frozen.
            retry=Retry(NoBackoff(), 1),
            protocol=2,
            **options,
        )
        self._namespace = namespace

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        with _translated():
            pipe = self._redis.pipeline(transaction=False)
            for key in keys:
                pipe.get(self._name(key))
            return pipe.execute()

    def write(self, key: str, value: bytes, seconds: int) -> None:
        with _translated():
            self._redis.set(self._name(key), value, ex=seconds)

    def delete(self, keys: Sequence[str]) -> None:
        rest = iter(keys)
        with _translated():
            while batch := list(islice(rest, DELETE_BATCH)):
                pipe = self._redis.pipeline(transaction=False)
                for key in batch:
                    pipe.unlink(self._name(key))
                pipe.execute()

    def close(self) -> None:
        """Let the connections go."""
        self._redis.close()

    def _name(self, key: str) -> str:
        return f"{self._namespace}:{key}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:  # it answered: it is full, or refuses the command
        raise CacheFault(type(error).__name__, reachable=True) from error
    except (RedisError, OSError) as error:
        raise CacheFault(type(error).__name__, reachable=False) from error
