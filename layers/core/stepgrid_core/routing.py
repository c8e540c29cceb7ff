"""Which backend runs a session, why, and what it would take. Pure; the prices are in `prices`.

asked for                                      that one
the worker has no function                     Fargate
a task may need longer than Lambda lets it     Fargate
the worker has no containers here              Lambda
bulk work, known well: on Spot cheaper,
  and not much slower                          Fargate
everything else                                Lambda, which starts at once
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import prices
from .container_planning import START_SECONDS, plan_containers
from .contract import MAX_LAMBDA_TASK_SECONDS, ContainerUse
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
    architecture: str = "arm64"  #: of its function


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

    def on(self, backend: str) -> Workload:
        return self.containers if backend == "fargate" else self.functions

    def having(self, size: int, stride: int, offsets: Sequence[int] = ()) -> "Work":
        """What only the input itself tells."""
        return Work(
            functions=replace(self.functions, size=size, stride=stride, offsets=offsets),
            containers=replace(self.containers, size=size, stride=stride, offsets=offsets),
        )

    def limited(self, backend: str, slots: int | None) -> "Work":
        """With so many slots at most on one of them."""
        if backend == "fargate":
            return replace(self, containers=replace(self.containers, limit=slots))
        return replace(self, functions=replace(self.functions, limit=slots))


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
    return estimate(backend, plan_on(backend, work, sizes, wish), work, sizes)


def plan_on(backend: str, work: Work, sizes: Sizes, wish: Wish) -> Plan:
    """How the session is cut there: what a submit does, and what is said before it."""
    if backend == "fargate":
        return plan_containers(work.containers, sizes.pullers, wish.containers)
    return plan(work.functions)


def estimate(backend: str, chosen: Plan, work: Work, sizes: Sizes) -> Candidate:
    """What a session that is cut like this would take there."""
    if backend == "fargate":
        assert sizes.container is not None
        return _on_fargate(work.containers, chosen, sizes.container, sizes.pullers)
    return _on_lambda(work.functions, chosen, sizes)


def _decide(work: Work, sizes: Sizes, wish: Wish, possible: Sequence[str]) -> tuple[str, str]:
    limit = sizes.max_function_task_seconds
    if wish.backend != "auto":
        return wish.backend, "it was asked for"
    if sizes.function_mib is None:
        return "fargate", "this worker runs on Fargate only"
    if work.task_timeout_seconds > limit:
        return "fargate", (
            f"a task may need {work.task_timeout_seconds:,g} s, and a function of this worker "
            f"gives it {limit:g} s at most"
        )
    if "fargate" not in possible:
        return "lambda", "this worker runs on Lambda only"
    return _weigh(work, sizes, wish)


def _weigh(work: Work, sizes: Sizes, wish: Wish) -> tuple[str, str]:
    """Which of the two is better for work that both can do."""
    seconds = work.functions.sure_seconds
    if seconds is None:
        return "lambda", f"it starts at once, and {_doubt(work.functions)}"
    total = seconds * work.functions.tasks
    if total < BULK_SECONDS:
        bulk = f"{total:,.4g} s of work are no bulk: that begins at {BULK_SECONDS:,.0f} s"
        return "lambda", f"it starts at once, and {bulk}"
    function, container = (_candidate(b, work, sizes, wish) for b in ("lambda", "fargate"))
    costs = f"${container.dollars:.2f} and {container.seconds:,.0f} s instead of "
    costs += f"${function.dollars:.2f} and {function.seconds:,.0f} s"
    cheap = container.dollars <= WORTH_PRICE * function.dollars
    if cheap and container.seconds <= WORTH_TIME * function.seconds:
        return "fargate", f"bulk work is cheaper there: {costs}"
    return "lambda", f"Fargate would take {costs}"


def _doubt(work: Workload) -> str:
    time = work.task_time
    if time is None:
        return f"nothing tells how long a task takes; {work.expected_seconds:g} s are assumed"
    return f"tasks differ too much: {time.mean:.3g} s in the mean, {time.slow:.3g} s the slow ones"


def _refusal(backend: str, timeout_seconds: float, sizes: Sizes) -> str:
    limit = sizes.max_function_task_seconds
    if sizes.function_mib is None and sizes.container is None:
        return "this worker runs on Fargate only, and this grid has none: ask its operator"
    if timeout_seconds <= limit or sizes.function_mib is None:
        return f"options.backend is {backend}; this worker can't run on it here: GET /v1/workers"
    advice = "this grid can't run it on Fargate, which would allow more"
    if sizes.container is not None:
        advice = "leave options.backend out, or say fargate"
    return (
        f"options.task_timeout_seconds is {timeout_seconds:g}; "
        f"this worker allows {limit:g} at most on Lambda: {advice}"
    )


def _on_lambda(work: Workload, chosen: Plan, sizes: Sizes) -> Candidate:
    """The work as invocations of the worker's function."""
    start = LAMBDA_START_SECONDS + (MAP_START_SECONDS if chosen.route == "map" else 0)
    gb_seconds = work.tasks * _task_seconds(work) * (sizes.function_mib or 0) / 1024
    return Candidate(
        "lambda",
        chosen,
        seconds=start + _span(work, chosen),
        dollars=gb_seconds * prices.FUNCTION[sizes.architecture].dollars
        + chosen.layout.chunks * CHUNK_DOLLARS,
    )


def _on_fargate(work: Workload, chosen: Plan, size: ContainerSize, pullers: int) -> Candidate:
    """The work in containers of a size."""
    speed = min(1.0, size.vcpu)  # less than one vCPU is slower than a function by as much
    slots = slots_of(work, chosen)
    containers = -(-slots // pullers)
    # In the mean: who finds no chunk any more leaves.
    busy = work.tasks * _task_seconds(work) / slots / speed
    each = container_dollars(size, busy + START_SECONDS / 2)
    return Candidate(
        "fargate",
        chosen,
        seconds=START_SECONDS + _span(work, chosen) / speed,
        dollars=containers * each + chosen.layout.chunks * CHUNK_DOLLARS,
    )


def container_dollars(size: ContainerSize | ContainerUse, seconds: float) -> float:
    """Of one container that lives so long."""
    return max(LEAST_BILLED_SECONDS, seconds) / HOUR_SECONDS * dollars_per_hour(size)


def dollars_per_hour(size: ContainerSize | ContainerUse) -> float:
    """Of one container, with its public address: Spot is no discount on that, nor on the disk."""
    cpu, memory = prices.FARGATE[size.architecture]
    compute = size.vcpu * cpu.dollars + size.memory_mib / 1024 * memory.dollars
    disk = max(0, size.storage_gib - FREE_STORAGE_GIB) * prices.FARGATE_STORAGE_GB_HOUR.dollars
    discount = prices.SPOT_DISCOUNT if size.spot else 0
    return compute * (1 - discount) + disk + prices.PUBLIC_ADDRESS_HOUR.dollars


def slots_of(work: Workload, chosen: Plan) -> int:
    """Chunks that can run at once."""
    most = min(chosen.max_concurrency, chosen.layout.chunks)
    return min(most, work.limit) if work.limit else most


def likely_seconds(work: Workload) -> float:
    """Of one task: in the mean, if that is known well; otherwise at the long end."""
    sure = work.sure_seconds
    return work.expected_seconds if sure is None else sure


def _span(work: Workload, chosen: Plan) -> float:
    """From the first start of a task to the last end: no shorter than the longest chunk."""
    in_a_row = max(chosen.layout.largest, math.ceil(work.tasks / slots_of(work, chosen)))
    return in_a_row * _task_seconds(work)


def _task_seconds(work: Workload) -> float:
    """Of one task, with what it takes its worker beside the user's function."""
    return likely_seconds(work) + work.own_seconds
