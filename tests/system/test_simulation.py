"""The simulation beside the deployed grid."""

from stepgrid import Grid
from stepgrid.bench.simulation.calibration import LocalCpu, calibrate
from stepgrid.bench.simulation.scenarios import Scenario
from stepgrid.bench.simulation.validation import validate
from stepgrid.local import LocalCloud

SCENARIOS = (
    Scenario(tasks=1, concurrency=4),
    Scenario(tasks=30, task_seconds=0.01, concurrency=4),
    Scenario(tasks=12_000, concurrency=4),
)


def test_simulated_sessions_are_those_of_the_grid(grid: Grid, cloud: LocalCloud) -> None:
    """The grid cuts a session into as many chunks as the simulation says, and all constants of
    the local cloud can be measured."""
    pid = cloud.status().pid
    assert pid is not None
    cpu = LocalCpu(pid)
    profile = calibrate(grid, cpu, measurements=1)
    assert profile.emulator_chunk_seconds > 0
    assert profile.worker_chunk_seconds > 0
    for item in validate(grid, cpu, profile, runs=1, scenarios=SCENARIOS):
        assert item.measured.chunks == item.simulated_chunks
        assert item.simulated_seconds > 0
