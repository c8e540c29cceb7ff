"""Pure decisions about a session before it runs: layout, route, pace.

Every figure has the limit behind it beside it (design: "AWS facts", November 2026). No I/O here.
"""

import math
from dataclasses import dataclass

from .layout import Layout

#: Work in one chunk, in seconds of one worker: long enough to make its invocation, claim and
#: commit cheap, short enough that the last chunk does not keep the session waiting.
MIN_CHUNK_SECONDS = 7.0
MAX_CHUNK_SECONDS = 60.0
#: The relay is paid while it waits for a registered function, one call after the other, so its
#: chunks are small: more of them wait at once, and fewer calls hang on one environment.
MIN_RELAYED_CHUNK_SECONDS = 2.0
MAX_RELAYED_CHUNK_SECONDS = 15.0
#: Below this a chunk costs more to dispatch than it saves by running beside others.
MIN_SPREAD_SECONDS = 0.1
#: What a task is taken to need while nothing is known of its worker.
UNKNOWN_TASK_SECONDS = 0.25
#: A distributed Map runs at most 10,000 children at once; more chunks only add requests.
MAX_CHUNKS = 10_000
#: A worker holds a chunk's input in memory.
MAX_CHUNK_BYTES = 16 * 1024 * 1024
#: That is of the mean; what can't be cut, or lies together by chance, may be this much.
MAX_STRIDE_BYTES = 64 * 1024 * 1024
#: "Few tasks": one for each chunk, unless the caller says how short they are. An inline Map runs at
#: most 40 iterations at once.
BURST_CHUNKS = 40
#: An EXPRESS execution lives 5 minutes; what may not fit with a margin goes through the Map.
BURST_WORK_SECONDS = 120.0
BURST_TASK_TIMEOUT_SECONDS = 300.0
EXPRESS_CHUNK_SECONDS = 240.0
#: After this an EXPRESS execution is surely over: five minutes and a margin for clocks.
EXPRESS_LIFE_SECONDS = 330.0
#: Tasks kept in the table and carried in the execution input, whose limit is 256 KiB of UTF-8
#: after escaping; each KiB costs one write unit, an S3 PUT as much as eight and 40 ms.
INLINE_INPUT_BYTES = 32 * 1024
#: Chunks in flight for each worker that runs at once, so that the last ones end together.
CHUNKS_PER_WORKER = 4
#: Strongly consistent reads of one partition key: 3,000/s; half of it is for the watchers.
WATCH_READS_PER_SECOND = 1_500
MIN_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Workload:
    """What is known of a session when it is submitted."""

    tasks: int
    size: int  #: bytes of input
    task_seconds: float | None  #: hint of the caller, or the worker's measured mean
    task_timeout_seconds: float
    chunk_size: int | None = None  #: the caller's wish
    max_concurrency: int = 1_000
    stride: int = 1  #: chunks can begin at every `stride`-th task only
    relayed: bool = False  #: its worker is a registered function
    hinted: bool = False  #: `task_seconds` is what the caller said of these very tasks


@dataclass(frozen=True, slots=True)
class Plan:
    layout: Layout
    route: str
    children: str
    max_concurrency: int
    watch_seconds: float


def plan(work: Workload) -> Plan:
    """Cut the session into chunks and choose its route."""
    size = _aligned(_bounded(work.chunk_size or _chunk_size(work), work), work.stride)
    layout = Layout.even(work.tasks, size)
    chunks = layout.chunks
    return Plan(
        layout=layout,
        route="burst" if _fits_burst(work, chunks) else "map",
        children=_children(work, size),
        max_concurrency=work.max_concurrency,
        watch_seconds=watch_seconds(min(chunks, work.max_concurrency)),
    )


def watch_seconds(running_chunks: int) -> float:
    """How often each worker may look at its row without wearing out the partition."""
    return max(MIN_WATCH_SECONDS, running_chunks / WATCH_READS_PER_SECOND)


def _chunk_size(work: Workload) -> int:
    # A mean of other sessions may mislead: few long tasks in one chunk would be many times as slow.
    if work.tasks <= BURST_CHUNKS and not work.hinted:
        return 1
    seconds = work.task_seconds or UNKNOWN_TASK_SECONDS
    even = work.tasks / (work.max_concurrency * CHUNKS_PER_WORKER)
    least, most = _chunk_seconds(work)
    packed = min(max(even, least / seconds), most / seconds)
    # Too little work for 40 such chunks is spread over 40 smaller ones, to run at once.
    spread = max(work.tasks / BURST_CHUNKS, MIN_SPREAD_SECONDS / seconds)
    return math.ceil(min(packed, spread))


def _chunk_seconds(work: Workload) -> tuple[float, float]:
    if work.relayed:
        return MIN_RELAYED_CHUNK_SECONDS, MAX_RELAYED_CHUNK_SECONDS
    return MIN_CHUNK_SECONDS, MAX_CHUNK_SECONDS


def _bounded(size: int, work: Workload) -> int:
    """The limits that even the caller's wish must keep."""
    at_most = max(1, int(MAX_CHUNK_BYTES / (work.size / work.tasks)))
    at_least = -(-work.tasks // MAX_CHUNKS)
    return max(min(size, at_most, work.tasks), at_least)


def _aligned(size: int, stride: int) -> int:
    return max(stride, size - size % stride)


def _fits_burst(work: Workload, chunks: int) -> bool:
    seconds = work.tasks * (work.task_seconds or 0)
    return (
        work.size <= INLINE_INPUT_BYTES
        and chunks <= BURST_CHUNKS
        and seconds <= BURST_WORK_SECONDS
        and work.task_timeout_seconds <= BURST_TASK_TIMEOUT_SECONDS
    )


def _children(work: Workload, chunk_size: int) -> str:
    expected = chunk_size * (work.task_seconds or UNKNOWN_TASK_SECONDS)
    long = expected > EXPRESS_CHUNK_SECONDS
    return (
        "standard" if long or work.task_timeout_seconds > BURST_TASK_TIMEOUT_SECONDS else "express"
    )
