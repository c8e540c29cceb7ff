"""The runner with real processes: every line that user code prints is known with its task."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepgrid_core.runner_prints import TASK_PRINT_BYTES, PrintedLine
from tests.integration.runner_bench import (
    RunnerMaker,
    add,
    await_next,
    do,
    run,
    run_between_neighbours,
)
from tests.task_samples import make_spans


@pytest.fixture
def lines() -> list[PrintedLine]:
    return []


def texts(lines: list[PrintedLine], index: int | None) -> list[str]:
    """What the task of that index printed; None: what no task did."""
    return [line.text for line in lines if (line.task and line.task.index) == index]


class TestWhose:
    def test_every_way(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """Whatever a task prints, by any way, is its own, and harms no result."""
        outcomes = run(make_runner(on_print=lines.append), add(0, 0), do("print"), add(1, 2))
        assert [o.result for o in outcomes] == [b"0", b"null", b"3"]
        ways = {"print", "stderr", "write", "printf", "shell"}
        assert set(texts(lines, 1)) == {f"from {way}" for way in ways}
        assert [line.text for line in lines if line.stream == "stderr"] == ["from stderr"]
        assert len(lines) == len(ways)

    def test_many_small_tasks(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """However far the child runs ahead, each of 3,000 tasks has its own line."""
        count = 3_000
        run(
            make_runner(on_print=lines.append),
            *(do("print_text", text=f"{i}") for i in range(count)),
        )
        found = [(line.task.index if line.task else None, line.text) for line in lines]
        assert found == [(index, str(index)) for index in range(count)]

    def test_attempt_and_number(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """A line says which task, and its place among the task's lines of that stream."""
        run(make_runner(on_print=lines.append), *[do("print_lines", text="line", count=2)] * 2)
        assert [(line.task and line.task.task_id, line.number, line.text) for line in lines] == [
            ("ses_0", 0, "line 0"),
            ("ses_0", 1, "line 1"),
            ("ses_1", 0, "line 0"),
            ("ses_1", 1, "line 1"),
        ]

    def test_import(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """What the import of the handler prints belongs to no task."""
        source = "print('imported')\ndef handle(event, context):\n    print('called')\n"
        run(make_runner(source, on_print=lines.append), b"1")
        assert [(line.task is None, line.text) for line in lines] == [
            (True, "imported"),
            (False, "called"),
        ]

    def test_left_behind(
        self, make_runner: RunnerMaker, lines: list[PrintedLine], tmp_path: Path
    ) -> None:
        """What a process prints between two batches belongs to no task of the next one."""
        start, end = tmp_path / "start", tmp_path / "end"
        os.mkfifo(start)
        os.mkfifo(end)
        runner = make_runner(on_print=lines.append)
        run(runner, do("print_later", start=str(start), end=str(end)))
        with end.open("rb+", buffering=0) as told, start.open("rb+", buffering=0) as door:
            door.write(b"go\n")
            assert told.read(5) == b"done\n"
        run(runner, do("print_text", text="mine"))
        assert texts(lines, None) == ["from a process left behind"]
        assert texts(lines, 0) == ["mine"]


class TestDeaths:
    def test_exit(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """The last words of a task that ends its process are kept."""
        run_between_neighbours(make_runner(on_print=lines.append), do("print_and_die"))
        assert texts(lines, 1) == ["last words"]

    def test_timeout(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """The last words of a task that is killed are kept."""
        runner = make_runner(on_print=lines.append)
        run_between_neighbours(runner, do("print_and_hang"), timeout_seconds=0.5)
        assert texts(lines, 1) == ["last words", "hanging"]

    def test_stop_early(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """A run that is closed after an outcome has passed on what that task printed."""
        runner = make_runner(on_print=lines.append)
        runner.permit(3600)
        outcomes = runner.run(make_spans(do("print_text", text="first"), do("hang")), 60)
        await_next(outcomes)
        outcomes.close()
        assert texts(lines, 0) == ["first"]


class TestLiveLines:
    def test_a_running_task(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """Lines of a task leave while it still runs."""
        runner = make_runner(on_print=lines.append)
        runner.permit(3600)
        outcomes: Iterator[object] = runner.run(make_spans(do("print_and_hang")), 60)
        while "last words" not in texts(lines, 0):
            assert next(outcomes) is None


class TestAbuse:
    def test_flood(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """Of a flood the first MiB is kept and the rest is counted; the task finishes."""
        size = 40 * TASK_PRINT_BYTES
        outcomes = run(make_runner(on_print=lines.append), do("flood", size=size), add(1, 1))
        assert [o.result for o in outcomes] == [b"0", b"2"]
        assert len(lines) == TASK_PRINT_BYTES // 2 + 1
        assert lines[-1].text.startswith(f"({size - TASK_PRINT_BYTES} bytes more were printed")
        assert lines[-1].task
        assert lines[-1].task.index == 0

    def test_long_line(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """A line far longer than a pipe, without an end, arrives whole."""
        text = "é" * 300_000
        run(make_runner(on_print=lines.append), do("print_text", text=text))
        assert texts(lines, 0) == [text]

    def test_any_bytes(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """Bytes that are no text are replaced."""
        run(make_runner(on_print=lines.append), do("print_bytes", hex="ff000d0a"))
        assert texts(lines, 0) == ["\ufffd\x00"]

    def test_closed(self, make_runner: RunnerMaker, lines: list[PrintedLine]) -> None:
        """A task that closes sys.stdout, or makes it non-blocking, harms none that follow."""
        runner = make_runner(on_print=lines.append)
        outcomes = run(
            runner, do("unblock_stdout"), do("close_stdout"), do("print_bytes", hex="41"), add(1, 2)
        )
        assert [o.fault for o in outcomes] == [None] * 4
        assert [line.text for line in lines] == ["A"]
