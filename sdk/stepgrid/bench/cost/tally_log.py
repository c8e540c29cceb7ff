"""Reads back what functions counted: the lines of request_tally in their log groups.

It works on the deployed stack itself, with the operator's credentials, because the lines of the API
and of the recorder are no owner's. Lines that were read once are not given again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from stepgrid_core.request_tally import TALLY_MESSAGE, read_tally

#: The functions that take part in a session; the sweeper's minutes are nobody's.
API_FUNCTION, WORKER, RELAY, RECORDER, BROKER = "api", "worker", "relay", "recorder", "broker"
PARTS = (API_FUNCTION, WORKER, RELAY, RECORDER, BROKER)
#: A process of a container, whose lines are in the workers' log: it is no function.
CONTAINER = "container"
#: FilterLogEvents gives no more at once. An emulator gives no cursor either.
PAGE_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Invocation:
    """One line: what an invocation of one of the parts counted, or a process of a container."""

    part: str  #: one of PARTS, or CONTAINER
    session_id: str | None
    requests: Mapping[str, int]
    units: Mapping[str, float]
    memory_mib: int
    milliseconds: float


class TallyLog:
    """The tally lines of one grid. `logs` is a boto3 client of CloudWatch Logs."""

    def __init__(self, logs: Any, stack_name: str, since: float) -> None:
        """since: epoch seconds; what was written before is left aside."""
        self._logs = logs
        self._stack_name = stack_name
        self._since_ms = int(since * 1000)
        self._seen: set[tuple[str, int, str]] = set()

    def read_new(self) -> list[Invocation]:
        """Invocations whose lines have come since the last call."""
        return [invocation for part in PARTS for invocation in self._read_part(part)]

    def _read_part(self, part: str) -> Iterator[Invocation]:
        for event in self._search(part):
            key = (part, event["timestamp"], event["message"])
            fields = read_tally(event["message"])
            if fields is not None and key not in self._seen:
                self._seen.add(key)
                yield _invocation(part, fields)

    def _search(self, part: str) -> Iterator[dict[str, Any]]:
        request = {
            "logGroupName": f"/aws/lambda/{self._stack_name}-{part}",
            "filterPattern": f'"{TALLY_MESSAGE}"',
            "startTime": self._since_ms,
            "limit": PAGE_EVENTS,
        }
        while True:
            try:
                answer = self._logs.filter_log_events(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
                return  # an emulator makes the group with its first line
            yield from answer["events"]
            if token := answer.get("nextToken"):
                request["nextToken"] = token
            elif len(answer["events"]) == PAGE_EVENTS:
                request["startTime"] = answer["events"][-1]["timestamp"]
            else:
                return


def _invocation(part: str, fields: Mapping[str, Any]) -> Invocation:
    return Invocation(
        CONTAINER if fields.get("function") == CONTAINER else part,
        fields.get("session_id"),
        fields["requests"],
        fields["units"],
        fields["memory_mib"],
        fields["milliseconds"],
    )
