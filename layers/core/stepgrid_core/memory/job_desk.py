"""A JobDesk that keeps everything: for tests, and for jobs without a cloud."""

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path

from ..errors import NotFound
from ..records import JobFile, JobRecord


class MemoryJobDesk:
    """s3 addresses are signed as the table says; all others are nobody's."""

    def __init__(self, signed: Mapping[str, str] | None = None) -> None:
        self._signed = dict(signed or {})
        self._lock = threading.Lock()
        self.history: dict[int, list[JobRecord]] = {}  #: all reports of each job
        self.stored: dict[tuple[int, str], bytes] = {}  #: outputs, by index and name: the last ones

    def report(self, index: int, record: JobRecord) -> None:
        with self._lock:
            history = self.history.setdefault(index, [])
            if not history or record.attempt >= history[-1].attempt:
                history.append(record)

    def sign_input(self, url: str) -> str:
        if url not in self._signed:
            raise NotFound(f"there is no {url}")
        return self._signed[url]

    def store_output(self, index: int, attempt: int, name: str, file: Path) -> None:
        data = file.read_bytes()
        with self._lock:
            self.stored[index, name] = data

    def record(self, index: int) -> JobRecord:
        """The last report of a job."""
        return self.history[index][-1]

    def describe(self, index: int, name: str) -> JobFile:
        """An output as a record should have it."""
        data = self.stored[index, name]
        return JobFile(name, len(data), hashlib.sha256(data).hexdigest())
