"""How a session is cut for containers, and how many of them share it. Pure.

    containers --each puller takes the next chunk--> |==|==|==|=|=|=|   until none is left

The state machine starts containers; which chunk goes to which puller is decided when it asks. So a
chunk needs no dispatch, and there are as many containers as are worth their start.
"""

import math
from dataclasses import replace

from .layout import Layout
from .planning import MAX_CHUNKS, Plan, Workload, cut_heavy, cut_wished, shape
from .waves import cut

#: From RunTask to the first claim, most of it the pull of the image (billed from there on).
START_SECONDS = 45.0
#: Work for each puller that makes its start worth while: Fargate bills a minute at least, and the
#: start comes on top (AWS Fargate pricing).
LEAST_PULLER_SECONDS = 120.0
#: A look at a row goes through a function here, and costs what a second of a Spot vCPU does in ten.
WATCH_SECONDS = 2.0


def plan_containers(work: Workload, pullers: int, count: int | None) -> Plan:
    """pullers: chunks that a container runs at once. count: containers that somebody wished for.

    Neither has more slots than the workload may have.
    """
    wished = count * pullers if count else useful_pullers(work, pullers)
    slots = min(wished, work.slots)
    layout = cut_wished(work) if work.chunk_size else _cut(work, slots)
    return Plan(
        layout=cut_heavy(layout, work) if work.offsets else layout,
        route="map",
        children="standard",
        max_concurrency=slots,
        watch_seconds=WATCH_SECONDS,
    )


def _cut(work: Workload, slots: int) -> Layout:
    slots = min(slots, work.tasks)
    return cut(work.tasks, replace(shape(work, slots), slots=slots), MAX_CHUNKS)


def useful_pullers(work: Workload, pullers: int) -> int:
    """Whole containers, as long as each puller has enough to do."""
    worth = work.tasks * work.long_seconds / LEAST_PULLER_SECONDS
    containers = max(1, math.ceil(min(worth, work.tasks) / pullers))
    return min(containers * pullers, MAX_CHUNKS)
