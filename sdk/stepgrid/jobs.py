"""Jobs as their owner sees them: a script with inputs and outputs, or an array of them.

    job = grid.jobs.submit("python3 fit.py", inputs=[Path("fit.py"), Path("data.csv")],
                           outputs=["*.png"])
    job.wait()
    job.download("results")

A Job keeps no connection open: another process attaches to the same one by `grid.jobs.get(id)`.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepgrid_core.contract import (
    ContainerOptions,
    JobDescription,
    JobOutput,
    JobRequest,
    JobSummary,
    first_fault,
)
from stepgrid_core.errors import DeadlineExceeded, InvalidRequest
from stepgrid_core.names import task_id
from stepgrid_core.states import TERMINAL_JOBS, JobState

from .connection import Connection
from .job_downloads import JobDownloads
from .job_inputs import Input, make_inputs
from .retry import Deadline
from .session_ids import HasId, read_ids

#: A container takes most of a minute to start: short at first, for jobs that wait for nothing.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH = 1.0, 15.0, 1.5
#: Called with every description that a wait gets.
JobProgress = Callable[[JobDescription], object]


class Job:
    """A handle on a job, or on an array of jobs; made by `grid.jobs`."""

    def __init__(self, connection: Connection, description: JobDescription) -> None:
        self._connection = connection
        self._description = description
        self._downloads = JobDownloads(connection.objects, self.id, self.outputs)

    @property
    def id(self) -> str:
        """What `grid.jobs.get` attaches to from another process."""
        return self._description.job_id

    @property
    def state(self) -> JobState:
        """How far it has come, now; once it has ended that is not asked again."""
        if self._description.state in TERMINAL_JOBS:
            return self._description.state
        return self.status().state

    def status(self) -> JobDescription:
        """State, times and outcome, now. Raises NotFound if it has expired."""
        self._description = self._connection.api.describe_job(self.id)
        return self._description

    def wait(
        self, timeout: float | None = None, progress: JobProgress | None = None
    ) -> JobDescription:
        """Wait until it has ended, all jobs of an array; answers how. A failure raises nothing.

        timeout: seconds; None waits as long as it takes. progress: called with every description.
        Raises DeadlineExceeded when the time is up; the job goes on.
        """
        deadline = Deadline.after(self._connection.clock, timeout)
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            description = self.status()
            if progress is not None:
                progress(description)
            if description.state in TERMINAL_JOBS:
                return description
            if deadline.passed:
                raise DeadlineExceeded(
                    f"job {self.id} did not end within {timeout:g} s and is "
                    f"{description.state.value}; it goes on: wait again, or cancel it"
                )
            self._connection.clock.sleep(min(pause_seconds, deadline.left_seconds))
            pause_seconds = min(PAUSE_GROWTH * pause_seconds, LAST_PAUSE_SECONDS)

    def outputs(self) -> Sequence[JobOutput]:
        """What it left and should have left, with links that are good for a while.

        Raises InvalidRequest for an array: ask its jobs.
        """
        return self._connection.api.list_job_outputs(self.id).outputs

    def download(self, folder: str | PathLike[str]) -> list[Path]:
        """Save the files that are there into a folder, which is made; answers their paths.

        Names are kept, folders in them too; those of an array's jobs go into folders 0, 1, 2 ...
        Raises PayloadCorrupted for a file that is not what the job left, or lies elsewhere.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        if len(self) == 1:
            return self._downloads.save(target)
        return [path for n, job in enumerate(self) for path in job.download(target / str(n))]

    def read(self, name: str) -> bytes:
        """One file that it left. Raises NotFound if there is none of that name."""
        return self._downloads.read(name)

    def stdout(self) -> str:
        """What its process wrote to stdout. Raises NotFound as long as it is not stored."""
        return self.read("STDOUT.txt").decode(errors="replace")

    def stderr(self) -> str:
        """What its process wrote to stderr. Raises NotFound as long as it is not stored."""
        return self.read("STDERR.txt").decode(errors="replace")

    def cancel(self) -> JobDescription:
        """End it, an array as a whole; one that has ended stays as it is.

        Raises InvalidRequest for one job of an array.
        """
        self._description = self._connection.api.cancel_job(self.id)
        return self._description

    def __len__(self) -> int:
        return self._description.array

    def __getitem__(self, index: int) -> "Job":
        """One job of an array. Raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(f"job {self.id} has jobs 0 to {len(self) - 1}, no {index}")
        if len(self) == 1:
            return self
        # What has become of this one is asked when somebody wants to know.
        one = {"job_id": task_id(self.id, index), "array": 1, "state": JobState.PENDING}
        return Job(self._connection, self._description.model_copy(update=one))

    def __iter__(self) -> Iterator["Job"]:
        return map(self.__getitem__, range(len(self)))

    def __repr__(self) -> str:
        return f"<Job {self.id} of {len(self)}>" if len(self) > 1 else f"<Job {self.id}>"


class Jobs:
    """Submits and finds jobs; `grid.jobs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(
        self,
        executable: str,
        *,
        args: Iterable[str] = (),
        shell: bool = False,
        script: str | None = None,
        script_name: str | None = None,
        inputs: Iterable[Input] = (),
        outputs: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        queue: str = "Test",
        walltime_seconds: int | None = None,
        resources: ContainerOptions | Mapping[str, Any] | None = None,
        array: int = 1,
        depends_on: Iterable[HasId | str] = (),
        retention_days: int | None = None,
        name: str | None = None,
        tags: Mapping[str, str] | None = None,
        client_token: str | None = None,
    ) -> Job:
        """Submit a job; answers as soon as the grid has accepted it.

        executable: the command line, cut into words as a shell would. args: more words, as they
        are. shell: give all of it to a shell. script: the text of a file made in the job's folder,
        named script_name (`script.sh` when left out). inputs: URLs (http, https, s3), files of this
        machine as pathlib.Path, which are uploaded, either with a name as a pair, or JobInput.
        outputs: names and patterns of what it leaves. array: so many jobs, told apart by
        STEPGRID_JOB_INDEX. depends_on: sessions and jobs, or their ids, that must have finished
        well. client_token: the same token and job give the same job; a new one when left out. All
        else: see contract.JobRequest.

        Raises InvalidRequest for a field, queue or input that can't be, Conflict for a token that
        was used for another job, and what the API raises. No job was made then.
        """
        if isinstance(outputs, str) or isinstance(args, str):
            raise InvalidRequest("args and outputs are lists, not one text")
        given = {
            "args": list(args) or None,
            "shell": shell or None,
            "script": script,
            "script_name": script_name if script is None else script_name or "script.sh",
            "inputs": make_inputs(self._connection, inputs) or None,
            "outputs": list(outputs) or None,
            "environment": _plain(environment),
            "walltime_seconds": walltime_seconds,
            "resources": resources,
            "array": array,
            "depends_on": read_ids(depends_on, "depends_on") or None,
            "retention_days": retention_days,
            "name": name,
            "tags": _plain(tags),
        }
        said = {field: value for field, value in given.items() if value is not None}
        token = uuid.uuid4().hex if client_token is None else client_token
        return self.send({"client_token": token, "executable": executable, "queue": queue} | said)

    def send(self, fields: Mapping[str, Any]) -> Job:
        """Submit a job whose fields are those of contract.JobRequest. Raises as `submit`."""
        try:
            request = JobRequest.model_validate(dict(fields))
        except ValidationError as error:
            raise InvalidRequest(first_fault(error, "the job")) from error
        return Job(self._connection, self._connection.api.submit_job(request))

    def get(self, job_id: str) -> Job:
        """Attach to a job, or to one of an array. Raises NotFound for one that is not yours."""
        return Job(self._connection, self._connection.api.describe_job(job_id))

    def list(self, limit: int | None = None) -> Iterator[JobSummary]:
        """Your jobs, newest first; asked for page by page. An array is one of them.

        Raises InvalidRequest for a negative limit.
        """
        if limit is not None and limit < 0:
            raise InvalidRequest(f"limit is {limit}; give 0 or more, or None for all")
        return islice(self._all(), limit)

    def _all(self) -> Iterator[JobSummary]:
        cursor: str | None = None
        while True:
            page = self._connection.api.list_jobs(cursor)
            yield from page.jobs
            cursor = page.cursor
            if cursor is None:
                return


def _plain(given: Mapping[str, str] | None) -> Any:
    """As the contract takes it, which says what is wrong with anything else; None: nothing."""
    return (dict(given) if isinstance(given, Mapping) else given) or None
