"""Processes of algorithms: their ends, their prints, and that nothing of them is left."""

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stepgrid.node.algorithms.commands import Site, Start
from stepgrid.node.algorithms.process import Command, Exit, run_command
from stepgrid.node.algorithms.starts import Outcome, Starts
from stepgrid.node.config import Algorithm, Docker
from stepgrid.node.folders import Folders, RunFolder
from tests.integration.node_bench import is_alive

OWN = {"PATH": os.environ["PATH"]}
#: Starts a child that leaves group and session, tells both ids, and waits.
FAMILY = """
import os, time
child = os.fork()
if child == 0:
    os.setsid()
else:
    open("ids.new", "w").write(f"{os.getpid()} {child}")
    os.rename("ids.new", "ids")
time.sleep(600)
"""


def run_python(folder: Path, code: str, gone: threading.Event | None = None) -> tuple[Exit, str]:
    command = Command([sys.executable, "-c", code], {"A": "b"}, folder)
    return run_command(command, gone or threading.Event(), most_log_bytes=1000)


def start(folder: Path, **algorithm: Any) -> Start:
    for name in ("run", "job"):
        (folder / name).mkdir(exist_ok=True)
    kind = Algorithm.model_validate({"image": "*"} | algorithm, context={"folder": folder})
    return Start(kind, "a:1", 1000, Site(folder / "run", folder / "job", "127.0.0.1", 1), ())


def make_starts(require_pull: bool = True, docker: str = "docker") -> Starts:
    return Starts(Docker(command=docker), require_pull, "0a1b", OWN)


def run_executable(folder: Path, *argv: str) -> Outcome:
    return make_starts().start(start(folder, executable=argv), threading.Event())


def await_file(path: Path) -> str:
    """Its text, once it is there."""
    ticker = threading.Event()
    while not path.exists():
        ticker.wait(0.01)
    return path.read_text()


def test_the_end_of_what_it_wrote_is_kept(tmp_path: Path) -> None:
    """Of both outputs; a flood fills neither memory nor disk."""
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    assert run_python(tmp_path, code) == (Exit(0), "out\nerr\n")
    ended, log = run_python(tmp_path, "print('x' * 3_000_000, 'end')")
    assert ended == Exit(0)
    assert log.startswith("[...]\nxxx")
    assert log.endswith("x end\n")
    assert len(log) < 1100


def test_it_gets_its_environment_and_no_other(tmp_path: Path) -> None:
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), os.getcwd())"
    assert run_python(tmp_path, code)[1] == f"['A'] {tmp_path}\n"


@pytest.mark.parametrize("end", ["stop", "kill of the guard"])
def test_nothing_of_it_is_left(tmp_path: Path, end: str) -> None:
    """Also what left its group and session, unless the guard itself is killed."""
    gone = threading.Event()
    thread = threading.Thread(target=run_python, args=(tmp_path, FAMILY, gone))
    thread.start()
    ids = [int(id) for id in await_file(tmp_path / "ids").split()]
    if end == "stop":
        gone.set()
    else:
        psutil.Process(ids[0]).parent().kill()
    thread.join(60)
    assert not thread.is_alive()
    assert not is_alive(ids[0])
    assert is_alive(ids[1]) is (end != "stop")
    if end != "stop":
        psutil.Process(ids[1]).kill()


@pytest.mark.parametrize(
    ("argv", "outcome"),
    [
        (("sh", "-c", "echo a"), Outcome("completed", "a\n")),
        (
            ("sh", "-c", "echo a; exit 3"),
            Outcome("crashed", "a\n\nthe algorithm ended with exit code 3"),
        ),
        (("sh", "-c", "kill -9 $$"), Outcome("crashed", "\nthe algorithm was killed by signal 9")),
        (
            ("/none/at/all",),
            Outcome(
                "start failed", "the algorithm could not be started: No such file or directory"
            ),
        ),
    ],
)
def test_ends_in_vantage6s_words(tmp_path: Path, argv: tuple[str, ...], outcome: Outcome) -> None:
    assert run_executable(tmp_path, *argv) == outcome


DOCKER = """#!/bin/sh
# Notes how it was called, and does what the test has put beside it for the first word.
here=$(dirname "$0")
echo "$@" >> "$here/calls"
if [ -f "$here/$1" ]; then . "$here/$1"; fi
"""


@pytest.fixture
def make_docker(tmp_path: Path) -> Callable[..., str]:
    def make(**scripts: str) -> str:
        folder = tmp_path / "docker"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(script)
        path = folder / "docker"
        path.write_text(DOCKER)
        path.chmod(0o700)
        return str(path)

    return make


def calls(docker: str) -> list[str]:
    return [line.split()[0] for line in Path(docker).with_name("calls").read_text().splitlines()]


@pytest.mark.parametrize(
    ("scripts", "require_pull", "status", "called"),
    [
        ({}, True, "completed", ["pull", "run"]),
        ({"pull": "exit 1"}, True, "non-existing Docker image", ["pull"]),
        ({"pull": "exit 1"}, False, "completed", ["pull", "image", "run"]),
        (
            {"pull": "exit 1", "image": "exit 1"},
            False,
            "non-existing Docker image",
            ["pull", "image"],
        ),
        ({"run": "exit 125"}, True, "start failed", ["pull", "run"]),
        ({"run": "exit 1"}, True, "crashed", ["pull", "run"]),
    ],
)
def test_a_container_is_pulled_and_run(
    tmp_path: Path,
    make_docker: Callable[..., str],
    scripts: dict[str, str],
    require_pull: bool,
    status: str,
    called: list[str],
) -> None:
    """An image that is here already is good enough where the policies say so."""
    docker = make_docker(**scripts)
    starts = make_starts(require_pull, docker)
    outcome = starts.start(start(tmp_path, container=True), threading.Event())
    assert (outcome.status, calls(docker)) == (status, called)


def test_a_container_that_is_stopped_is_removed(
    tmp_path: Path, make_docker: Callable[..., str]
) -> None:
    """It does not end with the command that started it."""
    docker = make_docker(run='touch "$here/begun"; sleep 600')
    gone = threading.Event()
    thread = threading.Thread(
        target=make_starts(docker=docker).start, args=(start(tmp_path, container=True), gone)
    )
    thread.start()
    await_file(Path(docker).with_name("begun"))
    gone.set()
    thread.join(60)
    assert calls(docker) == ["pull", "run", "rm"]


def test_containers_of_a_dead_node_are_removed(make_docker: Callable[..., str]) -> None:
    """Those of this node, by their label."""
    docker = make_docker(ps="echo c1; echo c2")
    make_starts(docker=docker).remove_left()
    lines = Path(docker).with_name("calls").read_text().splitlines()
    assert lines == ["ps --all --quiet --filter label=stepgrid-node=0a1b", "rm --force c1 c2"]


def test_without_docker_containers_do_not_start(tmp_path: Path) -> None:
    starts = make_starts(docker="/none/docker")
    starts.remove_left()
    outcome = starts.start(start(tmp_path, container=True), threading.Event())
    assert outcome.status == "non-existing Docker image"


def make_folder(tmp_path: Path) -> RunFolder:
    return Folders(tmp_path, 0, 1).open_run(1000)


def test_an_output_is_the_runs_own_file(tmp_path: Path) -> None:
    """A link would have the node send a file that the algorithm can't read."""
    (tmp_path / "key.pem").write_text("secret")
    folder = make_folder(tmp_path)
    folder.fill(b"in", "token")
    assert folder.read_output(10) == b""
    folder.output_file.write_bytes(b"result")
    assert folder.read_output(10) == b"result"
    with pytest.raises(OSError, match="6 bytes"):
        folder.read_output(5)
    folder.output_file.unlink()
    folder.output_file.symlink_to(tmp_path / "key.pem")
    with pytest.raises(OSError, match="symbolic links"):
        folder.read_output(10)
    folder.output_file.unlink()
    os.mkfifo(folder.output_file)
    with pytest.raises(OSError, match="no file"):
        folder.read_output(10)


def test_files_of_a_run_are_private_and_go_with_it(tmp_path: Path) -> None:
    """Whatever an algorithm has made of them; a link leads nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder = make_folder(tmp_path)
    folder.fill(b"in", "token")
    assert stat.S_IMODE((folder.path / "token").stat().st_mode) == 0o600
    (folder.path / "deep" / "er").mkdir(parents=True)
    (folder.path / "deep").chmod(0)
    (folder.path / "link").symlink_to(outside)
    Folders(tmp_path, 0, 1).close_run(folder)
    assert not folder.path.exists()
    assert (outside / "kept").exists()


def test_folders_stay_for_their_time(tmp_path: Path) -> None:
    """Those of ended runs and of jobs; those at work stay anyway."""
    folders = Folders(tmp_path, run_retention_hours=1, job_retention_hours=2)
    ended, at_work = folders.open_run(1000), folders.open_run(2000)
    folders.close_run(ended)
    jobs = [folders.open_job(1), folders.open_job(2)]
    now = ended.path.stat().st_mtime
    folders.sweep(now + 3_500, {2000}, {2})
    assert ended.path.exists()
    folders.sweep(now + 3_700, {2000}, {2})
    assert [ended.path.exists(), at_work.path.exists()] == [False, True]
    assert all(job.exists() for job in jobs)
    folders.sweep(now + 7_300, {2000}, {2})
    assert [job.exists() for job in jobs] == [False, True]
