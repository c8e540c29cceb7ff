"""Structured logs and metrics of the functions, made once.

Log constant phrases with keys, one INFO for each change of state; never a token, a payload or a
secret. Metrics leave as EMF lines in the log, so they cost no request.
"""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "stepgrid"

logger = Logger()


def count(name: str, value: float = 1, *, worker: str) -> None:
    """One number for one worker's graph, for example how many tasks failed."""
    _emit(name, MetricUnit.Count, value, worker)


def measure_seconds(name: str, seconds: float, *, worker: str) -> None:
    _emit(name, MetricUnit.Seconds, seconds, worker)


def _emit(name: str, unit: MetricUnit, value: float, worker: str) -> None:
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension("worker", worker)
