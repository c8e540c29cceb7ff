"""Jobs of the in-memory grid: a function in the place of the container.

It is given the job's spec, its index and its inputs, and answers the files that it leaves. What it
raises fails the job. Reports and outputs are kept as a container's broker keeps them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from stepgrid_core.container_sizes import default_size
from stepgrid_core.contract import JobSpec
from stepgrid_core.job_files import readable_key
from stepgrid_core.names import JOB_WORKER, job_output_key
from stepgrid_core.ports import Worker
from stepgrid_core.records import JobFile, JobRecord, Session
from stepgrid_core.states import JobState
from stepgrid_core.wiring import Grid

#: spec, index, inputs by name -> files by name
JobHandler = Callable[[JobSpec, int, Mapping[str, bytes]], Mapping[str, bytes]]
STREAMS = ("STDOUT.txt", "STDERR.txt")


class JobFailed(Exception):
    """Raised by a JobHandler: the process ended with this code, and left these files."""

    def __init__(self, exit_code: int, files: Mapping[str, bytes]) -> None:
        super().__init__(f"the job's process ended with exit code {exit_code}")
        self.exit_code = exit_code
        self.files = files


def job_worker() -> Worker:
    """The worker of jobs, which runs in containers alone."""
    return Worker(
        JOB_WORKER,
        JOB_WORKER,
        timeout_seconds=900,
        memory_mib=1769,
        container=default_size("arm64"),
        on_lambda=False,
    )


class JobTasks:
    """The function of the worker of jobs: each task is a job."""

    def __init__(self, handler: JobHandler, open_grid: Callable[[], Grid]) -> None:
        self._handler = handler
        self._open_grid = open_grid

    def __call__(self, event: Any, context: Any) -> None:
        """Run one job. Raises when it failed, as a container's worker does."""
        grid, index = self._open_grid(), int(event["index"])
        session = grid.table.read_session(context.task_id[: context.task_id.rindex("_")])
        assert session is not None
        before = grid.table.read_job(session.session_id, index)
        if before is not None and before.state is JobState.FAILED:
            raise RuntimeError(before.error)  # a process that failed is not tried again
        record = self._run(grid, session, index, context)
        grid.table.put_job(session.session_id, index, record, session.expires_at)
        if record.state is JobState.FAILED:
            raise RuntimeError(record.error)

    def _run(self, grid: Grid, session: Session, index: int, context: Any) -> JobRecord:
        spec = JobSpec.model_validate(context.common)
        record = JobRecord(context.attempt, JobState.PROCESSING, staging_inputs_at=grid.clock.now())
        inputs = _fetch(grid, session, spec)
        record = replace(record, processing_at=grid.clock.now())
        grid.table.put_job(session.session_id, index, record, session.expires_at)
        exit_code, error = 0, None
        try:
            files = self._handler(spec, index, inputs)
        except JobFailed as failure:
            exit_code, error, files = failure.exit_code, str(failure), failure.files
        stored_at = grid.clock.now()
        left = _left(spec, files)
        missing = [want for want in spec.outputs if not any(fnmatchcase(n, want) for n in left)]
        if error is None and missing:
            error = f"outputs are missing: {', '.join(missing)}"
        return replace(
            record,
            staging_outputs_at=stored_at,
            exit_code=exit_code,
            outputs=_store(grid, session, (index, record.attempt), spec, left),
            missing=tuple(missing),
            state=JobState.COMPLETED if error is None else JobState.FAILED,
            ended_at=grid.clock.now(),
            error=error,
            error_code=exit_code or None,
        )


def _fetch(grid: Grid, session: Session, spec: JobSpec) -> dict[str, bytes]:
    """The inputs that lie in the grid; others are left out, as there is no network here."""
    found = {}
    for each in spec.inputs:
        key = readable_key(grid.settings.bucket, session.owner, each.url)
        if key is not None:
            found[each.name or key.rpartition("/")[2]] = grid.payloads.get(key)
    return found


def _left(spec: JobSpec, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """All files of the job's folder."""
    left = {**dict.fromkeys(STREAMS, b""), **files}
    if spec.script is not None and spec.script_name is not None:
        left[spec.script_name] = spec.script.encode()
    return left


def _store(
    grid: Grid, session: Session, start: tuple[int, int], spec: JobSpec, left: Mapping[str, bytes]
) -> tuple[JobFile, ...]:
    wanted = [*spec.outputs, *STREAMS, *([spec.script_name] if spec.script_name else [])]
    kept = {n: data for n, data in left.items() if any(fnmatchcase(n, want) for want in wanted)}
    for name, data in kept.items():
        days, owner, session_id = session.output_days, session.owner, session.session_id
        grid.payloads.put(job_output_key(days, owner, session_id, start, name), data)
    return tuple(JobFile(n, len(d), hashlib.sha256(d).hexdigest()) for n, d in kept.items())
