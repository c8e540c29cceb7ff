"""`stepgrid workers`: trying a worker, and what operators do, against fakes."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from stepgrid.cli.context import App
from stepgrid_core.errors import Conflict, TaskFailed
from stepgrid_core.registration import Registration
from tests.unit.cli_fakes import FakeGrid, FakeSession, json_lines, run, run_app


def failure() -> TaskFailed:
    return TaskFailed(
        "task 0 failed: ValueError: negative volatility",
        traceback="Traceback: line 3",
        remote_type="ValueError",
        remote_message="negative volatility",
    )


class TestTest:
    def test_a_result_is_printed(self, tmp_path: Path) -> None:
        """On stdout as JSON; how long it took, on stderr. One attempt is made."""
        event = tmp_path / "event.json"
        event.write_text('{\n  "spot": 100\n}\n', encoding="utf-8")
        grid = FakeGrid(FakeSession([{"price": 10.5}]))
        result = run(grid, "workers", "test", "pricer", str(event))
        assert result.exit_code == 0
        assert json.loads(result.stdout) == {"price": 10.5}
        assert result.stderr == "stepgrid: finished in 0.0125 s, 1 attempt\n"
        (request,) = grid.submitted
        assert (request["worker"], request["tasks"]) == ("pricer", [{"spot": 100}])
        assert request["options"] == {"max_attempts": 1, "name": "test of pricer"}

    def test_an_error_is_printed_with_the_workers_traceback(self) -> None:
        """Nothing on stdout; exit code 1, as for any failed task."""
        grid = FakeGrid(FakeSession([failure()]))
        result = run(grid, "workers", "test", "pricer", "-", stdin=b"{}")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines()[:2] == [
            "Traceback: line 3",
            "stepgrid: ValueError: negative volatility",
        ]

    def test_json_holds_result_or_error(self) -> None:
        """With state, attempts and time."""
        good = run(FakeGrid(FakeSession([7])), "workers", "test", "w", "-", "--json", stdin=b"1")
        assert json.loads(good.stdout) == {
            "session_id": FakeSession([]).id,
            "state": "finished",
            "attempts": 1,
            "milliseconds": 12.5,
            "result": 7,
        }
        grid = FakeGrid(FakeSession([failure()]))
        bad = run(grid, "workers", "test", "w", "-", "--json", stdin=b"1")
        assert (bad.exit_code, json.loads(bad.stdout)["error"]) == (
            1,
            {
                "type": "ValueError",
                "message": "negative volatility",
                "traceback": "Traceback: line 3",
            },
        )

    def test_a_timeout_may_be_given(self) -> None:
        """For the one task."""
        grid = FakeGrid(FakeSession([7]))
        run(grid, "workers", "test", "w", "-", "--timeout-seconds", "2.5", stdin=b"1")
        assert grid.submitted[0]["options"]["task_timeout_seconds"] == 2.5

    @pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"\xff", b"[" * 100_000, b"1\n2"])
    def test_an_event_that_is_not_json_is_refused(self, text: bytes) -> None:
        """Nothing is submitted, and the file is named."""
        grid = FakeGrid()
        result = run(grid, "workers", "test", "w", "-", stdin=text)
        assert (result.exit_code, grid.submitted) == (2, [])
        assert "<stdin> " in result.stderr


@dataclass
class FakeRegistrar:
    """Remembers what it was asked."""

    asked: list[Any] = field(default_factory=list)
    refusal: Exception | None = None

    def register(self, name: str, function: str, **options: Any) -> Registration:
        self.asked.append((name, function, options))
        if self.refusal:
            raise self.refusal
        return Registration(name, f"arn:{function}", "nodejs22.x", 90, 128, options["concurrency"])

    def unregister(self, name: str) -> None:
        self.asked.append(("unregister", name))

    def limit(self, name: str, concurrency: int | None) -> None:
        self.asked.append(("limit", name, concurrency))


class Operator:
    """Runs commands with a fake registrar; `opened` is what it was opened with."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.registrar = FakeRegistrar(refusal=refusal)
        self.opened: list[Any] = []

    def run(self, *arguments: str) -> Result:
        return run_app(App(open_registrar=self._open), "workers", *arguments)

    def _open(self, stack: str | None, region: str | None, project_dir: Path) -> Any:
        self.opened.append((stack, region, project_dir))
        return self.registrar


class TestOperators:
    def test_register_shows_what_was_registered(self) -> None:
        """ARN, runtime and limits."""
        operator = Operator()
        result = operator.run("register", "bonds", "--function", "bonds-js")
        options = {"timeout_seconds": None, "concurrency": None}
        assert operator.registrar.asked == [("bonds", "bonds-js", options)]
        assert result.stdout.splitlines() == [
            "worker          bonds",
            "function        arn:bonds-js",
            "runtime         nodejs22.x",
            "timeout         1 min 30 s",
            "chunks at once  the grid's number",
        ]

    def test_register_takes_limits_and_a_stack(self) -> None:
        """Options reach the registrar, and say where it works."""
        operator = Operator()
        limits = ("--timeout-seconds", "30", "--concurrency", "5", "--json")
        where = ("--stack", "prod", "--region", "eu-west-1")
        result = operator.run("register", "bonds", "--function", "f", *limits, *where)
        assert operator.registrar.asked[0][2] == {"timeout_seconds": 30, "concurrency": 5}
        assert operator.opened == [("prod", "eu-west-1", Path())]
        assert json_lines(result.stdout)[0]["concurrency"] == 5

    def test_a_refusal_is_one_line(self) -> None:
        """With the exit code of its kind."""
        result = Operator(Conflict("taken")).run("register", "bonds", "--function", "f")
        assert (result.exit_code, result.stderr) == (2, "stepgrid: error: taken\n")

    def test_unregister(self) -> None:
        """By name."""
        operator = Operator()
        assert operator.run("unregister", "bonds").stdout == "bonds  unregistered\n"
        assert operator.registrar.asked == [("unregister", "bonds")]
        assert json_lines(operator.run("unregister", "bonds", "--json").stdout) == [
            {"name": "bonds", "registered": False}
        ]

    def test_a_limit_that_is_none_is_refused(self) -> None:
        """The message says what can be given."""
        result = Operator().run("limit", "bonds", "some")
        assert result.exit_code == 2
        assert "'some' is neither a number from 1 to 10000 nor none" in result.stderr

    def test_limit_sets_and_takes_away(self) -> None:
        """A number of chunks, or none."""
        operator = Operator()
        assert operator.run("limit", "bonds", "50").stdout == "bonds  50 chunks at once\n"
        assert (
            operator.run("limit", "bonds", "none").stdout
            == "bonds  the grid's number of chunks at once\n"
        )
        assert json_lines(operator.run("limit", "bonds", "1", "--json").stdout) == [
            {"name": "bonds", "concurrency": 1}
        ]
        assert [asked[2] for asked in operator.registrar.asked] == [50, None, 1]

    @pytest.mark.parametrize("text", ["0", "-1", "many", "10001"])
    def test_limit_refuses_other_words(self, text: str) -> None:
        """Wrong usage, and nothing is changed."""
        operator = Operator()
        assert operator.run("limit", "bonds", "--", text).exit_code == 2
        assert operator.registrar.asked == []
