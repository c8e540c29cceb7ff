"""The queues that jobs are submitted to, and the table that says them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stepgrid_core.contract import MAX_WALLTIME_SECONDS
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.queues import Queue, find_queue, read_queues
from stepgrid_core.settings import Settings

ALICE, BOB = "arn:aws:iam::000000000000:user/alice", "arn:aws:iam::000000000000:user/bob"
DOCUMENT = Path(__file__).parents[2] / "docs" / "jobs.md"
NAMES = {"table": "t", "bucket": "b", "event_bus": "e", "worker_prefix": "w"}


def table(*queues: dict[str, Any]) -> str:
    return json.dumps(
        [{"name": f"q{n}", "concurrency": 1, **queue} for n, queue in enumerate(queues)]
    )


@pytest.mark.parametrize("text", ["", "  \n"])
def test_without_a_table_there_are_test_and_prod(text: str) -> None:
    """Small and at once, or large and cheap; everybody may use both."""
    test, prod = read_queues(text)
    assert (test.name, test.spot, test.vcpu, test.max_walltime_seconds) == ("Test", False, 1, 1800)
    assert (prod.name, prod.spot, prod.fallback, prod.vcpu) == ("Prod", True, True, 4)
    assert prod.max_walltime_seconds == MAX_WALLTIME_SECONDS
    assert test.admits(ALICE)
    assert prod.admits(BOB)


def test_the_document_tells_all_of_a_queue() -> None:
    """Its example is a table, and each field is explained with what it is when left out."""
    text = DOCUMENT.read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    assert [queue.name for queue in read_queues(example[1])] == ["Test", "Nightly"]
    for name, field in Queue.model_fields.items():
        row = next(line for line in text.splitlines() if f"`{name}`" in line and line[0] == "|")
        if isinstance(field.default, int) and field.default != MAX_WALLTIME_SECONDS:
            assert str(field.default).lower() in row, name


def test_a_table_says_all_of_a_queue() -> None:
    """What is left out has defaults."""
    large, plain = read_queues(
        table(
            {"name": "Large", "concurrency": 5, "vcpu": 32, "memory_mib": 249856, "spot": True},
            {},
        )
    )
    assert (large.concurrency, large.vcpu, large.memory_mib) == (5, 32, 249856)
    assert plain == Queue(name="q1", concurrency=1)
    assert read_queues("[]") == ()


@pytest.mark.parametrize(
    ("owners", "admitted"),
    [
        (["*"], [ALICE, BOB]),
        ([ALICE], [ALICE]),
        (["*:user/a*"], [ALICE]),
        (["*:user/ALICE"], []),
        (["*:user/bob", "*:user/alice"], [ALICE, BOB]),
        ([], []),
    ],
)
def test_owners_are_patterns(owners: list[str], admitted: list[str]) -> None:
    """As GET /v1/quota names them, in their own case."""
    (queue,) = read_queues(table({"owners": owners}))
    assert [owner for owner in (ALICE, BOB) if queue.admits(owner)] == admitted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "Invalid JSON"),
        ("{}", "valid array"),
        (table({"concurrency": 0}), "0.concurrency: "),
        (table({"name": "1st"}), "0.name: "),
        (table({}, {"vcpus": 2}), "1.vcpus: "),
        (table({"vcpu": 3}), "Fargate has 0.25, 0.5, 1"),
        (table({"vcpu": 4}), "memory_mib is 2048; with 4 vCPU Fargate has 8192 to 30720"),
        (table({"storage_gib": 20}), "0.storage_gib: "),
        (table({"max_walltime_seconds": 60}), "walltime_seconds is 300, over max_walltime_seconds"),
        (table({"name": "fargate"}), "the name of a backend"),
        (table({"name": "one"}, {"name": "one"}), "named twice: one, one"),
    ],
)
def test_a_bad_table_is_refused(text: str, words: str) -> None:
    """By a ValueError that says where and what; a function with such settings does not start."""
    with pytest.raises(ValueError, match="the table of queues") as refused:
        read_queues(text)
    assert words in str(refused.value)
    with pytest.raises(ValidationError, match="the table of queues"):
        Settings.model_validate({**NAMES, "queues": text})


def test_unknown_and_foreign_queues_are_alike() -> None:
    """In Cloud Kotta's words, with those that the caller has."""
    queues = read_queues(table({"name": "Ours"}, {"name": "Theirs", "owners": [BOB]}))
    assert find_queue(queues, "Theirs", BOB).name == "Theirs"
    for name in ("Theirs", "None"):
        with pytest.raises(InvalidRequest) as refused:
            find_queue(queues, name, ALICE)
        assert str(refused.value) == f"Queue : [{name}] is not valid; you have Ours"
    with pytest.raises(InvalidRequest, match="you have none"):
        find_queue((), "Test", ALICE)


def test_the_slots_of_a_lane_are_those_of_its_queue() -> None:
    """No other lane of a worker is called as a queue is."""
    settings = Settings.model_validate(
        {**NAMES, "queues": table({"name": "Big", "concurrency": 7}), "fargate_concurrency": 9}
    )
    assert settings.lane_concurrency("echo/Big") == 7
    assert settings.lane_concurrency("echo/fargate") == 9
    assert settings.lane_concurrency("echo") == settings.worker_concurrency
