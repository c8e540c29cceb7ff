"""Which backend runs a session, why, and what it would take."""

import re
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core import prices
from stepgrid_core.container_sizes import default_size
from stepgrid_core.contract import ContainerUse
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.planning import Workload
from stepgrid_core.routing import (
    CHUNK_DOLLARS,
    START_SECONDS,
    WORTH_PRICE,
    WORTH_TIME,
    Candidate,
    Sizes,
    Wish,
    Work,
    candidates,
    choose_backend,
    container_dollars,
    dollars_per_hour,
    estimate,
    plan_on,
    possible_backends,
)
from stepgrid_core.task_time import TaskTime

SPOT = default_size("arm64")
ON_DEMAND = replace(SPOT, spot=False)
BOTH = Sizes(1769, SPOT)
AUTO = Wish()
#: Work for one function after the other: Fargate has as many slots as Lambda.
BULK: dict[str, Any] = {"tasks": 10_000, "task_seconds": 10.0}


def work(
    tasks: int = 100, task_seconds: float | None = 1.0, timeout: float = 300.0, **changes: Any
) -> Work:
    """task_seconds: known well; None: unknown."""
    time = None if task_seconds is None else TaskTime(task_seconds, task_seconds)
    load = Workload(
        **{
            "tasks": tasks,
            "size": 100 * tasks,
            "task_time": time,
            "task_timeout_seconds": timeout,
            "max_concurrency": 400,
            **changes,
        }
    )
    return Work(load, load)


def one(backend: str, load: Work, sizes: Sizes = BOTH, wish: Wish = AUTO) -> Candidate:
    return estimate(backend, plan_on(backend, load, sizes, wish), load, sizes)


@pytest.mark.parametrize(
    ("load", "sizes", "wish", "backend", "why"),
    [
        pytest.param(work(), BOTH, Wish("fargate"), "fargate", "asked for", id="asked for"),
        pytest.param(work(**BULK), BOTH, Wish("lambda"), "lambda", "asked for", id="or Lambda"),
        pytest.param(
            work(timeout=841),
            BOTH,
            AUTO,
            "fargate",
            "a task may need 841 s, and a function of this worker gives it 840 s at most",
            id="more than 14 minutes",
        ),
        pytest.param(
            work(1, 1200.0, timeout=1200),
            BOTH,
            AUTO,
            "fargate",
            "a task may need 1,200 s",
            id="20 minutes",
        ),
        pytest.param(work(timeout=840), BOTH, AUTO, "lambda", "no bulk", id="14 minutes"),
        pytest.param(
            work(timeout=100),
            replace(BOTH, max_function_task_seconds=60),
            AUTO,
            "fargate",
            "gives it 60 s at most",
            id="more than this worker's function gives",
        ),
        pytest.param(
            work(),
            replace(BOTH, function_mib=None),
            AUTO,
            "fargate",
            "Fargate only",
            id="no function",
        ),
        pytest.param(
            work(**BULK),
            replace(BOTH, container=None),
            AUTO,
            "lambda",
            "Lambda only",
            id="no Fargate",
        ),
        pytest.param(
            work(**BULK), BOTH, AUTO, "fargate", "bulk work is cheaper there: $", id="bulk on Spot"
        ),
        pytest.param(
            work(**BULK),
            replace(BOTH, container=ON_DEMAND),
            AUTO,
            "fargate",
            "cheaper",
            id="on demand a vCPU costs less than half as well",
        ),
        pytest.param(
            work(**BULK, limit=None, max_concurrency=400),
            replace(BOTH, container=replace(ON_DEMAND, memory_mib=8192), function_mib=512),
            AUTO,
            "lambda",
            "Fargate would take $",
            id="a small function is cheaper than a large container",
        ),
        pytest.param(
            work(10_000, None), BOTH, AUTO, "lambda", "0.25 s are assumed", id="unknown times"
        ),
        pytest.param(
            work(10_000, task_time=TaskTime(1, 10)),
            BOTH,
            AUTO,
            "lambda",
            "1 s in the mean, 10 s the slow ones",
            id="times that differ too much",
        ),
        pytest.param(work(100, 1.0), BOTH, AUTO, "lambda", "100 s of work are no bulk", id="small"),
    ],
)
def test_the_backend_is_chosen_by_rules(
    load: Work, sizes: Sizes, wish: Wish, backend: str, why: str
) -> None:
    """The table of docs/planning.md, rule by rule."""
    chosen, reason = choose_backend(load, sizes, wish)
    assert chosen == backend
    assert why in reason


def test_what_is_slower_by_more_than_half_stays_on_lambda() -> None:
    """However cheap: 64 slots for 100,000 s of work take longer than 400."""
    load = work(**BULK)
    slow = replace(load, containers=replace(load.containers, limit=64))
    assert one("fargate", slow).dollars < WORTH_PRICE * one("lambda", slow).dollars
    assert one("fargate", slow).seconds > WORTH_TIME * one("lambda", slow).seconds
    backend, reason = choose_backend(slow, BOTH, AUTO)
    assert backend == "lambda"
    assert re.search(r"Fargate would take \$[\d.]+ and [\d,]+ s instead of \$[\d.]+ and", reason)


@pytest.mark.parametrize(
    ("load", "sizes", "wish", "words"),
    [
        pytest.param(
            work(timeout=1200),
            replace(BOTH, container=None),
            AUTO,
            "task_timeout_seconds is 1200; this worker allows 840 at most on Lambda: this grid "
            "can't run it on Fargate, which would allow more",
            id="long tasks, no Fargate",
        ),
        pytest.param(
            work(),
            replace(BOTH, container=None),
            Wish("fargate"),
            "options.backend is fargate; this worker can't run on it here",
            id="Fargate asked for where there is none",
        ),
        pytest.param(
            work(),
            replace(BOTH, function_mib=None),
            Wish("lambda"),
            "options.backend is lambda; this worker can't run on it here",
            id="Lambda asked for a worker without a function",
        ),
        pytest.param(
            work(timeout=1200), BOTH, Wish("lambda"), "or say fargate", id="long tasks on Lambda"
        ),
        pytest.param(
            work(),
            Sizes(None, None),
            AUTO,
            "runs on Fargate only, and this grid has none",
            id="a worker for Fargate where there is none",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(load: Work, sizes: Sizes, wish: Wish, words: str) -> None:
    """In a sentence that says what to do."""
    with pytest.raises(InvalidRequest) as refused:
        choose_backend(load, sizes, wish)
    assert words in str(refused.value)


# --- estimates ------------------------------------------------------------------------------------


def test_lambda_is_paid_by_the_second_and_memory() -> None:
    """The tasks' own time at the price of its processor, and some requests for each chunk."""
    load = work(**BULK)
    found = one("lambda", load)
    busy = 100_000 * (1 + load.functions.own_seconds / 10) * 1769 / 1024
    requests = found.plan.layout.chunks * CHUNK_DOLLARS
    assert found.dollars == pytest.approx(busy * 0.0000133334 + requests)
    on_x86 = one("lambda", load, replace(BOTH, architecture="x86_64"))
    assert on_x86.dollars == pytest.approx(busy * 0.0000166667 + requests)


def test_containers_are_paid_from_their_start_to_their_end() -> None:
    """Ten tasks of 20 minutes on ten containers."""
    found = one("fargate", work(10, 1200.0, timeout=1800))
    assert found.seconds == pytest.approx(START_SECONDS + 1200, rel=1e-3)
    an_hour = (0.03238 + 2 * 0.00356) * (1 - prices.SPOT_DISCOUNT) + 0.000111 + 0.005
    billed = 10 * (1200 + START_SECONDS / 2) / 3600
    assert found.dollars == pytest.approx(billed * an_hour + 10 * CHUNK_DOLLARS, rel=1e-3)


def test_a_container_is_billed_for_a_minute_at_least() -> None:
    """However short its work; Spot, processor, disk and address have their prices."""
    assert container_dollars(SPOT, 1) == pytest.approx(dollars_per_hour(SPOT) / 60)
    assert container_dollars(SPOT, 90) == pytest.approx(dollars_per_hour(SPOT) / 40)
    assert dollars_per_hour(replace(ON_DEMAND, storage_gib=20)) == pytest.approx(0.0395 + 0.005)
    x86 = replace(ON_DEMAND, architecture="x86_64", storage_gib=120)
    assert dollars_per_hour(x86) == pytest.approx(0.04048 + 2 * 0.004445 + 100 * 0.000111 + 0.005)
    used = ContainerUse(
        vcpu=1,
        memory_mib=2048,
        storage_gib=21,
        spot=True,
        architecture="arm64",
        started_at=0,
        seen_at=0,
    )
    assert dollars_per_hour(used) == dollars_per_hour(SPOT)


def test_tasks_that_do_not_fit_at_once_wait_for_each_other() -> None:
    """Six tasks on five slots take as long as two."""
    five = one("fargate", work(5, 1200.0, timeout=1800, limit=5))
    six = one("fargate", work(6, 1200.0, timeout=1800, limit=5))
    assert six.seconds - START_SECONDS == pytest.approx(2 * (five.seconds - START_SECONDS))


def test_a_chunk_takes_its_tasks_in_a_row() -> None:
    """A wished chunk size may be what a session waits for."""
    found = one("lambda", work(150, 2.0, chunk_size=100))
    assert found.seconds == pytest.approx(100 * 2.0, abs=4)


def test_a_quarter_of_a_vcpu_is_a_quarter_as_fast() -> None:
    """Else it would look as if it cost a quarter."""
    quarter = replace(BOTH, container=replace(SPOT, vcpu=0.25))
    load = work(10, 1200.0, timeout=1800)
    slow, fast = one("fargate", load, quarter).seconds, one("fargate", load).seconds
    assert slow - START_SECONDS == pytest.approx(4 * (fast - START_SECONDS))


def test_others_are_what_the_work_could_run_on() -> None:
    """One candidate for each backend that is possible."""
    assert [each.backend for each in candidates(work(), BOTH, AUTO)] == ["lambda", "fargate"]
    long = work(timeout=3600)
    assert [each.backend for each in candidates(long, BOTH, AUTO)] == ["fargate"]
    assert possible_backends(long, replace(BOTH, container=None)) == []


seconds = st.floats(0.01, 2_000)
vcpus = st.sampled_from([0.5, 1, 2, 4])


@st.composite
def loads(draw: st.DrawFn) -> tuple[Work, Sizes]:
    known = draw(st.none() | seconds)
    load = work(
        draw(st.integers(1, 100_000)),
        known,
        draw(st.floats(1, 3_600)),
        max_concurrency=draw(st.integers(1, 1_000)),
        limit=draw(st.none() | st.integers(1, 800)),
    )
    vcpu = draw(vcpus)
    size = replace(SPOT, vcpu=vcpu, memory_mib=4096, spot=draw(st.booleans()))
    return load, Sizes(1769, size, max(1, int(vcpu)))


@given(loads(), st.integers(1, 100_000))
def test_more_work_never_costs_less(given_load: tuple[Work, Sizes], more: int) -> None:
    """On either backend, but for the requests of chunks that are fewer and larger then."""
    load, sizes = given_load
    tasks = load.functions.tasks + more
    larger = work(
        tasks,
        load.functions.expected_seconds if load.functions.task_time else None,
        load.task_timeout_seconds,
        max_concurrency=load.functions.max_concurrency,
        limit=load.functions.limit,
    )
    for backend in ("lambda", "fargate"):
        small, large = one(backend, load, sizes), one(backend, larger, sizes)
        fewer = max(0, small.plan.layout.chunks - large.plan.layout.chunks)
        assert large.dollars >= small.dollars - fewer * CHUNK_DOLLARS - 1e-12


@given(loads())
def test_a_reason_always_says_why(given_load: tuple[Work, Sizes]) -> None:
    """With the figures that decided; and long tasks never go to a function."""
    load, sizes = given_load
    backend, reason = choose_backend(load, sizes, AUTO)
    assert re.search(r"\d", reason)
    assert backend in possible_backends(load, sizes)
    if load.task_timeout_seconds > sizes.max_function_task_seconds:
        assert backend == "fargate"


@given(loads())
def test_fargate_is_never_chosen_without_a_reason(given_load: tuple[Work, Sizes]) -> None:
    """Work that both can do goes there only if it is cheaper, and not much slower."""
    load, sizes = given_load
    if len(possible_backends(load, sizes)) == 2:
        backend, _ = choose_backend(load, sizes, AUTO)
        function, container = one("lambda", load, sizes), one("fargate", load, sizes)
        if backend == "fargate":
            assert container.dollars <= WORTH_PRICE * function.dollars
            assert container.seconds <= WORTH_TIME * function.seconds
