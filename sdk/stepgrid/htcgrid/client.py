"""HTCGridClient: the client that HTC-Grid's user guide describes, on a stepgrid Grid.

    client = HTCGridClient(config_file="agent_config.json")
    session_id = client.submit_session([{"payload": {"worker_arguments": ["100", "1", "1"]}}])
    print(client.get_session_results(session_id))

It shares the way to the grid with AWSConnector, and gives back Python values in place of texts.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from stepgrid_core.contract import SessionDescription, SessionSummary
from stepgrid_core.errors import ConfigurationError, TaskCancelled, TaskError, Unavailable
from stepgrid_core.states import TERMINAL_SESSIONS

from ..client import Grid
from ..closable import Closable
from .access import Access
from .agent_config import AgentConfig, load_agent_config
from .default_worker import default_worker
from .grid_tasks import check_memory, pick_worker, read_options, read_tasks
from .responses import cancellation
from .results import ended_tasks


class GridConnectionError(Unavailable, ConnectionError):
    """The grid can't be reached: also a ConnectionError, as HTC-Grid's guide has it caught."""


class HTCGridClient(Closable):
    """Sessions of tasks by HTC-Grid's documented names. Safe for several threads."""

    def __init__(
        self,
        config_file: str | os.PathLike[str] | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        username: str = "",
        password: str = "",
        grid: Grid | None = None,
    ) -> None:
        """config_file: agent_config.json; that of AGENT_CONFIG_FILE when left out. config: its
        content, in place of a file. username, password: else those of the configuration, else of
        the environment. grid: an open Grid to use in place of all that.

        Raises ConfigurationError. HTC_LOG_LEVEL sets how much is logged.
        """
        if grid is not None:
            config = config or {}
        data = load_agent_config(config_file) if config is None else config
        self._config = AgentConfig.read(data)
        self._given_grid = grid
        self._access = Access(self._config, username, password)
        _set_log_level(os.environ.get("HTC_LOG_LEVEL"))

    def submit_session(
        self,
        tasks: Iterable[Mapping[str, Any]],
        *,
        runtime: str | None = None,
        timeout: float | None = None,
        memory: int | None = None,
        retry_count: int | None = None,
        priority: str | int | None = None,
        name: str | None = None,
    ) -> str:
        """Submit tasks as one session; answers its id.

        tasks: each with a "payload", which is what the worker's function gets, and with any of
        runtime (the worker's name), timeout (seconds of one attempt), memory (MB), retry_count
        (attempts after the first) and priority ("low" to "high", or 0 to 9). All tasks of a session
        agree in those; the arguments stand for tasks that don't say. name: shown in lists.

        Raises InvalidRequest for tasks that differ, ask for more memory than the worker has, or are
        not JSON; GridConnectionError where the grid can't be reached.
        """
        wishes = {"runtime": runtime, "timeout": timeout, "memory": memory}
        wishes |= {"retry_count": retry_count, "priority": priority}
        batch = read_tasks(tasks, wishes)
        with self._reaching_grid() as grid:
            listed = grid.connection.api.list_workers()
            default = default_worker(self._config, listed)
            worker = pick_worker(batch.settings.get("runtime"), listed.workers, default)
            check_memory(batch.settings.get("memory"), worker)
            options = read_options(batch.settings)
            options["name"] = name
            return grid.submit(worker.name, batch.payloads, **options).id

    def get_session_results(self, session_id: str, timeout: float | None = None) -> list[Any]:
        """Wait for the session's end; answers what each task returned, in order of submission.

        In the place of a task without a result stands {"statusCode": 500, "error", "state",
        "task_id"}. timeout: seconds. Raises DeadlineExceeded, a TimeoutError, and NotFound.
        """
        with self._reaching_grid() as grid:
            results = grid.session(session_id).results(
                return_exceptions=True, timeout=timeout, progress=False
            )
        return [_failure(item) if isinstance(item, TaskError) else item for item in results]

    def get_session_status(self, session_id: str) -> dict[str, Any]:
        """State and counts, now. completed_tasks: those that have ended, however they did.

        Raises NotFound for a session that is unknown, or not yours.
        """
        with self._reaching_grid() as grid:
            return _status(grid.connection.api.describe(session_id))

    def cancel_session(self, session_id: str) -> dict[str, int]:
        """Cancel what has not ended; answers how many tasks that were, by their state."""
        with self._reaching_grid() as grid:
            return cancellation(grid.cancel([session_id])[session_id])

    def list_sessions(self, state: Literal["active", "all"] = "active") -> list[dict[str, Any]]:
        """Your sessions, newest first: those that are open, or all that the grid still keeps."""
        with self._reaching_grid() as grid:
            return [
                _summary(session)
                for session in grid.sessions()
                if state == "all" or session.state not in TERMINAL_SESSIONS
            ]

    def close(self) -> None:
        """Let connections and threads go. Sessions of the grid go on without it."""
        self._access.close()

    @contextmanager
    def _reaching_grid(self) -> Iterator[Grid]:
        try:
            yield self._given_grid or self._access.grid()
        except Unavailable as error:
            raise GridConnectionError(str(error)) from error


def _failure(error: TaskError) -> dict[str, Any]:
    state = "cancelled" if isinstance(error, TaskCancelled) else "failed"
    return {"statusCode": 500, "error": str(error), "state": state, "task_id": error.task_id}


def _status(description: SessionDescription) -> dict[str, Any]:
    counts = description.counts.model_dump()
    return {
        "session_id": description.session_id,
        "status": description.state.value,
        "total_tasks": description.tasks,
        "completed_tasks": ended_tasks(description),
        **{f"{state}_tasks": number for state, number in counts.items()},
    }


def _summary(session: SessionSummary) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "status": str(session.state),
        "total_tasks": session.tasks,
        "runtime": session.worker,
        "created_at": session.created_at,
        "name": session.name,
    }


def _set_log_level(name: str | None) -> None:
    if not name:
        return
    level = logging.getLevelNamesMapping().get(name.upper())
    if level is None:
        raise ConfigurationError(f"HTC_LOG_LEVEL is {name!r}; give a level as logging names them")
    logging.getLogger("stepgrid").setLevel(level)
