"""Calibration and comparison, as far as they are arithmetic."""

import pytest
from click.testing import CliRunner

from stepgrid.bench.simulation.calibration import CalibrationRun, CpuSeconds, sample_task, solve
from stepgrid.bench.simulation.comparisons import Comparison, MeasuredRun
from stepgrid.bench.simulation.profiles import LOCAL
from stepgrid.bench.simulation.report import comparison_lines
from stepgrid.bench.simulation.scenarios import Scenario
from stepgrid.bench.simulation.validation import on_cores
from stepgrid.cli import cli
from stepgrid.cli.context import App
from stepgrid_core.codec import encode
from tests.unit.test_cli_local import STOPPED, FakeCloud

CHUNK, TASK, BYTE = 0.02, 30e-6, 5e-9


def run_of(chunks: int, tasks: int, task_bytes: int, off: float = 0.0) -> CalibrationRun:
    """A session that takes what it must, in each group of processes."""
    seconds = chunks * CHUNK + tasks * (TASK + task_bytes * BYTE) + off
    return CalibrationRun(chunks, tasks, task_bytes, CpuSeconds(seconds, 2 * seconds, 3 * seconds))


def test_calibration_finds_what_was_put_in() -> None:
    """From three sessions: the CPU of a chunk, of a task and of a byte, for each group."""
    costs = solve(run_of(100, 100, 128), run_of(5, 20_000, 128), run_of(5, 2_000, 8_192))
    assert costs.chunk.client == pytest.approx(CHUNK, rel=1e-3)
    assert costs.task.emulator == pytest.approx(2 * TASK, rel=1e-3)
    assert costs.byte.functions == pytest.approx(3 * BYTE, rel=1e-3)


def test_noise_makes_no_negative_cost() -> None:
    """A session that seems to take less than its chunks has tasks that take nothing."""
    costs = solve(run_of(100, 100, 128), run_of(5, 20_000, 128, -1.0), run_of(5, 2_000, 8_192))
    assert costs.task.client == 0.0
    assert costs.chunk.client > 0


@pytest.mark.parametrize("size", [64, 1_024, 8_192])
def test_sample_tasks_have_the_size_they_are_asked_for(size: int) -> None:
    """The line of a sample task has so many bytes, its end included."""
    assert len(encode(sample_task(size))) + 1 == size


def test_fewer_cores_are_slower_ones() -> None:
    """2.4 free cores are three at four fifths of their speed; less than one is one, slowed."""
    assert (on_cores(LOCAL, 2.4).cores, on_cores(LOCAL, 2.4).core_speed) == (3, pytest.approx(0.8))
    assert (on_cores(LOCAL, 0.5).cores, on_cores(LOCAL, 0.5).core_speed) == (1, 0.5)


def test_comparisons_tell_the_ratio() -> None:
    """Simulated over measured, beside both."""
    measured = MeasuredRun(seconds=2.0, chunks=10, free_cores=3.5)
    item = Comparison(Scenario(tasks=1_000), measured, 2.2, 1.5, 10)
    assert item.ratio == 0.75
    title, line = comparison_lines([item], colour=False)
    assert title.split()[-3:] == ["ratio", "free", "cores"]
    assert line.split() == ["1,000", "0", "1,024", "10", "2.000", "2.200", "1.500", "0.75", "3.5"]


def test_validation_needs_a_local_cloud() -> None:
    """Without one, the command says what to do."""
    app = App(open_cloud=lambda path: FakeCloud(STOPPED))  # type: ignore[arg-type,return-value]
    result = CliRunner().invoke(cli, ["bench", "simulate", "--validate"], obj=app)
    assert result.exit_code != 0
    assert "stepgrid local up" in result.output
