"""What an execution is billed for, from its history: state transitions, or a request.

Source: Step Functions pricing (its example counts start and end), and the developer guide,
"Transitions in distributed Map state": each child that a distributed Map starts is one transition;
"Handling errors": so is each retry. Those within STANDARD children are not counted, nor are lost
chunks and containers there: it would take the history of each child.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

#: Where an execution begins and ends.
START_AND_END = 2
#: Of a chunk that ends at once: IssueToken, RunChunk, RunAgain, Done in session.asl.yaml.
CHILD_STATES = 4
#: Of a container that ends by itself: FirstCapacity, IssueToken, RunContainer, ContainerEnded,
#: AnotherContainer, Done.
CONTAINER_STATES = 6
#: The states whose children are STANDARD executions, and the states of a child; of the other Map
#: they are EXPRESS.
STANDARD_MAPS = {"FanOutStandard": CHILD_STATES, "FanOutContainers": CONTAINER_STATES}
#: The route of sessions whose execution is an EXPRESS one.
BURST_ROUTE = "burst"
_GOES_ON = ("RUNNING", "PENDING_REDRIVE")


@dataclass(frozen=True, slots=True)
class ExecutionUse:
    """What Step Functions bills for one session."""

    state_transitions: int
    express_executions: int


#: Nothing was started.
NONE_STARTED = ExecutionUse(state_transitions=0, express_executions=0)
#: A burst is one EXPRESS execution, whose inline Map costs nothing more.
BURST = ExecutionUse(state_transitions=0, express_executions=1)


def is_over(states: Any, execution_arn: str) -> bool:
    """Whether a STANDARD execution has ended. `states` is a boto3 client of Step Functions."""
    return states.describe_execution(executionArn=execution_arn)["status"] not in _GOES_ON


def read_execution(states: Any, execution_arn: str) -> ExecutionUse:
    """Of a STANDARD execution that has ended, with the children of its Maps."""
    history = list(_history(states, execution_arn))
    entered = list(_entered(history))
    children = sum(_children(states, execution_arn))
    own = len(entered) + _retries(history) + START_AND_END
    for name, states_of_child in STANDARD_MAPS.items():
        if name in entered:
            return ExecutionUse(own + children * (1 + states_of_child + START_AND_END), 0)
    return ExecutionUse(own + children, children)


def _entered(history: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Names of the states that it went through."""
    for event in history:
        if str(event["type"]).endswith("StateEntered"):
            yield event["stateEnteredEventDetails"]["name"]


def _retries(history: Iterable[dict[str, Any]]) -> int:
    """A task is scheduled once when its state is entered, and again for each retry."""
    types = Counter(event["type"] for event in history)
    return max(0, types["TaskScheduled"] - types["TaskStateEntered"])


def _history(states: Any, execution_arn: str) -> Iterator[dict[str, Any]]:
    pages = states.get_paginator("get_execution_history").paginate(
        executionArn=execution_arn, includeExecutionData=False
    )
    return (event for page in pages for event in page["events"])


def _children(states: Any, execution_arn: str) -> Iterator[int]:
    for page in states.get_paginator("list_map_runs").paginate(executionArn=execution_arn):
        for run in page["mapRuns"]:
            described = states.describe_map_run(mapRunArn=run["mapRunArn"])
            yield described["executionCounts"]["total"]
