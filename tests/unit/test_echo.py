"""The echo worker: what goes in comes out."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parents[2] / "functions/workers/echo/echo.py"


@pytest.mark.parametrize("task", [{"trades": [1, 2.5, None]}, ["a"], "text", 0, False, None])
def test_a_task_is_its_own_result(task: Any) -> None:
    """Any JSON value comes back as it is, those that count as nothing in Python included."""
    spec = importlib.util.spec_from_file_location("echo", WORKER)
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    assert worker.lambda_handler(task, None) is task
