"""What is timed, in the contender's process: each function is one measure, and returns its figures.

Time is from the call to the last result in hand, and every result is compared with its task on the
way. What is not part of a measure, like earlier warm-up runs, is outside its clock.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final, TypeAlias

from tests.benchmarks.contenders.contender import Contender
from tests.benchmarks.workload import (
    Task,
    TaskNumbers,
    check_echoes,
    check_naps,
    make_chunks,
    make_nap,
    make_task,
)

Figures: TypeAlias = dict[str, Any]

WARM_UP_REPEATS = 3
#: How long a session is let run before it is cancelled.
QUEUED_SECONDS = 1.0


class Bench:
    """A started contender, and the numbers of the tasks that it has not had yet."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.numbers = TaskNumbers()

    def time_echo(self, count: int) -> float:
        """Seconds of one plain map call with so many no-op tasks."""
        numbers = self.numbers.take(count)
        tasks: Iterable[Task] = map(make_task, numbers)
        return time_call(lambda: check_echoes(self.contender.echo(tasks), numbers))

    def time_naps(self, count: int, milliseconds: int) -> float:
        """Seconds of one plain map call with so many tasks that sleep."""
        naps = [make_nap(number, milliseconds) for number in self.numbers.take(count)]
        return time_call(lambda: check_naps(self.contender.nap(naps), milliseconds, count))


def time_call(call: Callable[[], object]) -> float:
    """Seconds that the call takes; garbage of earlier ones is none of it."""
    gc.collect()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure_first_task(bench: Bench) -> Figures:
    """The first task on a system that was just started."""
    return {"seconds": bench.time_echo(1)}


def measure_latency(bench: Bench, tasks: int, repeats: int, limit_seconds: float) -> Figures:
    """Sessions of so many no-op tasks, one after the other: the seconds of each."""
    repeat_echo(bench, tasks, WARM_UP_REPEATS, limit_seconds / 3)
    return {"samples": repeat_echo(bench, tasks, repeats, limit_seconds)}


def repeat_echo(bench: Bench, tasks: int, repeats: int, limit_seconds: float) -> list[float]:
    """The seconds of sessions one after the other: so many, fewer when the time is over."""
    samples = [bench.time_echo(tasks)]
    while len(samples) < repeats and sum(samples) < limit_seconds:
        samples.append(bench.time_echo(tasks))
    return samples


def measure_throughput(
    bench: Bench, tasks: int, repeats: int = 1, limit_seconds: float = 0.0
) -> Figures:
    """Plain map calls of no-op tasks, one after the other: the seconds of each."""
    before = read_cpu_seconds()
    samples = repeat_echo(bench, tasks, repeats, limit_seconds)
    return {"samples": samples, "client_cpu_seconds": read_cpu_seconds() - before}


def measure_chunked(bench: Bench, tasks: int, chunk: int) -> Figures:
    """The same tasks, cut into chunks by hand."""
    numbers = bench.numbers.take(tasks)

    def run() -> None:
        results = bench.contender.echo_chunks(make_chunks(numbers, chunk))
        check_echoes(chain.from_iterable(results), numbers)

    return {"seconds": time_call(run)}


def measure_efficiency(bench: Bench, tasks: int, milliseconds: int, warm_up: int) -> Figures:
    """Tasks of a known time. The warm-up is of the same kind: a grid may learn their length."""
    bench.time_naps(warm_up, milliseconds)
    return {"seconds": bench.time_naps(tasks, milliseconds)}


def measure_cancel(bench: Bench, tasks: int, milliseconds: int) -> Figures:
    """Cancel tasks that are queued: until the call answers, and until another task is answered."""
    naps = [make_nap(number, milliseconds) for number in bench.numbers.take(tasks)]
    bench.time_naps(1, 0)
    cancel = bench.contender.queue_naps(naps)
    time.sleep(QUEUED_SECONDS)
    answered = time_call(cancel)
    return {"seconds": answered + bench.time_naps(1, 0), "answered_seconds": answered}


def read_cpu_seconds() -> float:
    """CPU time of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


MEASURES: Final[dict[str, Callable[..., Figures]]] = {
    "first_task": measure_first_task,
    "latency": measure_latency,
    "throughput": measure_throughput,
    "memory": measure_throughput,
    "chunked": measure_chunked,
    "efficiency": measure_efficiency,
    "cancel": measure_cancel,
}
