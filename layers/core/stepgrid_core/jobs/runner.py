"""Runs jobs, one after the other: the TaskRunner of sessions whose tasks are jobs.

    caller --run--> JobRunner ---- thread ----> JobRun ==> guard ==> the job's processes
           <--None, outcome--          permit, busy, prints, stop

The session's common input is the job's JobSpec; a task is {"index": i}. A job is no Python: so
there is no warm child process, and staging is the runner's own work, with the grid's rights and
not the job's. Whoever closes `run` early has lost the claim: the job is killed, what it left is
kept, and its record says `cancelled`, unless the container is being stopped and the job will run
elsewhere.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ..contract import JobSpec
from ..data_plane import TaskFault
from ..output_lines import finished_line
from ..ports import (
    Clock,
    CommonInput,
    FailedTask,
    FinishedTasks,
    JobDesk,
    TaskOutcome,
    TaskSpan,
)
from ..runner_prints import PrintSink, write_to_stderr
from ..states import JobState
from ..task_lines import split_lines
from .addresses import is_public_address
from .connection import Dialer, IsAllowed, Resolve, resolve_by_system
from .job_folders import JobFolders
from .job_run import JobRun, World
from .limits import StagingLimits
from .process import JobUser, own_user
from .stopping import StopReason
from .task import JobTask, NoJob, read_spec, read_task
from .verdict import to_fault, to_result

Outcomes = Generator[TaskOutcome | None, None, None]

POLL_SECONDS = 0.05


class JobRunner:
    """One run at a time. `close` it at the end, or the next runner clears up after it."""

    def __init__(
        self,
        desk: JobDesk,
        root: Path,
        clock: Clock,
        *,
        on_print: PrintSink = write_to_stderr,
        limits: StagingLimits = StagingLimits(),  # noqa: B008 - frozen
        interrupted: Callable[[], bool] = lambda: False,
        user: JobUser | None = None,
        apart: bool = True,
        is_allowed_address: IsAllowed = is_public_address,
        resolve: Resolve = resolve_by_system,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Make the folder for its jobs. Raises OSError.

        Args:
            desk: speaks for the jobs; called from a thread of ours, one call at a time.
            root: where folders are made, on the disk that inputs and outputs fit on. Others than
                the runner must be able to pass through it, not to write there.
            on_print: gets every line that a job prints; called in `run`.
            interrupted: is the container being stopped? Asked when `run` is closed early.
            user: whom jobs run as, if the runner is root; None: a user of this process alone.
            apart: False: jobs run as the runner does, because no other user can reach `root`.
            is_allowed_address: may an input come from there?
            resolve: the addresses of a host.
            environment: what programs have to know of the container, such as PATH and
                LD_LIBRARY_PATH. Variables that begin with AWS_ are left out.
        """
        self.user = user or (
            own_user() if apart else None
        )  #: whom jobs run as; None: as the runner
        dialer = Dialer(limits, is_allowed_address, resolve)
        self._world = World(desk, clock, on_print, limits, dialer, self.user, environment)
        self._clock = clock
        self._interrupted = interrupted
        self._folders = JobFolders(root)
        self._permit_until = clock.monotonic()
        self._busy = False

    @property
    def busy(self) -> bool:
        """See ports.TaskRunner."""
        return self._busy

    def permit(self, seconds: float) -> None:
        """See ports.TaskRunner."""
        self._permit_until = self._clock.monotonic() + seconds

    def close(self) -> None:
        """Remove its folders. Not while a run is in progress."""
        self._folders.close()

    def run(
        self,
        spans: Sequence[TaskSpan],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Outcomes:
        """See ports.TaskRunner. timeout_seconds: of a job with its staging, from its start.

        To close it early takes as long as it takes to kill the job and to store what it left: see
        StagingLimits.
        """
        for span in spans:
            index = span.first
            for line in split_lines(span.read_lines()):
                if line is None:
                    yield from self._pause()
                    continue
                yield from self._await_permit()
                yield (yield from self._run_task(span, index, line, timeout_seconds, common))
                index += 1

    def _pause(self) -> Generator[None, None, None]:
        yield None
        self._clock.sleep(POLL_SECONDS)

    def _await_permit(self) -> Generator[None, None, None]:
        while self._clock.monotonic() >= self._permit_until:
            yield from self._pause()

    def _run_task(
        self,
        span: TaskSpan,
        index: int,
        line: bytes,
        timeout_seconds: float,
        common: CommonInput | None,
    ) -> Generator[None, None, TaskOutcome]:
        started = self._clock.monotonic()
        try:
            task = read_task(span.session_id, index, span.attempt, line)
            spec = read_spec(common)
        except NoJob as error:
            return FailedTask(index, 0.0, TaskFault("InputError", str(error), retryable=False))
        run = yield from self._run_job(task, spec, started + timeout_seconds)
        milliseconds = (self._clock.monotonic() - started) * 1000
        if run.verdict.state is not JobState.COMPLETED:
            return FailedTask(index, milliseconds, to_fault(run.verdict))
        output = finished_line(index, span.attempt, milliseconds, to_result(run.record))
        return FinishedTasks(index, [milliseconds], output)

    def _run_job(
        self, task: JobTask, spec: JobSpec, deadline: float
    ) -> Generator[None, None, JobRun]:
        run = JobRun(self._world, task, spec, self._folders.path, deadline)
        self._busy = True
        run.begin()
        try:
            while not run.ended.wait(POLL_SECONDS):
                run.look()
                yield None
        finally:
            if not run.ended.is_set():
                self._stop(run)
            self._busy = False
            run.close()
        return run

    def _stop(self, run: JobRun) -> None:
        """Kill it, and wait until what it left is stored, but not for ever."""
        limits = self._world.limits
        seconds = limits.kill_seconds + limits.slack_seconds
        reason = StopReason.CANCELLED
        if self._interrupted():
            reason = StopReason.INTERRUPTED
        else:
            seconds += limits.cancel_stage_out_seconds
        run.stop(reason)
        until = self._clock.monotonic() + seconds
        while not run.ended.wait(POLL_SECONDS) and self._clock.monotonic() < until:
            run.look()
        if not run.ended.is_set():
            run.give_up()
