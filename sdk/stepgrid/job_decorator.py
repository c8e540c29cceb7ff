"""A function as a job: it is pickled, runs in a container of a queue, and its result comes back.

    from stepgrid.job_decorator import job

    @job(grid, queue="Prod", walltime_seconds=3600, requirements=["numpy"])
    def fit(path):
        ...

    fit("data.csv")          # waits, and returns what the function returned

Needs the extra `stepgrid[jobs]`, and in the container the same minor version of Python. Results are
unpickled here: they are as trustworthy as the function itself.
"""

import functools
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from stepgrid_core.contract import JobDescription
from stepgrid_core.errors import ConfigurationError, InvalidRequest, NotFound, TaskFailed
from stepgrid_core.states import TERMINAL_JOBS, JobState

from .client import Grid
from .job_call import CALL, LIBRARY, PROGRAM, RESULT, make_program, zip_package
from .job_inputs import Input, upload_file
from .jobs import Job

#: Of STDERR, in the error of a job that left no result.
MOST_STDERR = 4_000


class JobFuture:
    """A function that runs as a job; what `block=False` answers."""

    def __init__(self, job: Job) -> None:
        #: the job itself: its id, state, outputs
        self.job = job

    def done(self) -> bool:
        """Has it ended?"""
        return self.job.state in TERMINAL_JOBS

    def cancel(self) -> JobDescription:
        """End the job."""
        return self.job.cancel()

    def __repr__(self) -> str:
        return f"<JobFuture {self.job.id}>"

    def result(self, timeout: float | None = None) -> Any:
        """Wait for what the function returned; what it raised is raised here, with its traceback.

        Raises DeadlineExceeded after `timeout` seconds, TaskFailed for a job that ended otherwise.
        """
        description = self.job.wait(timeout)
        try:
            pickled = self.job.read(RESULT)
        except NotFound:
            raise TaskFailed(_why(self.job, description), self.job.id) from None
        kind, value = pickle.loads(pickled)  # noqa: S301 - of the caller's own job
        if kind == "result":
            return pickle.loads(value)  # noqa: S301
        raise _error(self.job, *value)


def job(
    grid: Grid,
    queue: str = "Test",
    walltime_seconds: int = 300,
    *,
    requirements: Sequence[str] = (),
    inputs: Iterable[Input] = (),
    block: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Have each call of a function run as a job of its own.

    requirements: for pip, in the job's folder, before each call. inputs: files that the function
    finds in its working directory, as in `grid.jobs.submit`. block: wait and return what the
    function returned; otherwise return a JobFuture.

    Raises ConfigurationError where cloudpickle is not installed.
    """
    cloudpickle = _cloudpickle()
    if isinstance(requirements, str):
        raise InvalidRequest(f"requirements is one text; give a list: [{requirements!r}]")
    given = list(inputs)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise InvalidRequest(f"@job is for functions, not {function!r}")

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            pickled = _pickle(cloudpickle, function, arguments, named)
            connection = grid.connection
            submitted = grid.jobs.submit(
                f"python3 {PROGRAM}",
                script=make_program(sys.version_info[:2], requirements),
                script_name=PROGRAM,
                inputs=[
                    upload_file(connection, CALL, pickled),
                    upload_file(connection, LIBRARY, zip_package(cloudpickle)),
                    *given,
                ],
                outputs=[RESULT],
                queue=queue,
                walltime_seconds=walltime_seconds,
                name=getattr(function, "__name__", "function")[:128],
            )
            future = JobFuture(submitted)
            return future.result() if block else future

        return call

    return decorate


def _cloudpickle() -> ModuleType:
    try:
        import cloudpickle  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            'functions as jobs need cloudpickle: pip install "stepgrid[jobs]"'
        ) from error
    module: ModuleType = cloudpickle
    return module


def _pickle(
    cloudpickle: ModuleType,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> bytes:
    """With the module of the function, which the container does not have."""
    with _by_value(cloudpickle, sys.modules.get(function.__module__)):
        try:
            return bytes(cloudpickle.dumps((function, arguments, named)))
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidRequest(
                f"the function or an argument can't be pickled: {error}"
            ) from error


@contextmanager
def _by_value(cloudpickle: ModuleType, module: ModuleType | None) -> Iterator[None]:
    known = module is None or module.__name__ in cloudpickle.list_registry_pickle_by_value()
    if known or module is None or module.__name__ == "__main__":
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _error(job: Job, pickled: bytes | None, name: str, message: str, traceback: str) -> Exception:
    """What the function raised, or a TaskFailed in its place where that can't be read here."""
    note = f"raised in job {job.id}:\n{traceback}"
    try:
        error = None if pickled is None else pickle.loads(pickled)  # noqa: S301
    except Exception:  # whatever the class does when it is made again
        error = None
    if isinstance(error, Exception):
        error.add_note(note)
        return error
    return TaskFailed(f"{name}: {message}\n{note}", job.id, traceback, name, message)


def _why(job: Job, description: JobDescription) -> str:
    """Of a job that left no result."""
    said = description.error or f"it is {description.state.value}"
    text = f"job {job.id} has no result: {said}"
    if description.state is JobState.CANCELLED:
        return text
    try:
        return f"{text}\n{job.stderr()[-MOST_STDERR:]}".rstrip()
    except NotFound:
        return text
