"""A grid in memory with jobs, for tests: whose rows and reports a test can also set itself."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import JobRequest, JobSpec
from stepgrid_core.endpoints import HttpRequest, answer
from stepgrid_core.job_submission import submit_job
from stepgrid_core.names import shard_of
from stepgrid_core.records import Chunk, JobRecord, Session
from stepgrid_core.states import JobState

OWNER = "arn:aws:iam::000000000000:user/alice"
OTHER = "arn:aws:iam::000000000000:user/bob"
BUCKET = "bucket"


def leave_nothing(spec: JobSpec, index: int, inputs: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """A job that ends well and leaves no file."""
    return {}


class JobWorld:
    """Nothing runs by itself."""

    def __init__(self, handler: Any = leave_nothing, **settings: Any) -> None:
        self.memory = InMemoryGrid({}, jobs=handler, settings=settings, autorun=False)
        self.grid = self.memory.wiring

    def submit(self, **fields: Any) -> str:
        return submit_job(self.grid, OWNER, request(**fields))

    def session(self, job_id: str) -> Session:
        session = self.memory.table.read_session(job_id)
        assert session is not None
        return session

    def set_row(self, job_id: str, index: int, **changes: Any) -> None:
        """Change a row as a worker would."""
        number, slot = shard_of(index)
        shard = self.memory.table.read_shard(job_id, number)
        assert shard is not None
        row: Chunk = replace(shard.chunks[slot], **changes)
        assert self.memory.table.swap_chunk(shard, slot, row).won

    def report(self, job_id: str, index: int = 0, **fields: Any) -> None:
        """What its container says."""
        record = JobRecord(**{"attempt": 1, "state": JobState.PROCESSING, **fields})
        assert self.memory.table.put_job(job_id, index, record, 2_000_000_000)

    def ask(
        self, method: str, path: str, body: Any = None, owner: str = OWNER, **query: str
    ) -> tuple[int, Any]:
        """A request to the API: status and answer."""
        text = b"" if body is None else json.dumps(body).encode()
        asked = HttpRequest(method, path, {name: [value] for name, value in query.items()}, text)
        reply = answer(self.grid, asked, lambda: owner)
        return reply.status, json.loads(reply.body)


def request(**fields: Any) -> JobRequest:
    return JobRequest.model_validate({"client_token": "t", "executable": "true", **fields})
