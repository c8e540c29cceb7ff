"""What one invocation of a function sends to AWS: counted, and written as one line of its log.

    invocation begins --> clients of aws/ count every attempt --> invocation ends --> one line

Off by default (`Settings.count_requests`): nothing is hung into the clients then, no line is
written and nothing is timed. `stepgrid bench cost` reads the lines back and prices them. It knows
neither botocore (aws/request_hooks.py feeds it) nor prices.
"""

import json
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .ports import Clock

#: The message of a line, which a search of a log looks for.
TALLY_MESSAGE = "requests counted"


class RequestTally:
    """Requests by service and operation, and what DynamoDB and EventBridge bill in units.

    One for an environment, which has one invocation at a time; its threads may count at once.
    """

    def __init__(self, function: str = "", memory_mib: int = 0, enabled: bool = False) -> None:
        """function, memory_mib: of the environment, as Lambda names them."""
        self.enabled = enabled
        #: the session that the invocation is about, as soon as it is known
        self.session_id: str | None = None
        self._function = function
        self._memory_mib = memory_mib
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._units: defaultdict[str, float] = defaultdict(float)

    def count(self, operation: str) -> None:
        """One HTTP request, for example "dynamodb.UpdateItem"; a repeated one is another one."""
        with self._lock:
            self._requests[operation] += 1

    def consume(self, unit: str, amount: float) -> None:
        """Of what AWS bills by amount: "read" and "write" units, "events"."""
        with self._lock:
            self._units[unit] += amount

    @contextmanager
    def invocation(self, clock: Clock, request_id: str) -> Iterator[None]:
        """Count from here to the end, however it ends, and write the line.

        request_id: Lambda's, which tells the lines of two like invocations apart.
        """
        if not self.enabled:
            yield
            return
        self._clear()
        began = clock.monotonic()
        try:
            yield
        finally:
            self._write(request_id, (clock.monotonic() - began) * 1000)

    def _clear(self) -> None:
        self.session_id = None
        with self._lock:
            self._requests.clear()
            self._units.clear()

    def _write(self, request_id: str, milliseconds: float) -> None:
        with self._lock:
            line: dict[str, Any] = {
                "message": TALLY_MESSAGE,
                "request_id": request_id,
                "function": self._function,
                "memory_mib": self._memory_mib,
                "milliseconds": round(milliseconds, 1),
                "requests": dict(self._requests),
                "units": dict(self._units),
            }
        if self.session_id is not None:
            line["session_id"] = self.session_id
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")


def read_tally(text: str) -> Mapping[str, Any] | None:
    """The fields of a line that a tally wrote; None for any other line.

    What user code prints is the `message` of a line with `printed`: it can't pass for one.
    """
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("message") != TALLY_MESSAGE:
        return None
    return None if "printed" in fields else fields
