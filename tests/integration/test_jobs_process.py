"""Jobs with real processes: what they are given, what they leave, and that none outlives them."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stepgrid_core.contract import JobSpec
from stepgrid_core.jobs import JobUser, StagingLimits
from stepgrid_core.ports import CommonInput, FinishedTasks
from stepgrid_core.states import JobState
from tests.integration.jobs_bench import (
    SESSION,
    MakeBench,
    await_death,
    await_outcome,
    fault,
    is_alive,
    script,
)
from tests.task_samples import make_spans

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

#: A child that ignores SIGTERM, and one that also leaves session and group, and its parent.
STUBBORN = """
(trap '' TERM; exec sleep 300) & echo $! > ignoring.pid
setsid sh -c 'trap "" TERM; sleep 300 & echo $! > deep.pid; exec sleep 300' & echo $! > away.pid
(setsid sh -c 'trap "" TERM; echo $$ > orphan.pid; exec sleep 300' &) ; true
while ! [ -s deep.pid ] || ! [ -s orphan.pid ]; do sleep 0.01; done
echo partial > result.txt
echo ready
trap '' TERM
while :; do sleep 0.05; done
"""
PIDS = ["ignoring.pid", "away.pid", "deep.pid", "orphan.pid"]


def test_a_job_that_completes(make_bench: MakeBench) -> None:
    """It goes through its stages; what it printed and left is stored, printed and told."""
    bench = make_bench()
    outcome = bench.run(script("echo out; echo err >&2; echo data > a.txt", outputs=["a.txt"]))
    record = bench.record
    names = ["a.txt", "job.sh", "STDOUT.txt", "STDERR.txt"]
    moments = (record.staging_inputs_at, record.processing_at, record.staging_outputs_at)
    assert record.state is JobState.COMPLETED
    assert None not in moments
    assert sorted((*moments, record.ended_at)) == [*moments, record.ended_at]  # type: ignore[type-var]
    assert [bench.output(name) for name in names[:1] + names[2:]] == [b"data\n", b"out\n", b"err\n"]
    assert list(record.outputs) == [bench.desk.describe(0, name) for name in names]
    assert (record.exit_code, record.error, record.missing) == (0, None, ())
    assert (bench.printed("stdout"), bench.printed("stderr")) == (["out"], ["err"])
    assert isinstance(outcome, FinishedTasks)
    result = json.loads(outcome.lines)["result"]
    assert (result["state"], result["exit_code"]) == ("completed", 0)
    assert [one["name"] for one in result["outputs"]] == names
    assert bench.left_over() == []


def test_a_stage_that_lasts_is_told(make_bench: MakeBench) -> None:
    """While it lasts; the stages before it, which were over at once, are only in its times."""
    bench = make_bench()
    outcomes = bench.begin(script("exec sleep 300"))
    await_outcome(outcomes, lambda: bool(bench.desk.history))
    told = bench.record
    assert (told.state, len(bench.desk.history[0])) == (JobState.PROCESSING, 1)
    assert told.staging_inputs_at is not None
    outcomes.close()
    assert bench.record.state is JobState.CANCELLED


def test_the_job_of_the_first_document(make_bench: MakeBench) -> None:
    """Cloud Kotta's example completes, although the file that it names is not there."""
    bench = make_bench()
    spec = JobSpec(
        executable="/bin/echo 'Hello World!'",
        script="",
        script_name="none.sh",
        outputs=["foo.txt"],
        walltime_seconds=300,
    )
    bench.run(spec)
    assert bench.record.state is JobState.COMPLETED
    assert bench.record.missing == ("foo.txt",)
    assert bench.record.error == "Missing outputs: foo.txt"
    assert bench.output("STDOUT.txt") == b"Hello World!\n"
    assert bench.output("none.sh") == b""


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("exit 3", 3, "The job's process ended with exit code 3."),
        ("kill -SEGV $$", -11, "The job's process was ended by signal 11 (SIGSEGV)."),
    ],
)
def test_how_it_ended_is_kept(make_bench: MakeBench, text: str, code: int, message: str) -> None:
    """An exit code or a signal is in the record, and outputs are staged all the same."""
    bench = make_bench()
    outcome = bench.run(script(f"echo left > a.txt; {text}", outputs=["a.txt", "b*"]))
    record = bench.record
    assert (record.state, record.exit_code, record.error_code) == (JobState.FAILED, code, code)
    assert record.error == f"{message} Missing outputs: b*"
    assert fault(outcome) == ("JobFailed", record.error)
    assert bench.output("a.txt") == b"left\n"


def test_programs_that_can_not_be_started(make_bench: MakeBench) -> None:
    """As in a shell: 127 for what is not there, 126 for what can't be executed."""
    bench = make_bench()
    for spec, code, message in [
        (JobSpec(executable="no-such-program"), 127, "'no-such-program' was not found"),
        (JobSpec(executable="/etc/hostname"), 126, "can't be executed"),
        (JobSpec(executable="a.sh", script="true", script_name="a.sh"), 126, "format error"),
    ]:
        bench.run(spec)
        assert bench.record.exit_code == code
        assert message in (bench.record.error or "")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (JobSpec(executable="printf '%s,' 'a b'", args=["$HOME", "c d"]), "a b,$HOME,c d,"),
        (JobSpec(executable="echo $((1+1));printf %s", args=["a b; c"], shell=True), "2\na b; c"),
        (script('echo "$1"', args=["one two"]), "one two\n"),
        (
            JobSpec(executable="bin/run a", script="#!/bin/sh\necho $1", script_name="bin/run"),
            "a\n",
        ),
        (
            JobSpec(executable="r a", script="#!/bin/sh\necho $1", script_name="r", shell=True),
            "a\n",
        ),
        (
            JobSpec(
                executable="r a # it's", script="#!/bin/sh\necho $1", script_name="r", shell=True
            ),
            "a\n",
        ),
        (JobSpec(executable="sh -c 'pwd -P; cat'"), None),
    ],
)
def test_commands(make_bench: MakeBench, spec: JobSpec, expected: str | None) -> None:
    """Words are cut as a shell would, but only a shell expands them; input is empty."""
    bench = make_bench()
    bench.run(spec)
    assert bench.record.state is JobState.COMPLETED, bench.record.error
    printed = bench.output("STDOUT.txt").decode()
    assert printed == expected if expected is not None else str(bench.root) in printed


def test_the_environment(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one, with the job's variables and ids, and never a credential."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OTHER_SECRET", "secret")
    path = os.environ["PATH"]
    bench = make_bench(environment={"PATH": path, "AWS_ACCESS_KEY_ID": "key"})
    bench.run(JobSpec(executable="env", environment={"MINE": "x y", "LANG": "C"}))
    found = dict(line.split("=", 1) for line in bench.printed("stdout"))
    folder = found["HOME"]
    assert Path(folder).parent.parent == bench.root
    assert found == {
        "PATH": path,
        "LANG": "C",
        "HOME": folder,
        "TMPDIR": f"{folder}/.stepgrid-tmp",
        "USER": "job",
        "MINE": "x y",
        "STEPGRID_JOB_ID": SESSION,
        "STEPGRID_JOB_INDEX": "0",
        "STEPGRID_JOB_COUNT": "1",
        "STEPGRID_JOB_ATTEMPT": "1",
        "TURING_JOB_ID": SESSION,
    }


def test_jobs_of_an_array(make_bench: MakeBench) -> None:
    """Each has its own id, index, folder and record."""
    bench = make_bench()
    spec = script('ls; echo "$STEPGRID_JOB_ID $STEPGRID_JOB_INDEX" > id.txt', outputs=["id.txt"])
    common = CommonInput(SESSION, spec.model_dump_json().encode())
    lines = [b'{"index": %d, "count": 2}' % index for index in range(2)]
    outcomes = [one for one in bench.runner.run(make_spans(*lines), 60, common) if one]
    assert [type(one) for one in outcomes] == [FinishedTasks] * 2
    for index in range(2):
        assert bench.desk.stored[index, "id.txt"] == f"{SESSION}_{index} {index}\n".encode()
        assert bench.desk.stored[index, "STDOUT.txt"] == b"STDERR.txt\nSTDOUT.txt\njob.sh\n"


def test_no_descriptor_is_left_open(make_bench: MakeBench) -> None:
    """Whatever the runner and the guard hold open is closed in the job."""
    bench = make_bench()
    bench.run(JobSpec(executable="ls /proc/self/fd"))
    assert bench.output("STDOUT.txt") == b"0\n1\n2\n3\n"  # 3 is the listing itself


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose a user")
def test_it_is_not_root(make_bench: MakeBench) -> None:
    """A job is nobody, in no group, can't become root, and sees nobody else's job."""
    bench = make_bench()
    bench.run(script("id -u; id -G; grep NoNewPrivs /proc/self/status; ls ../.. ; touch ../x"))
    uid, groups, privileges, *others = bench.printed("stdout")
    assert int(uid) >= 65_534
    assert groups == uid
    assert privileges.split() == ["NoNewPrivs:", "1"]
    assert others == []
    assert len(bench.printed("stderr")) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose a user")
def test_a_user_that_was_chosen(make_bench: MakeBench) -> None:
    bench = make_bench(user=JobUser(12_345, 12_346))
    bench.run(JobSpec(executable="sh -c 'id -u; id -g'"))
    assert bench.printed("stdout") == ["12345", "12346"]


def test_walltime(make_bench: MakeBench) -> None:
    """Over its walltime everything dies, wherever it went; what was left until then is stored."""
    bench = make_bench()
    outcome = bench.run(script(STUBBORN, outputs=["result.txt", *PIDS], walltime_seconds=1))
    record = bench.record
    text = "The job ran longer than its walltime of 1 s and was killed."
    assert (record.state, record.error_code, record.error) == (JobState.FAILED, 1001, text)
    assert fault(outcome) == ("TaskTimeout", text)
    assert bench.output("result.txt") == b"partial\n"
    assert bench.output("STDOUT.txt") == b"ready\n"
    assert [name for name in PIDS if is_alive(int(bench.output(name)))] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only an own user's processes are limited")
def test_a_job_that_multiplies(make_bench: MakeBench) -> None:
    """Thousands of processes that start others die as well."""
    bench = make_bench()
    text = "echo $$\nbomb() { while :; do (setsid sh -c 'sleep 300' & bomb &) ; done; }; bomb"
    bench.run(script(text, walltime_seconds=1))
    assert bench.record.error_code == 1001
    user = bench.runner.user
    assert user is not None
    own = [path for path in Path("/proc").glob("[0-9]*") if owner_of(path) == user.uid]
    # Those of another test's guard may be dead, and not yet taken note of by their new parent.
    assert [path.name for path in own if is_alive(int(path.name))] == []


def owner_of(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def test_walltime_asks_first(make_bench: MakeBench) -> None:
    """SIGTERM comes before SIGKILL: who listens can leave something."""
    bench = make_bench(limits=StagingLimits(term_seconds=30))
    text = "trap 'echo saved > a.txt; exit 0' TERM; echo go; while :; do sleep 0.05; done"
    bench.run(script(text, outputs=["a.txt"], walltime_seconds=1))
    assert bench.record.error_code == 1001
    assert bench.output("a.txt") == b"saved\n"


def test_what_a_job_leaves_behind(make_bench: MakeBench) -> None:
    """Processes in the background die with the job that ended."""
    bench = make_bench()
    bench.run(script(STUBBORN.partition("trap '' TERM\nwhile")[0] + "exit 0", outputs=PIDS))
    assert bench.record.state is JobState.COMPLETED
    assert [name for name in PIDS if is_alive(int(bench.output(name)))] == []


def test_cancel(make_bench: MakeBench) -> None:
    """Closing the run kills everything, keeps what was left, and says so."""
    bench = make_bench()
    outcomes = bench.begin(script(STUBBORN, outputs=["result.txt", *PIDS]))
    await_outcome(outcomes, lambda: bench.printed("stdout") == ["ready"])
    assert bench.runner.busy
    outcomes.close()
    record = bench.record
    assert (record.state, record.error_code) == (JobState.CANCELLED, 1002)
    assert bench.output("result.txt") == b"partial\n"
    assert [name for name in PIDS if is_alive(int(bench.output(name)))] == []
    assert (bench.runner.busy, bench.left_over()) == (False, [])


def test_a_container_that_is_stopped(make_bench: MakeBench) -> None:
    """Its job waits again: it is killed, nothing is stored, and no end is told."""
    bench = make_bench(interrupted=lambda: True)
    outcomes = bench.begin(script("echo $$; exec sleep 300"))
    await_outcome(outcomes, lambda: bool(bench.lines))
    outcomes.close()
    assert bench.record.state is JobState.PENDING
    assert bench.desk.stored == {}
    assert not is_alive(int(bench.printed("stdout")[0]))


RUNNER = """
import sys
from pathlib import Path
from stepgrid_core.contract import JobSpec
from tests.integration.jobs_bench import JobBench

bench = JobBench(Path(sys.argv[1]))
spec = JobSpec.model_validate_json(sys.argv[2])
seen = 0
for _ in bench.begin(spec):
    for line in bench.lines[seen:]:
        print(line.text, flush=True)
    seen = len(bench.lines)
"""


def test_a_runner_that_is_killed(make_bench: MakeBench, jobs_root: Path) -> None:
    """Its job dies with it, and the next runner removes what it left on the disk."""
    text = STUBBORN.replace("echo ready", "cat *.pid; echo $$; echo ready")
    command = [sys.executable, "-c", textwrap.dedent(RUNNER), str(jobs_root)]
    with subprocess.Popen(
        [*command, script(text).model_dump_json()], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        pids = []
        for line in runner.stdout:
            if line == "ready\n":
                break
            pids.append(int(line))
        assert len(pids) == 5
        assert all(is_alive(pid) for pid in pids)
        runner.send_signal(signal.SIGKILL)
    assert [pid for pid in pids if not await_death(pid)] == []
    assert len(list(jobs_root.glob("*/*"))) == 1
    make_bench()
    assert list(jobs_root.glob("*/*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only an own user's processes are found")
def test_a_guard_that_is_killed(make_bench: MakeBench) -> None:
    """Then the job has failed, and still nothing is left of it."""
    bench = make_bench()
    outcomes = bench.begin(script("setsid sleep 300 & echo $PPID $$ $!; exec sleep 300"))
    await_outcome(outcomes, lambda: bool(bench.lines))
    guard, *pids = (int(pid) for pid in bench.printed("stdout")[0].split())
    os.kill(guard, signal.SIGKILL)
    (outcome,) = [one for one in outcomes if one]
    assert fault(outcome) == ("JobFailed", "The process that watched the job was killed.")
    assert [pid for pid in pids if not await_death(pid)] == []


def test_a_flood_of_prints(make_bench: MakeBench) -> None:
    """The log has the first mebibyte and says so; the file has all."""
    bench = make_bench()
    bench.run(JobSpec(executable="head -c 3000000 /dev/zero"))
    *cut, note = bench.printed("stdout")
    assert sum(len(line) for line in cut) == 1024 * 1024
    assert "1951424 bytes more were printed" in note
    assert len(bench.output("STDOUT.txt")) == 3_000_000


def test_permits(make_bench: MakeBench) -> None:
    """No job starts without one."""
    bench = make_bench()
    bench.runner.permit(0)
    outcomes = bench.begin(JobSpec(executable="true"))
    assert [next(outcomes) for _ in range(3)] == [None] * 3
    assert (bench.runner.busy, bench.desk.history) == (False, {})
    bench.runner.permit(3600)
    assert [type(one) for one in outcomes if one] == [FinishedTasks]


@pytest.mark.parametrize(
    ("line", "common", "message"),
    [
        (b'{"index": 1}', b'{"executable": "true"}', 'The task\'s input is not {"index": 0}.'),
        (b"nonsense", b'{"executable": "true"}', 'The task\'s input is not {"index": 0}.'),
        (b'{"index": 0}', b"{}", "describes no job: executable: Field required"),
        (b'{"index": 0}', None, "The session has no common input, which says what its jobs do."),
    ],
)
def test_tasks_that_are_no_jobs(
    make_bench: MakeBench, line: bytes, common: bytes | None, message: str
) -> None:
    """They fail, with words for whoever submitted them."""
    bench = make_bench()
    given = CommonInput(SESSION, common) if common else None
    (outcome,) = [one for one in bench.runner.run(make_spans(line), 60, given) if one]
    kind, text = fault(outcome)
    assert kind == "InputError"
    assert message in text
