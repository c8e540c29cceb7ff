"""The contract of the LogReader port, and what the AWS adapter asks CloudWatch for."""

import json
import time

import pytest

from stepgrid_core.aws.log_reader import filter_pattern
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.memory import MemoryLogReader
from stepgrid_core.ports import LogSearch

from .conftest import LogBench

#: CloudWatch takes lines of the last 14 days only.
SINCE = float(int(time.time()) - 3600)


def search(task: int | None = None, every: bool = False, until: float | None = None) -> LogSearch:
    return LogSearch("ses", task, every, SINCE, until)


def text(number: int) -> str:
    return json.dumps({"session_id": "ses", "task": number, "printed": "stdout", "message": "m"})


def found(logs: LogBench, wanted: LogSearch, limit: int = 100) -> list[tuple[float, str]]:
    lines, cursor = [], None
    while True:
        page = logs.reader.search(wanted, cursor, limit)
        lines += [(event.at, event.text) for event in page.items]
        cursor = page.next
        if cursor is None:
            return lines


def test_lines_are_found_in_order_of_time(logs: LogBench) -> None:
    """Whatever environment wrote them, with the time at which each was written."""
    logs.write("environment-1", [(SINCE + 1, text(1)), (SINCE + 3.5, text(3))])
    logs.write("environment-2", [(SINCE + 2, text(2))])
    assert found(logs, search()) == [
        (SINCE + 1, text(1)),
        (SINCE + 2, text(2)),
        (SINCE + 3.5, text(3)),
    ]


def test_lines_of_other_times_are_left_out(logs: LogBench) -> None:
    """Only those from `since` to `until`."""
    logs.write("one", [(SINCE - 1, text(1)), (SINCE, text(2)), (SINCE + 9, text(3))])
    assert found(logs, search(until=SINCE + 5)) == [(SINCE, text(2))]


def test_pages_follow_each_other(logs: LogBench) -> None:
    """Every line is on one page, whatever the size of the pages."""
    lines = [(SINCE + number // 4, text(number)) for number in range(20)]
    logs.write("one", lines)
    assert found(logs, search(), limit=7) == lines


def test_an_empty_log_has_no_lines(logs: LogBench) -> None:
    """Before any worker ran."""
    assert found(logs, search()) == []


def test_a_bad_cursor_is_refused() -> None:
    """It comes from the client."""
    with pytest.raises(InvalidRequest, match="cursor"):
        MemoryLogReader().search(search(), "no cursor", 10)


@pytest.mark.parametrize(
    ("wanted", "pattern"),
    [
        (search(), '{ ($.session_id = "ses") && ($.printed = "std*") }'),
        (search(task=3), '{ ($.session_id = "ses") && ($.task = 3) && ($.printed = "std*") }'),
        (search(every=True), '{ ($.session_id = "ses") }'),
    ],
)
def test_cloudwatch_is_asked_for_no_more_than_needed(wanted: LogSearch, pattern: str) -> None:
    """The filter is CloudWatch's pattern syntax for JSON events."""
    assert filter_pattern(wanted) == pattern
