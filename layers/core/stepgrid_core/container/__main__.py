"""The first process of a container: starts the pullers, and ends when the last of them does.

It hands SIGTERM on, and collects whatever is left of processes whose parents have died. The exit
code is 0 if all pullers ended well; otherwise that of the first one that did not. A container of
one puller is that puller: a process less to start.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from .settings import ContainerSettings

#: A puller that was killed by a signal, as a shell reports it.
SIGNALLED = 128


#: What a puller is started by; its number follows.
PULLER = (sys.executable, "-m", "stepgrid_core.container.puller_process")


class Pullers:
    """The processes that take chunks, from their start to the end of the last one."""

    def __init__(self, count: int, command: Sequence[str]) -> None:
        """Starts them, unless SIGTERM was here before."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopped = False
        signal.signal(signal.SIGTERM, self._hand_on)
        for number in range(count):
            if not self._stopped:
                self._start([*command, str(number)])

    def _start(self, command: list[str]) -> None:
        process = subprocess.Popen(command)  # noqa: S603 - our own
        self._processes.append(process)
        if self._stopped:  # while it was started, so that nobody told it
            process.terminate()

    def _hand_on(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True
        for process in self._processes:
            process.terminate()

    def collect(self) -> int:
        """Wait for all of them; answers the exit code of the container."""
        left = {process.pid: process for process in self._processes}
        while left:
            pid, status = os.wait()  # also whoever was left to the first process of a container
            if pid in left:
                left.pop(pid).returncode = os.waitstatus_to_exitcode(status)
        codes = [process.returncode for process in self._processes]
        failed = [code if code > 0 else SIGNALLED - code for code in codes if code]
        if self._stopped:
            failed.append(SIGNALLED + signal.SIGTERM)
        return failed[0] if failed else 0


def main(command: Sequence[str] = PULLER) -> int:
    settings = ContainerSettings.read(dict(os.environ))
    if settings.pullers == 1 and command is PULLER:
        from .puller_process import run  # noqa: PLC0415 - brings in all that a puller needs

        return run(settings, 0)
    return Pullers(settings.pullers, command).collect()


if __name__ == "__main__":
    sys.exit(main())
