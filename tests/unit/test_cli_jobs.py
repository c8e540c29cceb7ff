"""`stepgrid jobs`, over the in-memory grid."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import Result

from stepgrid.cli.context import App
from stepgrid.testing import InMemoryGrid, JobFailed
from stepgrid_core.contract import JobSpec

from .cli_fakes import json_lines, run_app
from .job_world import OWNER

UNKNOWN = "0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e"
seen: list[JobSpec] = []


def work(spec: JobSpec, index: int, inputs: Mapping[str, bytes]) -> Mapping[str, bytes]:
    seen.append(spec)
    if spec.executable == "false":
        raise JobFailed(1, {})
    return {"STDOUT.txt": b"said", **inputs}


@pytest.fixture
def memory() -> InMemoryGrid:
    seen.clear()
    return InMemoryGrid({}, jobs=work)


def run(memory: InMemoryGrid, *arguments: str) -> Result:
    app = App(open_grid=lambda: memory.client(OWNER), now=memory.clock.now)
    return run_app(app, "jobs", *arguments)


def submit(memory: InMemoryGrid, *arguments: str) -> str:
    result = run(memory, "submit", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def test_a_command_is_submitted(memory: InMemoryGrid, tmp_path: Path) -> None:
    """Its words and options arrive; files are uploaded, and the id is printed alone."""
    file = tmp_path / "data.csv"
    file.write_text("1")
    job_id = submit(
        memory, "--input", str(file), "--input", "https://host/a", "--output", "*.csv",
        "--walltime-seconds", "60", "--tag", "a=b", "--", "sum", "--all", "two words",
    )  # fmt: skip
    assert run(memory, "wait", job_id).exit_code == 0
    assert seen[0].executable == "sum --all 'two words'"
    assert seen[0].walltime_seconds == 60
    assert [each.name for each in seen[0].inputs] == ["data.csv", None]


def test_a_file_is_submitted(memory: InMemoryGrid, tmp_path: Path) -> None:
    """Options win over what it says."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"executable": "true", "queue": "Test", "args": ["x"], "array": 2}))
    job_id = submit(memory, str(path), "--queue", "Prod", "--token", "t")
    assert submit(memory, str(path), "--queue", "Prod", "--token", "t") == job_id
    described = json_lines(run(memory, "status", job_id, "--json").stdout)[0]
    assert (described["queue"], described["array"]) == ("Prod", 2)


def test_inputs_of_a_file_may_be_text(
    memory: InMemoryGrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of the options are: files of this machine are uploaded."""
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("1")
    inputs = ["data.csv", {"url": "https://host/a", "name": "b"}]
    Path("job.json").write_text(json.dumps({"executable": "true", "inputs": inputs}))
    run(memory, "wait", submit(memory, "job.json", "--input", "https://host/c"))
    assert [each.destination for each in seen[0].inputs] == ["b", "data.csv", "c"]


def test_variables_and_a_smaller_container_are_asked_for(memory: InMemoryGrid) -> None:
    """A container that the queue does not give is refused."""
    run(memory, "wait", submit(memory, "--env", "A=b=c", "--vcpu", "0.5", "--", "true"))
    assert seen[0].environment == {"A": "b=c"}
    refused = run(memory, "submit", "--vcpu", "8", "--", "true")
    assert (refused.exit_code, "gives a job 1" in refused.stderr) == (2, True)


def test_a_file_has_its_command_in_it(memory: InMemoryGrid) -> None:
    """Another one beside it is refused, and not run in its place."""
    result = run(memory, "submit", "job.json", "--", "true")
    assert (result.exit_code, "give one of them" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"executable": 1}', '{"executable": "a", "x": 1}']
)
def test_a_bad_file_is_refused(memory: InMemoryGrid, tmp_path: Path, text: str) -> None:
    """One line says why, and no job is made."""
    path = tmp_path / "job.json"
    path.write_text(text)
    result = run(memory, "submit", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert run(memory, "list", "--json").stdout == ""


def test_files_that_are_not_there_are_refused(memory: InMemoryGrid, tmp_path: Path) -> None:
    """Of the job, and of its inputs."""
    missing = str(tmp_path / "none.json")
    assert run(memory, "submit", missing).exit_code == 2
    assert run(memory, "submit", "--input", missing, "--", "true").exit_code == 2


def test_a_job_is_shown(memory: InMemoryGrid) -> None:
    """State, times and what it runs; as JSON what travels."""
    job_id = submit(memory, "--name", "one", "--", "true")
    text = run(memory, "status", job_id).stdout
    assert "state            completed\n" in text
    assert "exit code        0\n" in text
    assert json_lines(run(memory, "status", job_id, "--json").stdout)[0]["state"] == "completed"


def test_waiting_tells_how_it_ended(memory: InMemoryGrid) -> None:
    """By the exit code: completed, failed, not yet."""
    assert run(memory, "wait", submit(memory, "--", "true")).exit_code == 0
    assert run(memory, "wait", submit(memory, "--", "false")).exit_code == 1
    memory.autorun = False
    result = run(memory, "wait", submit(memory, "--", "true"), "--timeout", "5")
    assert (result.exit_code, "it goes on" in result.stderr) == (3, True)


def test_outputs_are_listed_and_saved(memory: InMemoryGrid, tmp_path: Path) -> None:
    """What is not there is said."""
    job_id = submit(memory, "--output", "a.png", "--", "true")
    run(memory, "wait", job_id)
    lines = run(memory, "outputs", job_id).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["OUTPUT", "a.png", "STDOUT.txt", "STDERR.txt"]
    assert "not there" in lines[1]
    told = json_lines(run(memory, "outputs", job_id, "--json").stdout)
    assert [one["available"] for one in told] == [False, True, True]
    saved = run(memory, "outputs", job_id, "--download", str(tmp_path / "new")).stdout.split()
    assert saved == [str(tmp_path / "new" / name) for name in ("STDOUT.txt", "STDERR.txt")]
    assert Path(saved[0]).read_text() == "said"


def test_jobs_are_cancelled(memory: InMemoryGrid) -> None:
    """Several at once, and again."""
    memory.autorun = False
    ids = [submit(memory, "--", "true") for _ in range(2)]
    for _ in range(2):
        assert run(memory, "cancel", *ids).stdout == "".join(f"{i}  cancelled\n" for i in ids)
    told = json_lines(run(memory, "cancel", ids[0], "--json").stdout)
    assert told[0]["state"] == "cancelled"


def test_jobs_are_listed(memory: InMemoryGrid) -> None:
    """Newest first, as many as are asked for."""
    ids = []
    for n in range(3):
        ids.append(submit(memory, "--array", str(n + 1), "--", "true"))
        memory.clock.advance(1)
    lines = run(memory, "list").stdout.splitlines()
    assert lines[0].split()[:2] == ["JOB", "STATE"]
    assert [line.split()[0] for line in lines[1:]] == ids[::-1]
    told = json_lines(run(memory, "list", "--limit", "2", "--json").stdout)
    assert [job["array"] for job in told] == [3, 2]


@pytest.mark.parametrize("command", ["status", "wait", "outputs", "cancel"])
def test_jobs_of_others_are_not_found(memory: InMemoryGrid, command: str) -> None:
    """Exit code 4, as for all that is not there."""
    for job_id in (UNKNOWN, "x"):
        result = run(memory, command, job_id)
        assert (result.exit_code, "there is no job" in result.stderr) == (4, True)
