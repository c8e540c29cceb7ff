"""What leaves a function: lines of JSON that belong together by session_id and task."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stepgrid_core.metrics import Metric
from stepgrid_core.runner_prints import PrintedLine, PrintingTask
from stepgrid_core.telemetry import EVENT_BYTES, EmfMetrics, log_print, logger

TASK = PrintingTask(task_id="ses_7", index=7, attempt=2)


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    logger.append_keys(session_id="ses", chunk=3)
    yield
    logger.remove_keys(["session_id", "chunk"])


def emit(capsys: pytest.CaptureFixture[str], line: PrintedLine) -> dict[str, Any]:
    log_print(line)
    (written,) = capsys.readouterr().out.splitlines()
    event: dict[str, Any] = json.loads(written)
    return event


def test_a_print_is_known_by_session_and_task(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line, with session, chunk, task, attempt, stream and place; never the input."""
    event = emit(capsys, PrintedLine(TASK, "stderr", 4, "half way"))
    assert event == {
        "level": "INFO",
        "message": "half way",
        "service": logger.service,
        "printed": "stderr",
        "line": 4,
        "session_id": "ses",
        "chunk": 3,
        "task": 7,
        "attempt": 2,
    }


def test_a_print_outside_of_tasks_names_no_session(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be another owner's: a process that an earlier session left behind."""
    event = emit(capsys, PrintedLine(None, "stdout", 0, "imported"))
    assert event["message"] == "imported"
    assert not event.keys() & {"session_id", "chunk", "task", "attempt"}


@pytest.mark.parametrize("character", ["x", "é", "\0", "\U0001f600"])
def test_a_long_line_is_cut(capsys: pytest.CaptureFixture[str], character: str) -> None:
    """An event stays within CloudWatch's limit however its text is escaped, and says so."""
    log_print(PrintedLine(TASK, "stdout", 0, character * 500_000))
    (written,) = capsys.readouterr().out.splitlines()
    assert len(written.encode()) <= EVENT_BYTES
    event = json.loads(written)
    assert event["cut_from_characters"] == 500_000
    assert set(event["message"]) == {character}


class TestMetrics:
    def test_all_values_leave_in_one_line(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Embedded metric format: namespace, worker as the only dimension, units, properties."""
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "worker")
        values = {Metric.TASKS_FINISHED: [3], Metric.TASK_TIME: [1.5, 2.5]}
        EmfMetrics().emit("pricing", values, session_id="ses", chunk=3)
        (written,) = capsys.readouterr().out.splitlines()
        line = json.loads(written)
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "stepgrid"
        assert directive["Dimensions"] == [["worker"]]
        assert {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]} == {
            "TasksFinished": "Count",
            "TaskTime": "Milliseconds",
        }
        assert (line["worker"], line["session_id"], line["chunk"]) == ("pricing", "ses", 3)
        assert (line["TasksFinished"], line["TaskTime"]) == ([3.0], [1.5, 2.5])

    def test_nothing_is_no_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Counts of nothing cost nothing."""
        EmfMetrics().emit("pricing", {Metric.TASKS_FAILED: [0], Metric.TASK_TIME: []})
        assert capsys.readouterr().out == ""
