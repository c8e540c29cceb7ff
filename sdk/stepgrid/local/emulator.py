"""The emulator process: ministack, started as a detached process that listens on loopback only.

Knows how ministack is configured by its environment, and nothing of what is deployed in it.
ministack keeps all state in memory: a new process is an empty cloud.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.metadata import version

import psutil

from stepgrid.local.errors import EmulatorError
from stepgrid.local.process_tree import (
    MARK_VARIABLE,
    ProcessIdentity,
    find_process,
    stop_tree,
)
from stepgrid.local.storage import LocalPaths

HOST = "127.0.0.1"
REGION = "us-east-1"
#: What ministack takes for the account's root; it does not verify signatures made with this key.
ROOT_ACCESS_KEY_ID = "test"
ROOT_SECRET_ACCESS_KEY = "test"  # noqa: S105 - a public constant of the emulator
START_TIMEOUT_SECONDS = 30.0
START_ATTEMPTS = 3

#: Functions inherit the emulator's environment, and AWS would give them none of the user's: only
#: what a Python process needs to start is passed on. Proxies must not be: the functions' calls go
#: to loopback.
PASSED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")


class Detached(subprocess.Popen[bytes]):
    """A child that is meant to outlive this process: nobody waiting for it is no leak."""

    def __del__(self) -> None:
        """Without the ResourceWarning of Popen, which a strict interpreter prints at its end."""


#: The emulators that this very process started, by pid: they must be reaped when they end.
_own_children: dict[int, Detached] = {}


@dataclass(frozen=True)
class Emulator:
    """A ministack process that was started and found ready."""

    identity: ProcessIdentity
    #: The value of MARK_VARIABLE: which project's local cloud this is.
    mark: str
    port: int
    #: Of ministack and of the Python it runs in, which runs the functions too.
    version: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_alive(self) -> bool:
        return find_process(self.identity) is not None


def installed_version() -> str:
    return f"ministack {version('ministack')} on Python {platform.python_version()}"


def project_mark(paths: LocalPaths) -> str:
    """The mark of every process of this project's local cloud.

    Derived, not stored: a process is found even when the state file was lost, and a copied project
    never takes the original's processes for its own.
    """
    return hashlib.sha256(os.fsencode(paths.project_dir.resolve())).hexdigest()[:32]


def start_emulator(paths: LocalPaths, preferred_port: int | None = None) -> Emulator:
    """Start ministack and return when it answers.

    preferred_port: taken if it is free, so that endpoints stay the same after a restart.
    Raises EmulatorError.
    """
    for attempt in range(START_ATTEMPTS):
        port = choose_port(preferred_port if attempt == 0 else None)
        emulator = _spawn(paths, port)
        try:
            if _becomes_ready(emulator):
                _refuse_open_listeners(emulator)
                return emulator
        except BaseException:
            stop_emulator(paths, emulator.identity)
            raise
        stop_emulator(paths, emulator.identity)
    raise EmulatorError(
        f"{installed_version()} did not start in {START_ATTEMPTS} attempts; "
        f"its output is in {paths.emulator_log}"
    )


def stop_emulator(paths: LocalPaths, identity: ProcessIdentity | None) -> bool:
    """Stop this project's ministack with every function process; remove what they unpacked.

    identity: the process that was started, None when it is not known. True if any was alive.
    """
    stopped = stop_tree(project_mark(paths), identity)
    if identity is not None and (child := _own_children.pop(identity.pid, None)):
        child.wait()
    shutil.rmtree(paths.scratch, ignore_errors=True)
    return stopped


def choose_port(preferred: int | None = None) -> int:
    """A free TCP port on loopback: `preferred` if it is free."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            # As the server does: a port in TIME_WAIT can be taken, a listening one can not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise EmulatorError(f"no free TCP port on {HOST}")


def emulator_environment(paths: LocalPaths, port: int, mark: str) -> dict[str, str]:
    """The environment ministack starts with."""
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    return passed | {
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        # Each running function occupies one, and so does each long poll.
        "MINISTACK_WORKER_THREADS": "256",
        # At its start and end ministack removes every container of every ministack on the machine.
        "DOCKER_HOST": f"unix://{paths.absent}",
        "AWS_ACCESS_KEY_ID": ROOT_ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": str(paths.absent),
        "AWS_SHARED_CREDENTIALS_FILE": str(paths.absent),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": str(paths.scratch),
        "S3_DATA_DIR": str(paths.scratch / "s3"),
        "STATE_DIR": str(paths.scratch / "state"),
        MARK_VARIABLE: mark,
    }


def _spawn(paths: LocalPaths, port: int) -> Emulator:
    shutil.rmtree(paths.scratch, ignore_errors=True)
    paths.scratch.mkdir(parents=True, mode=0o700)
    mark = project_mark(paths)
    with paths.emulator_log.open("ab") as log:
        process = Detached(
            [sys.executable, "-m", "stepgrid.local.corrected_ministack"],
            cwd=paths.local,
            env=emulator_environment(paths, port, mark),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _own_children[process.pid] = process
    identity = ProcessIdentity(process.pid, psutil.Process(process.pid).create_time())
    return Emulator(identity, mark, port, installed_version())


def _becomes_ready(emulator: Emulator) -> bool:
    """True when it answers; False when it ended or took too long."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and emulator.is_alive():
        if _answers(emulator):
            return emulator.is_alive()
        time.sleep(0.05)
    return False


def _answers(emulator: Emulator) -> bool:
    # A proxy of the user's environment must not see calls to loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{emulator.url}/_ministack/ready", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _refuse_open_listeners(emulator: Emulator) -> None:
    """Raise EmulatorError unless it listens on its port, and on loopback addresses only."""
    connections = psutil.Process(emulator.identity.pid).net_connections("inet")
    listening = [c.laddr for c in connections if c.status == psutil.CONN_LISTEN]
    outside = [a for a in listening if not ipaddress.ip_address(a.ip).is_loopback]
    if outside:
        raise EmulatorError(f"ministack listens outside loopback, on {outside}: stopped it")
    if emulator.port not in {address.port for address in listening}:
        raise EmulatorError(f"another process answers on port {emulator.port}: run `up` again")
