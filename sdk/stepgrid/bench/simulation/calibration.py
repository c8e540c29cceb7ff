"""Measures the constants of the local cloud: what client, emulator and functions take of a CPU.

    many chunks of one task   -->  CPU of a chunk  \\
    few chunks of many tasks  -->  CPU of a task    }-- in each of three groups of processes
    calls of the API          -->  CPU of a call   /

CPU time and not the clock: what other programs do on the machine disturbs it least. The times of
sessions are then for the simulation to find; none is fitted. Needs the extra `stepgrid[local]`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import psutil

from stepgrid.client import Grid
from stepgrid.session import Session

from .profiles import LOCAL, Profile

#: The worker that returns its task.
NO_OP_WORKER = "echo"
#: The sessions: long enough that a clock of 10 ms ticks counts well.
CHUNKS, TASK_CHUNKS = 60, 5
SMALL_TASKS, SMALL_BYTES = 12_000, 128
LARGE_TASKS, LARGE_BYTES = 1_500, 8_192
API_CALLS = 20
MEASUREMENTS = 3
SOLVING_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class CpuSeconds:
    """CPU time of the three groups of processes."""

    client: float
    emulator: float
    functions: float

    @property
    def total(self) -> float:
        return self.client + self.emulator + self.functions

    def minus(self, other: CpuSeconds) -> CpuSeconds:
        return CpuSeconds(
            self.client - other.client,
            self.emulator - other.emulator,
            self.functions - other.functions,
        )

    def divided(self, parts: float) -> CpuSeconds:
        return CpuSeconds(self.client / parts, self.emulator / parts, self.functions / parts)

    def times(self, factor: float) -> CpuSeconds:
        return CpuSeconds(self.client * factor, self.emulator * factor, self.functions * factor)


class LocalCpu:
    """Reads the clocks of this process, of the emulator, and of all that the emulator started."""

    def __init__(self, emulator_pid: int) -> None:
        self._emulator = psutil.Process(emulator_pid)

    def read(self) -> CpuSeconds:
        """CPU seconds since each process began."""
        return CpuSeconds(
            client=_cpu_seconds(psutil.Process()),
            emulator=_cpu_seconds(self._emulator),
            functions=sum(map(_cpu_seconds, self._emulator.children(recursive=True))),
        )

    def read_machine(self) -> float:
        """CPU seconds of all programs on this machine since it was started."""
        times = psutil.cpu_times()
        return float(times.user + times.system + times.nice)

    def of(self, work: Callable[[], object]) -> CpuSeconds:
        """What some work takes."""
        before = self.read()
        work()
        return self.read().minus(before)


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):  # it has ended meanwhile
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def machine_cores() -> int:
    return psutil.cpu_count() or 1


def sample_task(task_bytes: int) -> dict[str, str]:
    """A task whose line has so many bytes, its end included."""
    return {"x": "y" * max(0, task_bytes - 9)}


@dataclass(frozen=True, slots=True)
class CalibrationRun:
    """A session that was measured."""

    chunks: int
    tasks: int
    task_bytes: int
    cpu: CpuSeconds


def calibrate(
    grid: Grid, cpu: LocalCpu, concurrency: int = 4, measurements: int = MEASUREMENTS
) -> Profile:
    """Measure a running local cloud; takes some ten seconds."""
    bench = _Bench(grid, cpu, concurrency, measurements)
    warm = bench.run(CHUNKS, CHUNKS, SMALL_BYTES)
    costs = solve(
        bench.measure(CHUNKS, CHUNKS, SMALL_BYTES),
        bench.measure(SMALL_TASKS, TASK_CHUNKS, SMALL_BYTES),
        bench.measure(LARGE_TASKS, TASK_CHUNKS, LARGE_BYTES),
    )
    call = cpu.of(lambda: [warm.status() for _ in range(API_CALLS)]).divided(API_CALLS)
    return replace(
        _profile(costs, bench.packing_share()),
        emulator_api_seconds=call.emulator + call.functions,
        api_seconds=_waiting_seconds(warm.status, call),
        cores=machine_cores(),
    )


def _profile(costs: Costs, packing_share: float) -> Profile:
    return replace(
        LOCAL,
        client_pack_seconds=costs.task.client * packing_share,
        client_decode_seconds=costs.task.client * (1 - packing_share),
        client_chunk_seconds=costs.chunk.client,
        client_byte_seconds=costs.byte.client / 2,  # there and back
        worker_task_seconds=costs.task.functions,
        worker_chunk_seconds=costs.chunk.functions,
        worker_byte_seconds=costs.byte.functions,
        emulator_chunk_seconds=costs.chunk.emulator,
        emulator_byte_seconds=costs.byte.emulator / 4,  # up, to and from the worker, down
    )


class _Bench:
    """Runs no-op sessions and reads the clocks of the processes."""

    def __init__(self, grid: Grid, cpu: LocalCpu, concurrency: int, measurements: int) -> None:
        self._grid = grid
        self._cpu = cpu
        self._concurrency = concurrency
        self._measurements = measurements

    def run(self, tasks: int, chunks: int, task_bytes: int) -> Session:
        session = self._grid.submit(
            NO_OP_WORKER,
            [sample_task(task_bytes)] * tasks,
            chunk_size=tasks // chunks,
            max_concurrency=self._concurrency,
        )
        list(session)
        return session

    def measure(self, tasks: int, chunks: int, task_bytes: int) -> CalibrationRun:
        """The least of some runs: an environment that is started meanwhile only adds."""
        used = [
            self._cpu.of(lambda: self.run(tasks, chunks, task_bytes))
            for _ in range(self._measurements)
        ]
        least = min(used, key=lambda seconds: seconds.total)
        return CalibrationRun(chunks, tasks, task_bytes, least)

    def packing_share(self) -> float:
        """The part of the client's work that is done when a session is registered."""
        began_at = time.process_time()
        session = self._grid.submit(NO_OP_WORKER, [sample_task(SMALL_BYTES)] * SMALL_TASKS)
        packed_at = time.process_time()
        list(session)
        return (packed_at - began_at) / (time.process_time() - began_at)


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU of one chunk, of one task in it, and of one byte of the task."""

    chunk: CpuSeconds
    task: CpuSeconds
    byte: CpuSeconds


def solve(many: CalibrationRun, small: CalibrationRun, large: CalibrationRun) -> Costs:
    """Three sums, three unknowns, solved in turns: each run tells one of them best.

    What comes out below 0 is noise of the clock, and counts as 0.
    """
    nothing = CpuSeconds(0.0, 0.0, 0.0)
    chunk = task = byte = nothing
    for _ in range(SOLVING_ROUNDS):
        chunk = _rest(many, many.chunks, (task, many.tasks), (byte, many.tasks * many.task_bytes))
        task = _rest(
            small, small.tasks, (chunk, small.chunks), (byte, small.tasks * small.task_bytes)
        )
        size = large.tasks * large.task_bytes
        byte = _rest(large, size, (chunk, large.chunks), (task, large.tasks))
    return Costs(chunk, task, byte)


def _rest(run: CalibrationRun, parts: int, *known: tuple[CpuSeconds, int]) -> CpuSeconds:
    """What is left of a run for each of its parts when all that is known is taken away."""
    left = run.cpu
    for cost, times in known:
        left = left.minus(cost.times(times))
    left = left.divided(parts)
    return CpuSeconds(max(0.0, left.client), max(0.0, left.emulator), max(0.0, left.functions))


def _waiting_seconds(call: Callable[[], object], cpu: CpuSeconds) -> float:
    """What a call takes besides CPU; the quickest of several, which was held up least."""
    walls = []
    for _ in range(API_CALLS):
        started_at = time.perf_counter()
        call()
        walls.append(time.perf_counter() - started_at)
    return max(0.0, min(walls) - cpu.total)
