"""The simulation, where the answer is known on paper."""

import math
from random import Random

import pytest

from stepgrid.bench.cost.bill import price_tasks
from stepgrid.bench.simulation.bottlenecks import find_bottlenecks
from stepgrid.bench.simulation.bounds import bounds, ramp_seconds
from stepgrid.bench.simulation.client import Client
from stepgrid.bench.simulation.functions import WorkerFunctions
from stepgrid.bench.simulation.latch import Latch
from stepgrid.bench.simulation.plans import SessionPlan, plan_session
from stepgrid.bench.simulation.profiles import AWS, Profile
from stepgrid.bench.simulation.report import cost
from stepgrid.bench.simulation.resources import Clock, Machine, Process, Rate, Servers
from stepgrid.bench.simulation.scenarios import Scenario, chunk_seconds
from stepgrid.bench.simulation.services import Services
from stepgrid.bench.simulation.sessions import Simulation, simulate
from stepgrid_core.planning import Workload, plan
from stepgrid_core.prices import EXPRESS_GB_SECOND
from stepgrid_core.task_time import TaskTime
from tests.unit.simulated_clouds import IDEAL, ideal_but, plan_of

#: A client learns of news so late at most.
LONGEST_POLL_SECONDS = 1.0


def run_all(clock: Clock, *processes: Process) -> float:
    """Run them together; answers when the last has ended."""
    for process in processes:
        clock.process(process)
    clock.run()
    return float(clock.now)


def run(profile: Profile, plan: SessionPlan, **scenario: float) -> Simulation:
    asked = Scenario(tasks=sum(plan.sizes), **scenario)  # type: ignore[arg-type]
    return simulate(asked, profile, plan)


def test_one_server_serves_one_after_the_other() -> None:
    """n jobs of s seconds that come together end after n s; together they wait n (n - 1) s / 2."""
    clock = Clock()
    server = Servers(clock, "server", 1)
    assert run_all(clock, *(server.serve(2.0) for _ in range(5))) == 10.0
    assert server.meter.waited_seconds == 2.0 * 5 * 4 / 2
    assert server.meter.longest_wait_seconds == 8.0
    assert server.meter.busy_seconds == 10.0


def test_servers_share_a_queue() -> None:
    """n equal jobs on c servers end after as many rounds as they need."""
    clock = Clock()
    servers = Servers(clock, "servers", 3)
    assert run_all(clock, *(servers.serve(1.0) for _ in range(7))) == math.ceil(7 / 3)


def test_a_rate_lets_a_burst_pass_and_then_so_many_a_second() -> None:
    """The n-th of those who wait passes after (n - burst) / rate seconds."""
    clock = Clock()
    rate = Rate(clock, "rate", per_second=4.0, burst=2.0)
    assert run_all(clock, *(rate.wait() for _ in range(10))) == (10 - 2) / 4.0


def test_a_rate_saves_no_more_than_its_burst() -> None:
    """However long nobody came, only `burst` pass at once."""
    clock = Clock()
    rate = Rate(clock, "rate", per_second=10.0, burst=3.0)

    def come_late() -> Process:
        yield clock.timeout(100.0)
        taken.append(sum(rate.take() for _ in range(20)))

    taken: list[int] = []
    run_all(clock, come_late())
    assert taken == [3]
    assert rate.meter.refused == 17


def test_cores_are_shared_in_turns() -> None:
    """Two jobs on one core end at about the same time, and together take the sum of their work."""
    clock = Clock()
    machine = Machine(clock, cores=1)
    ends = {}

    def work(name: str, seconds: float) -> Process:
        yield from machine.work(seconds)
        ends[name] = clock.now

    assert run_all(clock, work("long", 1.0), work("short", 0.5)) == pytest.approx(1.5)
    assert ends["short"] == pytest.approx(1.0, abs=0.01)


def test_the_emulator_does_one_thing_at_a_time() -> None:
    """However many cores there are, its work adds up."""
    clock = Clock()
    machine = Machine(clock, cores=4)
    assert run_all(clock, *(machine.emulate(0.1) for _ in range(5))) == pytest.approx(0.5)


def test_ideal_cloud_takes_the_work_alone() -> None:
    """n chunks of s seconds on c workers take ceil(n / c) s where nothing else takes time."""
    done = run(IDEAL, plan_of(*[10] * 7, concurrency=3), task_seconds=0.1, concurrency=3)
    assert done.last_commit_at == pytest.approx(3 * 1.0)
    assert done.peak_workers == 3
    assert done.efficiency == pytest.approx(7 / 9, abs=0.1)


def test_dispatch_rate_bounds_short_work() -> None:
    """n chunks that take no time end after (n - 1) / rate, for either kind of children."""
    cloud = ideal_but(express_starts_per_second=50, standard_starts_per_second=5)
    plan = plan_of(*[1] * 101)
    assert run(cloud, plan).last_commit_at == pytest.approx(100 / 50)
    slow = plan_of(*[1] * 101, children="standard")
    assert run(cloud, slow).last_commit_at == pytest.approx(100 / 5)


def test_a_burst_has_no_rate_but_forty_at_once() -> None:
    """80 iterations of a second take two seconds in an inline Map."""
    cloud = ideal_but(express_starts_per_second=1)
    done = run(cloud, plan_of(*[1] * 80, route="burst"), task_seconds=1.0)
    assert done.last_commit_at == pytest.approx(2.0)


def test_environments_grow_by_the_rate_of_each_function() -> None:
    """At once the burst of each copy; then nothing until a token has come."""
    clock = Clock()
    cloud = ideal_but(environments_at_once=10, environments_per_second=2)
    functions = WorkerFunctions(clock, cloud, Random(0), copies=3, account_concurrency=math.inf)
    found = [functions.find(copy) for copy in (0, 1, 2) for _ in range(15)]
    assert sum(environment is not None for environment in found) == 30
    clock.run(until=1.0)
    again = [functions.find(0) for _ in range(5)]
    assert sum(environment is not None for environment in again) == 2


def test_ramp_on_paper() -> None:
    """burst t + rate t^2 / 2 = work: 1,000 and 100/s need 8 s for 11,200 s of work."""
    scenario = Scenario(tasks=1)
    assert ramp_seconds(scenario, AWS, 11_200) == pytest.approx(8.0)
    twice = Scenario(tasks=1, copies=2)
    assert ramp_seconds(twice, AWS, 22_400) == pytest.approx(8.0)


def test_no_session_outruns_the_ramp() -> None:
    """With long chunks the environments that may be made bound the session, whatever the luck."""
    cloud = ideal_but(environments_at_once=5, environments_per_second=1)
    done = run(cloud, plan_of(*[1] * 40, concurrency=40), task_seconds=3.0)
    assert done.results_at >= ramp_seconds(done.scenario, cloud, done.user_seconds)
    assert done.environments <= 5 + done.last_commit_at


@pytest.mark.parametrize("children", ["express", "standard"])
@pytest.mark.parametrize("task_seconds", [1.0, 100.0])
def test_retries_are_transitions_of_standard_children(children: str, task_seconds: float) -> None:
    """Of chunks that find no environment. After eight the recorder is asked, and all begins anew:
    four states, but the refusal before them is not followed by a retry."""
    cloud = ideal_but(environments_at_once=2, environments_per_second=1e-9)
    plan = plan_of(*[1] * 8, children=children)
    smooth = run(IDEAL, plan, task_seconds=task_seconds)
    scarce = run(cloud, plan, task_seconds=task_seconds)
    refused = next(use.refused for use in scarce.resources if use.name == "environment starts")
    losses = scarce.usage.invocations - smooth.usage.invocations - polls(scarce) + polls(smooth)
    assert refused > 0
    assert (losses > 0) == (task_seconds == 100.0)
    more = scarce.usage.state_transitions - smooth.usage.state_transitions
    assert more == (refused + 3 * losses if children == "standard" else 0)


def polls(done: Simulation) -> float:
    """How often the client asked, each time an invocation."""
    return done.usage.requests["execute-api.GET /v1/sessions/{id}/results"]


def test_account_concurrency_is_never_exceeded() -> None:
    """Chunks that find no room come again, and all are run."""
    plan = plan_of(*[1] * 30)
    done = run(IDEAL, plan, task_seconds=1.0, account_concurrency=4)
    assert done.peak_workers == 4
    assert done.results_at >= 30 / 4


def test_partition_writes_bound_small_chunks() -> None:
    """Claim, commit and shard are writes: beyond what one second brings they take their time."""
    chunks = 64
    cloud = ideal_but(partition_writes_per_second=20)
    done = run(cloud, plan_of(*[1] * chunks))
    writes = 2 * chunks + 2 * (chunks / 16)
    assert done.results_at >= (writes - 20) / 20
    assert done.usage.units["write"] >= writes


def test_an_only_chunk_is_committed_with_the_close() -> None:
    """One transaction, and nothing is read for it (docs/decisions/0028)."""
    done = run(ideal_but(table_seconds=0.1), plan_of(1, route="burst"))
    requests = done.usage.requests
    assert requests["dynamodb.TransactWriteItems"] == 2  # of the submit and of the end
    assert requests["dynamodb.UpdateItem"] == 2  # the claim, and that the end was told
    assert "dynamodb.GetItem" not in requests
    assert done.last_commit_at == done.closed_at == pytest.approx(0.2 + 0.1 + 0.2)


def test_several_chunks_are_committed_before_the_close() -> None:
    """A row for each, then the session is read and closed."""
    done = run(ideal_but(table_seconds=0.1), plan_of(1, 1, route="burst"))
    requests = done.usage.requests
    assert requests["dynamodb.UpdateItem"] == 2 * 2 + 1
    assert requests["dynamodb.GetItem"] == 1
    assert done.closed_at - done.last_commit_at == pytest.approx(0.1 + 0.2)


def test_a_session_of_one_task_asks_as_little_as_the_grid() -> None:
    """Ten requests, as tests/system/test_cost.py holds the grid to, and the looks of who waits."""
    done = simulate(Scenario(tasks=1, warm=1), AWS)
    assert done.usage.total_requests - done.usage.requests["dynamodb.Query"] == 9


@pytest.mark.parametrize(
    ("chunks", "looks", "units"),
    [
        pytest.param(16, 1, 1, id="one shard"),
        pytest.param(100, 1, 2, id="seven shards"),
        pytest.param(256, 1, 4, id="a page"),
        # of the second page the session is read apart
        pytest.param(272, 2, 4 + 1 + 1, id="a page and a shard"),
    ],
)
def test_a_page_is_read_by_its_size(chunks: int, looks: int, units: int) -> None:
    """4 KB of a query are one unit, so that four shards are."""
    scenario, plan = Scenario(tasks=chunks), plan_of(*[1] * chunks)
    services = Services(Clock(), IDEAL, scenario, Random(0))
    latch = Latch(services, plan)
    latch.final |= set(range(chunks))  # all there is to know is known at the first look
    client = Client(services, scenario, plan, latch)
    run_all(services.clock, client.collect())
    assert services.tally.usage().requests["dynamodb.Query"] == looks
    assert services.tally.usage().units["read"] == units


@pytest.mark.parametrize(("chunks", "told"), [(1, 1), (3, 3), (100, 10)])
def test_progress_is_told_in_tenths(chunks: int, told: int) -> None:
    """At most so many events as commits that did not close the session, and its end."""
    done = run(IDEAL, plan_of(*[1] * chunks), task_seconds=3.0)
    assert done.usage.units["events"] == 2 + told
    assert done.usage.requests["eventbridge.PutEvents"] == 1 + told


def test_a_map_starts_late() -> None:
    """The Map's start delays the first claim, and nothing else does in an ideal cloud."""
    done = run(ideal_but(map_start_seconds=2.0), plan_of(1, 1))
    assert done.first_claim_at == 2.0


def test_upload_takes_the_line() -> None:
    """1,000 tasks of 1,000 bytes need a second on a line of 1 MB/s, and the results another."""
    cloud = ideal_but(client_bytes_per_second=1e6)
    done = run(cloud, plan_of(*[100] * 10), task_bytes=1_000)
    assert done.submitted_at == pytest.approx(1.0)
    assert done.results_at == pytest.approx(2.0, abs=LONGEST_POLL_SECONDS)


def test_transfers_at_once_bound_the_results() -> None:
    """n objects that each take a second to come need n / transfers seconds."""
    done = run(ideal_but(get_seconds=1.0, transfers_at_once=4), plan_of(*[1] * 20))
    # the API looks at the upload for a second, and each worker reads its input in one
    assert done.results_at == pytest.approx(2.0 + 20 / 4, abs=LONGEST_POLL_SECONDS)


def test_the_planner_is_the_real_one() -> None:
    """The simulated session is cut as the grid would cut it."""
    scenario = Scenario(tasks=50_000, task_seconds=0.02, concurrency=100)
    asked = Workload(
        tasks=50_000,
        size=50_000 * 1024,
        task_time=TaskTime(0.02, 0.02),
        task_timeout_seconds=300.0,
        max_concurrency=100,
        stride=8,
    )
    assert plan_session(scenario).sizes == tuple(plan(asked).layout.sizes())


@pytest.mark.parametrize("law", ["fixed", "lognormal", "bimodal"])
def test_laws_keep_the_mean(law: str) -> None:
    """Whatever the law, 50,000 tasks take their mean together, but for chance."""
    scenario = Scenario(tasks=50_000, task_seconds=0.2, law=law)  # type: ignore[arg-type]
    assert sum(chunk_seconds(scenario, [25_000, 25_000])) == pytest.approx(10_000, rel=0.03)


def test_unequal_tasks_make_a_tail() -> None:
    """Where task times differ, the last chunk makes the session longer than equal tasks do."""
    plan = plan_of(*[20] * 20, concurrency=20)
    equal = run(IDEAL, plan, task_seconds=1.0)
    unequal = run(IDEAL, plan, task_seconds=1.0, law="bimodal")
    assert unequal.last_commit_at > equal.last_commit_at == pytest.approx(20.0)


def test_equal_seeds_give_equal_results() -> None:
    """The same seed repeats a run to the last digit; another one gives another run."""
    scenario = Scenario(tasks=3_000, task_seconds=1.0, law="lognormal", concurrency=2_000)
    plan = plan_of(*[1] * 3_000, concurrency=2_000)
    first, second = simulate(scenario, AWS, plan), simulate(scenario, AWS, plan)
    assert first == second
    other = Scenario(tasks=3_000, task_seconds=1.0, law="lognormal", concurrency=2_000, seed=1)
    assert simulate(other, AWS, plan).results_at != first.results_at


def test_the_bottleneck_is_what_binds() -> None:
    """A session that only the ramp holds up is told so, and the gain is what lifting it brings."""
    cloud = ideal_but(environments_at_once=1, environments_per_second=0.5)
    scenario = Scenario(tasks=20, task_seconds=5.0, chunk_size=1, task_bytes=100_000)
    (found,) = find_bottlenecks(scenario, cloud)
    assert found.limit == "environment ramp"
    assert found.seconds_after == pytest.approx(5.0, abs=LONGEST_POLL_SECONDS)


def test_the_cost_is_split_by_what_is_billed() -> None:
    """Children are billed with their tasks, or by transition; a burst is one execution for all."""
    costs = {
        (route, children): cost(
            run(IDEAL, plan_of(*[1] * 10, route=route, children=children), task_seconds=250.0)
        )
        for route, children in [("map", "standard"), ("map", "express"), ("burst", "express")]
    }
    others = {kind: parts["other time"] for kind, parts in costs.items()}
    assert others["map", "standard"] == pytest.approx(others["map", "express"])
    one_execution = 250 * EXPRESS_GB_SECOND.dollars / 16  # of 64 MB
    assert others["burst", "express"] - others["map", "express"] == pytest.approx(one_execution)
    tasks = {kind: parts["time of tasks"] for kind, parts in costs.items()}
    assert (
        tasks["map", "standard"] == tasks["burst", "express"] == price_tasks(2_500, express=False)
    )
    assert tasks["map", "express"] == price_tasks(2_500)


def test_bounds_name_the_scarce_resource() -> None:
    """The largest bound of work for 1,000 workers on AWS is the number of workers."""
    scenario = Scenario(tasks=10_000, task_seconds=100.0)
    least = bounds(scenario, AWS, plan_of(*[10] * 1_000), user_seconds=1_000_000)
    assert max(least, key=lambda bound: bound.seconds).resource == "worker slots"
