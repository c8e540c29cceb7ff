"""What a submit refuses, and that it then changes nothing."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import SubmitRequest, UploadRequest
from stepgrid_core.endpoints import HttpRequest, answer
from stepgrid_core.errors import Conflict, InvalidRequest, RequestTooLarge
from stepgrid_core.names import input_key
from stepgrid_core.outputs import delete_session
from stepgrid_core.ports import StateTable
from stepgrid_core.submission import create_upload
from tests.submitting import submit

OWNER = "owner"
MIB = 1024 * 1024


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({"echo": lambda task, context: task}, settings={"max_tasks": 1000})


def request(**changes: Any) -> SubmitRequest:
    base = {"client_token": "t", "worker": "echo", "tasks": [1, 2]}
    merged = {**base, **changes}
    return SubmitRequest.model_validate({k: v for k, v in merged.items() if v is not None})


def uploaded(memory: InMemoryGrid, lines: list[bytes], **changes: Any) -> SubmitRequest:
    """A submit of a file that lies in the owner's folder."""
    body = b"".join(lines)
    memory.payloads.put(input_key(OWNER, "0" * 32), body)
    starts = [sum(len(line) for line in lines[:n]) for n in range(len(lines))]
    upload = {
        "upload_id": "0" * 32,
        "tasks": len(lines),
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "stride": 1,
        "offsets": starts,
        **changes,
    }
    return request(tasks=None, input=upload)


def test_a_token_of_a_deleted_session_is_taken(memory: InMemoryGrid) -> None:
    """Its old executions could run the chunks of a new session of the same id."""
    session = submit(memory.wiring, OWNER, request())
    memory.run()
    delete_session(memory.wiring, OWNER, session.session_id)
    for tasks in ([1, 2], [3]):
        with pytest.raises(Conflict, match="deleted"):
            submit(memory.wiring, OWNER, request(tasks=tasks))


def test_a_small_session_is_accepted_by_one_write(memory: InMemoryGrid) -> None:
    """Its shards come with it, and what the client is answered takes no read."""
    counting = CallCounter(memory.table)
    grid = replace(memory.wiring, table=cast("StateTable", counting))
    body = request().model_dump_json(exclude_none=True).encode()
    answered = answer(grid, HttpRequest("POST", "/v1/sessions", body=body), lambda: OWNER)
    assert answered.status == 202
    assert json.loads(answered.body)["counts"]["pending"] == 2
    assert counting.calls == {"read_lane": 1, "read_quota": 1, "create_session": 1}


class CallCounter:
    """A port that counts its calls."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._port, name)


def test_a_file_that_was_uploaded_runs(memory: InMemoryGrid) -> None:
    """A small one too, although it does not travel in the execution input."""
    session = submit(memory.wiring, OWNER, uploaded(memory, [b"10\n", b"20\n", b"30\n"]))
    memory.run()
    with memory.client(OWNER) as grid:
        assert grid.session(session.session_id).results() == [10, 20, 30]


def test_a_line_that_no_worker_can_hold_is_refused(memory: InMemoryGrid) -> None:
    """The message names where it begins."""
    lines = [b"1\n", b'"' + b"x" * (65 * MIB) + b'"\n', b"3\n"]
    with pytest.raises(InvalidRequest, match="from task 1 on"):
        submit(memory.wiring, OWNER, uploaded(memory, lines))


def test_a_file_of_another_size_is_refused(memory: InMemoryGrid) -> None:
    """What was uploaded is not what the submit says."""
    with pytest.raises(InvalidRequest, match="upload it again"):
        submit(memory.wiring, OWNER, uploaded(memory, [b"1\n", b"2\n"], size=5))


def test_parts_of_another_size_are_refused(memory: InMemoryGrid) -> None:
    """They stay parts, and the same upload can still be submitted as what it is."""
    asked = UploadRequest.model_validate({"parts": 1})
    upload = create_upload(memory.wiring, OWNER, asked)
    key = input_key(OWNER, upload.upload_id)
    assert upload.multipart_id is not None
    etag = memory.payloads.put_part(key, upload.multipart_id, 1, b"1\n2\n")
    given = {"upload_id": upload.upload_id, "multipart_id": upload.multipart_id, "etags": [etag]}
    with pytest.raises(InvalidRequest, match="have 4 bytes"):
        submit(memory.wiring, OWNER, uploaded(memory, [b"1\n", b"23\n"], **given))
    assert memory.payloads.head(key) is None
    submit(memory.wiring, OWNER, uploaded(memory, [b"1\n", b"2\n"], **given))
    assert memory.payloads.get(key) == b"1\n2\n"


def test_parts_beyond_the_largest_input_get_no_url() -> None:
    """Whoever uploads without an end learns so on the way; nothing more is begun."""
    memory = InMemoryGrid({}, settings={"max_input_mib": 10})
    asked = UploadRequest.model_validate({"parts": 1, "first_part": 3})
    assert len(create_upload(memory.wiring, OWNER, asked).urls) == 1
    asked = UploadRequest.model_validate({"parts": 1, "first_part": 4})
    with pytest.raises(RequestTooLarge, match="10 MiB"):
        create_upload(memory.wiring, OWNER, asked)
    assert len(memory.payloads.list_multiparts()) == 1


def test_quotas_are_kept(memory: InMemoryGrid) -> None:
    """Too many tasks: refused with both numbers."""
    with pytest.raises(RequestTooLarge, match=r"1001 tasks.*1000"):
        submit(memory.wiring, OWNER, request(tasks=[0] * 1001))


def test_a_session_may_not_outlast_its_data(memory: InMemoryGrid) -> None:
    """State and results are removed after the retention; a longer timeout makes no sense."""
    with pytest.raises(InvalidRequest, match="timeout_seconds"):
        submit(memory.wiring, OWNER, request(options={"timeout_seconds": 15 * 86_400}))


def test_a_refused_submit_leaves_nothing(memory: InMemoryGrid) -> None:
    """No session, no execution."""
    with pytest.raises(RequestTooLarge):
        submit(memory.wiring, OWNER, request(tasks=[0] * 1001))
    assert memory.table.list_sessions(OWNER, None, None, 10).items == ()
    assert memory.dispatcher.started == []
