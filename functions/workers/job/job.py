"""Package of the jobs' worker: nothing but its name, for the library runs jobs by itself.

A container asks Lambda for it as for any worker's package, and gets the core layer with it.
"""

from typing import Any, NoReturn


def lambda_handler(event: Any, context: Any) -> NoReturn:
    """Never called by the grid: POST /v1/jobs sends jobs to containers."""
    raise RuntimeError("jobs run in containers: submit them to /v1/jobs")
