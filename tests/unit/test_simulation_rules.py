"""What the simulation goes by is the grid's own; where that can't be imported, a copy of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepgrid import submission
from stepgrid.bench.cost.executions import CHILD_STATES
from stepgrid.bench.simulation import child, client, rules, services, usage
from stepgrid.bench.simulation.plans import plan_session
from stepgrid.bench.simulation.profiles import AWS
from stepgrid.bench.simulation.scenarios import Scenario
from stepgrid.bench.simulation.sessions import simulate
from stepgrid_core.aws import state_table, translate
from stepgrid_core.packing import pack

MACHINES = Path(__file__).parents[2] / "statemachines"


def states_of(machine: str) -> dict[str, Any]:
    text = (MACHINES / f"{machine}.asl.yaml").read_text(encoding="utf-8")
    states: dict[str, Any] = yaml.safe_load(text)["States"]
    return states


def test_copies_are_equal() -> None:
    """What needs boto3, and what both the SDK and the grid decide."""
    assert state_table.WRITERS == client.SHARD_WRITERS
    tries = translate.CLIENT_CONFIG.retries["total_max_attempts"]
    assert tries == services.TABLE_ATTEMPTS
    assert submission.INLINE_INPUT_BYTES == rules.INLINE_INPUT_BYTES


@pytest.mark.parametrize(
    ("machine", "fan_out"),
    [("session", "FanOutExpress"), ("session", "FanOutStandard"), ("burst", "FanOut")],
)
def test_retries_are_those_of_the_machines(machine: str, fan_out: str) -> None:
    """Of a chunk that Lambda would not take."""
    run = states_of(machine)[fan_out]["ItemProcessor"]["States"]["RunChunk"]
    (retry,) = run["Retry"]
    assert "Lambda.TooManyRequestsException" in retry["ErrorEquals"]
    assert retry["MaxAttempts"] == child.RETRIES
    assert (retry["IntervalSeconds"], retry["MaxDelaySeconds"]) == (
        child.RETRY_SECONDS,
        child.MAX_RETRY_SECONDS,
    )
    assert (retry["BackoffRate"], retry["JitterStrategy"]) == (2, "FULL")


def test_states_are_those_of_the_machine() -> None:
    """The way of a session that goes through its Map once and leaves no chunk."""
    states = states_of("session")
    way = ["Route", "FanOutExpress", states["FanOutExpress"]["Next"]]
    way.append(states[way[-1]]["Next"])
    way.append(states[way[-1]]["Default"])
    assert states[way[-1]]["End"]
    assert len(way) == usage.MACHINE_STATES
    assert CHILD_STATES == 4


@pytest.mark.parametrize("chunk_size", [None, 7, 100, 1_000, 4_096])
def test_chunks_begin_where_the_packed_file_can_be_cut(chunk_size: int | None) -> None:
    """A wished size has offsets of its own: without them a chunk would be smaller than wished."""
    scenario = Scenario(tasks=33_000, task_seconds=0.1, task_bytes=2, chunk_size=chunk_size)
    packed, _ = pack([b"1\n"] * scenario.tasks, chunk_size)
    sizes = plan_session(scenario).sizes
    assert all(size % packed.stride == 0 for size in sizes[:-1])
    if chunk_size:
        assert set(sizes[:-1]) == {chunk_size}


def test_a_wished_chunk_size_is_granted() -> None:
    """1,000 chunks of 1,000, as the grid cuts them."""
    plan = plan_session(Scenario(tasks=1_000_000, task_bytes=100, chunk_size=1_000))
    assert plan.sizes == (1_000,) * 1_000


def test_no_boto3_is_needed() -> None:
    """The rules come from planes, which know no AWS: the simulation starts quickly."""
    code = "import sys, stepgrid.bench.simulation.sessions; sys.exit('boto3' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_larger_upload_asks_for_more_urls_each_time() -> None:
    """1 GB in parts of 8 MiB takes four askings, as the SDK's uploads do."""
    done = simulate(Scenario(tasks=1_000_000, task_seconds=0.1, concurrency=100), AWS)
    assert done.usage.requests["execute-api.POST /v1/uploads"] == 4
