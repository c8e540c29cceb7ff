"""The first process of a container: starts the pullers, and ends when the last of them does.

It hands SIGTERM on, and collects whatever is left of processes whose parents have died. The exit
code is 0 if all pullers ended well; otherwise that of the first one that did not.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

from .settings import ContainerSettings

#: A puller that was killed by a signal, as a shell reports it.
SIGNALLED = 128


def start_pullers(count: int) -> list[subprocess.Popen[bytes]]:
    module = "stepgrid_core.container.puller_process"
    return [
        subprocess.Popen([sys.executable, "-m", module, str(number)])  # noqa: S603 - our own
        for number in range(count)
    ]


def hand_on_sigterm(pullers: list[subprocess.Popen[bytes]]) -> None:
    def hand_on(_number: int, _frame: FrameType | None) -> None:
        for puller in pullers:
            puller.terminate()

    signal.signal(signal.SIGTERM, hand_on)


def collect(pullers: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all of them; answers the exit code of the container."""
    codes = [puller.wait() for puller in pullers]
    failed = [code if code > 0 else SIGNALLED - code for code in codes if code]
    return failed[0] if failed else 0


def main() -> int:
    settings = ContainerSettings.read(dict(os.environ))
    pullers: list[subprocess.Popen[bytes]] = []
    hand_on_sigterm(pullers)
    pullers += start_pullers(settings.pullers)
    return collect(pullers)


if __name__ == "__main__":
    sys.exit(main())
