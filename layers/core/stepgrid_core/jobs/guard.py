"""The process between the runner and a job: starts the job, and leaves none of its processes alive.

    runner ══ order, then "T": end it ══▶ guard ── fork, exec ──▶ the job's process ── descendants
           ◀══ started, error, exit ══         ◀── orphans, whatever session they are in

Run by its path as a script, with nothing but the standard library. Its rules:

- It is a *subreaper* (Linux): a process whose parent has ended becomes its child, also one that
  left its group and session by setsid or a double fork. So the job's processes are exactly the
  descendants of the guard, and when there is no child left, nothing is left.
- Its standard input is the lifeline. Only the runner can write to it, so its end says that the
  runner is gone, by whatever death, and everything is killed. PR_SET_PDEATHSIG of the guard would
  not do: it fires when the runner's *thread* ends. For the job it does: the guard has one thread.
- It has one thread and few lines, because it runs as the user of the runner.

On other systems than Linux only the process group of the job can be ended.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38

#: Of a job, with its threads: so that it leaves some to the container.
MAX_PROCESSES = 4096

_CONTROL_FD, _STATUS_FD = 0, 1
_SWEEP_SECONDS = 0.005
_LINUX = sys.platform == "linux"
_DEFAULT_SIGNALS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGCHLD,
)


class Guard:
    """One job, from its start to the end of its last process."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._watched = [_CONTROL_FD, _open_wakeup()]
        self._kill_at = float("inf")
        self._code: int | None = None
        self._pid = 0

    def run(self) -> None:
        failure_fd, report_fd = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _become_job(self._order, report_fd)
        os.close(report_fd)
        _tell(started=self._pid)
        with os.fdopen(failure_fd, "rb") as failures:
            failure = failures.read()  # empty when the job's program has begun
        while self._reap() and self._code is None:
            self._attend()
        self._sweep()
        if failure:
            _tell(error=json.loads(failure))
        else:
            _tell(exit=self._code)

    def _attend(self) -> None:
        """Wait until something happens."""
        left = min(self._kill_at - time.monotonic(), 1.0)
        readable, _, _ = select.select(self._watched, [], [], max(left, 0.0))
        for fd in readable:
            data = os.read(fd, 64)
            if fd == _CONTROL_FD:
                self._obey(data)
        if time.monotonic() >= self._kill_at:
            self._kill()

    def _obey(self, data: bytes) -> None:
        if not data:
            self._watched.remove(_CONTROL_FD)
            self._kill_at = 0.0
            return
        self._kill_at = time.monotonic() + self._order["term_seconds"]
        with contextlib.suppress(OSError):
            os.killpg(self._pid, signal.SIGTERM)

    def _reap(self) -> bool:
        """Take note of those that have ended; False if there is no child any more."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._pid:
                self._code = os.waitstatus_to_exitcode(status)

    def _sweep(self) -> None:
        """Kill until nothing is left; one that can't die yet (disk, network) is waited for."""
        self._kill()
        while self._reap():
            self._kill()
            time.sleep(_SWEEP_SECONDS)
        sweep_user(self._order)

    def _kill(self) -> None:
        if self._code is None:
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
        for pid in find_descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def find_descendants(ancestor: int) -> set[int]:
    """All processes below one, by the parents that the system names; Linux only."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if _LINUX else ():
        if name.isdigit() and (parent := _read_parent(name)):
            children.setdefault(parent, []).append(int(name))
    found, pending = set[int](), [ancestor]
    while pending:
        below = [pid for pid in children.get(pending.pop(), ()) if pid not in found]
        found.update(below)
        pending += below
    return found


def _read_parent(name: str) -> int:
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            # The name of the program, in (), may hold anything.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):  # it has ended meanwhile
        return 0


def sweep_user(order: dict[str, Any]) -> None:
    """Kill all that runs as the job's user, if that user is nobody else's."""
    uid = order["uid"]
    if not uid or not order["exclusive"]:
        return
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            os.setresuid(uid, uid, uid)
            if os.getresuid() == (uid, uid, uid):  # as root, -1 would be everybody
                os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(pid, 0)


def _become_job(order: dict[str, Any], report_fd: int) -> NoReturn:
    stage = "start"
    try:
        _prepare(order)
        _drop_privileges(order)
        stage = "exec"
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - the job
    except OSError as error:
        failure = {"errno": error.errno, "text": error.strerror, "stage": stage}
        os.write(report_fd, json.dumps(failure).encode())
    finally:
        os._exit(127)


def _prepare(order: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(order["folder"])
    os.umask(0o022)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    for fd, source in enumerate((null_fd, order["stdout_fd"], order["stderr_fd"])):
        os.dup2(source, fd)
    for number in _DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # When the container runs out of memory, the kernel should choose the job.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _drop_privileges(order: dict[str, Any]) -> None:
    if order["exclusive"]:  # the limit counts all processes of the user
        resource.setrlimit(resource.RLIMIT_NPROC, (MAX_PROCESSES, MAX_PROCESSES))
    if order["uid"]:
        os.setgroups([])
        os.setresgid(order["gid"], order["gid"], order["gid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    _set_process_option(PR_SET_NO_NEW_PRIVS, 1)
    # After the change of user, which takes it back.
    _set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != order["guard_pid"]:
        os._exit(127)


def _set_process_option(option: int, value: int) -> None:
    if _LINUX and ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _open_wakeup() -> int:
    """A descriptor that can be read when a child has ended."""
    wakeup_fd, write_fd = os.pipe()
    os.set_blocking(wakeup_fd, False)
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    return wakeup_fd


def _tell(**news: Any) -> None:
    with contextlib.suppress(OSError):  # the runner may be gone
        os.write(_STATUS_FD, json.dumps(news).encode() + b"\n")


def _read_order() -> dict[str, Any] | None:
    data = b""
    while not data.endswith(b"\n"):
        block = os.read(_CONTROL_FD, 65536)
        if not block:
            return None
        data += block
    order: dict[str, Any] = json.loads(data)
    return order | {"guard_pid": os.getpid()}


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    _set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    order = _read_order()
    if order is None:
        return
    if not order["argv"]:  # the guard before was killed
        sweep_user(order)
        return
    for name in ("stdout_fd", "stderr_fd"):
        os.set_inheritable(order[name], False)
    Guard(order).run()


if __name__ == "__main__":
    main()
