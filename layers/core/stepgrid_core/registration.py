"""A registered function: what an operator says of a plain Lambda that is to run tasks.

Such a function knows nothing of stepgrid; the relay calls it once for each task. This module knows
no store and no Lambda.
"""

from dataclasses import dataclass

#: Lambda takes and gives this much in a synchronous call (Lambda quotas: invocation payload, 6 MB).
PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Registration:
    """A function under the name of a worker."""

    name: str
    target: str  #: ARN of the function, of one of its versions or aliases
    runtime: str  #: as Lambda calls it; empty for a container image
    timeout_seconds: int  #: a task may take so long; not more than the function's own timeout
    memory_mib: int
    concurrency: int | None = None  #: chunks of it that run at once; None: the grid's number
