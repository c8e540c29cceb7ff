"""The command `kotta` as its manual has it, against the real routes on a local port."""

import io
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepgrid.kotta.auth import write_auth
from stepgrid.kotta.cli import main
from stepgrid_core.states import JobState

from .kotta_world import JOB_ID, SEED_JOB, TOKEN, KottaServer, epoch, output, serving
from .test_kotta_jobs import ECHO

#: To the character, but for the blanks at the ends of lines; and `start_time`, which the manual's
#: server did not have yet.
STATUS = """\
queue                 | Test
submit_stamp          | 2016-03-11 18:27:24
submit_time           | 2016-03-11 18:27:24
status                | completed
user_email            | yadunand@uchicago.edu
z_processing_dur      | 1.00426697731
walltime              | 300
jobtype               | script
z_stageout_dur        | 0.115742921829
username              | Yadu Nand B
job_id                | dad3a7ae-91de-4af0-9a69-NOT-VALID
executable            | /bin/echo test.sh
z_stagein_dur         | 0.134030103683
complete_time         | 2016-03-11 18:27:58
start_time            | 2016-03-11 18:27:56
outputs               | foo.txt
outputs               | test.sh
outputs               | STDOUT.txt
outputs               | STDERR.txt
completed
"""
FETCH = """\
Creating directory : dad3a7ae-91de-4af0-9a69-0c40ee00ebf1
File not available : foo.txt
Downloading file   : dad3a7ae-91de-4af0-9a69-0c40ee00ebf1/test.sh
Downloading file   : dad3a7ae-91de-4af0-9a69-0c40ee00ebf1/STDOUT.txt
Downloading file   : dad3a7ae-91de-4af0-9a69-0c40ee00ebf1/STDERR.txt
"""
LIST = """\
JOBID                                   |STATUS         |JOBTYPE   |SUBMIT_STAMP
cf81ba18-cc41-11e5-a3b8-12d73991dalk    |pending        |script    |2016-02-05 19:51:13
b352e7b2-cad0-11e5-a3b8-12dassa73add    |processing     |script    |2016-02-03 23:49:01
3c747e80-cc42-11e5-a3b8-12d73asss212    |completed      |script    |2016-02-05 19:54:15
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KottaServer]:
    """A server with the manual's job, and an auth file for it in the current folder."""
    for name in ("KOTTA_AUTH", "KOTTA_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with serving() as server:
        write_auth(tmp_path / "auth.info", f"{server.url}/v1", TOKEN, 3600)
        (tmp_path / "job.json").write_text(json.dumps(ECHO))
        server.jobs.add(SEED_JOB)
        server.jobs.outputs = [
            output("test.sh", f"{server.url}/files/test.sh?a=1&b=2"),
            output("foo.txt", None),
            output("STDOUT.txt", f"{server.url}/files/out"),
            output("STDERR.txt", f"{server.url}/files/err"),
        ]
        server.files = {
            "/stage/files/test.sh": b"#!/bin/sh\n",
            "/stage/files/out": b"Hello\n" * 1_000_000,
            "/stage/files/err": b"",
        }
        yield server


@pytest.fixture
def run(server: KottaServer, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run a command line; answers its exit code, stdout and stderr."""

    def run(line: str) -> tuple[int, str, str]:
        code = main(shlex.split(line))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def rstripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_submit(server: KottaServer, run) -> None:  # type: ignore[no-untyped-def]
    """./client.py -r submit -a ./auth.info -j <job_description.json>"""
    code, out, _ = run("-r submit -a ./auth.info -j job.json")
    assert (code, out) == (0, f"[Success] Job_id: {JOB_ID}\n")
    [(owner, request)] = server.jobs.submitted
    assert (owner, request.executable) == ("cognito:ann", "/bin/echo 'Hello World!'")
    assert TOKEN.encode() not in server.seen[0].body


def test_submit_with_a_script(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Its text takes the template's place; no file is left behind."""
    (tmp_path / "run.py").write_bytes(b"print(1)\r\n")
    files = set(tmp_path.iterdir())
    assert run("-r submit -a auth.info -j job.json -s run.py")[0] == 0
    assert server.jobs.submitted[0][1].script == "print(1)\n"
    assert set(tmp_path.iterdir()) == files


def test_a_refused_job(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The server's reason, in the old form, and an exit code that a script can see."""
    (tmp_path / "job.json").write_text(json.dumps(ECHO | {"queue": "dev"}))
    code, out, _ = run("-r submit -a auth.info -j job.json")
    assert (code, out) == (1, "[Fail] Reason: Queue : [dev] is not valid\n")


def test_status(server: KottaServer, run) -> None:  # type: ignore[no-untyped-def]
    """./client.py -r status -j dad3a7ae-91de-4af0-9a69-NOT-VALID"""
    job_id = "dad3a7ae-91de-4af0-9a69-NOT-VALID"
    server.jobs.add(SEED_JOB.model_copy(update={"job_id": job_id}))
    code, out, _ = run(f"-r status -a auth.info -j {job_id}")
    assert code == 0
    assert rstripped(out) == STATUS
    first, last = out.splitlines()[0], out.splitlines()[-1]
    assert (first, last) == (f"{'queue':20}  | {'Test':50}", "completed")


def test_fetch(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """./client.py -r fetch -a auth.info -j dad3a7ae-91de-4af0-9a69-0c40ee00ebf1"""
    for _ in range(2):  # into a folder that is there, too
        code, out, _ = run(f"-r fetch -a auth.info -j {JOB_ID}")
        assert (code, out) == (0, FETCH)
    folder = tmp_path / JOB_ID
    assert {path.name for path in folder.iterdir()} == {"test.sh", "STDOUT.txt", "STDERR.txt"}
    assert (folder / "STDOUT.txt").stat().st_size == 6_000_000


def test_list(server: KottaServer, run) -> None:  # type: ignore[no-untyped-def]
    """./client.py -r list -a auth.info -j all"""
    server.jobs.jobs.clear()
    for line in LIST.splitlines()[1:]:
        job_id, state, _, submitted = (word.strip() for word in line.split("|"))
        told = {"job_id": job_id, "state": JobState(state), "created_at": epoch(submitted)}
        server.jobs.add(SEED_JOB.model_copy(update=told))
    code, out, _ = run("-r list -a auth.info -j all")
    assert (code, rstripped(out)) == (0, LIST)


def test_cancel(server: KottaServer, run) -> None:  # type: ignore[no-untyped-def]
    """It cancels, where the old client crashed."""
    server.jobs.add(SEED_JOB.model_copy(update={"state": JobState.PROCESSING}))
    code, out, _ = run(f"-r cancel -a auth.info -j {JOB_ID} -v")
    assert (code, out) == (0, f"Cancelling task : {JOB_ID}\n[Success] Job_id: {JOB_ID}\n")
    assert server.jobs.jobs[JOB_ID][1].state == "cancelled"
    server.jobs.add(SEED_JOB)
    code, out, _ = run(f"-r cancel -a auth.info -j {JOB_ID}")
    assert (code, out) == (1, f"[Fail] Reason: job {JOB_ID} is completed already\n")


@pytest.mark.parametrize("request_name", ["submit", "status", "fetch", "list", "cancel"])
def test_without_an_auth_file(run, request_name: str) -> None:  # type: ignore[no-untyped-def]
    """The old words, and on stderr what to do."""
    code, out, err = run(f"-r {request_name} -j job.json")
    assert code == 255
    assert out == "[ERROR] Authfile missing. Cannot submit job without authfile\n"
    assert "stepgrid login --kotta" in err


def test_the_auth_file_is_found(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """As the local cloud leaves it."""
    write_auth(tmp_path / ".stepgrid" / "kotta.auth", f"{server.url}/v1", TOKEN, 3600)
    assert run(f"-r STATUS -j {JOB_ID}")[0] == 0


def test_an_unknown_job(run) -> None:  # type: ignore[no-untyped-def]
    """The old words, the reason on stderr."""
    code, out, err = run("-r status -a auth.info -j 0000")
    assert (code, out) == (255, "[ERROR] Failed to fetch job, please check jobid\n")
    assert err == "kotta: job 0000 is unknown\n"


def test_a_token_that_has_ended(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Why a status is not to be had is told on stderr; of a list it is the reason."""
    write_auth(tmp_path / "old.info", f"{server.url}/v1", "old", 0)
    assert run(f"-r status -a old.info -j {JOB_ID}")[2] == "kotta: Failed to authenticate\n"
    code, out, _ = run("-r list -a old.info -j all")
    assert (code, out) == (1, "[Fail] Reason: Failed to authenticate\n")


def test_results_of_a_job_that_goes_on(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """No folder is made."""
    server.jobs.add(SEED_JOB.model_copy(update={"state": JobState.PROCESSING}))
    assert run(f"-r fetch -a auth.info -j {JOB_ID}")[:2] == (
        255,
        f"JOB[{JOB_ID}] is not in completed state. Results cannot be fetched\n",
    )
    assert not (tmp_path / JOB_ID).exists()


def test_an_unknown_request(run) -> None:  # type: ignore[no-untyped-def]
    assert run("-r resubmit -j x")[:2] == (255, "Unknown request\n")


@pytest.mark.parametrize("job_id", ["..", "../x", "/etc", "a/b", ".", "-x", "a b", "é"])
def test_ids_that_would_be_folders_elsewhere(server: KottaServer, run, job_id: str) -> None:  # type: ignore[no-untyped-def]
    """Refused before anything is asked."""
    code, out, _ = run(f"-r fetch -a auth.info --jobinfo='{job_id}'")
    assert (code, out) == (255, f"[ERROR] {job_id!r} is no job id\n")
    assert server.seen == []


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "a\\b", "x\x1b[2J", ".", "l/x"])
def test_names_that_would_leave_the_folder(
    server: KottaServer,
    run,  # type: ignore[no-untyped-def]
    name: str,
    tmp_path: Path,
) -> None:
    """Refused by name; the other files are fetched all the same."""
    (tmp_path / JOB_ID).mkdir()
    (tmp_path / JOB_ID / "l").symlink_to(tmp_path)
    hostile = output(name, f"{server.url}/files/out")
    server.jobs.outputs.insert(0, hostile)
    code, out, _ = run(f"-r fetch -a auth.info -j {JOB_ID}")
    assert code == 255
    assert "[ERROR] refused a file" in out
    assert "\x1b" not in out
    assert {path.name for path in (tmp_path / JOB_ID).iterdir()} == {
        "test.sh",
        "STDOUT.txt",
        "STDERR.txt",
        "l",
    }
    assert not (tmp_path / "x").exists()


def test_files_in_folders(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A job may leave some; they go below its own."""
    server.jobs.outputs = [output("sub/data", f"{server.url}/files/err")]
    assert run(f"-r fetch -a auth.info -j {JOB_ID}")[0] == 0
    assert (tmp_path / JOB_ID / "sub" / "data").is_file()


def test_a_file_that_is_gone(server: KottaServer, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Told in one line; no part of it is left."""
    del server.files["/stage/files/out"]
    code, out, _ = run(f"-r fetch -a auth.info -j {JOB_ID}")
    assert code == 255
    assert "[ERROR] STDOUT.txt: HTTP 404\n" in out
    assert {path.name for path in (tmp_path / JOB_ID).iterdir()} == {"test.sh", "STDERR.txt"}


def test_nobody_listens(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """One line, no traceback."""
    write_auth(tmp_path / "away", "http://127.0.0.1:9/v1", TOKEN, 3600)
    code, out, err = run("-r list -a away -j all")
    assert (code, out.count("\n"), err) == (255, 1, "")
    assert "can't connect" in out


def test_colours_are_for_terminals(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """Green for what is there, red for what is not; the old client had them in files as well."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    main(["-r", "status", "-a", "auth.info", "-j", JOB_ID])
    assert "\033[91mfoo.txt\033[0m" in terminal.getvalue()
    assert "\033[92mtest.sh\033[0m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    monkeypatch.setattr(sys, "stdout", plain)
    main(["-r", "status", "-a", "auth.info", "-j", JOB_ID])
    assert "\033" not in plain.getvalue()
