"""What holds of every simulated session, whatever is asked for."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stepgrid.bench.cost.bill import price_time
from stepgrid.bench.simulation.bounds import bounds
from stepgrid.bench.simulation.profiles import Profile
from stepgrid.bench.simulation.report import cost
from stepgrid.bench.simulation.scenarios import LAWS, Scenario
from stepgrid.bench.simulation.sessions import simulate
from tests.unit.simulated_clouds import IDEAL, ideal_but

#: A failing session is told as it was found: to simulate many smaller ones takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
#: 1,000 is as good as unlimited for sessions this small.
rates = st.sampled_from([1.0, 7.0, 50.0, 1_000.0])
seconds = st.sampled_from([0.0, 0.003, 0.1, 2.0])


@st.composite
def clouds(draw: st.DrawFn) -> Profile:
    return ideal_but(
        api_seconds=draw(seconds),
        map_start_seconds=draw(seconds),
        express_starts_per_second=draw(rates),
        environments_at_once=draw(st.integers(1, 30)),
        environments_per_second=draw(rates),
        cold_start_seconds=draw(seconds),
        table_seconds=draw(seconds),
        partition_writes_per_second=draw(rates),
        prefix_gets_per_second=draw(rates),
        prefix_puts_per_second=draw(rates),
        get_seconds=draw(seconds),
        put_seconds=draw(seconds),
        client_bytes_per_second=draw(st.sampled_from([1e4, 1e6, 1e9])),
        transfers_at_once=draw(st.integers(1, 8)),
        worker_task_seconds=draw(st.sampled_from([0.0, 1e-3])),
    )


scenarios = st.builds(
    Scenario,
    tasks=st.integers(1, 120),
    task_seconds=seconds,
    law=st.sampled_from(LAWS),  # type: ignore[arg-type]
    task_bytes=st.sampled_from([10, 1_000, 20_000]),
    concurrency=st.integers(1, 60),
    copies=st.integers(1, 4),
    chunk_size=st.none() | st.integers(1, 20),
    seed=st.integers(0, 5),
)


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(scenarios, clouds())
def test_no_session_is_faster_than_any_bound(scenario: Scenario, cloud: Profile) -> None:
    """Each resource alone sets a least time, and no simulation beats it."""
    done = simulate(scenario, cloud)
    for bound in bounds(scenario, cloud, done.plan, done.user_seconds):
        assert done.results_at >= bound.seconds - 1e-6, bound


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(scenarios, clouds())
def test_work_is_conserved(scenario: Scenario, cloud: Profile) -> None:
    """Every task is in one chunk, every chunk is invoked, claimed, committed and fetched."""
    done = simulate(scenario, cloud)
    chunks = len(done.plan.sizes)
    assert sum(done.plan.sizes) == scenario.tasks
    assert done.usage.invocations >= chunks
    assert done.usage.units["write"] >= 2 * chunks
    assert done.usage.express_executions == (1 if done.plan.route == "burst" else chunks)
    assert 1 <= done.peak_workers <= min(chunks, scenario.concurrency)
    assert 0 <= done.submitted_at <= done.first_claim_at <= done.last_commit_at <= done.closed_at
    assert done.last_commit_at <= done.results_at


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(scenarios, clouds())
def test_the_cost_is_the_sum_of_its_parts(scenario: Scenario, cloud: Profile) -> None:
    """None is negative, whatever the tasks run in."""
    done = simulate(scenario, cloud)
    parts = cost(done)
    assert min(parts.values()) >= 0
    time = parts["time of tasks"] + parts["other time"]
    assert time == pytest.approx(price_time(done.usage), abs=1e-9)


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(scenarios, clouds())
def test_an_ideal_cloud_is_never_slower(scenario: Scenario, cloud: Profile) -> None:
    """What takes no time and is not limited can only help."""
    real = simulate(scenario, cloud)
    ideal = simulate(scenario, IDEAL, real.plan)
    assert ideal.last_commit_at <= real.last_commit_at + 1e-6
