"""The files that a job left behind, and the links to them.

Names were asked for by the job, and are told by its container: here they only become keys of the
payload store that lie in the job's own folder.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from .contract import JobOutput
from .job_urls import MAX_KEY_BYTES
from .names import job_output_key
from .records import JobFacts, JobFile, JobRecord, Session
from .wiring import Grid

#: What every job leaves.
STREAMS = ("STDOUT.txt", "STDERR.txt")
DAY_SECONDS = 86_400


def outputs_of(
    grid: Grid, session: Session, index: int, record: JobRecord | None
) -> list[JobOutput]:
    """The script, what was asked for, STDOUT and STDERR; each with a link if it is there."""
    facts = session.job
    assert facts is not None
    kept = record if record is not None and _is_kept(grid, session, record) else None
    files = {} if kept is None else {file.name: file for file in kept.outputs}
    found = dict.fromkeys(_wanted(facts, files))
    start = index, 0 if kept is None else kept.attempt
    return [_show(grid, session, start, name, files.get(name)) for name in found]


def _is_kept(grid: Grid, session: Session, record: JobRecord) -> bool:
    stored_at = record.ended_at or record.staging_outputs_at or session.created_at
    return grid.clock.now() < stored_at + session.output_days * DAY_SECONDS


def _wanted(facts: JobFacts, files: dict[str, JobFile]) -> Iterator[str]:
    """Names in the order in which they are shown; a pattern stands for the files that fit it."""
    if facts.script_name is not None:
        yield facts.script_name
    for wanted in facts.outputs:
        yield from [name for name in files if fnmatchcase(name, wanted)] or [wanted]
    yield from STREAMS
    yield from files


def _show(
    grid: Grid, session: Session, start: tuple[int, int], name: str, file: JobFile | None
) -> JobOutput:
    if file is None or not _may_be_key(name):
        return JobOutput(name=name, available=False, url=None)
    key = job_output_key(session.output_days, session.owner, session.session_id, start, name)
    url = grid.payloads.presign_download(key, name)
    return JobOutput(name=name, available=True, size=file.size, sha256=file.sha256, url=url)


def _may_be_key(name: str) -> bool:
    """Nothing that leads out of the job's folder, whoever resolves it."""
    parts = name.split("/")
    return len(name.encode()) < MAX_KEY_BYTES and not {"", ".", ".."} & set(parts)
