"""The options of a session, as editors and type checkers see them.

Rules, limits and defaults are in stepgrid_core.contract.SessionOptions; a test keeps both alike.
"""

from typing import Literal, TypedDict

from stepgrid_core.contract import ContainerOptions


class Options(TypedDict, total=False):
    """Keyword arguments of Grid.submit, Grid.map and GridExecutor. Times are in seconds."""

    name: str | None
    tags: dict[str, str]
    timeout_seconds: int
    task_timeout_seconds: float | None
    max_attempts: int
    priority: int
    max_concurrency: int | None
    chunk_size: int | None
    backend: Literal["auto", "lambda", "fargate"]
    container: ContainerOptions | None
    task_seconds: float | None
