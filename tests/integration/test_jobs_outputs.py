"""Staging out: what a hostile job may leave in its folder, and what is kept of it."""

import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepgrid_core.contract import JobInput, JobSpec
from stepgrid_core.errors import Unavailable
from stepgrid_core.jobs import JobUser, StagingLimits
from stepgrid_core.jobs.job_folders import JobFolders
from stepgrid_core.jobs.stage_out import Kept, StageOut
from stepgrid_core.jobs.workspace import Workspace
from stepgrid_core.memory import MemoryJobDesk, VirtualClock
from stepgrid_core.records import JobFile, JobRecord
from stepgrid_core.states import JobState
from tests.integration.jobs_bench import (
    LIMITS,
    MakeBench,
    RealClock,
    Server,
    await_outcome,
    fault,
    finished,
    give,
    script,
)

SECRET = b"not yours"


class Left:
    """A folder as a job has left it, and what is kept of it."""

    def __init__(self, parent: Path, user: JobUser | None = None) -> None:
        self.parent = parent
        self.workspace = Workspace(parent, user)
        self.folder = self.workspace.path
        self.outside = parent / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(SECRET)
        self.desk = MemoryJobDesk()
        self.clock = VirtualClock()
        self.deadline = self.clock.monotonic() + 60

    def keep(self, *outputs: str, limits: StagingLimits = LIMITS) -> Kept:
        def store(name: str, file: Path) -> None:
            self.desk.store_output(0, 1, name, file)

        stage = StageOut(self.workspace, store, self.clock, limits, lambda: self.deadline)
        stage.keep_all(list(outputs), None, {})
        return stage.kept

    def names(self, *outputs: str) -> list[str]:
        return [file.name for file in self.keep(*outputs).files]


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Left]:
    left = Left(tmp_path)
    yield left
    assert (left.outside / "secret").read_bytes() == SECRET
    left.workspace.close()
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_names_and_patterns(left: Left) -> None:
    """In the order in which they were said, each file once; a * stays in its folder."""
    for name in ["a.txt", "b.txt", "c1", "d/e.txt", "d/f/g.txt", "d2/e.txt", ".hidden", "[x]"]:
        (left.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (left.folder / name).write_text(name)
    assert left.names("b.txt", "*.txt") == ["b.txt", "a.txt"]
    assert left.names("*") == ["[x]", "a.txt", "b.txt", "c1"]
    assert left.names("d*/*.txt", "d/f/g.txt") == ["d/e.txt", "d2/e.txt", "d/f/g.txt"]
    assert left.names("*/f/?.txt", ".h*", "[[]x]", "[bc]?*") == [
        "d/f/g.txt",
        ".hidden",
        "[x]",
        "b.txt",
        "c1",
    ]
    kept = left.keep("a.txt")
    assert kept.files == [JobFile("a.txt", 5, hashlib.sha256(b"a.txt").hexdigest())]


def test_missing_ones_are_named(left: Left) -> None:
    """Names, patterns, and folders, which are no files."""
    (left.folder / "folder").mkdir()
    kept = left.keep("no.txt", "*.csv", "folder", "folder/*", "no/a", "no/*", "fold*")
    assert kept.missing == ["no.txt", "*.csv", "folder", "folder/*", "no/a", "no/*", "fold*"]
    assert kept.refused == {"folder": "is no regular file"}
    assert kept.files == []


LINK = "is a link, and links are not followed"
THROUGH = "leads through a link or a file, and links are not followed"


def test_links_are_not_followed(left: Left) -> None:
    """Wherever they are in a name, and whatever they lead to."""
    (left.folder / "mine").write_text("mine")
    (left.folder / "file").symlink_to(left.outside / "secret")
    (left.folder / "relative").symlink_to("../outside/secret")
    (left.folder / "inside").symlink_to("mine")
    (left.folder / "broken").symlink_to("nowhere")
    (left.folder / "loop").symlink_to("loop")
    (left.folder / "proc").symlink_to("/proc/self/environ")
    (left.folder / "folder").symlink_to(left.outside)
    (left.folder / "up").symlink_to("..")
    links = ["file", "relative", "inside", "broken", "loop", "proc", "folder"]
    through = ["folder/secret", "up/outside/secret", "mine/below"]
    kept = left.keep(*links, *through)
    assert kept.files == []
    assert kept.missing == links + through
    assert kept.refused == dict.fromkeys(links, LINK) | dict.fromkeys(through, THROUGH)
    assert [file.name for file in left.keep("*", "*/*").files] == ["mine"]
    assert left.desk.stored == {(0, "mine"): b"mine"}
    assert kept.describe() == "Missing outputs: " + ", ".join(
        f"{name} ({kept.refused[name]})" for name in links + through
    )


def test_what_is_no_file(left: Left) -> None:
    """A pipe would block, a device could do anything."""
    os.mkfifo(left.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(left.folder)  # the name of a socket is short
        listening.bind("socket")
        os.chdir(here)
    names = ["pipe", "socket"]
    if os.geteuid() == 0:
        os.mknod(left.folder / "device", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        names.append("device")
    kept = left.keep(*names)
    assert (kept.files, kept.missing) == ([], names)
    assert set(kept.refused.values()) == {"is no regular file"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own files beside a job's user")
def test_names_of_others_files(tmp_path: Path) -> None:
    """A second name of a file that is not the job's own is refused; of its own it may have many."""
    left = Left(tmp_path, JobUser(12_345, 12_345))
    os.link(left.outside / "secret", left.folder / "stolen")
    os.close(left.workspace.create("mine"))
    os.link(left.folder / "mine", left.folder / "again")
    kept = left.keep("stolen", "mine", "again")
    assert [file.name for file in kept.files] == ["mine", "again"]
    assert kept.refused == {"stolen": "is a second name of a file that is not the job's"}


def test_names_that_can_not_be_told(left: Left) -> None:
    """A job may give its files names of any bytes."""
    for name in [b"\xff\xfe.txt", b"a\nb.txt", b"\xe2\x80\xaetxt.txt", b"good.txt"]:
        with open(os.path.join(os.fsencode(left.folder), name), "wb"):
            pass
    kept = left.keep("*.txt")
    assert [file.name for file in kept.files] == ["good.txt"]
    assert kept.missing == ["*.txt"]
    assert kept.refused == {"*.txt": "fits a file whose name can't be told"}
    json.dumps(kept.missing)


def test_limits(left: Left) -> None:
    """Of size, of all sizes, of number, and of entries that are looked at."""
    for number in range(20):
        (left.folder / f"f{number:02}").write_bytes(b"x" * 10)
    (left.folder / "large").write_bytes(b"x" * 101)
    limits = StagingLimits(output_bytes=100, outputs_bytes=55, output_files=100)
    kept = left.keep("large", "f0?", limits=limits)
    assert len(kept.files) == 5
    assert kept.refused["large"] == "has 101 bytes, which is more than may be kept"
    assert kept.missing == ["large", *(f"f{number:02}" for number in range(5, 10))]
    kept = left.keep("f*", limits=StagingLimits(output_files=3))
    assert (len(kept.files), kept.missing) == (3, ["f*"])
    assert kept.describe() == "Missing outputs: f* (a job may leave 3 files)"
    kept = left.keep("*", limits=StagingLimits(output_entries=4))
    assert (len(kept.files), kept.missing) == (3, ["*"])  # and the grid's own folder


def test_sparse_files_count(left: Left) -> None:
    """A file of a terabyte of nothing is no output."""
    with (left.folder / "sparse").open("wb") as file:
        file.truncate(2**40)
    kept = left.keep("sparse")
    assert kept.refused == {"sparse": "has 1099511627776 bytes, which is more than may be kept"}


def test_time_that_runs_out(left: Left) -> None:
    """What can't be stored in time is missing, not lost in silence."""
    (left.folder / "a").write_text("a")
    left.deadline = left.clock.monotonic()
    kept = left.keep("a")
    assert kept.describe() == "Missing outputs: a (there was no time left to store it)"


def test_depth(left: Left, tmp_path: Path) -> None:
    """A tree that is deeper than any path may be is removed."""
    here = os.open(left.folder, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d" * 50, dir_fd=here)
        below = os.open("d" * 50, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert left.names("*/*/*") == []


def test_folders_without_rights(left: Left) -> None:
    """They are removed like others."""
    (left.folder / "a" / "b").mkdir(parents=True)
    (left.folder / "a" / "b" / "c").write_text("")
    (left.folder / "a" / "b").chmod(0)
    (left.folder / "a").chmod(0)


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    """The end of a job removes nothing but its folder."""
    left = Left(tmp_path)
    (left.folder / "folder").symlink_to(left.outside)
    (left.folder / "file").symlink_to(left.outside / "secret")
    left.workspace.close()
    assert (left.outside / "secret").read_bytes() == SECRET


def test_folders_of_living_runners(tmp_path: Path) -> None:
    """Runners may share a root: only what a dead one left is removed."""
    first, second = JobFolders(tmp_path), JobFolders(tmp_path)
    (first.path / "job").mkdir()
    third = JobFolders(tmp_path)
    assert (first.path / "job").is_dir()
    for folders in (first, second, third):
        folders.close()
    assert list(tmp_path.iterdir()) == []


ESCAPES = """
ln -s /etc/passwd passwd.txt; ln -s .. up; mkfifo pipe; ln -s /etc etc
rm STDERR.txt; ln -s /etc/shadow STDERR.txt; rm job.sh; ln -s /etc/shadow job.sh
echo kept > good.txt
"""


def test_a_hostile_job(make_bench: MakeBench) -> None:
    """What it printed is kept, whatever it put in the place; the rest is refused by name."""
    bench = make_bench()
    outputs = ["passwd.txt", "etc/passwd", "up/a", "pipe", "good.txt", "STDERR.txt"]
    assert finished(bench.run(script(ESCAPES, outputs=outputs)))
    assert bench.record.missing == ("job.sh", "passwd.txt", "etc/passwd", "up/a", "pipe")
    assert sorted(name for _, name in bench.desk.stored) == ["STDERR.txt", "STDOUT.txt", "good.txt"]
    assert bench.output("STDERR.txt") == b""
    assert "etc/passwd (leads through a link" in (bench.record.error or "")


def test_inputs_can_be_outputs(make_bench: MakeBench, server: Server) -> None:
    server.answers["/a"] = give(b"data")
    bench = make_bench()
    inputs = [JobInput(url=server.url("/a"))]
    bench.run(JobSpec(executable="true", inputs=inputs, outputs=["a"]))
    assert bench.output("a") == b"data"


class FailingDesk(MemoryJobDesk):
    """Fails so often at each of its tasks, then works."""

    def __init__(self, reports: int = 0, stores: int = 0) -> None:
        super().__init__()
        self.reports = reports
        self.stores = stores

    def report(self, index: int, record: JobRecord) -> None:
        self.reports -= 1
        if self.reports >= 0:
            raise Unavailable("no table")
        super().report(index, record)

    def store_output(self, index: int, attempt: int, name: str, file: Path) -> None:
        self.stores -= 1
        if self.stores >= 0:
            raise Unavailable("no bucket")
        super().store_output(index, attempt, name, file)


class FastClock(RealClock):
    """Pauses take no time."""

    def sleep(self, seconds: float) -> None:
        pass


def test_a_desk_that_fails_for_a_while(left: Left) -> None:
    """It is asked again, for outputs as for reports."""
    left.desk = FailingDesk(stores=3)
    (left.folder / "a").write_text("a")
    assert left.names("a") == ["a"]
    left.desk = FailingDesk(stores=4)
    assert left.keep("a").refused == {"a": "it could not be stored: the storage did not answer"}


def test_reports_that_fail(make_bench: MakeBench) -> None:
    """The last is tried longest; the task has its outcome in any case."""
    bench = make_bench(FailingDesk(reports=3), clock=FastClock())
    assert finished(bench.run(JobSpec(executable="true")))
    assert bench.record.state is JobState.COMPLETED
    bench = make_bench(FailingDesk(reports=10**6), clock=FastClock())
    assert finished(bench.run(JobSpec(executable="true")))
    assert fault(bench.run(JobSpec(executable="false")))[0] == "JobFailed"
    assert bench.desk.history == {}


class HangingDesk(MemoryJobDesk):
    """Never comes back from a store."""

    def store_output(self, index: int, attempt: int, name: str, file: Path) -> None:
        if name == "a":
            self.entered = True
            os.read(self.pipe, 1)
        super().store_output(index, attempt, name, file)


def test_a_store_that_hangs_while_a_job_is_cancelled(make_bench: MakeBench) -> None:
    """The run comes back in time, and tells what was stored until then."""
    desk = HangingDesk()
    desk.pipe, end = os.pipe()
    limits = StagingLimits(cancel_stage_out_seconds=0.2, kill_seconds=0.2, slack_seconds=0.2)
    bench = make_bench(desk, limits=limits)
    outcomes = bench.begin(script("echo 1 > a", outputs=["a"]))
    await_outcome(outcomes, lambda: hasattr(desk, "entered"))
    outcomes.close()
    assert (bench.record.state, bench.record.error_code) == (JobState.CANCELLED, 1002)
    assert [one.name for one in bench.record.outputs] == ["STDOUT.txt", "STDERR.txt", "job.sh"]
    os.close(end)
    bench.await_thread()
    os.close(desk.pipe)
    assert bench.record.state is JobState.CANCELLED
