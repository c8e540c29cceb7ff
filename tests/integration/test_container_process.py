"""The first process of a container and its pullers: real processes, real signals.

Stand-ins for the puller say so on a pipe when they are there, so that nobody waits for a time.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from stepgrid_core.container.__main__ import PULLER
from tests.unit.translated_template import PROJECT

SUPERVISOR = """
import sys
from stepgrid_core.container.__main__ import main

sys.exit(main([sys.executable, "-c", {puller!r}]))
"""
#: As the first process of a container: it is left with those whose parents have died.
REAPER = """
import ctypes

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
"""
#: What a puller may do; each first tells its number and its process.
WAITS = """
import os, signal, sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit({on_stop}))
os.write(1, b"%s %d\\n" % (sys.argv[1].encode(), os.getpid()))
signal.pause()
"""
ENDS = """
import os, sys

os.write(1, b"%s %d\\n" % (sys.argv[1].encode(), os.getpid()))
sys.exit({codes}[int(sys.argv[1])])
"""
#: Starts a process that outlives it.
LEAVES = """
import os, subprocess, sys

if os.fork() == 0:
    os.execlp("cat", "cat")
os.write(1, b"%s %d\\n" % (sys.argv[1].encode(), os.getpid()))
"""
#: The same, but that process ends before the puller does.
ORPHANS = """
import os, sys

here, there = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(5)
    os._exit(0)
os.close(there)
os.wait()
os.read(here, 1)
os.write(1, b"%s %d\\n" % (sys.argv[1].encode(), os.getpid()))
"""
ENVIRONMENT = {
    "STEPGRID_SESSION_ID": "session",
    "STEPGRID_TICKET": "ticket",
    "STEPGRID_CONTAINER": "aaaaaaaa",
    "STEPGRID_DISPATCH": "1",
    "STEPGRID_BROKER_FUNCTION": "broker",
    "STEPGRID_MEMORY_MIB": "2048",
    "STEPGRID_STARTED_AT": "1.5",
}


def environment(pullers: int) -> dict[str, str]:
    # PYTHONUNBUFFERED and its kin are of whoever runs the tests; containers have none of them.
    foreign = ("AWS_", "STEPGRID_", "PYTHONUN")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(foreign)}
    path = os.pathsep.join([str(PROJECT / "layers" / "core"), kept.get("PYTHONPATH", "")])
    told = {"STEPGRID_PULLERS": str(pullers), "PYTHONPATH": path}
    return {**kept, **ENVIRONMENT, **told}


@contextmanager
def container(puller: str, pullers: int) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", REAPER + SUPERVISOR.format(puller=puller)]
    with subprocess.Popen(
        command,
        env=environment(pullers),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def output(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def read_pullers(process: "subprocess.Popen[str]", pullers: int) -> dict[int, int]:
    """Number and process of each, once all of them are there."""
    lines = [output(process).readline().split() for _ in range(pullers)]
    return {int(number): int(pid) for number, pid in lines}


def test_every_puller_has_its_number() -> None:
    """From 0 on; all went well, and so did the container."""
    with container(ENDS.format(codes=[0, 0, 0]), 3) as process:
        assert set(read_pullers(process, 3)) == {0, 1, 2}
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 3], 3), ([3, 4], 3), ([143, 0], 143)]
)
def test_the_first_that_failed_gives_the_code(codes: list[int], code: int) -> None:
    """ECS, and so the state machine, sees that of one process only."""
    with container(ENDS.format(codes=codes), 2) as process:
        assert process.wait() == code


def test_a_stop_reaches_all_pullers() -> None:
    """SIGTERM is handed on, and the container has failed: others finish what it gave back."""
    with container(WAITS.format(on_stop=143), 3) as process:
        read_pullers(process, 3)
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM


def test_a_stop_is_a_failure_also_where_pullers_end_well() -> None:
    """They may have been about to, with chunks left."""
    with container(WAITS.format(on_stop=0), 2) as process:
        read_pullers(process, 2)
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM


def test_a_stop_in_the_middle_of_the_start_is_not_missed() -> None:
    """It comes when only some of the pullers are there: no other is left running."""
    with container(WAITS.format(on_stop=143), 16) as process:
        output(process).readline()
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
        assert output(process).read().count("\n") <= 15, "and nobody holds its output any more"


def test_a_killed_puller_leaves_the_others_at_work() -> None:
    """The container ends with the last of them, and tells of the first that died."""
    with container(WAITS.format(on_stop=0), 2) as process:
        pids = read_pullers(process, 2)
        os.kill(pids[1], signal.SIGKILL)
        os.kill(pids[0], signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGKILL


def test_what_a_puller_leaves_behind_does_not_keep_the_container() -> None:
    """It ends with its pullers, as ECS then ends whatever else is in it."""
    with container(LEAVES, 1) as process:
        read_pullers(process, 1)
        assert process.wait() == 0


def test_orphans_are_collected() -> None:
    """Whatever became of them is not what became of the container."""
    with container(ORPHANS, 2) as process:
        read_pullers(process, 2)
        assert process.wait() == 0


STOPPING = """
import time
from stepgrid_core.container.stopping import Stopping

stopping = Stopping(time.monotonic, 100.0)
stopping.listen()
print(stopping.asked, stopping.time_left(), flush=True)
while not stopping.asked:
    stopping.pause(60)
print(0 < stopping.time_left() <= 100, flush=True)
left = stopping.time_left()
stopping.begin()
stopping.pause(60)
print(stopping.time_left() <= left, flush=True)
"""


def test_a_signal_begins_the_count() -> None:
    """It ends a pause at once; to be asked a second time gives no more time."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPING], env=environment(1), stdout=subprocess.PIPE, text=True
    ) as process:
        assert output(process).readline().split() == ["False", "inf"]
        process.terminate()
        assert output(process).read() == "True\nTrue\n"
        assert process.wait() == 0


def test_a_puller_can_be_started() -> None:
    """The command is that of a module which is there; without a broker it says what is missing."""
    ended = subprocess.run(
        [*PULLER, "0"],
        env={**environment(1), "AWS_DEFAULT_REGION": "eu-central-1", "STEPGRID_PULLERS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "pullers" in ended.stderr


#: What `main` does before and after a task prints: then the container is killed.
PRINTS = """
import os, signal
from stepgrid_core.container import puller_process
from stepgrid_core.runner_prints import PrintedLine
from stepgrid_core.telemetry import log_print

def pull(*_):
    log_print(PrintedLine(None, "stdout", 0, "last words"))
    os.kill(os.getpid(), signal.SIGKILL)

puller_process.pull = pull
puller_process.main()
"""


def test_what_a_task_printed_outlives_its_container() -> None:
    """Each line leaves at once: none waits for more in a process that may be killed."""
    command = [sys.executable, "-c", PRINTS, "0"]
    ended = subprocess.run(
        command, env=environment(1), stdout=subprocess.PIPE, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert '"message":"last words"' in ended.stdout.replace(": ", ":")
