"""Cloud Kotta's first job, submitted by the `kotta` script as its documents show it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepgrid import Grid
from stepgrid.local import LocalCloud
from tests.system.containers import wait_until

#: The job of the client's README, its address aside.
HELLO = """{
  "user_email"         : "someone@example.org",
  "executable"         : "/bin/echo 'Hello World!'",
  "jobname"            : "Hello World on Kotta",
  "queue"              : "Test",
  "script_name"        : "none.sh",
  "script"             : "",
  "jobtype"            : "script",
  "output_file_stdout" : "STDOUT.txt",
  "output_file_stderr" : "STDERR.txt",
  "outputs"            : "foo.txt",
  "walltime"           : "5"
}
"""
Kotta = Callable[..., list[str]]


@pytest.fixture
def kotta(cloud: LocalCloud, tmp_path: Path) -> Kotta:
    """The script, with the words of a command line; answers what it printed."""
    auth = cloud.paths.kotta_auth

    def run(*words: str) -> list[str]:
        program = Path(sys.executable).with_name("kotta")
        done = subprocess.run(
            [str(program), *words],
            cwd=tmp_path,
            env={**os.environ, "KOTTA_AUTH": str(auth)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.stderr == ""
        return [line.rstrip() for line in done.stdout.splitlines()]

    return run


def submit(kotta: Kotta, folder: Path, text: str) -> str:
    (folder / "job.json").write_text(text)
    (line,) = kotta("-r", "submit", "-j", "job.json")
    match = re.fullmatch(r"\[Success\] Job_id: ([0-9a-f-]{36})", line)
    assert match, line
    return match[1]


def status(kotta: Kotta, job: str) -> tuple[dict[str, str], list[str]]:
    """The attributes as they are printed, and the names of the outputs."""
    *lines, last = kotta("-r", "status", "-j", job)
    pairs = [re.fullmatch(r"(\S+) +\| ?(.*)", line) for line in lines]
    fields = {match[1]: match[2] for match in pairs if match and match[1] != "outputs"}
    assert fields["status"] == last
    return fields, [match[2] for match in pairs if match and match[1] == "outputs"]


def test_the_first_job_of_its_documents(kotta: Kotta, tmp_path: Path) -> None:
    """Submit, status, fetch and list print what the documents show; foo.txt is named as missing."""
    job = submit(kotta, tmp_path, HELLO)
    wait_until(lambda: status(kotta, job)[0]["status"] == "completed")
    fields, outputs = status(kotta, job)
    assert outputs == ["foo.txt", "none.sh", "STDOUT.txt", "STDERR.txt"]
    assert fields["job_id"] == job
    assert (fields["queue"], fields["walltime"], fields["jobtype"]) == ("Test", "300", "script")
    assert fields["executable"] == "/bin/echo 'Hello World!'"
    assert fields["ERROR"] == "Missing outputs: foo.txt"
    for name in ("submit_stamp", "submit_time", "complete_time"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", fields[name])
    for name in ("z_stagein_dur", "z_processing_dur", "z_stageout_dur"):
        assert float(fields[name]) >= 0
    assert kotta("-r", "fetch", "-j", job) == [
        f"Creating directory : {job}",
        "File not available : foo.txt",
        f"Downloading file   : {job}/none.sh",
        f"Downloading file   : {job}/STDOUT.txt",
        f"Downloading file   : {job}/STDERR.txt",
    ]
    assert (tmp_path / job / "STDOUT.txt").read_text() == "Hello World!\n"
    assert not (tmp_path / job / "foo.txt").exists()
    head, *lines = kotta("-r", "list", "-j", "all")
    assert re.split(r" *\|", head) == ["JOBID", "STATUS", "JOBTYPE", "SUBMIT_STAMP"]
    listed = [re.split(r" *\|", line) for line in lines]
    assert [job, "completed", "script", fields["submit_stamp"]] in listed


def read_output(cloud: LocalCloud, job: str, name: str) -> bytes:
    """As the same user has it of the SDK: whose token kotta.auth is."""
    login = json.loads(cloud.paths.agent_config.read_text(encoding="utf-8"))
    endpoint = cloud.status().endpoint
    with Grid(endpoint, username=login["username"], password=login["password"]) as grid:
        return grid.jobs.get(job).read(name)


def test_cancel_really_cancels(kotta: Kotta, cloud: LocalCloud, tmp_path: Path) -> None:
    """A job that runs is ended, and what exists by then is kept."""
    text = HELLO.replace("/bin/echo 'Hello World!'", "sh -c 'echo early > foo.txt; sleep 600'")
    job = submit(kotta, tmp_path, text)
    wait_until(lambda: status(kotta, job)[0]["status"] == "processing")
    assert kotta("-r", "cancel", "-j", job) == [f"[Success] Job_id: {job}"]
    wait_until(lambda: status(kotta, job)[0].get("ERROR_CODE") == "1002")
    fields, outputs = status(kotta, job)
    assert (fields["status"], outputs[0]) == ("cancelled", "foo.txt")
    assert read_output(cloud, job, "foo.txt") == b"early\n"
