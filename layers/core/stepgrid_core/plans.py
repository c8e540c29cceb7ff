"""How a session would run, or runs: where, in which chunks, for how long and for how much.

    asked before:     place --> the plan that a submit would make --> estimates
    asked afterwards: the plan as it is stored                    --> estimates

Nothing is stored and nothing starts. It must not decide anything itself: placement, planning and
routing do, for submits as well.
"""

from .contract import ContainerPlan, Estimate, PlanDescription, PlanRequest
from .description import own_session
from .errors import InvalidRequest
from .material import check_size
from .packing import stride_of
from .placement import Placement, place, sizes_of
from .planning import Plan, Workload
from .prices import CHECKED
from .records import ContainerSize, Session
from .routing import (
    Candidate,
    Sizes,
    Wish,
    Work,
    candidates,
    estimate,
    likely_seconds,
    slots_of,
)
from .submission import check_retention, check_worker
from .wiring import Grid

#: What a task is taken to have where the size of the input is not said.
TASK_BYTES = 1_000
PRICES = f"us-east-1, {CHECKED}"
#: Of a function with one vCPU: for sessions whose worker is no more.
FUNCTION_MIB = 1769


def plan_session(grid: Grid, owner: str, request: PlanRequest) -> PlanDescription:
    """What a submit of such tasks would do now.

    Raises what it would raise for its worker, its options and its size. Whether the owner's quota
    has room is not looked at: that changes with every session.
    """
    check_worker(request.worker)
    options, size = request.options, request.size or request.tasks * TASK_BYTES
    check_size(grid, request.tasks, size)
    check_retention(grid, options)
    placed = place(grid, owner, request.worker, request.tasks, options, size=size)
    stride = stride_of(request.tasks, size, options.chunk_size)
    return _describe(placed.having(size, stride))


def _describe(placed: Placement) -> PlanDescription:
    found = candidates(placed.work, placed.sizes, placed.wish)
    chosen = next(each for each in found if each.backend == placed.backend)
    return _show(chosen, found, placed.work, placed.sizes, placed.reason)


def read_plan(grid: Grid, owner: str, session_id: str) -> PlanDescription:
    """The plan of a session, and what it was to take by what was known when it was submitted.

    Raises NotFound, in the same words for one that is not there and one of somebody else;
    InvalidRequest for a federated task, which nobody plans.
    """
    session = own_session(grid, owner, session_id)
    if session.federation is not None:
        raise InvalidRequest(
            f"session {session_id} has no plan: it is a federated task, whose runs take place on "
            "nodes of the organizations, whenever these are online"
        )
    work, sizes = _work(grid, session), _sizes(grid, session)
    stored = Plan(
        session.layout,
        session.route,
        session.children,
        session.max_concurrency,
        session.watch_seconds,
    )
    chosen = estimate(session.backend, stored, work, sizes)
    reason = session.backend_reason or "there was no other when it was submitted"
    return _show(chosen, candidates(work, sizes, Wish()), work, sizes, reason)


def _work(grid: Grid, session: Session) -> Work:
    """As it was when the session was submitted, with the slots that it was given since."""
    workload = Workload(
        tasks=session.tasks,
        size=session.input.size,
        task_time=session.planned_task_time,
        task_timeout_seconds=session.task_timeout_seconds,
        max_concurrency=session.max_concurrency,
        stride=stride_of(session.tasks, session.input.size),
        relayed=bool(session.target),
    )
    settings = grid.settings
    work = Work(functions=workload, containers=workload)
    for backend, slots in (
        ("lambda", settings.worker_concurrency),
        ("fargate", settings.fargate_concurrency),
    ):
        held = session.slots if backend == session.backend else 0
        work = work.limited(backend, held or slots or None)
    return work


def _sizes(grid: Grid, session: Session) -> Sizes:
    """As its worker is today, but for the containers that the session has."""
    worker = grid.dispatcher.find_worker(session.worker)
    sizes = Sizes(FUNCTION_MIB, None) if worker is None else sizes_of(worker)
    if session.container is None:
        return sizes
    return Sizes(
        sizes.function_mib if worker is not None and not session.queue else None,
        session.container,
        session.pullers,
        sizes.max_function_task_seconds,
        sizes.architecture,
    )


def _show(
    chosen: Candidate, found: list[Candidate], work: Work, sizes: Sizes, reason: str
) -> PlanDescription:
    layout, slots = chosen.plan.layout, slots_of(work.on(chosen.backend), chosen.plan)
    size = sizes.container if chosen.backend == "fargate" else None
    return PlanDescription(
        backend=chosen.backend,
        reason=reason,
        route=chosen.plan.route,
        chunks=layout.chunks,
        chunk_size=layout.largest,
        layout=str(layout),
        slots=slots,
        containers=_containers(size, slots, sizes.pullers) if size else None,
        estimate=_estimate(chosen, work),
        others=[_estimate(each, work) for each in found if each.backend != chosen.backend],
        prices=PRICES,
    )


def _containers(size: ContainerSize, slots: int, pullers: int) -> ContainerPlan:
    return ContainerPlan(
        count=-(-slots // pullers),
        vcpu=size.vcpu,
        memory_mib=size.memory_mib,
        storage_gib=size.storage_gib,
        spot=size.spot,
        architecture=size.architecture,
    )


def _estimate(candidate: Candidate, work: Work) -> Estimate:
    return Estimate(
        backend=candidate.backend,
        seconds=candidate.seconds,
        dollars=candidate.dollars,
        task_seconds=likely_seconds(work.on(candidate.backend)),
    )
