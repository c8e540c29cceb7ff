"""Ids, object keys and table keys: every name that the parts must agree on, made in one place."""

import hashlib
import re
import uuid

#: tasks and chunks are numbered from 0; a shard item carries this many chunks
CHUNKS_PER_SHARD = 16

#: the worker whose tasks are jobs; its sessions are made by POST /v1/jobs alone
JOB_WORKER = "job"

#: stands in the place of a worker in sessions of the backend `node`, whose tasks are runs of a
#: federated task: nodes outside the cloud take them, and no function of this name is ever called
FEDERATION_WORKER = "federation"

SESSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TASK_ID = re.compile(rf"(?P<session>{SESSION_ID.pattern})_[0-9]+")
#: of a job, or with `_` and a number of one job of an array
JOB_ID = re.compile(rf"(?P<session>{SESSION_ID.pattern})(_(?P<index>0|[1-9][0-9]{{0,4}}))?")
SUBSCRIPTION_ID = re.compile(r"[0-9a-f]{24}")
WORKER_NAME = r"^[a-z][a-z0-9-]{0,47}$"
CLIENT_TOKEN = r"^[A-Za-z0-9_.:=@-]{1,128}$"  # noqa: S105 - a pattern, not a secret
UPLOAD_ID = r"^[0-9a-f]{32}$"


def session_id(owner: str, client_token: str) -> str:
    """The same owner and token always give the same id: that makes submit idempotent."""
    digest = hashlib.sha256(f"session\n{owner}\n{client_token}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16]))


def task_id(session: str, index: int) -> str:
    """HTC-Grid's form of a task id."""
    return f"{session}_{index}"


def event_id(session: str, kind: str, percent: int | None = None) -> str:
    """The same event always has the same id: that makes repeats known as such."""
    return f"{session}:{kind}" if percent is None else f"{session}:{kind}:{percent}"


def subscription_id(owner: str, client_token: str) -> str:
    """The same owner and token always give the same id.

    Short, because a rule's name has at most 64 characters (EventBridge PutRule), stack included.
    """
    return hashlib.sha256(f"subscription\n{owner}\n{client_token}".encode()).hexdigest()[:24]


def owner_folder(owner: str) -> str:
    """Identities hold characters that object keys should not, and are nobody's business."""
    return hashlib.sha256(f"owner\n{owner}".encode()).hexdigest()[:24]


def input_key(owner: str, upload_id: str) -> str:
    """Made from the verified owner, so an upload id of somebody else leads nowhere."""
    return f"inputs/{owner_folder(owner)}/{upload_id}.jsonl"


def common_key(owner: str, upload_id: str) -> str:
    """Of a session's common input; also made from the verified owner."""
    return f"inputs/{owner_folder(owner)}/common/{upload_id}.json"


def output_key(session: str, chunk: int, attempt: int, part: int) -> str:
    """One object for each (chunk, attempt, part): a late attempt can't overwrite another's."""
    return f"{results_prefix(session)}{chunk:05d}/{attempt}-{part}.jsonl"


def is_output_key(key: str) -> bool:
    """Does it name an output? Such an object is written once, and never replaced."""
    return key.startswith("results/")


def results_prefix(session: str) -> str:
    return f"results/{session}/"


def runs_prefix(session: str) -> str:
    """Of a federated task's inputs and outputs. No rule of the bucket removes what is below it:
    runs wait for their nodes as long as they have to.
    """
    return f"federation/{session}/"


def run_inputs_key(session: str, sha256: str) -> str:
    return f"{runs_prefix(session)}inputs/{sha256[:32]}.jsonl"


def run_output_key(session: str, chunk: int, attempt: int, digest: str) -> str:
    """What is in it is part of its name: a node that repeats itself in other words replaces
    nothing.
    """
    return f"{runs_prefix(session)}{chunk:05d}/{attempt}-{digest}.jsonl"


def file_key(owner: str, upload_id: str, name: str) -> str:
    """Of a file that was uploaded for jobs; also made from the verified owner."""
    return f"files/{owner_folder(owner)}/{upload_id}/{name}"


def job_outputs_prefix(days: int, owner: str, session: str) -> str:
    """The days come first: the bucket removes by prefix what has been kept so long."""
    return f"jobs/{days}/{owner_folder(owner)}/{session}/"


def job_output_place(index: int, attempt: int, name: str) -> str:
    """Below the prefix: one object for each start, so a late one can't overwrite another's."""
    return f"{index}/{attempt}/{name}"


def job_output_key(days: int, owner: str, session: str, start: tuple[int, int], name: str) -> str:
    """Of a file that a start (number, attempt) of a job left; `name` is relative to its folder."""
    return job_outputs_prefix(days, owner, session) + job_output_place(*start, name)


def execution_name(session: str, dispatch: int) -> str:
    """The first execution bears the session's id; later ones add the number of the dispatch.

    A name is taken for 90 days after its execution ended (Step Functions StartExecution).
    """
    return session if dispatch <= 1 else f"{session}-{dispatch}"


def replica_names(function: str, replicas: int) -> list[str]:
    """A worker's function and its replicas: `f`, `f_2`, `f_3` ... No worker's name has a `_`."""
    return [function, *(f"{function}_{number}" for number in range(2, replicas + 1))]


def shard_of(chunk: int) -> tuple[int, int]:
    """Shard number and slot in it."""
    return divmod(chunk, CHUNKS_PER_SHARD)
