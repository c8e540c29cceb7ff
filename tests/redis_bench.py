"""A real server for the payload cache's tests, which can be stopped, lost and started again."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis

from stepgrid.local.emulator import choose_port
from stepgrid.local.redis_server import MEMORY, await_server, spawn_server


class RedisBench:
    """One port of loopback, and the server on it while it runs."""

    def __init__(self, folder: Path, memory: Sequence[str] = MEMORY) -> None:
        self.port = choose_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._log = folder / "valkey.log"
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = spawn_server(self.port, os.environ, self._log, self._memory)
        await_server(self._process, self.port)

    def stop(self) -> None:
        """It dies, and everything in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """Somebody who looks into the server, or spoils what is there."""
        return redis.Redis.from_url(self.url, protocol=2)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisBench]:
    """One for all tests of a process that don't harm it."""
    bench = RedisBench(tmp_path_factory.mktemp("redis"))
    bench.start()
    yield bench
    bench.stop()
