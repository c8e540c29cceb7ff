"""Text for people, as pure functions of values."""

import pytest

from stepgrid.cli import rendering
from stepgrid.cli.rendering import Column, age, duration, fields, session_fields, table
from stepgrid.events import so_far
from stepgrid_core.contract import (
    CancelCounts,
    SessionDescription,
    SessionSummary,
    TaskCounts,
    TaskDescription,
    WorkerDescription,
)

COLUMNS = (Column("NAME"), Column("COUNT", right=True), Column("STATE"))
CREATED = 1_790_000_000.0


def describe(**changes: object) -> SessionDescription:
    return SessionDescription.model_validate(
        {
            "session_id": "s-1",
            "state": "running",
            "worker": "mock-compute",
            "tasks": 1200,
            "counts": {"finished": 599, "failed": 1, "pending": 600},
            "timings": {"created_at": CREATED, "deadline_at": CREATED + 86_400},
            "chunk_size": 100,
            "chunks": 12,
            "layout": "12x100",
            "route": "map",
            "priority": 4,
            "max_attempts": 3,
            "task_timeout_seconds": 300.0,
            **changes,
        }
    )


class TestEvents:
    def test_only_an_end_is_told_with_counts_of_later(self) -> None:
        """What was accepted had nothing finished yet, whatever the session says by now."""
        accepted, started, ended = map(
            rendering.event_line,
            so_far(
                describe(
                    state="finished",
                    timings={
                        "created_at": CREATED,
                        "dispatched_at": CREATED + 1,
                        "closed_at": CREATED + 2,
                        "deadline_at": CREATED + 86_400,
                    },
                )
            ),
        )
        assert accepted == "2026-09-21 14:13:20 UTC  s-1  accepted         1,200 tasks"
        assert started.endswith("started          1,200 tasks")
        assert ended.endswith("finished         599 finished, 1 failed, 600 pending")


class TestDuration:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"),
            (0.0123, "0.0123 s"),
            (0.25, "0.25 s"),
            (9.949, "9.95 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min"),
            (200, "3 min 20 s"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86_400 * 3 + 4 * 3600 + 59, "3 d 4 h"),
            (-1, "0 s"),
        ],
    )
    def test_it_shows_the_two_largest_units(self, seconds: float, text: str) -> None:
        """Precise where it is short, and short where it is long."""
        assert duration(seconds) == text

    def test_a_clock_that_is_behind_gives_no_negative_age(self) -> None:
        """The grid's clock decides when a session was created, and the client's what time it is."""
        assert age(then=100, now=90) == "0 s ago"


class TestTable:
    def test_columns_are_aligned_and_lines_have_no_trailing_blanks(self) -> None:
        """Numbers stand right, words left."""
        rows = [("a", "1", "failed"), ("long", "1,000", "finished")]
        assert list(table(COLUMNS, rows)) == [
            "NAME  COUNT  STATE",
            "a         1  failed",
            "long  1,000  finished",
        ]

    def test_without_rows_there_is_the_title_line(self) -> None:
        """An empty answer still says what it would hold."""
        assert list(table(COLUMNS, [])) == ["NAME  COUNT  STATE"]

    def test_colours_do_not_move_columns(self) -> None:
        """Only cells that are a state are coloured, and only when asked to."""
        plain = list(table(COLUMNS, [("finished", "1", "failed")]))
        coloured = list(table(COLUMNS, [("x", "1", "failed")], colour=True))
        assert "\x1b" not in "".join(plain)
        assert coloured[1] == "x         1  \x1b[31mfailed\x1b[0m"

    def test_rows_are_taken_as_they_are_printed(self) -> None:
        """A million rows are not kept: only the first few are read ahead, to be measured."""
        taken = []

        def rows() -> object:
            for index in range(3 * rendering.ROWS_MEASURED):
                taken.append(index)
                yield (str(index), "1", "pending")

        lines = table(COLUMNS, rows())  # type: ignore[arg-type]
        next(lines)
        assert len(taken) == rendering.ROWS_MEASURED
        assert len(list(lines)) == 3 * rendering.ROWS_MEASURED

    def test_fields_align_their_values(self) -> None:
        """Names and values stand in two columns."""
        assert list(fields([("a", "1"), ("name", "x")])) == ["a     1", "name  x"]


class TestSession:
    def test_a_running_session_shows_how_far_it_is(self) -> None:
        """Counts by state, and the share that has ended."""
        shown = dict(session_fields(describe(name="book", tags={"desk": "rates"}), CREATED + 90))
        assert shown == {
            "session": "s-1",
            "name": "book",
            "tags": "desk=rates",
            "worker": "mock-compute",
            "backend": "lambda",
            "state": "running",
            "tasks": "1,200 (599 finished, 1 failed, 600 pending)",
            "ended": "50 %",
            "chunks": "12 of up to 100 tasks",
            "created": "2026-09-21 14:13:20 UTC (1 min 30 s ago)",
            "elapsed": "1 min 30 s",
            "deadline": "2026-09-22 14:13:20 UTC",
        }

    def test_a_closed_session_shows_how_long_it_took(self) -> None:
        """Its duration ends with it."""
        timings = {"created_at": CREATED, "deadline_at": CREATED + 9, "closed_at": CREATED + 4.5}
        shown = dict(session_fields(describe(state="finished", timings=timings), CREATED + 3600))
        assert shown["took"] == "4.5 s"
        assert "elapsed" not in shown

    def test_a_blocked_session_shows_what_it_waits_for(self) -> None:
        """And a failed one why, if that is not its tasks' fault."""
        blocked = describe(state="pending", blocked=True, depends_on=["s-2", "s-3"], priority=9)
        shown = dict(session_fields(blocked, CREATED))
        assert shown["standing"] == "waiting for its dependencies, priority 9"
        assert shown["depends on"] == "s-2, s-3"
        assert "reason" not in shown
        failed = describe(state="failed", depends_on=["s-2"], reason="session s-2 was cancelled")
        shown = dict(session_fields(failed, CREATED))
        assert shown["reason"] == "session s-2 was cancelled"
        assert "standing" not in shown

    def test_a_session_on_fargate_shows_why_and_its_containers(self) -> None:
        """So many of each kind, and how long they were there together."""
        size = {"memory_mib": 8192, "storage_gib": 21, "architecture": "arm64"}
        containers = [
            {**size, "vcpu": vcpu, "spot": vcpu == 4, "started_at": 0.0, "seen_at": 100.0}
            for vcpu in (4, 4, 0.5)
        ]
        session = describe(backend="fargate", backend_reason="it asked", containers=containers)
        shown = dict(session_fields(session, CREATED))
        assert (shown["backend"], shown["because"]) == ("fargate", "it asked")
        assert shown["containers"] == (
            "2 of 4 vCPU, 8,192 MiB, Spot; 1 of 0.5 vCPU, 8,192 MiB; for 5 min"
        )

    def test_the_summary_is_one_line(self) -> None:
        """State, counts and time."""
        assert rendering.session_summary(describe(), CREATED + 61) == (
            "running: 599 finished, 1 failed, 600 pending of 1,200 tasks in 1 min 1 s"
        )

    def test_an_open_session_of_a_list_has_no_counts(self) -> None:
        """What is not known is a dash, never a zero."""
        summary = SessionSummary(
            session_id="s-1", state="open", worker="w", tasks=1, created_at=CREATED
        )
        row = rendering.session_row(summary, CREATED + 5)
        assert row == ("s-1", "open", "w", "1", "-", "5 s ago", "-", "")


class TestOtherRows:
    def test_a_failed_task_shows_its_error_on_one_line(self) -> None:
        """Messages with line breaks don't break the table, and long ones are cut."""
        error = {"type": "ValueError", "message": "bad\n  value " + "x" * 200, "traceback": "..."}
        task = TaskDescription.model_validate(
            {"task_id": "s_7", "index": 7, "state": "failed", "attempts": 3, "error": error}
        )
        row = rendering.task_row(task)
        assert row[:4] == ("7", "failed", "3", "-")
        assert row[4].startswith("ValueError: bad value xxx")
        assert row[4].endswith("...")
        assert len(row[4]) == 100

    def test_a_task_that_waits_has_no_attempts_yet(self) -> None:
        """What is not known is a dash."""
        task = TaskDescription.model_validate({"task_id": "s_0", "index": 0, "state": "pending"})
        assert rendering.task_row(task) == ("0", "pending", "-", "-", "")

    def test_a_worker_shows_its_limits_in_people_s_units(self) -> None:
        """Seconds become minutes."""
        worker = WorkerDescription(
            name="mock-compute",
            backends=["lambda"],
            timeout_seconds=900,
            memory_mib=1769,
            max_task_timeout_seconds=840,
        )
        assert rendering.worker_row(worker) == (
            "mock-compute",
            "package",
            "-",
            "lambda",
            "1,769 MiB",
            "15 min",
            "14 min",
            "-",
            "-",
        )

    def test_a_registered_function_shows_its_runtime_and_limit(self) -> None:
        """Which Lambda runs it, and how many of its chunks at once."""
        worker = WorkerDescription(
            name="pricer",
            backends=["lambda"],
            timeout_seconds=60,
            memory_mib=256,
            max_task_timeout_seconds=60,
            kind="function",
            runtime="provided.al2023",
            concurrency=1_000,
        )
        row = rendering.worker_row(worker)
        assert (row[1], row[2], row[-1]) == ("function", "provided.al2023", "1,000")

    def test_a_cancel_tells_what_it_ended(self) -> None:
        """The sum, and the states that the tasks were in."""
        counts = CancelCounts(
            cancelled_pending=90, cancelled_processing=10, total_cancelled_tasks=100
        )
        assert rendering.cancelled(counts) == "cancelled 100 tasks (10 processing, 90 pending)"
        assert rendering.cancelled(CancelCounts()).startswith("nothing to cancel")

    def test_counts_leave_out_states_without_tasks(self) -> None:
        """Zeros are noise."""
        assert rendering.task_counts(TaskCounts(finished=3)) == "3 finished"
        assert rendering.task_counts(TaskCounts()) == "none"


def test_control_characters_stay_out() -> None:
    """A name can't break its row, or colour and clear the terminal."""
    rows = list(rendering.table([rendering.Column("NAME")], [["a\n\x1b[31mb"]]))
    assert rows == ["NAME", "a  [31mb"]
    assert list(rendering.fields([("name", "a\tb")])) == ["name  a b"]
