"""The runner's child as a process: start it, move bytes to and from it, end its process group.

It knows frames, not what they mean: which task failed, and why, is decided in `runner`.
All methods belong to the thread that runs tasks, except `end`, which any thread may call.
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stepgrid_core.runner_failures import TRACEBACK_LIMIT_BYTES
from stepgrid_core.runner_prints import STREAMS, PrintReader, Stream
from stepgrid_core.runner_protocol import Notice, NoticeReader, open_anonymous_file

_CHILD_MODULE = "stepgrid_core.runner_child"
_CORE_PATH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_READ_BYTES = 256 * 1024
_WRITE_BYTES = 256 * 1024
#: How often we look whether more has arrived that the child waits for.
_ARRIVAL_POLL_SECONDS = 0.002
_PIPE_BYTES = 1024 * 1024
_TOKEN_BYTES = 16


class ChildProcess:
    """One life of the child, from its start to the end of its process group."""

    def __init__(
        self,
        launch: Mapping[str, Any],
        *,
        search_path: Sequence[str],
        environment: Mapping[str, str],
        memory_fd: int,
        make_prints: Callable[[bytes], PrintReader],
    ) -> None:
        """Start the child; it reports when its handler is imported.

        Args:
            launch: the fields of `runner_protocol.Launch` that are not descriptors.
            search_path: goes first on the child's sys.path, before the standard library.
            environment: all of the child's environment but PYTHONPATH.
            memory_fd: descriptor of the memory that both map.
            make_prints: makes the reader of what is printed, from the token of its marks.

        Raises:
            OSError: the system can't start another process.
        """
        self._request_fd = self._reply_fd = self._lifeline_fd = self._crash_fd = -1
        self._print_fds: dict[Stream, int] = {}
        token = os.urandom(_TOKEN_BYTES)
        self.prints = make_prints(token)
        self._lock = threading.Lock()
        self._returncode: int | None = None
        self._reader = NoticeReader()
        self._outgoing: Iterator[bytes] = iter(())
        self._unsent = memoryview(b"")
        self._sent_all = True
        self._selector = selectors.DefaultSelector()
        self.hung_up = False
        try:
            with contextlib.ExitStack() as inherited:
                outputs = self._open_outputs(inherited)
                fds = self._open_pipes(inherited) | {"memory_fd": memory_fd}
                fds |= {f"{stream}_fd": fd for stream, fd in self._print_fds.items()}
                told = dict(launch) | fds | {"print_token": token.hex()}
                self._process = _start(told, search_path, environment, outputs)
        except OSError:
            self._close_files()
            raise
        self._selector.register(self._reply_fd, selectors.EVENT_READ)
        for stream, fd in self._print_fds.items():
            self._selector.register(fd, selectors.EVENT_READ, stream)

    def send(self, blocks: Iterator[bytes]) -> None:
        """Queue bytes for the child; `exchange` writes them. What was queued before must be out.

        An empty block says that the next is not there yet.
        """
        self._outgoing = blocks
        self._sent_all = False

    @property
    def sending(self) -> bool:
        """True while bytes wait to be written, or may still come."""
        return bool(self._unsent) or not self._sent_all

    def exchange(self, wait_seconds: float) -> list[Notice]:
        """Write and read what is possible, waiting at most `wait_seconds` for the first byte.

        Writing never blocks, so a child that waits until its replies are taken can't hold us up.
        Raises what the blocks raise.
        """
        notices: list[Notice] = []
        spoke = False
        if not self._unsent and not self._sent_all and not self._load():
            wait_seconds = min(wait_seconds, _ARRIVAL_POLL_SECONDS)
        events = self._selector.select(wait_seconds)
        for key, _ in events:
            if key.data is not None:
                self.prints.read(key.data, key.fd)
                continue
            spoke = True
            if key.fd == self._reply_fd:
                notices += self._read()
            else:
                self._write()
        if not spoke:
            self.hung_up = self.hung_up or self._has_exited()
        return notices

    def drain_prints(self) -> None:
        """Read what has been printed by now."""
        self.prints.drain(self._print_fds)

    def end(self) -> int:
        """Kill the process group, wait for the child and return its code as `subprocess` does.

        A child that died before keeps the code it died with. Safe from any thread, any number of
        times.
        """
        with self._lock:
            if self._returncode is None:
                # Before the wait: until then no other process can have this id. macOS answers
                # EPERM for a group of zombies.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._returncode = self._process.wait()
            return self._returncode

    def hang_up(self, grace_seconds: float) -> None:
        """Ask an idle child to exit by itself, and wait at most `grace_seconds` for it."""
        os.close(self._request_fd)
        self._request_fd = -1
        self.exchange(grace_seconds)

    def close(self) -> None:
        """End the child and close everything that belongs to it."""
        self.end()
        self._close_files()

    def read_crash_trace(self) -> str:
        """Return what the child's faulthandler wrote before it died, or the empty string."""
        data = os.pread(self._crash_fd, 4 * TRACEBACK_LIMIT_BYTES, 0)
        return data.decode(errors="replace")

    def _open_pipes(self, inherited: contextlib.ExitStack) -> dict[str, int]:
        request_fd, self._request_fd = os.pipe()
        inherited.callback(os.close, request_fd)
        self._reply_fd, reply_fd = os.pipe()
        inherited.callback(os.close, reply_fd)
        lifeline_fd, self._lifeline_fd = os.pipe()
        inherited.callback(os.close, lifeline_fd)
        self._crash_fd = open_anonymous_file(0)
        for fd in (self._request_fd, self._reply_fd):
            os.set_blocking(fd, False)
            _enlarge_pipe(fd)
        return {
            "request_fd": request_fd,
            "reply_fd": reply_fd,
            "lifeline_fd": lifeline_fd,
            "crash_fd": self._crash_fd,
        }

    def _open_outputs(self, inherited: contextlib.ExitStack) -> tuple[int, int]:
        """The write ends of two pipes for what is printed."""
        ends = []
        for stream in STREAMS:
            self._print_fds[stream], end = os.pipe()
            inherited.callback(os.close, end)
            os.set_blocking(self._print_fds[stream], False)
            _enlarge_pipe(end)
            ends.append(end)
        return ends[0], ends[1]

    def _close_files(self) -> None:
        self._selector.close()
        fds = (self._request_fd, self._reply_fd, self._lifeline_fd, self._crash_fd)
        for fd in (*fds, *self._print_fds.values()):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _read(self) -> Iterator[Notice]:
        data = os.read(self._reply_fd, _READ_BYTES)
        self.hung_up = not data
        return self._reader.feed(data)

    def _load(self) -> bool:
        """Take the next blocks, joined up to about one write; False if none is there yet."""
        taken: list[bytes] = []
        size = 0
        while size < _WRITE_BYTES:
            block = next(self._outgoing, None)
            self._sent_all = block is None
            if not block:
                break
            taken.append(block)
            size += len(block)
        self._unsent = memoryview(b"".join(taken))
        if taken:
            self._selector.register(self._request_fd, selectors.EVENT_WRITE)
        return bool(taken) or self._sent_all

    def _write(self) -> None:
        try:
            written = os.write(self._request_fd, self._unsent)
        except BlockingIOError:  # macOS may call a pipe writable that has too little room
            return
        except BrokenPipeError:  # it died; its exit tells, after the replies it left
            self._sent_all, written = True, len(self._unsent)
        self._unsent = self._unsent[written:]
        if not self._unsent:
            self._selector.unregister(self._request_fd)

    def _has_exited(self) -> bool:
        """Look without reaping, for a child whose descendants keep the reply pipe open."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with self._lock:
            if self._returncode is not None:
                return True
            return os.waitid(os.P_PID, self._process.pid, flags) is not None


def _start(
    launch: Mapping[str, Any],
    search_path: Sequence[str],
    environment: Mapping[str, str],
    outputs: tuple[int, int],
) -> subprocess.Popen[bytes]:
    path = [*search_path, *([] if _CORE_PATH in search_path else [_CORE_PATH])]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        # -P: the working directory is not on sys.path unless the search path names it.
        [sys.executable, "-P", "-m", _CHILD_MODULE, json.dumps(launch)],
        stdin=subprocess.DEVNULL,
        stdout=outputs[0],
        stderr=outputs[1],
        env={**environment, "PYTHONPATH": os.pathsep.join(path)},
        pass_fds=[value for name, value in launch.items() if name.endswith("_fd")],
        start_new_session=True,
    )


def _enlarge_pipe(fd: int) -> None:
    """Make the two processes change turns less often, where the system lets us."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
