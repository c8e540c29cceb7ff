"""Structured logs and metrics of the functions, made once.

Log constant phrases with keys, one INFO for each change of state; never a token, a payload or a
secret. Metrics leave as EMF lines in the log, so they cost no request.
"""

import io
import json
import sys
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from .metrics import DEFAULT_UNIT, DIMENSION, NAMESPACE, UNITS, Values, without_zeros
from .runner_prints import PrintedLine

#: CloudWatch Logs takes events of up to 256 KiB; one that is longer would be torn into no JSON.
EVENT_BYTES = 256 * 1024 - 1024

logger = Logger()


def print_by_line() -> None:
    """Let each line leave when it is written.

    A container's stdout is a pipe, for which Python gathers kilobytes: what a task prints would be
    seen late, and never where its container is killed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


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


class EmfMetrics:
    """MetricSink: one line of CloudWatch's embedded metric format for all values at once."""

    def emit(self, worker: str, values: Values, **properties: Any) -> None:
        told = without_zeros(values)
        if not told:
            return
        metrics = {
            str(metric): {
                "Unit": UNITS.get(metric, DEFAULT_UNIT),
                "StorageResolution": 60,
                "Value": [float(value) for value in found],
            }
            for metric, found in told.items()
        }
        # Given here, because the provider's own dimensions always include the service.
        line = AmazonCloudWatchEMFProvider(namespace=NAMESPACE).serialize_metric_set(
            metrics=metrics, dimensions={DIMENSION: worker}, metadata=properties
        )
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
