"""StagingLimits: how much a job may move, and how long it may take."""

from dataclasses import dataclass

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class StagingLimits:
    """What a container allows each job."""

    input_bytes: int = 20 * GIB  #: of one input
    inputs_bytes: int = 20 * GIB  #: of all inputs
    connect_seconds: float = 10.0
    read_seconds: float = 30.0  #: without a byte
    stage_in_seconds: float = 3600.0  #: for all inputs
    redirects: int = 3
    output_files: int = 1000
    output_bytes: int = 20 * GIB  #: of one output
    outputs_bytes: int = 20 * GIB  #: of all outputs
    output_entries: int = 100_000  #: looked at in folders while patterns are matched
    term_seconds: float = 1.0  #: from SIGTERM to SIGKILL, at the walltime
    kill_seconds: float = 15.0  #: until all processes of a job are gone
    cancel_stage_out_seconds: float = 90.0  #: to store what a killed job left
    slack_seconds: float = 20.0  #: beyond those, until a job that does not stop is left to itself
