"""LogReader on CloudWatch Logs: FilterLogEvents on the workers' log group.

The filter saves what has to be sent, and is not relied on: emulators take a JSON filter for "all".
"""

from typing import Any

from botocore.exceptions import ClientError

from ..errors import InvalidRequest
from ..ports import LogEvent, LogSearch, Page
from .translate import code_of, make_client, translated


class AwsLogReader:
    def __init__(self, group: str) -> None:
        self._group = group
        self._logs = make_client("logs")

    def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
        request: dict[str, Any] = {
            "logGroupName": self._group,
            "filterPattern": filter_pattern(search),
            "startTime": int(search.since * 1000),
            "limit": limit,
            "interleaved": True,  # AWS always merges the streams of a group; emulators if asked
        }
        if search.until is not None:
            request["endTime"] = int(search.until * 1000)
        if cursor is not None:
            request["nextToken"] = cursor
        answer = self._ask(request)
        events = (LogEvent(e["timestamp"] / 1000, e["message"]) for e in answer["events"])
        return Page(tuple(events), answer.get("nextToken"))

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            with translated("the workers' log"):
                return dict(self._logs.filter_log_events(**request))
        except ClientError as error:
            if code_of(error) == "InvalidParameterException" and "nextToken" in request:
                raise InvalidRequest("this is no cursor of a log page, or it is too old") from error
            raise


def filter_pattern(search: LogSearch) -> str:
    """In CloudWatch's syntax for JSON events. The id has been checked: it has no quotes."""
    terms = [f'($.session_id = "{search.session_id}")']
    if search.task is not None:
        terms.append(f"($.task = {search.task})")
    if not search.every:
        terms.append('($.printed = "std*")')
    return "{ " + " && ".join(terms) + " }"
