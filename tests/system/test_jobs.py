"""Jobs and dependencies on the deployed grid: staged, killed, cancelled, in arrays and chains."""

import re
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from stepgrid import ContainerOptions, Grid, InvalidRequest, Job, JobState
from stepgrid_core.states import SessionState
from tests.system.containers import wait_until

#: Prints the pids of children that ignore SIGTERM; one has left its group and session as well.
STUBBORN = """
echo begun > early.txt
(trap '' TERM; exec sleep 600) & echo $!
setsid sh -c 'trap "" TERM; echo $$; exec sleep 600' &
trap '' TERM
while :; do sleep 0.05; done
"""


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and not _is_zombie(pid)]


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def printed_pids(job: Job) -> list[int]:
    return [int(line) for line in job.stdout().split()]


def test_a_job_takes_files_and_leaves_files(grid: Grid, tmp_path: Path) -> None:
    """A local file goes up, the script reads it, and what it leaves comes down."""
    (tmp_path / "data.csv").write_text("3\n4\n")
    job = grid.jobs.submit(
        "sh sum.sh",
        script="paste -sd+ data.csv > expression.txt; echo $(($(cat expression.txt))) > sum.txt",
        script_name="sum.sh",
        inputs=[tmp_path / "data.csv"],
        outputs=["sum.txt", "*.csv", "never.txt"],
        environment={"LANG": "C"},
    )
    done = job.wait(timeout=60)
    assert (done.state, done.exit_code, done.missing) == (JobState.COMPLETED, 0, ["never.txt"])
    assert done.error == "Missing outputs: never.txt"
    found = {output.name: output.available for output in job.outputs()}
    assert found == {
        "sum.txt": True,
        "data.csv": True,
        "never.txt": False,
        "sum.sh": True,
        "STDOUT.txt": True,
        "STDERR.txt": True,
    }
    downloaded = job.download(tmp_path / "out")
    assert (tmp_path / "out" / "sum.txt").read_text() == "7\n"
    assert len(downloaded) == 5


def test_a_job_has_no_credentials(grid: Grid) -> None:
    """What it sees of its container leads to nothing of the grid's."""
    job = grid.jobs.submit("env")
    assert job.wait(timeout=60).state is JobState.COMPLETED
    names = {line.partition("=")[0] for line in job.stdout().splitlines()}
    assert {"STEPGRID_JOB_ID", "STEPGRID_JOB_INDEX", "HOME"} <= names
    assert not [name for name in names if re.match("AWS_|ECS_|STEPGRID_(TICKET|BROKER)", name)]


def test_the_walltime_ends_all_of_a_job(grid: Grid) -> None:
    """Children that ignore SIGTERM die as well; it failed with 1001, and what it had is stored."""
    job = grid.jobs.submit(
        "sh run.sh",
        script=STUBBORN,
        script_name="run.sh",
        outputs=["early.txt"],
        walltime_seconds=3,
    )
    done = job.wait(timeout=60)
    assert (done.state, done.error_code) == (JobState.FAILED, 1001)
    pids = printed_pids(job)
    assert len(pids) == 2
    assert alive(pids) == []
    assert job.read("early.txt") == b"begun\n"


def test_a_cancelled_job_is_dead_and_its_files_are_there(grid: Grid) -> None:
    """Cancel ends its processes and stores what exists; it says 1002."""
    job = grid.jobs.submit(
        "sh run.sh", script=STUBBORN, script_name="run.sh", outputs=["early.txt", "late.txt"]
    )
    wait_until(lambda: job.status().state is JobState.PROCESSING)
    assert job.cancel().state is JobState.CANCELLED
    wait_until(lambda: job.status().error_code == 1002)
    assert alive(printed_pids(job)) == []
    assert job.read("early.txt") == b"begun\n"
    assert job.status().missing == ["late.txt"]
    assert job.cancel().state is JobState.CANCELLED


def test_an_array_is_many_jobs(grid: Grid) -> None:
    """Each has its index, its files and an id; two containers share them."""
    array = grid.jobs.submit(
        "sh -c 'test $STEPGRID_JOB_INDEX -ne 3 && echo $STEPGRID_JOB_INDEX > n.txt'",
        outputs=["n.txt"],
        array=40,
    )
    done = array.wait(timeout=120)
    assert done.state is JobState.FAILED
    assert done.counts == {JobState.COMPLETED: 39, JobState.FAILED: 1}
    assert array[39].read("n.txt") == b"39\n"
    failed = array[3].status()
    assert (failed.state, failed.exit_code) == (JobState.FAILED, 1)


def test_hostile_inputs_are_refused(grid: Grid, make_grid) -> None:  # type: ignore[no-untyped-def]
    """Files of others, metadata and the container's own credentials: nothing is fetched."""
    theirs = make_grid("rival").jobs.submit("echo secret")
    assert theirs.wait(timeout=60).state is JobState.COMPLETED
    (url, *_) = [output.url for output in theirs.outputs() if output.name == "STDOUT.txt"]
    key = url.partition("?")[0].partition("/jobs/")[2]
    bucket = url.partition("/jobs/")[0].rpartition("/")[2]
    with pytest.raises(InvalidRequest, match="no file of yours"):
        grid.jobs.submit("cat STDOUT", inputs=[(f"s3://{bucket}/jobs/{key}", "STDOUT")])
    addresses = ("http://169.254.170.2/v2/credentials", "http://127.0.0.1:1/x")
    for job in [grid.jobs.submit("cat x", inputs=[(address, "x")]) for address in addresses]:
        done = job.wait(timeout=60)
        assert done.state is JobState.FAILED
        assert (done.error or "").startswith("Failed to download inputs x from ")
        assert done.exit_code is None


def test_a_chain_runs_in_order(grid: Grid) -> None:
    """Three sessions, each after the one before: none is claimed before the other has ended."""
    nap = [{"worker_arguments": ["100", "1", "1"]}] * 3
    first = grid.submit("mock-compute", nap)
    second = grid.submit("mock-compute", nap, depends_on=[first])
    third = grid.submit("mock-compute", nap, depends_on=[second.id])
    assert third.results() == [100] * 3
    timings = [session.status().timings for session in (first, second, third)]
    for before, after in pairwise(timings):
        assert before.closed_at is not None
        assert after.first_claim_at is not None
        assert after.first_claim_at >= before.closed_at


def test_a_failed_link_fails_what_follows(grid: Grid) -> None:
    """A job in the middle that fails: the last says which it was, and starts nothing."""
    first = grid.submit("echo", [1])
    middle = grid.jobs.submit("false", depends_on=[first.id])
    last = grid.submit("echo", [2], depends_on=[middle.id])
    last.wait()
    status = last.status()
    assert middle.wait(timeout=60).state is JobState.FAILED
    assert status.state is SessionState.FAILED
    assert status.reason is not None
    assert middle.id in status.reason
    assert status.timings.first_claim_at is None
    (letter,) = last.dead_letters()
    assert (letter.reason, middle.id in letter.message) == ("dependency_failed", True)


def test_resources_are_those_of_the_queue(grid: Grid) -> None:
    """More than a queue gives is refused with a sentence; so is a queue that is not there."""
    with pytest.raises(InvalidRequest, match="queue 'Test' gives a job 1"):
        grid.jobs.submit("true", resources=ContainerOptions(vcpu=16))
    with pytest.raises(InvalidRequest, match=r"Queue : \[Nightly\] is not valid"):
        grid.jobs.submit("true", queue="Nightly")
    with pytest.raises(InvalidRequest, match="walltime_seconds is 3600"):
        grid.jobs.submit("true", walltime_seconds=3600)
