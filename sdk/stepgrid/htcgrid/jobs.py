"""HTC-Grid's job dictionary: what generate_user_task_json makes and submit takes.

    {"session_id": ...,                 until the submit: a token of ours; after it: the grid's id
     "scheduler_data": {"task_timeout_sec": 3600, "retry_count": 5, ...},
     "stats": {...},                    HTC-Grid's eight stages
     "tasks_list": {"tasks": [ids], "inputs": [JSON texts]},
     "client_token": ...}               ours: makes a repeated submit find the same session

HTC-Grid stores the inputs when it makes the dictionary; here they travel in it, as they were at
that moment, so that it is complete: it may be kept as JSON and be submitted by another process.
Pure, but for the time and the token.
"""

import itertools
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepgrid_core.codec import decode
from stepgrid_core.contract import MAX_ATTEMPTS
from stepgrid_core.data_plane import encode_lines
from stepgrid_core.errors import InvalidRequest

from ..options import Options
from .responses import task_ids

#: What HTC-Grid writes into every job. Nobody chose this limit, and no Lambda function may run so
#: long: it stands for the grid's own default.
UNCHOSEN_TIMEOUT_SECONDS = 3600
DEFAULT_RETRY_COUNT = 5

#: Stages of a task's life -> the label HTC-Grid's tools show.
_STAGES = {
    "stage1_grid_api_01_task_creation_tstmp": " ",
    "stage1_grid_api_02_task_submission_tstmp": "upload_data_to_storage",
    "stage2_sbmtlmba_01_invocation_tstmp": "grid_api_2_lambda_ms",
    "stage2_sbmtlmba_02_before_batch_write_tstmp": "task_construction_ms",
    "stage3_agent_01_task_acquired_sqs_tstmp": "sqs_queuing_time_ms",
    "stage3_agent_02_task_acquired_ddb_tstmp": "ddb_task_claiming_time_ms",
    "stage4_agent_01_user_code_finished_tstmp": "user_code_exec_time_ms",
    "stage4_agent_02_S3_stdout_delivered_tstmp": "S3_stdout_upload_time_ms",
}


@dataclass(frozen=True, slots=True)
class Job:
    """What is read from a job dictionary."""

    client_token: str
    lines: Iterable[bytes]
    options: Options


def encode_tasks(tasks: Any) -> Iterator[bytes]:
    """Each task as a line of JSON. Raises InvalidRequest: no list, no tasks, or not JSON."""
    if isinstance(tasks, str | bytes | Mapping) or not isinstance(tasks, Iterable):
        raise InvalidRequest(
            f"tasks_list is a {type(tasks).__name__}; give a list, with one entry for each task"
        )
    rest = iter(tasks)
    try:
        first = next(rest)
    except StopIteration:
        raise InvalidRequest("tasks_list is empty; a session needs at least one task") from None
    return encode_lines(itertools.chain([first], rest))


def make_job(
    tasks: Any, task_timeout_seconds: float | None = None, retry_count: float | None = None
) -> dict[str, Any]:
    """A job dictionary; both limits are HTC-Grid's where they are left out."""
    created_ms = _now_ms()
    inputs = [line.decode().rstrip("\n") for line in encode_tasks(tasks)]
    token = str(uuid.uuid4())
    return {
        "session_id": token,
        "scheduler_data": {
            "task_timeout_sec": _number(task_timeout_seconds, UNCHOSEN_TIMEOUT_SECONDS),
            "retry_count": _number(retry_count, DEFAULT_RETRY_COUNT),
            "tstamp_api_grid_connector_ms": 0,
            "tstamp_agent_read_from_sqs_ms": 0,
        },
        "stats": _stats(created_ms),
        "tasks_list": {"tasks": task_ids(token, range(len(inputs))), "inputs": inputs},
        "client_token": token,
    }


def read_job(job: Any) -> Job:
    """What to submit. Raises InvalidRequest for what is no job dictionary."""
    if not isinstance(job, Mapping) or not isinstance(job.get("tasks_list"), Mapping):
        raise InvalidRequest(
            "jobs is no dictionary with a tasks_list; generate_user_task_json makes one"
        )
    token = job.get("client_token") or job.get("session_id")
    if not isinstance(token, str) or token in ("", "None"):
        raise InvalidRequest("the job has no session_id; generate_user_task_json gives it one")
    scheduler = job.get("scheduler_data") or {}
    return Job(token, _lines(job["tasks_list"], job.get("session_id")), read_scheduler(scheduler))


def read_scheduler(scheduler: Mapping[str, Any]) -> Options:
    """The options that scheduler_data asks for. Raises InvalidRequest."""
    options: Options = {}
    seconds = scheduler.get("task_timeout_sec", UNCHOSEN_TIMEOUT_SECONDS)
    if seconds not in (None, UNCHOSEN_TIMEOUT_SECONDS):
        options["task_timeout_seconds"] = seconds
    return {**options, "max_attempts": read_attempts(scheduler.get("retry_count"))}


def read_attempts(retry_count: Any) -> int:
    """How often a task may start in all. Raises InvalidRequest for what is no number of retries."""
    retries = DEFAULT_RETRY_COUNT if retry_count is None else retry_count
    whole = isinstance(retries, int | float) and not isinstance(retries, bool)
    if not whole or retries != int(retries) or not 0 <= retries < MAX_ATTEMPTS:
        raise InvalidRequest(
            f"retry_count is {retry_count!r}; give a whole number from 0 to {MAX_ATTEMPTS - 1}"
        )
    return int(retries) + 1


def note_submission(job: Any, submitted: Mapping[str, Any]) -> None:
    """Let the dictionary bear the ids under which the grid knows its session from now on."""
    job["session_id"] = submitted["session_id"]
    job["tasks_list"]["tasks"] = list(submitted["task_ids"])


def _lines(tasks_list: Mapping[str, Any], session_id: Any) -> Iterator[bytes]:
    if "inputs" in tasks_list:
        return encode_tasks(_decode(tasks_list["inputs"]))
    tasks = tasks_list.get("tasks")
    if isinstance(tasks, list) and tasks and tasks == task_ids(str(session_id), range(len(tasks))):
        raise InvalidRequest(
            "the job's tasks_list has ids but no inputs; HTC-Grid kept them elsewhere: make the "
            "job with this connector's generate_user_task_json"
        )
    return encode_tasks(tasks)


def _decode(inputs: Any) -> Iterator[Any]:
    if isinstance(inputs, str) or not isinstance(inputs, Iterable):
        kind = type(inputs).__name__
        raise InvalidRequest(f"the job's inputs are a {kind}; give a list of JSON texts")
    for index, text in enumerate(inputs):
        try:
            yield decode(str.encode(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"input {index} of the job is not JSON text: {error}") from error


def _number(value: float | None, default: int) -> float | int:
    number = default if value is None else value
    return int(number) if number == int(number) else number


def _stats(created_ms: int) -> dict[str, dict[str, Any]]:
    stats: dict[str, dict[str, Any]] = {
        stage: {"label": label, "tstmp": 0} for stage, label in _STAGES.items()
    }
    creation, submission, *_ = stats.values()
    creation["tstmp"], submission["tstmp"] = created_ms, _now_ms()
    return stats


def _now_ms() -> int:
    return round(time.time() * 1000)
