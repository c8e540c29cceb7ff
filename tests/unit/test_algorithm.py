"""A package of algorithms as a worker: the method that a task names, and no other."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepgrid_core.algorithm import handler

PACKAGE = {
    "__init__.py": (
        "from json import dumps\n"
        "from os import getenv\n"
        "from .partial import mean, _secret\n"
        "CONSTANT = 1\n"
        "def total(*numbers, scale=1):\n"
        "    return sum(numbers) * scale\n"
    ),
    "partial.py": (
        "def mean(values):\n    return sum(values) / len(values)\n"
        "def _secret():\n    return 'secret'\n"
    ),
}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that was installed beside the worker."""
    folder = tmp_path / "cloudy_algorithm"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STEPGRID_ALGORITHM", "cloudy_algorithm")
    yield
    for name in [name for name in sys.modules if name.startswith("cloudy_algorithm")]:
        del sys.modules[name]


def run(method: str, *args: Any, **kwargs: Any) -> Any:
    return handler({"method": method, "args": list(args), "kwargs": kwargs, "task_id": 1}, None)


def test_a_method_is_called_with_what_the_task_says() -> None:
    assert run("total", 1, 2, scale=3) == 9
    assert run("mean", values=[1, 2, 6]) == 3


@pytest.mark.parametrize(
    "name", ["dumps", "getenv", "_secret", "__import__", "CONSTANT", "partial", "nothing", ""]
)
def test_nothing_else_can_be_called(name: str) -> None:
    """What the package imports, hides, or has not."""
    with pytest.raises(LookupError, match="cloudy_algorithm has no method"):
        run(name)
