"""A grid and a session for the commands: they remember what they were asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from stepgrid.cli import cli
from stepgrid.cli.context import App
from stepgrid.dead_letters import DeadLetter, read_dead_letter
from stepgrid.submission import make_order
from stepgrid_core.contract import (
    CancelCounts,
    Health,
    LogLine,
    PlanDescription,
    SessionDescription,
    SessionSummary,
    TaskCounts,
    TaskDescription,
    WorkerDescription,
)
from stepgrid_core.errors import DeadlineExceeded, NotFound, TaskError
from stepgrid_core.states import TaskState

SESSION_ID = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
CREATED = 1_790_000_000.0
NOW = CREATED + 30

LONG_PLAN = PlanDescription.model_validate(
    {
        "backend": "fargate",
        "reason": "a task may need 1,500 s, and a function of this worker gives it 840 s at most",
        "route": "map",
        "chunks": 40,
        "chunk_size": 1,
        "layout": "40x1",
        "slots": 40,
        "containers": {
            "count": 10,
            "vcpu": 4,
            "memory_mib": 8192,
            "storage_gib": 21,
            "spot": True,
            "architecture": "arm64",
        },
        "estimate": {
            "backend": "fargate",
            "seconds": 1245.0,
            "dollars": 0.2345,
            "task_seconds": 1200.0,
        },
        "others": [
            {"backend": "lambda", "seconds": 1203.0, "dollars": 0.00001, "task_seconds": 1200.0}
        ],
        "prices": "us-east-1, 2026-11",
    }
)


@dataclass
class FakeSession:
    """outcomes: of its tasks; `interrupt`: the user presses Ctrl-C as soon as something waits."""

    outcomes: list[Any]
    id: str = SESSION_ID
    worker: str = "mock-compute"
    state: str = "finished"
    interrupt: bool = False
    deleted: bool = False
    waited: list[float | None] = field(default_factory=list)
    asked_logs: list[tuple[int | None, bool, bool]] = field(default_factory=list)

    def status(self) -> SessionDescription:
        failed = sum(isinstance(outcome, TaskError) for outcome in self.outcomes)
        total = len(self.outcomes)
        counts = {"pending": total}
        closed = {}
        if self.state not in ("pending", "running"):
            counts = {"finished": total - failed, "failed": failed}
            closed = {"closed_at": CREATED + 20}
        return SessionDescription.model_validate(
            {
                "session_id": self.id,
                "state": self.state,
                "worker": self.worker,
                "tasks": total,
                "counts": counts,
                "timings": {"created_at": CREATED, "deadline_at": CREATED + 86_400, **closed},
                "chunk_size": 1,
                "chunks": total,
                "layout": f"{total}x1",
                "route": "burst",
                "priority": 4,
                "max_attempts": 3,
                "task_timeout_seconds": 300.0,
            }
        )

    def plan(self) -> PlanDescription:
        return LONG_PLAN

    def wait(self, timeout: float | None = None) -> SessionDescription:
        self.waited.append(timeout)
        self._interrupt_if_asked()
        if self.state in ("pending", "running"):
            raise DeadlineExceeded(f"session {self.id} has not ended after {timeout} s")
        return self.status()

    def stream(self, return_exceptions: bool = False) -> Iterator[Any]:
        self._interrupt_if_asked()
        for outcome in self.outcomes:
            if isinstance(outcome, TaskError) and not return_exceptions:
                raise outcome
            yield outcome

    def tasks(self, state: str | None = None) -> Iterator[TaskDescription]:
        for index, outcome in enumerate(self.outcomes):
            task = _describe_task(index, outcome)
            if state is None or task.state == state:
                yield task

    def dead_letters(self) -> Iterator[DeadLetter]:
        return map(read_dead_letter, self.tasks(TaskState.FAILED))

    def logs(
        self, task: int | None = None, *, every: bool = False, follow: bool = False
    ) -> Iterator[LogLine]:
        self.asked_logs.append((task, every, follow))
        yield LogLine(at=CREATED + 1.5, message="half\tway", task=1, attempt=1, printed="stdout")
        yield LogLine(at=CREATED + 2, message="done", task=1, attempt=2, printed="stderr")
        if every:
            yield LogLine(at=CREATED + 3, message="chunk run", chunk=0)
        self._interrupt_if_asked()

    def delete(self) -> None:
        self.deleted = True

    def _interrupt_if_asked(self) -> None:
        if self.interrupt:
            raise KeyboardInterrupt


def _describe_task(index: int, outcome: Any) -> TaskDescription:
    failed = isinstance(outcome, TaskError)
    error = {"type": "ValueError", "message": "negative volatility"}
    return TaskDescription.model_validate(
        {
            "task_id": f"{SESSION_ID}_{index}",
            "index": index,
            "state": "failed" if failed else "finished",
            "attempts": 3 if failed else 1,
            "milliseconds": 12.5,
            "error": error if failed else None,
        }
    )


@dataclass
class FakeGrid:
    """Knows one session, which is also what a submit gives. `refusal`: raised by every call."""

    known: FakeSession = field(default_factory=lambda: FakeSession([1, 2]))
    refusal: BaseException | None = None
    submitted: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    closed: bool = False

    def close(self) -> None:
        self.closed = True

    def _answer(self, question: Any) -> None:
        self.asked.append(question)
        if self.refusal is not None:
            raise self.refusal

    def submit(
        self,
        worker: str,
        tasks: Iterable[Any],
        client_token: str | None = None,
        common: Any = None,
        depends_on: Iterable[str] = (),
        **options: Any,
    ) -> FakeSession:
        make_order(worker, client_token, options, depends_on=depends_on)
        packed = list(tasks)  # what can't be read is refused before anything is sent
        self._answer("submit")
        request = {"worker": worker, "tasks": packed, "token": client_token, "options": options}
        self.submitted.append({**request, "common": common, "depends_on": list(depends_on)})
        return self.known

    def plan(
        self, worker: str, tasks: int, *, size: int | None = None, **options: Any
    ) -> PlanDescription:
        make_order(worker, None, options)
        self._answer(("plan", worker, tasks, size, options))
        return LONG_PLAN

    def session(self, session_id: str) -> FakeSession:
        self._answer(session_id)
        if session_id != self.known.id:
            raise NotFound(f"there is no session {session_id!r} of yours")
        return self.known

    def sessions(
        self, state: str | None = None, limit: int | None = None
    ) -> Iterator[SessionSummary]:
        self._answer((state, limit))
        yield SessionSummary(
            session_id=SESSION_ID,
            state="finished",
            worker="mock-compute",
            tasks=1_000,
            created_at=CREATED,
            closed_at=CREATED + 20,
            counts=TaskCounts(finished=998, failed=2),
            name="nightly",
        )

    def workers(self) -> list[WorkerDescription]:
        self._answer("workers")
        return [
            WorkerDescription(
                name="mock-compute",
                backends=["lambda"],
                timeout_seconds=900,
                memory_mib=1769,
                max_task_timeout_seconds=840,
                task_seconds=0.5,
            )
        ]

    def health(self) -> Health:
        self._answer("health")
        return Health(version="0.1.0", contract_version="1.0")

    def cancel(self, session_ids: Iterable[str]) -> dict[str, CancelCounts]:
        self._answer(list(session_ids))
        cancelled = CancelCounts(cancelled_pending=2, total_cancelled_tasks=2)
        return {
            session_id: cancelled if session_id == self.known.id else CancelCounts()
            for session_id in session_ids
        }


def run(grid: FakeGrid, *arguments: str, stdin: bytes | None = None) -> Result:
    """Run a command against the fake grid."""
    return run_app(App(open_grid=lambda: grid, now=lambda: NOW), *arguments, stdin=stdin)  # type: ignore[arg-type,return-value]


def run_app(app: App, *arguments: str, stdin: bytes | None = None) -> Result:
    """Run a command; stdout and stderr are kept apart."""
    return CliRunner(mix_stderr=False).invoke(cli, list(arguments), input=stdin, obj=app)


def json_lines(text: str) -> list[Any]:
    """Each line of the text as JSON."""
    return [json.loads(line) for line in text.splitlines()]


def write_tasks(folder: Path, *tasks: Any) -> str:
    """A file of tasks; answers its path."""
    path = folder / "tasks.jsonl"
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf-8")
    return str(path)
