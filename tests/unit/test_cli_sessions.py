"""Commands about sessions that exist, on a fake grid."""

import os
import re
import threading
from pathlib import Path

import pytest

from stepgrid.outcomes import Outcome, error_of
from stepgrid_core.errors import TaskCancelled
from stepgrid_core.states import TaskState
from tests.unit.cli_fakes import SESSION_ID, FakeGrid, FakeSession, json_lines, run

TRACEBACK = "Traceback ..."
FAILURE = error_of(
    Outcome(
        index=1,
        state=TaskState.FAILED,
        error={
            "type": "ValueError",
            "message": "negative volatility",
            "traceback": TRACEBACK,
        },
    ),
    SESSION_ID,
)


@pytest.fixture
def grid() -> FakeGrid:
    return FakeGrid(FakeSession([{"price": 1.5}, FAILURE, None]))


class TestStatus:
    def test_it_shows_the_state_for_people(self, grid: FakeGrid) -> None:
        """Names and values in two columns, without colours: the output is not a terminal."""
        result = run(grid, "status", SESSION_ID)
        assert result.exit_code == 0
        assert "state    finished\n" in result.stdout
        assert "tasks    3 (2 finished, 1 failed)\n" in result.stdout
        assert "took     20 s\n" in result.stdout
        assert "\x1b" not in result.stdout

    def test_json_is_the_description_of_the_contract(self, grid: FakeGrid) -> None:
        """The keys that travel are the keys that scripts see."""
        result = run(grid, "status", SESSION_ID, "--json")
        assert json_lines(result.stdout) == [grid.known.status().model_dump(mode="json")]

    def test_without_wait_any_state_is_a_success(self, grid: FakeGrid) -> None:
        """Asking for a state has worked when the state is known."""
        grid.known.state = "cancelled"
        assert run(grid, "status", SESSION_ID).exit_code == 0

    @pytest.mark.parametrize(
        ("outcomes", "state", "code"),
        [
            ([1], "finished", 0),
            ([1, FAILURE], "finished", 1),
            ([1], "failed", 1),
            ([1], "cancelled", 1),
            ([1], "running", 3),
        ],
    )
    def test_with_wait_the_exit_code_tells_how_it_ended(
        self, outcomes: list[object], state: str, code: int
    ) -> None:
        """0 only if every task has a result; 3 if the time was not enough."""
        session = FakeSession(outcomes, state=state)
        result = run(FakeGrid(session), "status", SESSION_ID, "--wait", "5")
        assert (result.exit_code, session.waited) == (code, [5.0])
        assert re.search(rf"^state +{state}$", result.stdout, re.MULTILINE)

    def test_a_time_that_is_too_short_is_said(self) -> None:
        """The session goes on, and that is not an error of its own."""
        grid = FakeGrid(FakeSession([1], state="running"))
        result = run(grid, "status", SESSION_ID, "--wait", "0.5", "--json")
        assert result.stderr == (f"stepgrid: {SESSION_ID} has not ended after 0.5 s; it goes on\n")
        assert json_lines(result.stdout)[0]["state"] == "running"

    def test_an_unknown_session_is_code_4(self, grid: FakeGrid) -> None:
        """One line on stderr, nothing on stdout."""
        result = run(grid, "status", "no-such-session")
        assert (result.exit_code, result.stdout) == (4, "")
        assert result.stderr == (
            "stepgrid: error: there is no session 'no-such-session' of yours\n"
        )


class TestResults:
    def test_each_result_is_a_line_in_order(self) -> None:
        """Results of any JSON type; a text in any script is written in ASCII."""
        grid = FakeGrid(FakeSession([1, {"a": [2]}, None, "é\ud800"]))
        result = run(grid, "results", SESSION_ID)
        assert result.exit_code == 0
        assert result.stdout == '1\n{"a":[2]}\nnull\n"\\u00e9\\ud800"\n'

    def test_a_failed_task_is_an_error_line_and_code_1(self, grid: FakeGrid) -> None:
        """Type, message and traceback stand where the result would."""
        result = run(grid, "results", SESSION_ID)
        assert result.exit_code == 1
        assert json_lines(result.stdout) == [
            {"price": 1.5},
            {
                "error": {
                    "type": "ValueError",
                    "message": "negative volatility",
                    "traceback": TRACEBACK,
                }
            },
            None,
        ]
        assert "1 task without a result" in result.stderr

    def test_json_tells_results_from_errors(self) -> None:
        """A result that looks like an error can't be mistaken for one."""
        grid = FakeGrid(FakeSession([{"error": "no"}, FAILURE, TaskCancelled("cancelled", "s_2")]))
        lines = json_lines(run(grid, "results", SESSION_ID, "--json").stdout)
        assert lines[0] == {"index": 0, "state": "finished", "result": {"error": "no"}}
        assert [(line["index"], line["state"]) for line in lines[1:]] == [
            (1, "failed"),
            (2, "cancelled"),
        ]

    def test_output_writes_the_same_lines_to_a_file(self, grid: FakeGrid, tmp_path: Path) -> None:
        """The file replaces an older one, and no other file is left."""
        path = tmp_path / "results.jsonl"
        path.write_text("old")
        result = run(grid, "results", SESSION_ID, "--output", str(path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert path.read_text() == run(grid, "results", SESSION_ID).stdout
        assert list(tmp_path.iterdir()) == [path]

    def test_an_interrupted_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        """Half a file of results never takes the place of a whole one."""
        path = tmp_path / "results.jsonl"
        path.write_text("old")
        grid = FakeGrid(FakeSession([1], interrupt=True))
        assert run(grid, "results", SESSION_ID, "-o", str(path)).exit_code == 130
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_pipe_is_written_to_as_it_is(self, grid: FakeGrid, tmp_path: Path) -> None:
        """What is no regular file can't be replaced."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
        reader.start()
        run(grid, "results", SESSION_ID, "--output", str(pipe))
        reader.join()
        assert read == [run(grid, "results", SESSION_ID).stdout]

    def test_a_folder_that_is_not_there_is_refused_before_waiting(self, grid: FakeGrid) -> None:
        """Nobody waits hours for a file that can't be written."""
        result = run(grid, "results", SESSION_ID, "--output", "no/such/folder.jsonl")
        assert (result.exit_code, grid.known.waited) == (2, [])
        assert "the folder of no/such/folder.jsonl does not exist" in result.stderr

    def test_ctrl_c_says_that_the_session_goes_on(self) -> None:
        """The command ends, with the words that attach again; code 130."""
        result = run(FakeGrid(FakeSession([1], interrupt=True)), "results", SESSION_ID)
        assert result.exit_code == 130
        assert "the session itself goes on" in result.stderr
        assert f"stepgrid results {SESSION_ID}" in result.stderr
        assert "Traceback" not in result.stderr


class TestTasks:
    def test_tasks_are_a_table(self, grid: FakeGrid) -> None:
        """State, attempts, time and error of each task."""
        assert run(grid, "tasks", SESSION_ID).stdout.splitlines() == [
            "TASK  STATE     ATTEMPTS      TIME  ERROR",
            "   0  finished         1  0.0125 s",
            "   1  failed           3  0.0125 s  ValueError: negative volatility",
            "   2  finished         1  0.0125 s",
        ]

    def test_state_and_limit_choose(self, grid: FakeGrid) -> None:
        """--state asks the grid for these alone, --limit stops reading."""
        failed = json_lines(run(grid, "tasks", SESSION_ID, "--state", "failed", "--json").stdout)
        assert [task["index"] for task in failed] == [1]
        assert failed[0]["error"]["message"] == "negative volatility"
        first = json_lines(run(grid, "tasks", SESSION_ID, "--limit", "2", "--json").stdout)
        assert [task["index"] for task in first] == [0, 1]

    def test_a_state_that_does_not_exist_is_wrong_usage(self, grid: FakeGrid) -> None:
        """The message names the states."""
        result = run(grid, "tasks", SESSION_ID, "--state", "done")
        assert result.exit_code == 2
        assert "'finished', 'failed', 'cancelled'" in result.stderr


class TestFailures:
    def test_they_are_a_table(self, grid: FakeGrid) -> None:
        """Which task, why, after how many attempts, and the error on one line."""
        result = run(grid, "failures", SESSION_ID)
        assert result.exit_code == 0
        title, line = result.stdout.splitlines()
        assert title.split() == ["TASK", "REASON", "ATTEMPTS", "ERROR"]
        assert line.split(maxsplit=3) == ["1", "exception", "3", "ValueError: negative volatility"]

    def test_json_has_a_line_for_each(self, grid: FakeGrid) -> None:
        """The fields of a dead letter, as the SDK names them."""
        assert json_lines(run(grid, "failures", SESSION_ID, "--json").stdout) == [
            {
                "task_id": f"{SESSION_ID}_1",
                "index": 1,
                "reason": "exception",
                "error_type": "ValueError",
                "message": "negative volatility",
                "attempts": 3,
            }
        ]

    def test_a_reason_chooses(self, grid: FakeGrid) -> None:
        """Only the tasks that failed for it."""
        result = run(grid, "failures", SESSION_ID, "--reason", "timeout", "--json")
        assert (result.exit_code, result.stdout) == (0, "")


class TestCancel:
    def test_it_tells_for_each_session(self, grid: FakeGrid) -> None:
        """All sessions go in one request."""
        result = run(grid, "cancel", SESSION_ID, "other")
        assert result.exit_code == 0
        assert grid.asked == [[SESSION_ID, "other"]]
        assert result.stdout.splitlines() == [
            f"{SESSION_ID}  cancelled 2 tasks (2 pending)",
            "other  nothing to cancel: it has ended, or is no session of yours",
        ]

    def test_json_has_a_line_for_each_session(self, grid: FakeGrid) -> None:
        """The counts of the contract, and whose they are."""
        result = run(grid, "cancel", SESSION_ID, "--json")
        assert json_lines(result.stdout) == [
            {
                "session_id": SESSION_ID,
                "cancelled_retrying": 0,
                "cancelled_pending": 2,
                "cancelled_processing": 0,
                "total_cancelled_tasks": 2,
            }
        ]

    def test_it_needs_a_session(self, grid: FakeGrid) -> None:
        """Nothing is not everything."""
        assert run(grid, "cancel").exit_code == 2
        assert grid.asked == []


class TestDelete:
    @pytest.mark.parametrize(
        ("option", "output"),
        [
            ([], f"{SESSION_ID}  deleted\n"),
            (["--json"], f'{{"session_id":"{SESSION_ID}","deleted":true}}\n'),
        ],
    )
    def test_it_deletes_one_session(self, grid: FakeGrid, option: list[str], output: str) -> None:
        """And says which."""
        result = run(grid, "delete", SESSION_ID, *option)
        assert (result.exit_code, result.stdout) == (0, output)
        assert grid.known.deleted


class TestList:
    def test_sessions_are_a_table(self, grid: FakeGrid) -> None:
        """Newest first, as the grid gives them; 50 at most unless told otherwise."""
        result = run(grid, "list")
        title, line = result.stdout.splitlines()
        assert title.split() == [
            "SESSION",
            "STATE",
            "WORKER",
            "TASKS",
            "FAILED",
            "CREATED",
            "TOOK",
            "NAME",
        ]
        assert line.split("  ")[:3] == [SESSION_ID, "finished", "mock-compute"]
        assert line.endswith("1,000       2  30 s ago  20 s  nightly")
        assert grid.asked == [(None, 50)]

    def test_json_is_the_summary_of_the_contract(self, grid: FakeGrid) -> None:
        """--limit 0 asks for all of them."""
        result = run(grid, "list", "--state", "running", "--limit", "0", "--json")
        assert grid.asked == [("running", None)]
        assert json_lines(result.stdout)[0]["counts"]["failed"] == 2


class TestGrid:
    def test_workers_are_a_table(self, grid: FakeGrid) -> None:
        """Names, kinds, limits and measured times."""
        assert run(grid, "workers").stdout.splitlines()[1].split() == (
            [
                "mock-compute",
                "package",
                "-",
                "lambda",
                "1,769",
                "MiB",
                "15",
                "min",
                "14",
                "min",
                "0.5",
                "s",
                "-",
            ]
        )

    def test_workers_as_json(self, grid: FakeGrid) -> None:
        """The keys of the contract."""
        [worker] = json_lines(run(grid, "workers", "--json").stdout)
        assert (worker["name"], worker["memory_mib"]) == ("mock-compute", 1769)

    def test_health(self, grid: FakeGrid) -> None:
        """The grid answers, and says which version it is."""
        assert run(grid, "health").stdout == "status    ok\nversion   0.1.0\ncontract  1.0\n"
        assert json_lines(run(grid, "health", "--json").stdout) == [
            {"status": "ok", "version": "0.1.0", "contract_version": "1.0"}
        ]


class TestLogs:
    def test_a_line_says_when_whose_and_what(self, grid: FakeGrid) -> None:
        """Times in UTC; control characters give no orders to the terminal."""
        result = run(grid, "logs", SESSION_ID, "--all")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "14:13:21.500  task 1  half way",
            "14:13:22.000  task 1 attempt 2  done",
            "14:13:23.000  grid  chunk run",
        ]

    def test_options_reach_the_session(self, grid: FakeGrid) -> None:
        """One task, all lines, until the end."""
        run(grid, "logs", SESSION_ID)
        run(grid, "logs", SESSION_ID, "17", "--all", "--follow")
        assert grid.known.asked_logs == [(None, False, False), (17, True, True)]

    def test_json_is_the_line_of_the_contract(self, grid: FakeGrid) -> None:
        """Untouched text, for scripts."""
        lines = json_lines(run(grid, "logs", SESSION_ID, "--json").stdout)
        assert [line["message"] for line in lines] == ["half\tway", "done"]
        assert lines[1]["printed"] == "stderr"

    def test_interrupting_ends_the_command_only(self, grid: FakeGrid) -> None:
        """Ctrl-C while following says that the session goes on."""
        grid.known.interrupt = True
        result = run(grid, "logs", SESSION_ID, "--follow")
        assert result.exit_code == 130
        assert "the session itself goes on" in result.stderr
