"""The constants of a cloud, as the simulation sees it: limits, latencies, and work of its parts.

Each figure of AWS has its source and date beside it. Those of the local cloud are measured, see
`calibration`. Knows nothing of sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from stepgrid.connection import TRANSFERS
from stepgrid.uploads import PART_BYTES, PARTS_AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`inf` as a rate or a number of servers means: no limit."""

    name: str

    # --- the client ---
    #: CPU to pack one task, and to decode one result
    client_pack_seconds: float
    client_decode_seconds: float
    #: CPU for each chunk (its entry in a page, its request), and for each byte, each way
    client_chunk_seconds: float = 0.0
    client_byte_seconds: float = 0.0
    #: its line, each way
    client_bytes_per_second: float
    #: bytes of one part of an upload; parts and results under way at once
    part_bytes: int = PART_BYTES
    parts_at_once: float = PARTS_AT_ONCE
    transfers_at_once: float = TRANSFERS

    # --- API and state machines ---
    #: from a request of the client to its answer, without what the request waits for
    api_seconds: float
    start_execution_seconds: float
    #: from the start of an execution to its first child
    burst_start_seconds: float
    map_start_seconds: float
    #: children that a distributed Map starts
    express_starts_per_second: float = inf
    standard_starts_per_second: float = inf
    #: children that run at once: of an inline Map, of a distributed one
    inline_at_once: float = 40
    map_at_once: float = 10_000
    #: what a child takes besides its invocation
    child_seconds: float = 0.0

    # --- Lambda ---
    #: new environments of one function: at once, and then steadily
    environments_at_once: float = inf
    environments_per_second: float = inf
    cold_start_seconds: float = 0.0
    invoke_seconds: float = 0.0
    worker_memory_mib: int = 1769
    function_memory_mib: int = 1024

    # --- DynamoDB: one session is one partition key ---
    table_seconds: float
    partition_writes_per_second: float = inf
    partition_reads_per_second: float = inf

    # --- S3: one prefix for inputs, one for the results of a session ---
    get_seconds: float
    put_seconds: float
    prefix_gets_per_second: float = inf
    prefix_puts_per_second: float = inf
    #: of one worker
    worker_bytes_per_second: float = inf

    # --- the worker library ---
    #: CPU beside the user's code: of a task, of a chunk, of a byte in and out
    worker_task_seconds: float
    worker_chunk_seconds: float = 0.0
    worker_byte_seconds: float = 0.0

    # --- one machine for everything ---
    #: cores that client, emulator and functions share; inf: each has its own
    cores: float = inf
    #: below 1 where other programs use them as well
    core_speed: float = 1.0
    #: CPU of the emulator's single interpreter: of an API call, of a chunk from its dispatch to
    #: its end, of a byte each time that it passes through
    emulator_api_seconds: float = 0.0
    emulator_chunk_seconds: float = 0.0
    emulator_byte_seconds: float = 0.0


#: us-east-1 as its documents describe it. Sources, all looked up in November 2026:
#:  [lambda]   docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
#:  [dynamodb] docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
#:  [s3]       docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
#:  [sfn]      docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
#:  [assumed]  no document says it: a figure of common experience, open to correction
AWS = Profile(
    name="aws",
    # measured with this SDK on a 2026 server core, see docs/simulation.md
    client_pack_seconds=5e-6,
    client_decode_seconds=8e-6,
    # [assumed] a client on EC2 in the same Region, 1 Gbit/s
    client_bytes_per_second=125e6,
    # [assumed] REST API, warm function, a line of some milliseconds
    api_seconds=0.05,
    start_execution_seconds=0.03,  # [assumed]
    burst_start_seconds=0.03,  # [assumed]
    # [assumed] "about two seconds" in the design of this grid
    map_start_seconds=2.0,
    # The design's figures for children of a Map; the public quota page names none.
    express_starts_per_second=1_000,
    standard_starts_per_second=100,
    inline_at_once=40,  # [sfn] an inline Map runs up to 40 iterations at once
    map_at_once=10_000,  # [sfn] a distributed Map runs up to 10,000 children at once
    child_seconds=0.05,  # [assumed] five states
    # [lambda] 1,000 environments every 10 s for each function, refilled continuously
    environments_at_once=1_000,
    environments_per_second=100,
    # [assumed] Python with boto3 and pydantic in a layer, and the child process of the runner
    cold_start_seconds=1.0,
    invoke_seconds=0.02,  # [assumed]
    table_seconds=0.006,  # "single-digit milliseconds"
    # [dynamodb] of one partition; no split for heat, which takes minutes, and no burst
    # capacity, which is not promised
    partition_writes_per_second=1_000,
    partition_reads_per_second=3_000,
    # [s3] 100 to 200 ms for small objects; the lower end
    get_seconds=0.1,
    put_seconds=0.1,
    prefix_gets_per_second=5_500,  # [s3] of one prefix, before it was split
    prefix_puts_per_second=3_500,
    worker_bytes_per_second=75e6,  # [assumed] 600 Mbit/s of one environment
    worker_task_seconds=30e-6,  # measured, as above
    worker_chunk_seconds=0.01,
)

#: The local cloud on a machine of 4 cores, as `stepgrid bench simulate --validate` measured it in
#: November 2026. All services are one emulator: nothing is limited but the CPU.
LOCAL = Profile(
    name="local",
    client_pack_seconds=7e-6,
    client_decode_seconds=9e-6,
    client_chunk_seconds=1.5e-3,
    client_bytes_per_second=inf,
    api_seconds=0.005,
    start_execution_seconds=0.005,
    burst_start_seconds=0.005,
    map_start_seconds=0.01,
    cold_start_seconds=0.5,
    table_seconds=0.0,
    get_seconds=0.0,
    put_seconds=0.0,
    worker_task_seconds=24e-6,
    worker_chunk_seconds=0.018,
    cores=4,
    emulator_api_seconds=0.01,
    emulator_chunk_seconds=0.014,
    emulator_byte_seconds=3e-9,
)

PROFILES = {profile.name: profile for profile in (AWS, LOCAL)}
