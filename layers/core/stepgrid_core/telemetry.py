"""Structured logs and metrics of the functions, made once.

Log constant phrases with keys, one INFO for each change of state; never a token, a payload or a
secret. Metrics leave as EMF lines in the log, so they cost no request.
"""

import json
import sys
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from .runner_prints import PrintedLine

NAMESPACE = "stepgrid"
#: CloudWatch Logs takes events of up to 256 KiB; one that is longer would be torn into no JSON.
EVENT_BYTES = 256 * 1024 - 1024

logger = Logger()


def log_print(line: PrintedLine) -> None:
    """What user code printed, as one structured line: `session_id` and `task` say whose it is.

    It leaves by stdout, as the logger's own lines do. What was printed outside of any task names
    no session: nobody's may be meant.
    """
    sys.stdout.write(_encode_print(line) + "\n")


def _encode_print(line: PrintedLine) -> str:
    text = line.text
    while len((event := _encode_event(line, text)).encode()) > EVENT_BYTES:
        text = text[: len(text) // 2]
    return event


def _encode_event(line: PrintedLine, text: str) -> str:
    event: dict[str, Any] = {
        "level": "INFO",
        "message": text,
        "service": logger.service,
        "printed": line.stream,
        "line": line.number,
    }
    if line.task is not None:
        keys = logger.get_current_keys()
        session = {name: keys.get(name) for name in ("session_id", "chunk")}
        event |= session | {"task": line.task.index, "attempt": line.task.attempt}
    if text is not line.text:
        event["cut_from_characters"] = len(line.text)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def count(name: str, value: float = 1, *, worker: str) -> None:
    """One number for one worker's graph, for example how many tasks failed."""
    _emit(name, MetricUnit.Count, value, worker)


def measure_seconds(name: str, seconds: float, *, worker: str) -> None:
    _emit(name, MetricUnit.Seconds, seconds, worker)


def _emit(name: str, unit: MetricUnit, value: float, worker: str) -> None:
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension("worker", worker)
