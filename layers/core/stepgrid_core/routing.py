"""Which backend runs a session, why, and what it would take. Pure; the prices are in `prices`.

asked for                                      that one
a task may need longer than Lambda lets it     Fargate
the worker has one backend only                that one
bulk work, known well: on Spot cheaper,
  and not much slower                          Fargate
everything else                                Lambda, which starts at once
"""

from collections.abc import Sequence
from dataclasses import dataclass

from . import prices
from .container_planning import START_SECONDS, plan_containers
from .contract import MAX_LAMBDA_TASK_SECONDS
from .errors import InvalidRequest
from .planning import Plan, Workload, plan
from .records import ContainerSize

#: From this much work on (core-seconds) a session is bulk work, for which the price counts.
BULK_SECONDS = 3600.0
#: Fargate is chosen if it costs at most this part of what Lambda does, and takes at most so many
#: times as long.
WORTH_PRICE, WORTH_TIME = 0.7, 1.5
#: A function starts in about a second, with its Map in two more.
LAMBDA_START_SECONDS, MAP_START_SECONDS = 1.0, 2.0
#: Requests of one chunk on either backend: invocation or claim, transitions, rows, objects.
CHUNK_DOLLARS = 12e-6
HOUR_SECONDS = 3600.0
#: Of the disk, so much costs nothing.
FREE_STORAGE_GIB = 20
#: What a container is billed at least (AWS Fargate pricing).
LEAST_BILLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a worker runs on. None: it can't run on that backend."""

    function_mib: int | None
    container: ContainerSize | None
    pullers: int = 1  #: chunks that one of its containers runs at once
    max_function_task_seconds: float = MAX_LAMBDA_TASK_SECONDS


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to run a session."""

    backend: str
    plan: Plan
    seconds: float  #: from the submit to the end, if there is room at once
    dollars: float


@dataclass(frozen=True, slots=True)
class Work:
    """The same work with the slots of either backend."""

    functions: Workload
    containers: Workload

    @property
    def task_timeout_seconds(self) -> float:
        return self.functions.task_timeout_seconds


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller said of it."""

    backend: str = "auto"
    containers: int | None = None


def choose_backend(work: Work, sizes: Sizes, wish: Wish) -> tuple[str, str]:
    """The backend of a session, and why that one.

    Raises InvalidRequest if what was asked for can't be had.
    """
    possible = possible_backends(work, sizes)
    backend, reason = _decide(work, sizes, wish, possible)
    if backend not in possible:
        raise InvalidRequest(_refusal(backend, work.task_timeout_seconds, sizes))
    return backend, reason


def possible_backends(work: Work, sizes: Sizes) -> list[str]:
    on_lambda = work.task_timeout_seconds <= sizes.max_function_task_seconds
    found = ["lambda"] if sizes.function_mib is not None and on_lambda else []
    return [*found, "fargate"] if sizes.container is not None else found


def candidates(work: Work, sizes: Sizes, wish: Wish) -> list[Candidate]:
    """What the session would take on each backend that can run it."""
    return [_candidate(backend, work, sizes, wish) for backend in possible_backends(work, sizes)]


def _candidate(backend: str, work: Work, sizes: Sizes, wish: Wish) -> Candidate:
    if backend == "lambda":
        return on_lambda(work.functions, sizes.function_mib or 0)
    assert sizes.container is not None
    return on_fargate(work.containers, sizes.container, sizes.pullers, wish.containers)


def _decide(work: Work, sizes: Sizes, wish: Wish, possible: Sequence[str]) -> tuple[str, str]:
    limit = sizes.max_function_task_seconds
    if wish.backend != "auto":
        return wish.backend, "it was asked for"
    if work.task_timeout_seconds > limit:
        return "fargate", (
            f"a task may need {work.task_timeout_seconds:g} s, and a function of this worker gives "
            f"it {limit:g} s"
        )
    if len(possible) < 2:
        only = possible[0] if possible else "lambda"
        return only, f"this worker runs on {only} only"
    return _weigh(work, sizes, wish)


def _weigh(work: Work, sizes: Sizes, wish: Wish) -> tuple[str, str]:
    """Which of the two is better for work that both can do."""
    seconds = work.functions.sure_seconds
    if seconds is None:
        return "lambda", "it starts at once, and how long a task takes is not known well"
    total = seconds * work.functions.tasks
    if total < BULK_SECONDS:
        return "lambda", f"it starts at once, and {total:,.0f} s of work are no bulk"
    function, container = (_candidate(b, work, sizes, wish) for b in ("lambda", "fargate"))
    costs = f"${container.dollars:.2f} and {container.seconds:,.0f} s instead of "
    costs += f"${function.dollars:.2f} and {function.seconds:,.0f} s"
    cheap = container.dollars <= WORTH_PRICE * function.dollars
    if cheap and container.seconds <= WORTH_TIME * function.seconds:
        return "fargate", f"bulk work is cheaper there: {costs}"
    return "lambda", f"Fargate would take {costs}"


def _refusal(backend: str, timeout_seconds: float, sizes: Sizes) -> str:
    limit = sizes.max_function_task_seconds
    if timeout_seconds <= limit:
        return f"options.backend is {backend}; this worker can't run on it here: GET /v1/workers"
    advice = "this grid can't run it on Fargate, which would allow more"
    if sizes.container is not None:
        advice = "leave options.backend out, or say fargate"
    return (
        f"options.task_timeout_seconds is {timeout_seconds:g}; "
        f"this worker allows {limit:g} at most on Lambda: {advice}"
    )


def on_lambda(work: Workload, function_mib: int) -> Candidate:
    """The work as invocations of a function with so much memory."""
    chosen = plan(work)
    slots = min(work.slots, chosen.layout.chunks)
    start = LAMBDA_START_SECONDS + (MAP_START_SECONDS if chosen.route == "map" else 0)
    total = work.tasks * work.long_seconds
    gb_seconds = total * function_mib / 1024
    return Candidate(
        "lambda",
        chosen,
        seconds=start + _span(work, slots),
        dollars=gb_seconds * prices.FUNCTION_GB_SECOND.dollars
        + chosen.layout.chunks * CHUNK_DOLLARS,
    )


def on_fargate(
    work: Workload, size: ContainerSize, pullers: int, count: int | None = None
) -> Candidate:
    """The work in containers of a size."""
    chosen = plan_containers(work, pullers, count)
    slots = min(chosen.max_concurrency, chosen.layout.chunks)
    containers = -(-slots // pullers)
    span = _span(work, slots)
    billed = max(LEAST_BILLED_SECONDS, span + START_SECONDS / 2) * containers
    return Candidate(
        "fargate",
        chosen,
        seconds=START_SECONDS + span,
        dollars=billed / HOUR_SECONDS * dollars_per_hour(size)
        + chosen.layout.chunks * CHUNK_DOLLARS,
    )


def dollars_per_hour(size: ContainerSize) -> float:
    """Of one container."""
    cpu, memory = prices.FARGATE[size.architecture]
    compute = size.vcpu * cpu.dollars + size.memory_mib / 1024 * memory.dollars
    disk = max(0, size.storage_gib - FREE_STORAGE_GIB) * prices.FARGATE_STORAGE_GB_HOUR.dollars
    return compute * (1 - prices.SPOT_DISCOUNT if size.spot else 1) + disk


def _span(work: Workload, slots: int) -> float:
    """From the first start of a task to the last end: no shorter than one task."""
    one = (work.sure_seconds or work.expected_seconds) + work.own_seconds
    return max(one, work.tasks * one / slots)
