"""The rules of the real grid by which a simulated session goes: the planner, pauses, limits.

The one module of the simulation that knows planes of the core. What it hands on is asked or read
where the grid itself does it, so that a change there changes the next simulation; a copy would not.
"""

from __future__ import annotations

from stepgrid_core.compute_plane.files import INLINE_SHARD_BYTES
from stepgrid_core.contract import MAX_WAIT_SECONDS
from stepgrid_core.long_poll import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.outputs import SHARDS_PER_PAGE
from stepgrid_core.packing import stride_of
from stepgrid_core.placement import DEFAULT_TASK_TIMEOUT_SECONDS
from stepgrid_core.planning import INLINE_INPUT_BYTES, Workload, plan
from stepgrid_core.progress import QUIET_SECONDS
from stepgrid_core.session_events import PROGRESS_STEP
from stepgrid_core.submission import SHARDS_STORED_TOGETHER
from stepgrid_core.task_time import TaskTime

__all__ = [
    "CHUNKS_PER_SHARD",
    "DEFAULT_TASK_TIMEOUT_SECONDS",
    "FIRST_PAUSE_SECONDS",
    "INLINE_INPUT_BYTES",
    "INLINE_SHARD_BYTES",
    "LAST_PAUSE_SECONDS",
    "MAX_WAIT_SECONDS",
    "PAUSE_GROWTH",
    "PROGRESS_STEP",
    "QUIET_SECONDS",
    "SHARDS_PER_PAGE",
    "SHARDS_STORED_TOGETHER",
    "TaskTime",
    "Workload",
    "plan",
    "stride_of",
]
