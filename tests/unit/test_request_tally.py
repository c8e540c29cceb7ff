"""What one invocation sent to AWS, as a line of its log."""

import json
from typing import Any

import pytest

from stepgrid_core.memory import VirtualClock
from stepgrid_core.request_tally import TALLY_MESSAGE, RequestTally, read_tally


@pytest.fixture
def tally() -> RequestTally:
    return RequestTally("grid-api", 1024, enabled=True)


def written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = capsys.readouterr().out.splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_an_invocation_writes_one_line(
    tally: RequestTally, capsys: pytest.CaptureFixture[str]
) -> None:
    """Function, memory, duration, requests by name, units, and the session once it is known."""
    clock = VirtualClock(0.0)
    with tally.invocation(clock, "req"):
        tally.session_id = "ses"
        tally.count("dynamodb.UpdateItem")
        tally.count("dynamodb.UpdateItem")
        tally.consume("write", 2.0)
        tally.consume("read", 0.5)
        clock.advance(0.25)
    assert written(capsys) == {
        "message": TALLY_MESSAGE,
        "request_id": "req",
        "function": "grid-api",
        "memory_mib": 1024,
        "milliseconds": 250.0,
        "requests": {"dynamodb.UpdateItem": 2},
        "units": {"write": 2.0, "read": 0.5},
        "session_id": "ses",
    }


def test_invocations_of_an_environment_are_counted_apart(
    tally: RequestTally, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came before, also between two invocations, is not the next one's."""
    with tally.invocation(VirtualClock(0.0), "req"):
        tally.session_id = "first"
        tally.count("s3.PutObject")
    tally.count("s3.GetObject")
    capsys.readouterr()
    with tally.invocation(VirtualClock(0.0), "req"):
        pass
    fields = written(capsys)
    assert (fields["requests"], fields["units"]) == ({}, {})
    assert "session_id" not in fields


def test_an_invocation_that_fails_is_told(
    tally: RequestTally, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests cost, whatever became of the invocation."""

    def fail() -> None:
        with tally.invocation(VirtualClock(0.0), "req"):
            tally.count("s3.PutObject")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert written(capsys)["requests"] == {"s3.PutObject": 1}


def test_nothing_is_written_unless_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The default costs neither a line nor a look at the clock."""
    with RequestTally().invocation(None, "req"):  # type: ignore[arg-type]  # no clock is needed
        pass
    assert capsys.readouterr().out == ""


def test_lines_are_read_back(tally: RequestTally, capsys: pytest.CaptureFixture[str]) -> None:
    """A line is found among all others of a log."""
    with tally.invocation(VirtualClock(0.0), "req"):
        tally.count("s3.PutObject")
    fields = read_tally(capsys.readouterr().out)
    assert fields is not None
    assert fields["requests"] == {"s3.PutObject": 1}


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: 1",
        "[1]",
        '{"message": "chunk run"}',
        json.dumps({"message": TALLY_MESSAGE, "printed": "stdout"}),
    ],
)
def test_other_lines_are_none(line: str) -> None:
    """Lambda's own lines, the grid's others, and a print that uses the same words."""
    assert read_tally(line) is None
