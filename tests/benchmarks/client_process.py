"""A contender's process, as the benchmark sees it: started, asked, ended with all its family."""

import json
import os
import select
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import ENTRIES
from tests.benchmarks.family import MARK_VARIABLE, Family, open_doors, sum_cpu_seconds
from tests.benchmarks.memory import MemoryWatch

PROJECT = Path(__file__).parents[2]
#: A local cloud removes the files of all its function environments.
STOP_SECONDS = 180.0
GRACE_SECONDS = 5.0
#: What keeps contenders from reporting to their makers.
QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "LITHOPS_TELEMETRY": "false",
    "SAM_CLI_TELEMETRY": "0",
}


class ClientFailed(Exception):
    """The contender's process died, took too long or opened a door; it is of no use any more."""


class ClientProcess:
    """One contender in a process of its own; its output goes to a log file."""

    def __init__(self, contender: str, python: str, workers: int, folder: Path, log: Path) -> None:
        """Begin to start it; the first answer tells when it is ready.

        folder: for its files, short, since Ray and others make sockets in it.
        """
        self._log = log
        mark = uuid.uuid4().hex
        self._family = Family(mark)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self._buffer = b""
        self._started = time.perf_counter()
        command = [python, "-m", "tests.benchmarks.client", contender, str(workers)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, str(folder), str(commands), str(answers)],
                cwd=folder,
                env=make_environment(contender, mark, folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(commands, answers),
                start_new_session=True,
            )
        os.close(commands)
        os.close(answers)

    def await_start(self, timeout_seconds: float) -> dict[str, Any]:
        """The answer when it is ready. Raises ClientFailed."""
        answer = self._read_answer(timeout_seconds)
        if "figures" in answer:
            # From the start of the process on: imports count.
            answer["figures"]["seconds"] = time.perf_counter() - self._started
            self._family.add_roots(answer["figures"].pop("processes"))
            self.check_doors()
        return answer

    def ask(self, command: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """Have it measure something; the answer, with the CPU time of all. Raises ClientFailed."""
        before = sum_cpu_seconds(self._family.search())
        started = time.perf_counter()
        os.write(self._commands, json.dumps(command).encode() + b"\n")
        if command["measure"] == "memory":
            with MemoryWatch(self._family, self._process.pid) as watch:
                answer = self._read_answer(timeout_seconds)
            memory: dict[str, Any] = dict(watch.figures())
        else:
            answer, memory = self._read_answer(timeout_seconds), {}
        if "figures" in answer:
            answer["figures"] |= memory | {
                "took_seconds": time.perf_counter() - started,
                "cpu_seconds": sum_cpu_seconds(self._family.search()) - before,
            }
        return answer

    def check_doors(self) -> None:
        """Raises ClientFailed when any of the family listens beyond loopback."""
        doors = open_doors(self._family.search())
        if doors:
            raise ClientFailed(f"it listens beyond loopback: {', '.join(doors)[:200]}")

    def stop(self) -> list[str]:
        """End it; the names of those processes that it left behind, and which had to be killed."""
        self._family.search()
        os.close(self._commands)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)
        return self._family.end(GRACE_SECONDS)

    def _read_answer(self, timeout_seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._answers], [], [], 0.2)
            if readable:
                block = os.read(self._answers, 65536)
                if not block:
                    raise ClientFailed(f"its process ended: {self._last_words()}")
                self._buffer += block
            elif self._process.poll() is not None:
                raise ClientFailed(f"its process ended: {self._last_words()}")
            elif time.monotonic() > deadline:
                raise ClientFailed(f"no answer after {timeout_seconds:.0f} s")
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
        return ""


def make_environment(contender: str, mark: str, folder: Path) -> dict[str, str]:
    """This process's own, with what keeps a contender quiet and its files in one place."""
    environment = os.environ | QUIET
    environment |= {MARK_VARIABLE: mark, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder)}
    if not ENTRIES[contender].needs_home:
        environment["HOME"] = str(folder)
    return environment
