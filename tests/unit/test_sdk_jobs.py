"""Jobs in the SDK, over the in-memory grid."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepgrid import (
    Conflict,
    ContainerOptions,
    DeadlineExceeded,
    Grid,
    InvalidRequest,
    Job,
    JobInput,
    NotFound,
    PayloadCorrupted,
    RequestTooLarge,
)
from stepgrid import job_inputs as job_inputs_module
from stepgrid.job_downloads import inside
from stepgrid.objects import LinkRefused
from stepgrid.testing import InMemoryGrid, JobFailed
from stepgrid.testing.transport import MemoryObjects, MemoryTransport
from stepgrid_core.contract import JobSpec
from stepgrid_core.names import job_output_key
from stepgrid_core.records import JobFile
from stepgrid_core.states import JobState

from .job_world import OWNER

UNKNOWN = "0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e"
seen: list[JobSpec] = []


def work(spec: JobSpec, index: int, inputs: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Copies its inputs; the second of an array fails."""
    seen.append(spec)
    if index == 1:
        raise JobFailed(3, {"STDERR.txt": b"no\xff"})
    return {"STDOUT.txt": b"said", **{f"out/{name}": data for name, data in inputs.items()}}


@pytest.fixture
def memory() -> InMemoryGrid:
    seen.clear()
    return InMemoryGrid({}, jobs=work)


@pytest.fixture
def grid(memory: InMemoryGrid) -> Iterator[Grid]:
    with memory.client(OWNER) as grid:
        yield grid


def test_a_job_takes_files_and_leaves_files(grid: Grid, tmp_path: Path) -> None:
    """From a file here, through the job, to a file here."""
    (tmp_path / "é data.csv").write_bytes(b"1,2,3")
    job = grid.jobs.submit(
        "cp", inputs=[tmp_path / "é data.csv"], outputs=["out/*"], environment={"A": "b"}
    )
    assert job.wait().state is JobState.COMPLETED
    assert job.stdout() == "said"
    saved = job.download(tmp_path / "new" / "folder")
    assert {path.relative_to(tmp_path / "new" / "folder").as_posix() for path in saved} == {
        "out/é data.csv",
        "STDOUT.txt",
        "STDERR.txt",
    }
    assert (tmp_path / "new" / "folder" / "out" / "é data.csv").read_bytes() == b"1,2,3"
    assert not list(tmp_path.rglob("*.part"))
    assert job.download(tmp_path / "new" / "folder") == saved


def test_all_that_is_said_arrives(grid: Grid) -> None:
    """Each argument is a field of the job."""
    job = grid.jobs.submit(
        "python3 x.py", args=("-a", "b c"), shell=True, script="print(1)", outputs=("a", "*.b"),
        environment={"K": "v"}, queue="Prod", walltime_seconds=600, retention_days=7,
        resources={"vcpu": 1}, name="n", tags={"t": "u"},
        inputs=["https://host/a.txt", ("https://host/b", "c.txt"),
                JobInput(url="https://host/d", name=None, sha256="0" * 64)],
    )  # fmt: skip
    assert job.wait().state is JobState.FAILED  # it leaves none of these
    spec = seen[0]
    assert (spec.executable, spec.args, spec.shell) == ("python3 x.py", ["-a", "b c"], True)
    assert (spec.script, spec.script_name) == ("print(1)", "script.sh")
    assert [(each.url, each.name) for each in spec.inputs] == [
        ("https://host/a.txt", None),
        ("https://host/b", "c.txt"),
        ("https://host/d", None),
    ]
    assert (spec.outputs, spec.environment, spec.walltime_seconds) == (
        ["a", "*.b"],
        {"K": "v"},
        600,
    )
    told = job.status()
    assert (told.queue, told.name, told.tags) == ("Prod", "n", {"t": "u"})
    assert told.missing == ["a", "*.b"]


def test_a_submit_may_be_repeated_with_its_files(grid: Grid, tmp_path: Path) -> None:
    """The same token, job and bytes give the same job; other bytes are a conflict."""
    file = tmp_path / "a"
    file.write_bytes(b"1")

    def submit() -> Job:
        return grid.jobs.submit("cat a", inputs=[(file, "b")], client_token="t")

    assert submit().id == submit().id
    file.write_bytes(b"2")
    with pytest.raises(Conflict):
        submit()


def test_jobs_depend_on_jobs(grid: Grid) -> None:
    """Named by themselves or by their ids; an array is one of them, not all its parts."""
    first, array = grid.jobs.submit("true"), grid.jobs.submit("true", array=2)
    last = grid.jobs.submit("true", depends_on=[first, array.id])
    assert last.status().depends_on == [first.id, array.id]
    with pytest.raises(InvalidRequest, match="give a list"):
        grid.jobs.submit("true", depends_on=array)  # type: ignore[arg-type]


def test_inputs_have_the_checksum_of_their_file(grid: Grid, tmp_path: Path) -> None:
    """A job refuses what was changed on the way."""
    (tmp_path / "a").write_bytes(b"1")
    grid.jobs.submit("true", inputs=[tmp_path / "a"]).wait()
    assert seen[0].inputs[0].sha256 == hashlib.sha256(b"1").hexdigest()


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": "https://host/a"},
        {"inputs": [7]},
        {"inputs": [("a", "b", "c")]},
        {"inputs": ["ftp://host/a"]},
        {"outputs": "a"},
        {"args": "-x"},
        {"depends_on": UNKNOWN},
        {"depends_on": [7]},
        {"environment": ["A"]},
        {"tags": "x"},
        {"queue": "Dev"},
        {"walltime_seconds": 0},
        {"array": 0},
        {"array": 10_001},
        {"retention_days": 2},
        {"resources": {"vcpu": 3}},
        {"resources": {"gpu": 1}},
        {"executable": ""},
        {"client_token": "a b"},
        {"tags": {"": "x"}},
    ],
    ids=str,
)
def test_what_can_not_be_is_refused(grid: Grid, fields: dict[str, Any]) -> None:
    """With one kind of error, whoever finds it."""
    with pytest.raises(InvalidRequest):
        grid.jobs.submit(**{"executable": "true", **fields})
    assert list(grid.jobs.list()) == []


def test_files_that_can_not_be_read_are_said(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system says it; and what is too large before it is read."""
    with pytest.raises(FileNotFoundError):
        grid.jobs.submit("true", inputs=[tmp_path / "none"])
    monkeypatch.setattr(job_inputs_module, "MOST_FILE_BYTES", 3)
    (tmp_path / "large").write_bytes(b"1234")
    with pytest.raises(RequestTooLarge, match="s3_url"):
        grid.jobs.submit("true", inputs=[tmp_path / "large"])


def test_an_array_has_jobs(grid: Grid, tmp_path: Path) -> None:
    """Each with an id, a state and files of its own."""
    job = grid.jobs.submit("true", array=3)
    assert job.wait().counts == {JobState.COMPLETED: 2, JobState.FAILED: 1}
    assert len(job) == 3
    assert [one.id for one in job] == [f"{job.id}_{n}" for n in range(3)]
    assert [one.state for one in job] == ["completed", "failed", "completed"]
    assert job[1].status().exit_code == 3
    assert job[1].stderr() == "no\ufffd"
    with pytest.raises(IndexError):
        job[3]
    with pytest.raises(InvalidRequest, match="array"):
        job.outputs()
    with pytest.raises(InvalidRequest, match="array"):
        job[0].cancel()
    saved = {path.relative_to(tmp_path).as_posix() for path in job.download(tmp_path)}
    assert saved == {f"{n}/{name}.txt" for n in range(3) for name in ("STDOUT", "STDERR")}


def test_a_single_job_is_its_own_only_one(grid: Grid) -> None:
    """So that programs need not tell them apart."""
    job = grid.jobs.submit("true")
    assert [one.id for one in job] == [job.id]
    assert job[0] is job


def test_jobs_are_found_again(grid: Grid, memory: InMemoryGrid) -> None:
    """By id, in any process, and in the list."""
    job = grid.jobs.submit("true", name="n", resources=ContainerOptions(vcpu=1, memory_mib=2048))
    memory.clock.advance(1)
    grid.jobs.submit("true", array=2)
    assert grid.jobs.get(job.id).id == job.id
    assert grid.jobs.get(f"{job.id}_0").id == job.id
    assert [one.array for one in grid.jobs.list()] == [2, 1]
    assert [one.array for one in grid.jobs.list(limit=1)] == [2]
    with pytest.raises(InvalidRequest):
        grid.jobs.list(limit=-1)
    with memory.client("other") as other:
        assert list(other.jobs.list()) == []
        with pytest.raises(NotFound):
            other.jobs.get(job.id)


@pytest.mark.parametrize("job_id", ["", "x", UNKNOWN, f"{UNKNOWN}_1", f"{UNKNOWN}/..", None, 7])
def test_what_is_no_id_is_not_found(grid: Grid, job_id: Any) -> None:
    """Some of it without a request."""
    with pytest.raises(NotFound):
        grid.jobs.get(job_id)


def test_waiting_is_patient(memory: InMemoryGrid) -> None:
    """A few looks at first, then one in fifteen seconds; each is told."""
    memory.autorun = False
    with memory.client(OWNER) as grid:
        job = grid.jobs.submit("true")
        told: list[JobState] = []
        before = memory.clock.monotonic()
        with pytest.raises(DeadlineExceeded, match="pending"):
            job.wait(timeout=600, progress=lambda description: told.append(description.state))
        assert memory.clock.monotonic() - before == pytest.approx(600)
        assert 40 < len(told) < 60
        memory.run()
        assert job.wait(timeout=0).state is JobState.COMPLETED
        memory.autorun = True
        assert job.state is JobState.COMPLETED


def test_a_job_is_cancelled(memory: InMemoryGrid) -> None:
    """And stays so."""
    memory.autorun = False
    with memory.client(OWNER) as grid:
        job = grid.jobs.submit("true", array=2)
        assert job.cancel().state is JobState.CANCELLED
        assert job.cancel().counts == {JobState.CANCELLED: 2}
        assert job.state is JobState.CANCELLED
        with pytest.raises(NotFound):
            job[0].stdout()


# --- downloads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "..", ".", "", "a//b", "a/./b", "a\\..\\x", "C:\\x",
     "C:/x", "\\\\host\\x", "a\0", "link/x", "a/"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """Also by a link that lies in the folder already."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(PayloadCorrupted, match="nothing was written"):
        inside(folder, name)


@pytest.mark.parametrize("name", ["a", "a/b c/é.txt", "..a", "a..b", "...", "-x", "~"])
def test_other_names_are_kept(tmp_path: Path, name: str) -> None:
    """With their folders."""
    assert inside(tmp_path, name) == tmp_path / name


class HostileTransport(MemoryTransport):
    """A grid that names what no job has."""

    def request(self, method: str, path: str, *more: Any, **named: Any) -> dict[str, Any]:
        answered = super().request(method, path, *more, **named)
        for output in answered.get("outputs", ()):
            output["name"] = output["name"].replace("STDERR.txt", "../../evil")
        return answered


def test_nothing_is_written_of_a_hostile_answer(memory: InMemoryGrid, tmp_path: Path) -> None:
    """Not even the files whose names are good."""
    grid = Grid(
        transport=HostileTransport(memory, OWNER), objects=MemoryObjects(memory), clock=memory.clock
    )
    job = grid.jobs.submit("true")
    job.wait()
    with pytest.raises(PayloadCorrupted):
        job.download(tmp_path / "a" / "b")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_was_changed_is_refused(
    grid: Grid, memory: InMemoryGrid, tmp_path: Path
) -> None:
    """It is not left behind either."""
    job = grid.jobs.submit("true")
    job.wait()
    url = str({one.name: one for one in job.outputs()}["STDOUT.txt"].url)
    for data in (b"SAID", b"sai", b""):
        memory.payloads.put(url.removeprefix("memory:"), data)
        with pytest.raises(PayloadCorrupted, match="STDOUT"):
            job.stdout()
        with pytest.raises(PayloadCorrupted):
            job.download(tmp_path)
        assert not list(tmp_path.rglob("*STDOUT*"))
        assert not list(tmp_path.rglob("*.part"))


class ExpiringObjects(MemoryObjects):
    """Links are refused once each."""

    refused = 0

    def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        self.refused += 1
        if self.refused % 2:
            raise LinkRefused("expired")
        return super().get(url, byte_range)


def test_a_link_that_has_expired_is_asked_for_again(memory: InMemoryGrid) -> None:
    """Once for each part."""
    grid = Grid(
        transport=MemoryTransport(memory, OWNER),
        objects=ExpiringObjects(memory),
        clock=memory.clock,
    )
    job = grid.jobs.submit("true")
    job.wait()
    assert job.stdout() == "said"


def test_large_files_come_in_parts(
    grid: Grid, memory: InMemoryGrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are checked as a whole."""
    monkeypatch.setattr("stepgrid.job_downloads.PART_BYTES", 3)
    job = grid.jobs.submit("true")
    job.wait()
    job.download(tmp_path)
    assert (tmp_path / "STDOUT.txt").read_bytes() == b"said"
    record, session = memory.table.read_job(job.id, 0), memory.table.read_session(job.id)
    assert record is not None
    assert session is not None
    files = (JobFile("STDOUT.txt", 4, "0" * 64),)
    key = job_output_key(session.output_days, session.owner, job.id, (0, 2), "STDOUT.txt")
    memory.payloads.put(key, b"said")
    memory.table.put_job(job.id, 0, replace(record, attempt=2, outputs=files), 2_000_000_000)
    with pytest.raises(PayloadCorrupted):
        job.stdout()
