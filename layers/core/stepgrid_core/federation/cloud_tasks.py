"""What the worker of a cloud node is given for a run, and what its answer becomes. Pure.

    readable   {"method", "args", "kwargs", ...} --> any JSON value --> base64 of it
    encrypted  {"input": ciphertext, ...}        --> {"result": ciphertext} --> as it is

In an encrypted collaboration nobody here has a key: the worker holds its organization's own.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from .records import FederatedTask, run_id
from .runs import MOST_RESULT
from .statuses import COMPLETED, CRASHED, FAILED
from .task_request import is_ciphertext


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ends."""

    status: str
    log: str = ""
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked, for a worker that encrypts its answer."""

    organization_id: int
    public_key: str


class UnreadableInput(ValueError):
    """An input that no worker can be given; the message is for the run's log."""


def make_task(
    task: FederatedTask, index: int, text: str, encrypted_for: Origin | None
) -> dict[str, Any]:
    """encrypted_for: None where inputs are readable. Raises UnreadableInput."""
    about = {
        "databases": [dict(each) for each in task.databases],
        "organization_id": task.organization_ids[index],
        "collaboration_id": task.collaboration_id,
        "task_id": task.id,
        "run_id": run_id(task.id, index),
        "job_id": task.job_id,
        "image": task.image,
    }
    if encrypted_for is None:
        return _read_input(text) | about
    whose = {"id": encrypted_for.organization_id, "public_key": encrypted_for.public_key}
    return {"input": text, "init_organization": whose} | about


def _read_input(text: str) -> dict[str, Any]:
    try:
        said = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, UnicodeDecodeError, ValueError, RecursionError):
        raise UnreadableInput(
            "the input is not JSON in base64: a node in the cloud takes no other serialization"
        ) from None
    method = said.get("method") if isinstance(said, dict) else None
    if not isinstance(method, str):
        raise UnreadableInput("the input is no JSON object with a method")
    args, kwargs = said.get("args") or [], said.get("kwargs") or {}
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise UnreadableInput("the input's args are no list, or its kwargs no object")
    return {"method": method, "args": args, "kwargs": kwargs}


def read_answer(answer: Any, *, encrypted: bool) -> Verdict:
    """A worker's answer as the run's end."""
    if encrypted:
        text = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not is_ciphertext(text):
            return Verdict(
                CRASHED,
                'in an encrypted collaboration the worker has to answer {"result": ciphertext}, '
                "encrypted for the organization that asked",
            )
    else:
        text = base64.b64encode(json.dumps(answer).encode()).decode()
    if len(text) > MOST_RESULT:
        return Verdict(
            FAILED,
            f"The result has {len(text)} characters, and {MOST_RESULT} is the most; have the "
            "worker return less.",
        )
    return Verdict(COMPLETED, result=text)
