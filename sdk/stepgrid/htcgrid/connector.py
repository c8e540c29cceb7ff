"""AWSConnector: HTC-Grid's client, method by method, on a stepgrid Grid.

    init ──▶ authenticate ──▶ send ──────────────────────────▶ get_results, cancel_sessions
             (or at the       `─ generate_user_task_json
              first call)        `─ submit

A Grid does the work; this module only says it in HTC-Grid's words. Login is in access.py, formats
are in jobs.py and responses.py, and what was read before is in results.py.
"""

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from stepgrid_core.contract import MAX_WAIT_SECONDS
from stepgrid_core.errors import ConfigurationError, DeadlineExceeded, InvalidRequest, NotFound
from stepgrid_core.states import TERMINAL_SESSIONS

from ..client import Grid
from ..closable import Closable
from ..retry import Deadline
from ..submission import make_order
from ..submission import submit as submit_lines
from .access import Access
from .agent_config import AgentConfig
from .default_worker import find_default_worker
from .jobs import Job, encode_tasks, make_job, note_submission, read_job, read_scheduler
from .responses import Response, cancellation, submission
from .results import ResultStore, SessionResults, ended_tasks

logger = logging.getLogger("stepgrid.htcgrid")

#: A configured interval below this would only make requests: an open long-poll answers at once.
LEAST_PULL_SECONDS = 0.1
#: Sessions of which a client may still use the name they had before their submit.
REMEMBERED_NAMES = 10_000


class AWSConnector(Closable):
    """HTC-Grid's `api.connector.AWSConnector`. Safe for several threads.

    Either AWSConnector(client_config_data=...), or AWSConnector() and `init`. Errors are those of
    stepgrid: LoginRefused for a wrong password, InvalidRequest for what can't be submitted,
    ConfigurationError for what is missing, Unavailable when the grid can't be reached.
    """

    def __init__(
        self, client_config_data: Mapping[str, Any] | None = None, *, grid: Grid | None = None
    ) -> None:
        """client_config_data: as in `init`. grid: an open Grid to use in place of the one that the
        configuration names, for example that of stepgrid.testing; it stays the caller's to close.
        """
        self._lock = threading.RLock()
        self._config: AgentConfig | None = None
        self._access: Access | None = None
        self._given_grid = grid
        self._results: ResultStore | None = None
        self._worker: str | None = None
        #: id that a job had before its submit -> the grid's
        self._names: OrderedDict[str, str] = OrderedDict()
        if client_config_data is not None:
            self.init(client_config_data)
        elif grid is not None:
            self._config = AgentConfig()

    def init(  # noqa: PLR0917 - HTC-Grid's signature
        self,
        agent_config_data: Mapping[str, Any],
        username: str = "",
        password: str = "",
        cognitoidp_client: Any = None,
        s3_custom_resource: Any = None,
        redis_custom_connection: Any = None,
    ) -> None:
        """Take the configuration; nothing is sent.

        agent_config_data: HTC-Grid's dictionary; see docs/htcgrid.md for the keys. username,
        password: else those of the configuration, else of the environment (USERNAME, PASSWORD).
        cognitoidp_client: a boto3 client to log in with. s3_custom_resource,
        redis_custom_connection: not needed, since payloads travel by the grid's own data plane.
        Raises ConfigurationError for a key with a value that can't be.
        """
        config = AgentConfig.read(agent_config_data)
        with self._lock:
            self.close()
            self._config = config
            self._access = Access(config, username, password, cognitoidp_client)
            self._results, self._worker = None, None

    def authenticate(self) -> None:
        """Log in, unless INTRA_VPC is set: then calls bear the ambient AWS credentials.

        Without it, the first call logs in. Raises LoginRefused, ConfigurationError.
        """
        if self._given_grid is None:
            self._open_access().grid()

    def refresh(self) -> None:
        """Renew the login now. Not needed: it renews itself before it expires."""
        if self._given_grid is None:
            self._open_access().refresh()

    def send(self, tasks_list: Iterable[Any]) -> Response:
        """Submit tasks as one session.

        Answers {"session_id", "task_ids"}, with the ids in the order of the tasks. Raises
        InvalidRequest for no tasks, or one that is not JSON; no session was made then.
        """
        token = str(uuid.uuid4())
        return self._submit(Job(token, encode_tasks(tasks_list), self._default_options()))

    def send_sessions(self, sessions: Iterable[Iterable[Any]]) -> list[Response]:
        """Submit several sessions, one for each list of tasks; answers as `send` for each."""
        return [self.send(tasks_list) for tasks_list in sessions]

    def generate_user_task_json(self, tasks_list: Iterable[Any] | None = None) -> dict[str, Any]:
        """Make the dictionary that `submit` takes; nothing is sent. See stepgrid.htcgrid.jobs."""
        config = self._configured()
        tasks = [] if tasks_list is None else tasks_list
        return make_job(tasks, config.task_timeout_seconds, config.retry_count)

    def submit(self, jobs: dict[str, Any]) -> Response:
        """Submit what generate_user_task_json made; answers as `send`.

        From here on the dictionary bears the grid's ids. Repeated, it answers the same session.
        Its scheduler_data counts: task_timeout_sec of one attempt, retry_count attempts more.
        """
        name = jobs.get("session_id") if isinstance(jobs, dict) else None
        response = self._submit(read_job(jobs))
        with self._lock:
            self._names[str(name)] = response["session_id"]
            while len(self._names) > REMEMBERED_NAMES:
                self._names.popitem(last=False)
        note_submission(jobs, response)
        return response

    def get_results(
        self, submission_response: Mapping[str, Any], timeout_sec: float = 0
    ) -> Response:
        """Wait until all tasks of a session have ended, or the time is up; answers what there is.

        submission_response: what `send` answered. timeout_sec: 0 waits as long as it takes. Of the
        answer's lists, always all there, `finished_OUTPUT` holds the JSON text of what the function
        returned, `failed_OUTPUT` why a task has no result. A session that is unknown has none.
        """
        session_id = _session_id(submission_response)
        clock = self._grid().connection.clock
        deadline = Deadline.after(clock, timeout_sec if timeout_sec and timeout_sec > 0 else None)
        expected = submission_response.get("task_ids")
        return self._await(session_id, deadline, None if expected is None else len(expected))

    def invoke_get_results_lambda(self, session_id: Mapping[str, Any]) -> Response:
        """What there is now, in the form of get_results; session_id: {"session_id": ...}."""
        clock = self._grid().connection.clock
        return self._await(_session_id(session_id), Deadline.after(clock, 0), None)

    def cancel_sessions(self, session_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """Cancel sessions; answers for each how many tasks this call cancelled, by their state.

        What has finished stays finished. Unknown ids have zeros.
        """
        if isinstance(session_ids, str):
            raise InvalidRequest(f"session_ids is one id; give a list: [{session_ids!r}]")
        asked = list(session_ids)
        counts = self._grid().cancel(self._resolve(name) for name in asked)
        return {name: cancellation(counts[self._resolve(name)]) for name in asked}

    def cancel(self, session_id: str) -> dict[str, int]:
        """Cancel one session; answers its counts."""
        return self.cancel_sessions([session_id])[session_id]

    def close(self) -> None:
        """Let connections and threads go. Sessions of the grid go on without it."""
        with self._lock:
            if self._access is not None:
                self._access.close()

    def __repr__(self) -> str:
        url = self._config.public_url if self._config else None
        return f"<AWSConnector {url or 'without a configuration'}>"

    # Below: how.

    def _submit(self, job: Job) -> Response:
        grid = self._grid()
        order = make_order(self._find_worker(grid), job.client_token, job.options)
        description = submit_lines(grid.connection, order, job.lines)
        logger.debug("submitted session %s", description.session_id)
        return submission(description.session_id, description.tasks)

    def _await(self, name: str, deadline: Deadline, expected: int | None) -> Response:
        session_id = self._resolve(name)
        results = self._store().of(session_id)
        while not results.complete and not self._look(session_id, results, deadline, expected):
            pass
        return results.response(name)

    def _look(
        self, session_id: str, results: SessionResults, deadline: Deadline, expected: int | None
    ) -> bool:
        """Wait for news for one interval; is there nothing more to wait for?"""
        api = self._grid().connection.api
        seconds = min(self._pull_seconds(), deadline.left_seconds)
        try:
            description = api.describe(session_id, seconds, deadline.call_seconds, results=True)
            ended = ended_tasks(description)
            enough = ended >= (description.tasks if expected is None else expected)
            over = enough or description.state in TERMINAL_SESSIONS or deadline.passed
            if over:
                results.update(description, deadline.call_seconds)
        except NotFound:
            return True
        except DeadlineExceeded:
            if not deadline.passed:
                raise
            return True
        if over and not enough:
            logger.warning("session %s: %d tasks had ended in time", session_id, ended)
        return over

    def _pull_seconds(self) -> float:
        seconds = self._configured().pull_interval_seconds
        return min(max(seconds, LEAST_PULL_SECONDS), MAX_WAIT_SECONDS)

    def _default_options(self) -> Any:
        config = self._configured()
        limits = {
            "task_timeout_sec": config.task_timeout_seconds,
            "retry_count": config.retry_count,
        }
        return read_scheduler(limits)

    def _resolve(self, name: str) -> str:
        with self._lock:
            return self._names.get(name, name)

    def _find_worker(self, grid: Grid) -> str:
        with self._lock:
            if self._worker is None:
                self._worker = find_default_worker(self._configured(), grid)
            return self._worker

    def _store(self) -> ResultStore:
        grid = self._grid()
        with self._lock:
            if self._results is None:
                self._results = ResultStore(grid.connection)
            return self._results

    def _grid(self) -> Grid:
        return self._given_grid or self._open_access().grid()

    def _open_access(self) -> Access:
        self._configured()
        assert self._access is not None
        return self._access

    def _configured(self) -> AgentConfig:
        if self._config is None:
            raise ConfigurationError(
                "the connector has no configuration; call init(agent_config_data) first, or give "
                "AWSConnector(client_config_data=...)"
            )
        return self._config


def _session_id(answer: Any) -> str:
    session_id = answer.get("session_id") if isinstance(answer, Mapping) else None
    if not isinstance(session_id, str):
        raise InvalidRequest(
            "there is no session_id in what was given; give the answer of send or submit"
        )
    return session_id
