"""Pure decisions about a session before it runs: layout, route, pace.

Every figure has the limit behind it beside it (design: "AWS facts", November 2026). No I/O here.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .layout import Layout
from .packing import MAX_CHUNK_BYTES
from .task_time import ALIKE_SECONDS, TaskTime
from .waves import Shape, cut

#: Work in one chunk, in seconds of one worker, at least: a tenth of it is what a chunk costs beside
#: its tasks on AWS (invoke, claim, read, write, commit: 30 to 60 ms), so less is not worth a chunk.
LEAST_CHUNK_SECONDS = 0.1
#: At most: long enough to make all that cheap, short enough to lose little with an environment.
MOST_CHUNK_SECONDS = 60.0
#: The relay is paid while it waits for a registered function, one call after the other, so its
#: chunks are small: more of them wait at once, and fewer calls hang on one environment.
MOST_RELAYED_CHUNK_SECONDS = 15.0
#: A distributed Map starts up to 1,000 EXPRESS children a second, or 100 STANDARD ones: chunks that
#: end faster than they are started leave slots idle.
DISPATCH_SECONDS, STANDARD_DISPATCH_SECONDS = 0.001, 0.01
#: What a task is taken to need while nothing is known of its worker.
UNKNOWN_TASK_SECONDS = 0.25
#: What a task costs a worker beside its function, and a byte of it: measured on the local cloud.
OWN_TASK_SECONDS, OWN_BYTE_SECONDS = 50e-6, 20e-9
#: Times are known well if the slow ones are at most so many times as long as the mean.
SURE_SPREAD = 4.0
#: Of what is left, each wave takes this part: where times are known well, and where they are not.
SURE_PART, UNSURE_PART = 2 / 3, 1 / 2
#: Where times are not known well, chunks are parts of a slot's share of the session: what they are
#: then is no great part of its time, whatever a task takes.
LEAST_SHARE, MOST_SHARE = 1 / 64, 1 / 8
#: A distributed Map runs at most 10,000 children at once; more chunks only add requests.
MAX_CHUNKS = 10_000
#: An inline Map runs at most 40 iterations at once.
BURST_CHUNKS = 40
#: A distributed Map takes 2 s to start. Up to so much work, 40 slots at once are faster than many
#: then; it also fits into the 5 minutes of an EXPRESS execution where there are fewer slots.
BURST_WORK_SECONDS = 120.0
BURST_TASK_TIMEOUT_SECONDS = 300.0
EXPRESS_CHUNK_SECONDS = 240.0
#: After this an EXPRESS execution is surely over: five minutes and a margin for clocks.
EXPRESS_LIFE_SECONDS = 330.0
#: Tasks kept in the table and carried in the execution input, whose limit is 256 KiB of UTF-8
#: after escaping; each KiB costs one write unit, an S3 PUT as much as eight and 40 ms.
INLINE_INPUT_BYTES = 32 * 1024
#: Strongly consistent reads of one partition key: 3,000/s; half of it is for the watchers.
WATCH_READS_PER_SECOND = 1_500
MIN_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Workload:
    """What is known of a session when it is submitted."""

    tasks: int
    size: int  #: bytes of input
    task_time: TaskTime | None  #: what the caller said, or the worker's sessions measured, if any
    task_timeout_seconds: float
    chunk_size: int | None = None  #: the caller's wish
    max_concurrency: int = 1_000  #: chunks that may run at once
    limit: int | None = None  #: as many of its worker's slots it can have today
    stride: int = 1  #: chunks can begin at every `stride`-th task only
    offsets: Sequence[int] = ()  #: where those tasks lie in the input, where they may differ
    relayed: bool = False  #: its worker is a registered function

    @property
    def expected_seconds(self) -> float:
        """Of one task, at the long end of what is known."""
        if self.task_time is None:
            return UNKNOWN_TASK_SECONDS
        return max(self.task_time.mean, self.task_time.slow)

    @property
    def own_seconds(self) -> float:
        """What a task takes its worker beside the user's function."""
        return OWN_TASK_SECONDS + OWN_BYTE_SECONDS * self.size / self.tasks

    @property
    def long_seconds(self) -> float:
        """Of one task in all, if it is slow."""
        return self.expected_seconds + self.own_seconds

    @property
    def sure_seconds(self) -> float | None:
        """Of one task in the mean, if that is known well."""
        time = self.task_time
        if time is None or time.slow > SURE_SPREAD * time.mean + ALIKE_SECONDS:
            return None
        return time.mean

    @property
    def slots(self) -> int:
        """Chunks that can run at once."""
        return min(self.max_concurrency, self.limit or self.max_concurrency)

    @property
    def dispatch_seconds(self) -> float:
        """From the start of one chunk to the start of the next."""
        return STANDARD_DISPATCH_SECONDS if self.has_long_tasks else DISPATCH_SECONDS

    @property
    def has_long_tasks(self) -> bool:
        """May a task outlive an EXPRESS execution?"""
        return self.task_timeout_seconds > BURST_TASK_TIMEOUT_SECONDS

    def bytes_of(self, first: int, tasks: int) -> int:
        """Of the input of some tasks, where offsets are known; they begin and end at strides."""
        last = first + tasks
        end = self.size if last >= self.tasks else self.offsets[last // self.stride]
        return end - self.offsets[first // self.stride]


@dataclass(frozen=True, slots=True)
class Plan:
    layout: Layout
    route: str
    children: str
    max_concurrency: int
    watch_seconds: float


def plan(work: Workload) -> Plan:
    """Cut the session into chunks and choose its route."""
    burst = _fits_burst(work)
    layout = cut_wished(work) if work.chunk_size else _chosen(work, burst)
    if work.offsets:
        layout = cut_heavy(layout, work)
    return Plan(
        layout=layout,
        route="burst" if burst and layout.chunks <= BURST_CHUNKS else "map",
        children=_children(work, layout.largest),
        max_concurrency=work.max_concurrency,
        # The limit may be raised while it runs.
        watch_seconds=watch_seconds(min(layout.chunks, work.max_concurrency)),
    )


def watch_seconds(running_chunks: int) -> float:
    """How often each worker may look at its row without wearing out the partition."""
    return max(MIN_WATCH_SECONDS, running_chunks / WATCH_READS_PER_SECOND)


def cut_wished(work: Workload) -> Layout:
    """Chunks of the size that the caller asked for, within the limits that even it must keep."""
    at_least = -(-work.tasks // MAX_CHUNKS)
    size = max(min(work.chunk_size or 1, _most_by_bytes(work), work.tasks), at_least)
    return Layout.even(work.tasks, max(work.stride, size - size % work.stride))


def _chosen(work: Workload, burst: bool) -> Layout:
    most_chunks = BURST_CHUNKS if burst else MAX_CHUNKS
    return cut(work.tasks, shape(work, min(work.slots, most_chunks)), most_chunks)


def cut_heavy(layout: Layout, work: Workload) -> Layout:
    """Large tasks that lie together: what a worker could not hold is cut again, where it can be."""
    sizes = [
        part
        for first, size in zip(layout.first_tasks(), layout.sizes(), strict=False)
        for part in _halves(first, size, work)
    ]
    return Layout.of(sizes) if len(sizes) <= MAX_CHUNKS else layout


def _halves(first: int, size: int, work: Workload) -> Iterator[int]:
    if size <= work.stride or work.bytes_of(first, size) <= MAX_CHUNK_BYTES:
        yield size
        return
    half = work.stride * -(-size // (2 * work.stride))
    yield from _halves(first, half, work)
    yield from _halves(first + half, size - half, work)


def shape(work: Workload, slots: int) -> Shape:
    """How the chunks of a session should be, if up to so many can run at once."""
    slots = _useful_slots(work, slots)
    least_seconds = max(LEAST_CHUNK_SECONDS, slots * work.dispatch_seconds)
    most_seconds = MOST_RELAYED_CHUNK_SECONDS if work.relayed else MOST_CHUNK_SECONDS
    least, most = least_seconds / work.long_seconds, most_seconds / work.long_seconds
    if work.sure_seconds is None:
        share = work.tasks / slots
        least, most = max(least, LEAST_SHARE * share), max(most, MOST_SHARE * share)
    else:
        least = least_seconds / (work.sure_seconds + work.own_seconds)
    return Shape(
        slots=slots,
        least=math.ceil(least),
        most=max(1, min(int(most), _most_by_bytes(work))),
        part=UNSURE_PART if work.sure_seconds is None else SURE_PART,
        probing=work.sure_seconds is None,
        stride=work.stride,
    )


def _useful_slots(work: Workload, slots: int) -> int:
    """As many as have something to do that is worth a chunk.

    With n slots the last chunk starts n x `dispatch_seconds` after the first and takes an n-th of
    the work: more than make these equal would wait longer than they work.
    """
    seconds = work.tasks * work.long_seconds
    useful = min(seconds / LEAST_CHUNK_SECONDS, math.sqrt(seconds / work.dispatch_seconds))
    return max(1, min(slots, work.tasks, int(useful)))


def _most_by_bytes(work: Workload) -> int:
    return max(1, int(MAX_CHUNK_BYTES / (work.size / work.tasks)))


def _fits_burst(work: Workload) -> bool:
    return (
        work.tasks * work.long_seconds <= BURST_WORK_SECONDS
        and work.size <= BURST_CHUNKS * MAX_CHUNK_BYTES
        and not work.has_long_tasks
    )


def _children(work: Workload, largest: int) -> str:
    long = largest * work.expected_seconds > EXPRESS_CHUNK_SECONDS
    return "standard" if long or work.has_long_tasks else "express"
