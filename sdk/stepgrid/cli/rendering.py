"""Text for people: tables, durations, counts, summaries. Pure: values in, lines of text out.

It must not know click's commands, the grid, the clock or whether a terminal is there: the caller
says what time it is and whether to colour.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, islice

import click

from stepgrid.dead_letters import DeadLetter
from stepgrid.events import SessionEvent
from stepgrid_core.contract import (
    CancelCounts,
    ContainerUse,
    LogLine,
    QuotaDescription,
    SessionDescription,
    SessionSummary,
    TaskCounts,
    TaskDescription,
    WorkerDescription,
)
from stepgrid_core.states import TERMINAL_EVENTS, TaskState

#: A table's widths come from its first rows, so that a million rows need not be kept.
ROWS_MEASURED = 500
#: What is not known, or does not apply.
NONE = "-"
_STATE_COLOURS = {
    "finished": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "processing": "cyan",
    "retrying": "yellow",
    "completed": "green",
    "staging_inputs": "cyan",
    "staging_outputs": "cyan",
}
_MESSAGE_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    right: bool = False


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], colour: bool = False
) -> Iterator[str]:
    """A title line, then a line for each row. Cells that are a state are coloured if `colour`."""
    rows = iter(rows)
    first = list(islice(rows, ROWS_MEASURED))
    titles = [column.title for column in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *first, strict=True)]
    yield _line(titles, columns, widths, colour=False)
    for row in chain(first, rows):
        yield _line(row, columns, widths, colour)


def _line(
    cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], colour: bool
) -> str:
    cells = [printable(cell) for cell in cells]
    aligned = (
        _coloured(cell, cell.rjust(width) if column.right else cell.ljust(width), colour)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    )
    return "  ".join(aligned).rstrip()


def printable(text: str) -> str:
    """The same length without control characters: names and errors are other people's text, and
    must neither break a row nor give orders to the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _coloured(word: str, text: str, colour: bool) -> str:
    foreground = _STATE_COLOURS.get(word) if colour else None
    return click.style(text, fg=foreground) if foreground else text


def fields(pairs: Iterable[tuple[str, str]], colour: bool = False) -> Iterator[str]:
    """Names and values below each other, the values aligned."""
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        yield f"{name.ljust(width)}  {_coloured(value, printable(value), colour)}"


def duration(seconds: float) -> str:
    """The two largest units: 0.25 s, 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.3g} s"
    whole = round(seconds)
    for size, unit, small_size, small_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            large, rest = divmod(whole, size)
            small = rest // small_size
            return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"
    return f"{whole} s"


def age(then: float, now: float) -> str:
    """How long ago; a client's clock that is behind gives 0 s."""
    return f"{duration(float(round(max(now - then, 0))))} ago"


def moment(epoch_seconds: float) -> str:
    """In UTC: logs of the grid and of other people's machines are compared with it."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: int) -> str:
    return f"{value:,}"


def plural(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" + ("" if count == 1 else "s")


def task_counts(counts: TaskCounts) -> str:
    """`96 finished, 4 failed`: the states that have tasks, ended ones first."""
    order = ("finished", "failed", "cancelled", "processing", "retrying", "pending")
    present = ((getattr(counts, state), state) for state in order)
    return ", ".join(f"{number(count)} {state}" for count, state in present if count) or "none"


def standing(description: SessionDescription) -> str:
    """What becomes of it next, in a word or two, and its priority."""
    if description.paused:
        word = "paused"
    elif description.blocked:
        word = "waiting for its dependencies"
    elif description.waiting:
        word = "waiting for room"
    else:
        word = description.state.value
    return f"{word}, priority {description.priority}"


def quota_fields(quota: QuotaDescription) -> list[tuple[str, str]]:
    def used_of(used: int, most: int | None) -> str:
        return f"{number(used)} of {number(most)}" if most is not None else f"{number(used)}"

    at_once = quota.max_concurrency
    return [
        ("owner", quota.owner),
        ("open sessions", used_of(quota.sessions, quota.max_sessions)),
        ("tasks in them", used_of(quota.tasks, quota.max_tasks)),
        ("chunks at once", "no limit" if at_once is None else _at_once(at_once)),
    ]


def _at_once(slots: int) -> str:
    return f"{number(slots)} on each worker"


def set_quota_fields(
    owner: str, sessions: int | None, tasks: int | None, slots: int | None
) -> list[tuple[str, str]]:
    """What an operator set for an owner; None: nothing."""

    def told(most: int | None, text: Callable[[int], str]) -> str:
        return "as for everybody" if most is None else text(most)

    return [
        ("owner", owner),
        ("open sessions", told(sessions, number)),
        ("tasks in them", told(tasks, number)),
        ("chunks at once", told(slots, _at_once)),
    ]


def unsuccessful(counts: TaskCounts) -> int:
    """Tasks that ended without a result."""
    return counts.failed + counts.cancelled


def session_summary(session: SessionDescription, now: float) -> str:
    """One line: state, counts, time."""
    elapsed = (session.timings.closed_at or now) - session.timings.created_at
    return (
        f"{session.state.value}: {task_counts(session.counts)} "
        f"of {plural(session.tasks, 'task')} in {duration(elapsed)}"
    )


def event_line(event: SessionEvent) -> str:
    """One line: when, which session, what, and how far it was."""
    what = event.kind.value if event.percent is None else f"{event.kind.value} {event.percent} %"
    name = f"  {printable(event.name)}" if event.name else ""
    # Of what was made from the session itself, only the end shows the counts of that moment.
    now = event.inferred and event.kind not in TERMINAL_EVENTS
    counts = plural(event.tasks, "task") if now else task_counts(event.counts)
    return f"{moment(event.at)}  {event.session_id}  {what.ljust(15)}  {counts}{name}"


def session_fields(session: SessionDescription, now: float) -> Iterator[tuple[str, str]]:
    """What `stepgrid status` shows."""
    timings, counts = session.timings, session.counts
    ended = counts.finished + unsuccessful(counts)
    yield "session", session.session_id
    if session.name:
        yield "name", session.name
    if session.tags:
        yield "tags", ", ".join(f"{key}={value}" for key, value in session.tags.items())
    yield "worker", session.worker
    yield from _backend_fields(session)
    yield "state", session.state.value
    yield from _standing_fields(session)
    yield "tasks", f"{number(session.tasks)} ({task_counts(counts)})"
    yield "ended", f"{_percent(ended, session.tasks)} %"
    yield "chunks", f"{number(session.chunks)} of up to {plural(session.chunk_size, 'task')}"
    yield "created", f"{moment(timings.created_at)} ({age(timings.created_at, now)})"
    if timings.queue_seconds is not None:
        yield "queued", duration(timings.queue_seconds)
    if timings.run_seconds is not None:
        yield "ran", duration(timings.run_seconds)
    if timings.task_seconds:
        yield "in tasks", duration(timings.task_seconds)
    if timings.closed_at is None:
        yield "elapsed", duration(now - timings.created_at)
        yield "deadline", moment(timings.deadline_at)
    else:
        yield "closed", f"{moment(timings.closed_at)} ({age(timings.closed_at, now)})"
        yield "took", duration(timings.closed_at - timings.created_at)


def _backend_fields(session: SessionDescription) -> Iterator[tuple[str, str]]:
    """Where it runs, why there, and in what."""
    yield "backend", session.backend
    if session.backend_reason:
        yield "because", session.backend_reason
    if session.containers:
        yield "containers", containers(session.containers)
    if session.federation is not None:
        task = session.federation
        yield "federated task", f"{task.task_id}, of collaboration {task.collaboration_id}"


def _standing_fields(session: SessionDescription) -> Iterator[tuple[str, str]]:
    """What it waits for or waited for, and why it failed if its tasks did not do it."""
    if session.waiting or session.paused or session.blocked:
        yield "standing", standing(session)
    if session.depends_on:
        yield "depends on", ", ".join(session.depends_on)
    if session.reason is not None:
        yield "reason", session.reason


def containers(found: Sequence[ContainerUse]) -> str:
    """How many of which size, and how long they were there, all together."""
    kinds = Counter(
        f"{each.vcpu:g} vCPU, {number(each.memory_mib)} MiB{', Spot' if each.spot else ''}"
        for each in found
    )
    shown = "; ".join(f"{number(count)} of {kind}" for kind, count in kinds.items())
    return f"{shown}; for {duration(sum(each.seen_at - each.started_at for each in found))}"


def _percent(part: int, whole: int) -> int:
    """Rounded down: 100 means all."""
    return 100 * part // whole if whole else 100


SESSION_COLUMNS = (
    Column("SESSION"),
    Column("STATE"),
    Column("WORKER"),
    Column("TASKS", right=True),
    Column("FAILED", right=True),
    Column("CREATED", right=True),
    Column("TOOK", right=True),
    Column("NAME"),
)


def session_row(session: SessionSummary, now: float) -> tuple[str, ...]:
    closed = session.closed_at
    return (
        session.session_id,
        str(session.state),
        session.worker,
        number(session.tasks),
        number(session.counts.failed) if session.counts else NONE,
        age(session.created_at, now),
        duration(closed - session.created_at) if closed is not None else NONE,
        session.name or "",
    )


TASK_COLUMNS = (
    Column("TASK", right=True),
    Column("STATE"),
    Column("ATTEMPTS", right=True),
    Column("TIME", right=True),
    Column("ERROR"),
)


def task_row(task: TaskDescription) -> tuple[str, ...]:
    return (
        str(task.index),
        task.state.value,
        NONE if task.attempts is None else str(task.attempts),
        NONE if task.milliseconds is None else duration(task.milliseconds / 1000),
        _error_text(task.error) if task.error and task.state is not TaskState.FINISHED else "",
    )


FAILURE_COLUMNS = (
    Column("TASK", right=True),
    Column("REASON"),
    Column("ATTEMPTS", right=True),
    Column("ERROR"),
)


def failure_row(letter: DeadLetter) -> tuple[str, ...]:
    return (
        str(letter.index),
        letter.reason.value,
        NONE if letter.attempts is None else str(letter.attempts),
        _error_text({"type": letter.error_type, "message": letter.message}),
    )


def _error_text(error: dict[str, str]) -> str:
    """Type and message on one line; the traceback is for --json."""
    text = " ".join(f"{error.get('type', 'error')}: {error.get('message', '')}".split())
    return text if len(text) <= _MESSAGE_WIDTH else text[: _MESSAGE_WIDTH - 3] + "..."


def log_line(line: LogLine) -> str:
    """Time in UTC, whose line it is, and the text."""
    time = datetime.fromtimestamp(line.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    whose = "grid" if line.task is None else f"task {line.task}"
    again = f" attempt {line.attempt}" if line.attempt and line.attempt > 1 else ""
    return f"{time}  {whose}{again}  {printable(line.message)}".rstrip()


WORKER_COLUMNS = (
    Column("WORKER"),
    Column("KIND"),
    Column("RUNTIME"),
    Column("BACKENDS"),
    Column("MEMORY", right=True),
    Column("TIMEOUT", right=True),
    Column("TASK TIMEOUT UP TO", right=True),
    Column("TASK TIME", right=True),
    Column("CHUNKS AT ONCE", right=True),
)


def worker_row(worker: WorkerDescription) -> tuple[str, ...]:
    return (
        worker.name,
        worker.kind,
        worker.runtime or NONE,
        ", ".join(worker.backends),
        f"{number(worker.memory_mib)} MiB",
        duration(worker.timeout_seconds),
        duration(worker.max_task_timeout_seconds),
        NONE if worker.task_seconds is None else duration(worker.task_seconds),
        NONE if worker.concurrency is None else number(worker.concurrency),
    )


def dollars(amount: float | None) -> str:
    """Cents, and of less than ten cents two digits."""
    if amount is None:
        return NONE
    return f"{amount:,.2f}" if amount >= 0.1 else f"{Decimal(f'{amount:.2g}'):f}"


def cancelled(counts: CancelCounts) -> str:
    """What a cancel did to one session."""
    if not counts.total_cancelled_tasks:
        return "nothing to cancel: it has ended, or is no session of yours"
    by_state = TaskCounts(
        pending=counts.cancelled_pending,
        processing=counts.cancelled_processing,
        retrying=counts.cancelled_retrying,
    )
    tasks = plural(counts.total_cancelled_tasks, "task")
    return f"cancelled {tasks} ({task_counts(by_state)})"
