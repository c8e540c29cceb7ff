"""One start of one job: stage in, process, stage out.

    staging_inputs --> processing --> staging_outputs --> completed, failed, cancelled
            \\______________________________________________^      (no process, no outputs)

It works in a thread of its own, step by step and waiting as it likes; `JobRunner` looks at it now
and then, and tells it to stop. Everything is kept in `record`, which only grows.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..contract import JobSpec
from ..job_paths import STDERR_NAME, STDOUT_NAME
from ..ports import Clock, JobDesk
from ..records import JobRecord
from ..runner_prints import PrintingTask, PrintSink
from ..states import JobState
from .command import build_argv, build_environment
from .connection import Dialer
from .fetching import Fetcher
from .limits import StagingLimits
from .prints import PrintTail
from .process import Exit, JobProcess, JobUser, Launch
from .reporting import Reporter
from .stage_in import StageIn, StageInFailed
from .stage_out import Kept, StageOut
from .stopping import Stopped, StopReason, StopSignal
from .task import JobTask
from .verdict import (
    Verdict,
    judge_container,
    judge_exit,
    judge_inputs,
    judge_killed,
    judge_overdue,
    with_missing,
)
from .workspace import Workspace

DEFAULT_WALLTIME_SECONDS = 300
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class World:
    """What all jobs of a runner share."""

    desk: JobDesk
    clock: Clock
    on_print: PrintSink
    limits: StagingLimits
    dialer: Dialer
    user: JobUser | None
    environment: Mapping[str, str]  #: of the container, see `command`


class JobRun:
    """Made and begun in the runner's thread, which also reads its prints."""

    def __init__(
        self, world: World, task: JobTask, spec: JobSpec, folder: Path, deadline: float
    ) -> None:
        """folder: where to make the job's own. deadline: monotonic, of everything."""
        self._world = world
        self._task = task
        self._spec = spec
        self._folder = folder
        self._deadline = deadline
        self._reporter = Reporter(world.desk, task.index, world.clock)
        self._streams: dict[str, int] = {}
        self._tails: list[PrintTail] = []
        self._kept = Kept()
        self._stop = StopSignal()
        self._stopped_at = float("inf")
        self._failure: BaseException | None = None
        self.record = JobRecord(task.attempt, JobState.PENDING)
        self.verdict = judge_killed()
        self.ended = threading.Event()

    def begin(self) -> None:
        threading.Thread(target=self._work, name=self._task.job_id, daemon=True).start()

    def stop(self, reason: StopReason) -> None:
        self._stopped_at = self._world.clock.monotonic()
        self._stop.stop(reason)

    def give_up(self) -> None:
        """It does not stop: tell what there is, and leave the thread to itself."""
        if self._stop.reason is StopReason.CANCELLED:
            self._finish(judge_killed(self.record.exit_code))

    def look(self) -> None:
        """Pass on what was printed, and tell the stage. In the runner's thread, now and then."""
        self._reporter.tell_lasting()
        for tail in self._tails:
            tail.read()

    def close(self) -> None:
        """Pass on what was printed last. Raises what went wrong in the thread."""
        for tail in self._tails:
            tail.finish()
        if self.ended.is_set():
            for file_fd in self._streams.values():
                os.close(file_fd)
        self._tails = []
        if self._failure:
            raise self._failure

    def _work(self) -> None:
        try:
            workspace = Workspace(self._folder, self._world.user)
            try:
                self._execute(workspace)
            finally:
                workspace.close()
        except OSError as error:  # no room, no process left
            self._settle(judge_container(error))
        except BaseException as error:  # raised where the runner waits
            self._failure = error
        finally:
            self.ended.set()

    def _execute(self, workspace: Workspace) -> None:
        verdict = self._stage_in_and_process(workspace)
        if self._streams and self._stop.reason is not StopReason.INTERRUPTED:
            verdict = with_missing(verdict, self._stage_out(workspace))
        self._settle(verdict)

    def _settle(self, verdict: Verdict) -> None:
        if self._stop.reason is StopReason.INTERRUPTED:
            self._hand_back()
            return
        if self._stop.reason is StopReason.CANCELLED and verdict.state is not JobState.CANCELLED:
            verdict = judge_killed(verdict.exit_code)
        self._finish(verdict)

    def _stage_in_and_process(self, workspace: Workspace) -> Verdict:
        try:
            self._stage_in(workspace)
            return self._process(workspace)
        except Stopped:
            return judge_killed(self.record.exit_code)
        except StageInFailed as error:
            self._kept.missing.extend(dict.fromkeys(self._spec.outputs))
            return judge_inputs(str(error))

    def _stage_in(self, workspace: Workspace) -> None:
        self._advance(JobState.STAGING_INPUTS, staging_inputs_at=self._world.clock.now())
        if self._spec.script_name is not None:
            _write_script(workspace, self._spec.script_name, self._spec.script or "")
        world = self._world
        fetcher = Fetcher(world.dialer, world.limits, world.clock, self._stop)
        stage = StageIn(workspace, fetcher, world.desk, world.clock, world.limits)
        stage.fetch_all(self._spec.inputs, self._deadline)

    def _process(self, workspace: Workspace) -> Verdict:
        self._stop.check()
        self._advance(JobState.PROCESSING, processing_at=self._world.clock.now())
        self._open_streams(workspace)
        process = JobProcess(self._launch(workspace))
        try:
            return self._await_exit(process)
        finally:
            process.close(self._world.limits.kill_seconds)

    def _await_exit(self, process: JobProcess) -> Verdict:
        clock = self._world.clock
        walltime_seconds = float(self._spec.walltime_seconds or DEFAULT_WALLTIME_SECONDS)
        started = clock.monotonic()
        until = min(started + walltime_seconds, self._deadline)
        while clock.monotonic() < until:
            self._stop.check()
            if ended := process.wait(_POLL_SECONDS):
                return judge_exit(ended)
        process.terminate()
        ended = self._await_kill(process)
        return judge_overdue(ended, min(walltime_seconds, until - started))

    def _await_kill(self, process: JobProcess) -> Exit | None:
        clock, limits = self._world.clock, self._world.limits
        until = clock.monotonic() + limits.term_seconds + limits.kill_seconds
        while clock.monotonic() < until and not self._stop.reason:
            if ended := process.wait(_POLL_SECONDS):
                return ended
        return None

    def _launch(self, workspace: Workspace) -> Launch:
        world = self._world
        folder = str(workspace.path)
        return Launch(
            argv=build_argv(self._spec),
            environment=build_environment(self._spec, self._task, folder, world.environment),
            folder=workspace.path,
            stdout_fd=self._streams[STDOUT_NAME],
            stderr_fd=self._streams[STDERR_NAME],
            user=world.user,
            term_seconds=world.limits.term_seconds,
        )

    def _open_streams(self, workspace: Workspace) -> None:
        for name in (STDOUT_NAME, STDERR_NAME):
            self._streams[name] = workspace.create(name)
        task = PrintingTask(self._task.task_id, self._task.index, self._task.attempt)
        sink = self._world.on_print
        self._tails = [
            PrintTail(self._streams[STDOUT_NAME], "stdout", task, sink),
            PrintTail(self._streams[STDERR_NAME], "stderr", task, sink),
        ]

    def _stage_out(self, workspace: Workspace) -> str | None:
        """Answers what is missing, in words."""
        world = self._world
        self._advance(JobState.STAGING_OUTPUTS, staging_outputs_at=world.clock.now())
        least = world.clock.monotonic() + world.limits.cancel_stage_out_seconds
        latest = max(self._deadline, least)
        stage = StageOut(
            workspace,
            partial(world.desk.store_output, self._task.index, self._task.attempt),
            world.clock,
            world.limits,
            lambda: min(latest, self._stopped_at + world.limits.cancel_stage_out_seconds),
        )
        self._kept = stage.kept
        stage.keep_all(list(self._spec.outputs), self._spec.script_name, self._streams)
        return stage.kept.describe()

    def _advance(self, state: JobState, **moments: float) -> None:
        self.record = replace(self.record, state=state, **moments)  # type: ignore[arg-type]
        self._reporter.begin(self.record)

    def _finish(self, verdict: Verdict) -> None:
        record = replace(
            self.record,
            state=verdict.state,
            ended_at=self._world.clock.now(),
            exit_code=verdict.exit_code,
            error=verdict.error,
            error_code=verdict.error_code,
            outputs=tuple(self._kept.files),
            missing=tuple(self._kept.missing),
        )
        self.record, self.verdict = record, verdict
        self._reporter.tell_last(record)

    def _hand_back(self) -> None:
        """It waits again; whoever starts it next begins anew."""
        self.record = JobRecord(self._task.attempt, JobState.PENDING)
        self._reporter.tell(self.record)


def _write_script(workspace: Workspace, name: str, text: str) -> None:
    file_fd = workspace.create(name, mode=0o744)
    with os.fdopen(file_fd, "wb") as file:
        file.write(text.encode())
