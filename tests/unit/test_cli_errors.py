"""Exit codes, error lines, help, and what happens to the process itself."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stepgrid.cli import cli
from stepgrid.cli.context import App
from stepgrid.cli.exit_codes import ExitCode
from stepgrid_core import __version__, errors
from tests.unit.cli_fakes import FakeGrid, run, run_app

#: Prints more than a pipe holds, so that it must notice that nobody reads.
ENDLESS_LIST = """
from tests.unit.cli_fakes import FakeGrid
from stepgrid.cli import cli
from stepgrid.cli.context import App

class Endless(FakeGrid):
    def sessions(self, state=None, limit=None):
        while True:
            yield from super().sessions(state, limit)

cli.main(["list", "--limit", "0", "--json"], obj=App(open_grid=Endless))
"""
PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest("x"), 2),
        (errors.Conflict("x"), 2),
        (errors.RequestTooLarge("x"), 2),
        (errors.ConfigurationError("x"), 3),
        (errors.Unavailable("x"), 3),
        (errors.DeadlineExceeded("x"), 3),
        (errors.QuotaExceeded("x"), 3),
        (errors.MethodNotAllowed("x"), 3),
        (errors.PayloadCorrupted("x"), 3),
        (errors.LocalCloudError("x"), 3),
        (errors.NotFound("x"), 4),
        (errors.AccessDenied("x"), 4),
        (errors.TaskFailed("x"), 1),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(error: Exception, code: int) -> None:
    """The error's own words, without a traceback."""
    result = run(FakeGrid(refusal=error), "workers")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == "stepgrid: error: x\n"


@pytest.mark.parametrize("refusal", [None, errors.Unavailable("x")])
def test_the_grid_is_closed_in_any_case(refusal: Exception | None) -> None:
    """Its threads and connections must not outlive the command."""
    grid = FakeGrid(refusal=refusal)
    run(grid, "workers")
    assert grid.closed


def test_every_error_of_the_tree_has_an_exit_code() -> None:
    """A new error that nobody thought of is at least not taken for a bug."""

    def leaves(kind: type) -> list[type]:
        return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]

    for kind in leaves(errors.StepgridError):
        if kind.__module__ == errors.__name__:
            assert run(FakeGrid(refusal=kind("x")), "workers").exit_code in (1, 2, 3, 4)


def test_an_unexpected_error_is_one_line_too() -> None:
    """Code 70, and how to get the traceback."""
    result = run(FakeGrid(refusal=KeyError("oops")), "workers")
    assert result.exit_code == 70
    assert result.stderr == (
        "stepgrid: error: unexpected KeyError: 'oops'; "
        "run it again with STEPGRID_DEBUG=1 for the traceback, and report it\n"
    )


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line stays the last, so that `tail -1` finds it."""
    monkeypatch.setenv("STEPGRID_DEBUG", "1")
    result = run(FakeGrid(refusal=errors.Unavailable("no answer")), "workers")
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.splitlines()[-1] == "stepgrid: error: no answer"


def test_ctrl_c_is_code_130() -> None:
    """As shells report it; without a traceback."""
    result = run(FakeGrid(refusal=KeyboardInterrupt()), "workers")
    assert (result.exit_code, result.stderr) == (130, "stepgrid: interrupted\n")


def test_without_a_profile_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 3: the real search for a grid, in a place where there is none."""
    for name in ("STEPGRID_ENDPOINT", "STEPGRID_REGION", "STEPGRID_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = run_app(App(), "workers")
    assert result.exit_code == 3
    assert result.stderr.startswith("stepgrid: error: no grid is configured")
    assert "stepgrid local up" in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_documents_every_exit_code() -> None:
    """The table of the help is the table of the code."""
    text = run_app(App(), "--help").stdout
    for code in ExitCode:
        assert f"\n{int(code):>5}  " in text


GROUPS = [(name, group) for name, group in cli.commands.items() if isinstance(group, click.Group)]


@pytest.mark.parametrize(
    "command",
    [[name] for name in cli.commands]
    + [[group, name] for group, members in GROUPS for name in members.commands],
    ids=" ".join,
)
def test_every_command_has_help_with_an_example_and_json(command: list[str]) -> None:
    """Nobody has to guess."""
    text = run_app(App(), *command, "--help").stdout
    assert "Example" in text
    assert "--json" in text or "COMMAND" in text


def test_help_lists_commands_in_the_order_of_use() -> None:
    """submit comes first, and no description is cut off."""
    text = run_app(App()).stdout
    commands = text.partition("Commands:\n")[2].partition("\n\n")[0]
    assert commands.split()[0] == "submit"
    assert "..." not in commands


def test_the_version_is_that_of_the_core() -> None:
    """One distribution, one version."""
    assert run_app(App(), "--version").stdout == f"stepgrid {__version__}\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["local", "nonsense"], ["local"]])
def test_a_command_that_does_not_exist_is_code_2(arguments: list[str]) -> None:
    """One line that says where the help is."""
    result = run_app(App(), *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--help`)" in result.stderr


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`stepgrid list | head -1` prints a line and no complaint."""
    command = [sys.executable, "-c", ENDLESS_LIST]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"session_id"')
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == ExitCode.BROKEN_PIPE
