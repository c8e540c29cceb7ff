"""What the two state machines promise, read off their definitions.

How they behave is shown by running them, in tests/integration.
"""

import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.translated_template import PROJECT, read_definition, read_template

NAMES = ("session", "burst")
STATE_DATA_BYTES = 256 * 1024
MOST_CHUNKS = 10_000
EXPRESS_SECONDS = 300
LAMBDA_SERVICE_ERRORS = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
}

State = dict[str, Any]


def fan_outs() -> dict[str, State]:
    """The Map states, by where they are."""
    return {
        f"{name}.{state}": described
        for name in NAMES
        for state, described in read_definition(name)["States"].items()
        if described["Type"] == "Map"
    }


def scopes(name: str) -> Iterator[dict[str, Any]]:
    """A definition and every item processor in it: each has StartAt and States of its own."""
    definition = read_definition(name)
    yield definition
    for state in definition["States"].values():
        if state["Type"] == "Map":
            yield state["ItemProcessor"]


def states(name: str) -> Iterator[tuple[str, State]]:
    for scope in scopes(name):
        yield from scope["States"].items()


def next_states(state: State) -> set[str]:
    """Every state that this one can lead to."""
    choices = [*state.get("Choices", []), *state.get("Catch", [])]
    targets = {choice["Next"] for choice in choices}
    return targets | {state[key] for key in ("Next", "Default") if key in state}


def chunk_states(fan_out: State) -> dict[str, State]:
    found: dict[str, State] = fan_out["ItemProcessor"]["States"]
    return found


FAN_OUTS = fan_outs()
CONTAINERS = FAN_OUTS["session.FanOutContainers"]
#: Those whose children are chunks, one each.
OF_CHUNKS = {name: fan_out for name, fan_out in FAN_OUTS.items() if fan_out is not CONTAINERS}


def test_there_are_four_fan_outs() -> None:
    """Three distributed Maps in the session machine, one inline Map in the burst machine."""
    modes = {
        name: (
            fan_out["ItemProcessor"]["ProcessorConfig"]["Mode"],
            fan_out["ItemProcessor"]["ProcessorConfig"].get("ExecutionType"),
        )
        for name, fan_out in FAN_OUTS.items()
    }
    assert modes == {
        "session.FanOutExpress": ("DISTRIBUTED", "EXPRESS"),
        "session.FanOutStandard": ("DISTRIBUTED", "STANDARD"),
        "session.FanOutContainers": ("DISTRIBUTED", "STANDARD"),
        "burst.FanOut": ("INLINE", None),
    }


def test_a_chunk_runs_alike_on_every_route() -> None:
    """The item processors are equal, but that a burst hands the chunk's lines to the worker."""
    processors = [
        {key: value for key, value in fan_out["ItemProcessor"].items() if key != "ProcessorConfig"}
        for fan_out in OF_CHUNKS.values()
    ]
    express, standard, burst = copy.deepcopy(processors)
    payload = burst["States"]["RunChunk"]["Parameters"]["Payload"]
    assert payload.pop("lines.$") == "$.lines"
    assert express == standard == burst


def test_the_distributed_maps_differ_in_their_children_only() -> None:
    """FanOutExpress and FanOutStandard are one state but for label and execution type."""
    express = copy.deepcopy(FAN_OUTS["session.FanOutExpress"])
    standard = copy.deepcopy(FAN_OUTS["session.FanOutStandard"])
    for fan_out in (express, standard):
        del fan_out["Label"]
        del fan_out["ItemProcessor"]["ProcessorConfig"]["ExecutionType"]
    assert express == standard


def test_children_are_chosen_by_the_session() -> None:
    """Fargate gives containers; of the rest, `children: standard` STANDARD ones, else EXPRESS."""
    route = read_definition("session")["States"]["Route"]
    containers, standard = route["Choices"]
    assert containers["And"][1] == {"Variable": "$.session.backend", "StringEquals": "fargate"}
    assert containers["Next"] == "FanOutContainers"
    assert (standard["Variable"], standard["StringEquals"]) == ("$.session.children", "standard")
    assert standard["Next"] == "FanOutStandard"
    assert route["Default"] == "FanOutExpress"


def test_a_session_of_an_earlier_version_finds_its_way() -> None:
    """It has no backend, and a choice by what is not there fails the execution."""
    known = {"$.session.children"}
    for choice in read_definition("session")["States"]["Route"]["Choices"]:
        seen = set(known)
        for rule in choice.get("And", [choice]):
            assert rule.get("IsPresent") or rule["Variable"] in seen
            seen.add(rule["Variable"])


@pytest.mark.parametrize("name", NAMES)
def test_every_state_is_reached_and_every_target_exists(name: str) -> None:
    """From StartAt all states of a scope can be reached, and no transition leaves the scope."""
    for scope in scopes(name):
        reached: set[str] = set()
        frontier = {scope["StartAt"]}
        while frontier:
            reached |= frontier
            targets = {target for each in frontier for target in next_states(scope["States"][each])}
            frontier = targets - reached
        assert reached == set(scope["States"])


@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_bounded_retried_and_caught(name: str) -> None:
    """Each Task has a timeout, a limited Retry with full jitter, and a Catch for all the rest."""
    tasks = {name: state for name, state in states(name) if state["Type"] == "Task"}
    assert {"RunChunk", "RecordLoss"} <= set(tasks)
    for task in tasks.values():
        assert task["TimeoutSeconds"] > 0
        for retrier in task["Retry"]:
            assert retrier["JitterStrategy"] == "FULL"
            assert retrier["MaxDelaySeconds"] <= 60
            assert retrier["MaxAttempts"] <= 10
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("fan_out", FAN_OUTS.values(), ids=FAN_OUTS.keys())
def test_a_map_is_caught(fan_out: State) -> None:
    """A Map's own failure is caught, and what it had for output is dropped."""
    caught = [catcher["ErrorEquals"] for catcher in fan_out["Catch"]]
    assert caught == [["States.DataLimitExceeded"], ["States.ALL"]]
    assert all(catcher["ResultPath"] is None for catcher in fan_out["Catch"])


def test_the_map_never_decides_a_session() -> None:
    """All children may fail and the distributed Map still succeeds."""
    for name in ("session.FanOutExpress", "session.FanOutStandard", "session.FanOutContainers"):
        assert FAN_OUTS[name]["ToleratedFailurePercentage"] == 100


def test_only_faults_of_lambda_are_repeated_under_one_token() -> None:
    """RunChunk is retried on the five service errors, and waits end well before EXPRESS does."""
    (retrier,) = chunk_states(FAN_OUTS["session.FanOutExpress"])["RunChunk"]["Retry"]
    assert set(retrier["ErrorEquals"]) == LAMBDA_SERVICE_ERRORS
    longest = sum(
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n, retrier["MaxDelaySeconds"])
        for n in range(retrier["MaxAttempts"])
    )
    assert longest < EXPRESS_SECONDS / 3


def test_each_attempt_has_a_token_of_its_own() -> None:
    """ "again" leads back to IssueToken, so no two claims are made under one token."""
    chunk = chunk_states(FAN_OUTS["session.FanOutExpress"])
    assert chunk["IssueToken"]["Parameters"]["token.$"] == "States.UUID()"
    into_run_chunk = {name for name, state in chunk.items() if "RunChunk" in next_states(state)}
    assert into_run_chunk == {"IssueToken"}
    again = chunk["RunAgain"]["Choices"][0]
    assert again["Next"] == "IssueToken"
    assert again["And"][1] == {"Variable": "$.answer.payload.outcome", "StringEquals": "again"}


def test_each_attempt_may_go_to_another_replica() -> None:
    """Any of the worker's functions is drawn, and the chunk is run by the one that was."""
    chunk = chunk_states(FAN_OUTS["session.FanOutExpress"])
    drawn = "States.ArrayGetItem($.session.functions, States.MathRandom(0, $.session.replicas))"
    assert chunk["IssueToken"]["Parameters"]["function.$"] == drawn
    assert chunk["IssueToken"]["ResultPath"] == "$.claim"
    assert chunk["RunChunk"]["Parameters"]["FunctionName.$"] == "$.claim.function"


def test_a_lost_chunk_is_recorded_without_its_tasks() -> None:
    """The recorder is told of the chunk, the token and the error, never of payloads."""
    for fan_out in OF_CHUNKS.values():
        payload = chunk_states(fan_out)["RecordLoss"]["Parameters"]["Payload"]
        assert set(payload) == {"action", "session.$", "chunk.$", "token.$", "error.$"}
        assert payload["action"] == "lost"


def test_a_function_that_is_no_worker_is_a_loss() -> None:
    """An answer without an outcome is recorded as an error that says what to do."""
    chunk = chunk_states(FAN_OUTS["session.FanOutExpress"])
    assert chunk["RunAgain"]["Default"] == "NoOutcome"
    assert set(chunk["NoOutcome"]["Result"]) == {"Error", "Cause"}
    assert "Handler" in chunk["NoOutcome"]["Result"]["Cause"]
    assert chunk["NoOutcome"]["Next"] == "RecordLoss"


@pytest.mark.parametrize("fan_out", FAN_OUTS.values(), ids=FAN_OUTS.keys())
def test_no_payload_comes_out(fan_out: State) -> None:
    """Every child ends with {}: the largest Map stays far under the limit, and is dropped."""
    ends = {
        name: state
        for name, state in chunk_states(fan_out).items()
        if state["Type"] in {"Succeed", "Fail"} or state.get("End")
    }
    assert set(ends) == {"Done"}
    assert (ends["Done"]["Type"], ends["Done"]["Result"]) == ("Pass", {})
    assert fan_out["ResultPath"] is None
    assert len(json.dumps([{}] * MOST_CHUNKS)) < STATE_DATA_BYTES / 4


@pytest.mark.parametrize(("name", "last"), [("session", "Settled"), ("burst", "Finished")])
def test_an_execution_answers_nothing(name: str, last: str) -> None:
    """A finished execution ends with {}: what it was given does not come out again."""
    ends = {key for key, state in read_definition(name)["States"].items() if state.get("End")}
    assert ends == {last}
    assert read_definition(name)["States"][last]["Result"] == {}


def test_the_largest_session_fits_into_state_data() -> None:
    """10,000 chunk numbers, and as many again from Settle, leave half of the state data free."""
    numbers = list(range(MOST_CHUNKS))
    state_data = {"chunks": numbers, "settled": {"chunks": numbers}, "max_concurrency": 10_000}
    assert len(json.dumps(state_data)) < STATE_DATA_BYTES / 2


def test_chunks_that_are_left_run_again() -> None:
    """Settle -> AnyLeft -> Pause -> TakeRest -> Route, in the shape of the first input."""
    machine = read_definition("session")["States"]
    assert machine["AnyLeft"]["Choices"] == [
        {"Variable": "$.settled.chunks[0]", "IsPresent": True, "Next": "Pause"}
    ]
    path = ["Settle", "AnyLeft", "Pause", "TakeRest", "Route"]
    for here, there in itertools.pairwise(path):
        assert there in next_states(machine[here])
    assert machine["TakeRest"]["Parameters"] == {
        "session.$": "$.session",
        "chunks.$": "$.settled.chunks",
        "max_concurrency.$": "$.max_concurrency",
    }
    assert machine["Pause"]["Seconds"] > 0


def test_a_burst_carries_lines_to_the_worker_only() -> None:
    """`lines` appear in the item and in the worker's payload, and nowhere else."""
    assert json.dumps(read_definition("burst")).count('"lines.$"') == 2
    assert "lines" not in json.dumps(read_definition("session"))


@pytest.mark.parametrize("name", NAMES)
def test_paths_are_jsonpath(name: str) -> None:
    """No JSONata, and none of the Map's features that the design does without."""
    text = json.dumps(read_definition(name))
    refused = (
        "{%",
        '"QueryLanguage"',
        '"Arguments"',
        '"Assign"',
        '"ItemBatcher"',
        '"ItemReader"',
        '"ResultWriter"',
        '"ToleratedFailurePercentagePath"',
        '"HeartbeatSeconds"',
    )
    assert [word for word in refused if word in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_session_is_opaque(name: str) -> None:
    """The machines read what they choose by and what ECS is told, and carry the rest unread."""
    read = {"functions", "replicas", "children"}
    if name == "session":
        read |= {"backend", "container", "session_id"}
    text = json.dumps(read_definition(name))
    assert set(re.findall(r"\$\.session\.(\w+)", text)) <= read


@pytest.mark.parametrize(
    ("name", "resource"), [("session", "SessionMachine"), ("burst", "BurstMachine")]
)
def test_every_substitution_is_given(name: str, resource: str) -> None:
    """The placeholders of a definition are exactly those that the template fills."""
    given = read_template()["Resources"][resource]["Properties"]["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(read_definition(name)))) == set(given)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_use_plain_yaml(name: str) -> None:
    """No anchors or aliases: it is not documented that CloudFormation resolves them."""
    text = (PROJECT / "statemachines" / f"{name}.asl.yaml").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^[^#]*[:-] +[&*]\w", text) == []
