"""A script in a Python of its own, spoken with by lines of JSON."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
#: Where vantage6's clients are: they pin what our own environment has otherwise.
PYTHON = PROJECT / ".venv-vantage6" / "bin" / "python"
SCRIPTS = Path(__file__).parent / "scripts"
SECONDS = 120

Line = dict[str, Any]


class ChildProcess:
    def __init__(self, script: str, *arguments: str, log: Path) -> None:
        """log: where it writes all that is no line for us. It ends when `stop` says so."""
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._log = log
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [PYTHON, SCRIPTS / script, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                env=environment,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, **line: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def hear(self, wanted: Callable[[Line], bool] = bool) -> Line:
        """The next line that is so; others before it are passed over."""
        while True:
            line = self._lines.get(timeout=SECONDS)
            assert line is not None, f"it has ended: {self._log.read_text()[-4000:]}"
            if wanted(line):
                return line

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)
