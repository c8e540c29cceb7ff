"""`stepgrid submit`, on a fake grid."""

from pathlib import Path

import pytest

from stepgrid_core.errors import (
    Conflict,
    InvalidRequest,
    RequestTooLarge,
    TaskFailed,
    Unavailable,
)
from tests.unit.cli_fakes import SESSION_ID, FakeGrid, FakeSession, json_lines, run, write_tasks

FAILURE = TaskFailed("ValueError: no", f"{SESSION_ID}_0")


def test_it_prints_the_session_id_alone_on_stdout(tmp_path: Path) -> None:
    """SESSION=$(stepgrid submit ...) works; the sentence for people is on stderr."""
    grid = FakeGrid()
    result = run(grid, "submit", "mock-compute", write_tasks(tmp_path, {"a": 1}, [2]))
    assert result.exit_code == 0
    assert result.stdout == f"{SESSION_ID}\n"
    assert result.stderr == "stepgrid: submitted 2 tasks\n"
    assert grid.submitted[0]["worker"] == "mock-compute"
    assert grid.submitted[0]["tasks"] == [{"a": 1}, [2]]
    assert grid.submitted[0]["options"] == {}
    assert grid.known.waited == []


def test_json_is_one_description(tmp_path: Path) -> None:
    """The keys of the contract."""
    grid = FakeGrid()
    result = run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), "--json")
    assert json_lines(result.stdout) == [grid.known.status().model_dump(mode="json")]
    assert result.stderr == ""


def test_a_dash_is_the_standard_input() -> None:
    """Tasks can be piped in."""
    grid = FakeGrid()
    assert run(grid, "submit", "mock-compute", "-", stdin=b"1\n2\n").exit_code == 0
    assert grid.submitted[0]["tasks"] == [1, 2]


def test_options_travel_with_the_session(tmp_path: Path) -> None:
    """Those that were given, and no others: the grid knows the defaults."""
    grid = FakeGrid()
    options = {
        "--name": "nightly",
        "--timeout-seconds": "60",
        "--task-timeout-seconds": "1.5",
        "--max-attempts": "2",
        "--priority": "0",
        "--max-concurrency": "10",
        "--chunk-size": "5",
        "--task-seconds": "0.25",
        "--token": "t-1",
    }
    arguments = [part for pair in options.items() for part in pair]
    tags = ["--tag", "desk=rates", "--tag", "run=a=b"]
    run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), *arguments, *tags)
    assert grid.submitted[0]["token"] == "t-1"
    assert grid.submitted[0]["options"] == {
        "name": "nightly",
        "tags": {"desk": "rates", "run": "a=b"},
        "timeout_seconds": 60,
        "task_timeout_seconds": 1.5,
        "max_attempts": 2,
        "priority": 0,
        "max_concurrency": 10,
        "chunk_size": 5,
        "task_seconds": 0.25,
    }


def test_it_may_come_after_others(tmp_path: Path) -> None:
    """--after names sessions that must have finished well; it may be given again."""
    grid = FakeGrid()
    after = ["--after", SESSION_ID, "--after", "another"]
    run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), *after)
    assert grid.submitted[0]["depends_on"] == [SESSION_ID, "another"]
    assert grid.submitted[0]["options"] == {}


def test_containers_are_wished_option_by_option(tmp_path: Path) -> None:
    """Those of them that were given, as one option of the session."""
    grid = FakeGrid()
    file = write_tasks(tmp_path, 1)
    wished = ["--containers", "3", "--vcpu", "0.5", "--memory-mib", "1024", "--storage-gib", "30"]
    run(grid, "submit", "mock-compute", file, "--backend", "fargate", *wished, "--on-demand")
    run(grid, "submit", "mock-compute", file, "--spot")
    run(grid, "submit", "mock-compute", file, "--backend", "lambda")
    assert [request["options"] for request in grid.submitted] == [
        {
            "backend": "fargate",
            "container": {
                "count": 3,
                "vcpu": 0.5,
                "memory_mib": 1024,
                "storage_gib": 30,
                "spot": False,
            },
        },
        {"container": {"spot": True}},
        {"backend": "lambda"},
    ]


def test_without_a_token_each_submit_is_another_session(tmp_path: Path) -> None:
    """Tokens are never used twice by chance."""
    grid = FakeGrid()
    for _ in range(2):
        run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1))
    first, second = (request["token"] for request in grid.submitted)
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tag", "desk"], "'desk' is not KEY=VALUE"),
        (["--tag", "=x"], "'=x' is not KEY=VALUE"),
        (["--chunk-size", "many"], "'many' is not a valid integer"),
        (["--results", "no/such/folder"], "the folder of no/such/folder does not exist"),
        (["--results", "-", "--json"], "--json and --results - both want the standard output"),
        (["--nonsense"], "No such option: --nonsense"),
        (["--backend", "ec2"], "'ec2' is not one of 'auto', 'lambda', 'fargate'"),
    ],
)
def test_wrong_usage_is_code_2_and_submits_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    """One line that names the option and where its help is."""
    grid = FakeGrid()
    result = run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), *arguments)
    assert (result.exit_code, grid.submitted) == (2, [])
    assert result.stderr.startswith("stepgrid: error: ")
    assert message in result.stderr
    assert result.stderr.endswith("(see `stepgrid submit --help`)\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--priority", "11"], "option priority: Input should be less than or equal to 9, not 11"),
        (["--max-attempts", "0"], "option max_attempts: Input should be greater than or equal"),
        (["--task-seconds", "nan"], "option task_seconds: "),
        (["--vcpu", "3"], "option container.vcpu: Fargate has 0.25, 0.5, 1, 2, 4"),
        (["--token", "a b"], "client_token 'a b' must have 1 to 128 characters"),
    ],
)
def test_an_option_out_of_range_is_code_2_and_submits_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    """The SDK's own check, before a task is read."""
    grid = FakeGrid()
    result = run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), *arguments)
    assert (result.exit_code, grid.submitted) == (2, [])
    assert result.stderr.startswith(f"stepgrid: error: {message}")


def test_a_bad_line_is_code_2_and_submits_nothing(tmp_path: Path) -> None:
    """The message names the file and the line."""
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    grid = FakeGrid()
    result = run(grid, "submit", "mock-compute", str(path))
    assert (result.exit_code, result.stdout, grid.submitted) == (2, "", [])
    assert result.stderr == (
        f"stepgrid: error: {path}: line 2 is not JSON: Expecting value (column 7); "
        "nothing was submitted\n"
    )


def test_a_file_that_is_not_there_is_code_2() -> None:
    """The message names it."""
    result = run(FakeGrid(), "submit", "mock-compute", "missing.jsonl")
    assert result.exit_code == 2
    assert "'missing.jsonl': No such file or directory" in result.stderr


@pytest.mark.parametrize(
    "refusal",
    [InvalidRequest("no worker x"), Conflict("other tasks"), RequestTooLarge("too many")],
)
def test_what_the_grid_refuses_is_code_2(tmp_path: Path, refusal: Exception) -> None:
    """The grid's own words are the message."""
    grid = FakeGrid(refusal=refusal)
    result = run(grid, "submit", "x", write_tasks(tmp_path, 1))
    assert (result.exit_code, result.stderr) == (2, f"stepgrid: error: {refusal}\n")


@pytest.mark.parametrize(
    ("refusal", "code"), [(Unavailable("no answer"), 3), (KeyboardInterrupt(), 130)]
)
def test_a_submit_without_an_answer_tells_how_to_repeat_it(
    tmp_path: Path, refusal: BaseException, code: int
) -> None:
    """It may have arrived: the same token makes the repetition harmless."""
    grid = FakeGrid(refusal=refusal)
    result = run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), "--token", "t-1")
    assert result.exit_code == code
    assert "repeat it with --token t-1" in result.stderr


class TestWait:
    @pytest.mark.parametrize(
        ("outcomes", "state", "code", "summary"),
        [
            ([1, 2], "finished", 0, "finished: 2 finished of 2 tasks in 20 s"),
            ([FAILURE, 2], "finished", 1, "finished: 1 finished, 1 failed of 2 tasks in 20 s"),
            ([1], "failed", 1, "failed: 1 finished of 1 task in 20 s"),
            ([1], "cancelled", 1, "cancelled: 1 finished of 1 task in 20 s"),
        ],
    )
    def test_the_exit_code_tells_how_it_ended(
        self, tmp_path: Path, outcomes: list[object], state: str, code: int, summary: str
    ) -> None:
        """0 only if every task has a result; the summary is on stderr."""
        session = FakeSession(outcomes, state=state)
        tasks = write_tasks(tmp_path, *range(len(outcomes)))
        result = run(FakeGrid(session), "submit", "mock-compute", tasks, "--wait")
        assert (result.exit_code, result.stdout) == (code, f"{SESSION_ID}\n")
        assert result.stderr == f"stepgrid: {summary}\n"
        assert session.waited == [None]

    def test_results_go_to_the_file(self, tmp_path: Path) -> None:
        """--results waits by itself."""
        path = tmp_path / "results.jsonl"
        grid = FakeGrid(FakeSession([FAILURE, {"b": 2}]))
        tasks = write_tasks(tmp_path, 1, 2)
        result = run(grid, "submit", "mock-compute", tasks, "--results", str(path))
        assert (result.exit_code, len(grid.known.waited)) == (1, 1)
        failed, finished = json_lines(path.read_text())
        assert failed["error"]["message"] == "ValueError: no"
        assert finished == {"b": 2}

    def test_results_go_to_stdout(self, tmp_path: Path) -> None:
        """Then the id is on stderr: stdout is for what reads the results."""
        tasks = write_tasks(tmp_path, 1, 2)
        result = run(FakeGrid(), "submit", "mock-compute", tasks, "--results", "-")
        assert result.stdout == "1\n2\n"
        assert result.stderr.startswith(f"{SESSION_ID}\n")

    def test_json_is_the_final_description(self, tmp_path: Path) -> None:
        """One object on stdout, with the counts of the end."""
        tasks = write_tasks(tmp_path, 1, 2)
        result = run(FakeGrid(), "submit", "mock-compute", tasks, "--wait", "--json")
        [description] = json_lines(result.stdout)
        assert (description["state"], description["counts"]["finished"]) == ("finished", 2)

    def test_ctrl_c_says_that_the_session_goes_on(self, tmp_path: Path) -> None:
        """The id was printed before, and the words to attach again come after."""
        grid = FakeGrid(FakeSession([1], interrupt=True))
        result = run(grid, "submit", "mock-compute", write_tasks(tmp_path, 1), "--wait")
        assert (result.exit_code, result.stdout) == (130, f"{SESSION_ID}\n")
        assert f"stepgrid results {SESSION_ID}" in result.stderr
        assert "--token" not in result.stderr


def test_a_common_input_comes_from_a_file(tmp_path: Path) -> None:
    """It is one JSON value, on as many lines as it likes."""
    common = tmp_path / "market.json"
    common.write_text('{"EUR":\n 1.08}')
    grid = FakeGrid()
    tasks = write_tasks(tmp_path, 1)
    assert run(grid, "submit", "mock-compute", tasks, "--common", str(common)).exit_code == 0
    assert grid.submitted[0]["common"] == {"EUR": 1.08}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "is not JSON"),
        (b"NaN", "is not JSON: NaN is not a JSON number"),
        (b"\xff", "is not UTF-8 (byte 1)"),
    ],
)
def test_a_bad_common_input_is_refused(tmp_path: Path, text: bytes, words: str) -> None:
    """By the file's name, and nothing is submitted."""
    common = tmp_path / "market.json"
    common.write_bytes(text)
    grid = FakeGrid()
    tasks = write_tasks(tmp_path, 1)
    result = run(grid, "submit", "mock-compute", tasks, "--common", str(common))
    assert result.exit_code == 2
    assert f"{common} {words}" in result.stderr
    assert grid.submitted == []
