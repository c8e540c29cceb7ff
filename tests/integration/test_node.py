"""The node at work: algorithms written for vantage6's tools, faults, and what survives them."""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepgrid.federation_crypto import PrivateKey
from tests.integration.node_bench import TOOLS_PYTHON, Bench, await_end, is_alive, open_bench
from tests.integration.node_server import ORGANIZATION, OTHER, FakeRun

SHELL_IMAGE = "shell.test/a:1"
AVERAGE = {"method": "central_average", "kwargs": {"column": "age"}}
#: Tells its process and that of a child, which is in a session of its own, and does not end.
ENDLESS = """setsid sleep 600 & echo "$$ $!" > "$HOME/../../../ids"; sleep 600"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as opened:
        yield opened


def result_of(run: FakeRun) -> Any:
    assert run.status == "completed", run
    assert run.result is not None
    return json.loads(base64.b64decode(run.result))


def await_ended(bench: Bench, *runs: FakeRun) -> None:
    bench.server.wait(lambda: all(run.ended for run in runs))


def fail_for(bench: Bench, what: str, status: int, times: int) -> Callable[[], int]:
    """So often the server answers so; how often it has yet to."""
    left = [times]

    def fault(asked: str) -> int | None:
        if not asked.startswith(what) or left[0] <= 0:
            return None
        left[0] -= 1
        return status

    bench.server.faults = fault
    return lambda: left[0]


def test_a_task_of_subtasks(bench: Bench) -> None:
    """The central part and its own partial one run at this node, which has room for one alone."""
    run = bench.server.add_task(AVERAGE, ("default",))
    bench.start()
    await_ended(bench, run)
    assert result_of(run) == {"average": 30.0}
    assert [patch["status"] for patch in run.patches] == ["active", "completed"]
    assert "Dispatching" in run.log
    assert bench.stop() == 0
    assert (bench.journal, os.listdir(bench.folder / "data" / "runs")) == ([], [])
    assert f"run {run.id} taken" in bench.log
    assert f"run {run.id} sent: completed" in bench.log


def test_an_algorithm_that_raises_has_crashed(bench: Bench) -> None:
    """Its log tells why; the node goes on, and its own secrets are not the algorithm's."""
    failing = bench.server.add_task({"method": "fail"}, ("default",))
    telling = bench.server.add_task({"method": "show_environment"}, ("default",))
    bench.start(AWS_SECRET_ACCESS_KEY="of-the-node")
    await_ended(bench, failing, telling)
    assert failing.status == "crashed"
    assert "no such luck" in failing.log
    told = result_of(telling)
    assert told["DEFAULT_DATABASE_URI"] == str(bench.folder / "patients.csv")
    assert "of-the-node" not in told.values()


@pytest.mark.parametrize(
    ("image", "text", "databases", "status", "log"),
    [
        ("evil.test/a", None, (), "not allowed", "does not allow the algorithm evil.test/a"),
        ("shell.test", None, (), "non-existing Docker image", "no algorithm of this node"),
        (SHELL_IMAGE, "%", (), "failed", "not base64"),
        (SHELL_IMAGE, None, ("none",), "failed", "no database 'none'"),
    ],
)
def test_what_can_not_run_says_so(
    bench: Bench, image: str, text: str | None, databases: tuple[str, ...], status: str, log: str
) -> None:
    bench.run_shell("exit 0")
    bench.values["policies"] = {"allowed_algorithms": ["shell.test.*"]}
    run = bench.server.add_task({}, databases, image, text)
    bench.start()
    await_ended(bench, run)
    assert (run.status, log in run.log) == (status, True)
    assert "POST /token/container" not in bench.server.requests


def test_an_encrypted_collaboration(tmp_path: Path) -> None:
    """The server sees ciphertext alone; results are for the organization that asked."""
    own, other = PrivateKey.generate(), PrivateKey.generate()
    own.save(tmp_path / "key.pem")
    with open_bench(tmp_path, encrypted=True) as bench:
        bench.values["private_key"] = "key.pem"
        bench.server.public_keys[OTHER] = other.public_key.text
        text = own.public_key.encrypt(json.dumps(AVERAGE).encode())
        run = bench.server.add_task(None, ("default",), text=text, init_org=OTHER)
        bench.start()
        await_ended(bench, run)
        assert run.status == "completed", run
        assert bench.server.public_keys[ORGANIZATION] == own.public_key.text
        results = [each.result for each in bench.server.runs.values()]
        (subtask,) = [each for each in bench.server.runs.values() if each is not run]
        assert json.loads(own.decrypt(subtask.input))["method"] == "partial_average"
        assert all(result is not None and result.count("$") == 2 for result in results)
        assert json.loads(other.decrypt(str(run.result))) == {"average": 30.0}


def test_vantage6_reads_what_we_encrypt(tmp_path: Path) -> None:
    """With the key file that we make; and we read what it encrypts for us."""
    key = PrivateKey.generate()
    key.save(tmp_path / "key.pem")
    script = (
        "import sys; from pathlib import Path\n"
        "from vantage6.common.encryption import RSACryptor\n"
        "cryptor = RSACryptor(Path(sys.argv[1]))\n"
        "sys.stdout.write(cryptor.encrypt_bytes_to_str(cryptor.decrypt(sys.argv[2]), sys.argv[3]))"
    )
    sent = json.dumps({"value": "ä"}).encode()
    argv = [str(TOOLS_PYTHON), "-c", script, str(tmp_path / "key.pem")]
    argv += [key.public_key.encrypt(sent), key.public_key.text]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert key.decrypt(answer) == sent


def test_a_run_that_is_stopped_leaves_nothing(bench: Bench) -> None:
    """Whole tree, files and journal; no word is sent, and the node takes the next run."""
    bench.run_shell(ENDLESS)
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    ids = [int(id) for id in bench.await_file("ids").split()]
    bench.server.kill(run)
    for id in ids:
        await_end(id)
    (bench.folder / "ids").unlink()
    bench.server.add_task({}, image=SHELL_IMAGE)
    bench.await_file("ids")
    assert [patch["status"] for patch in run.patches] == ["active"]
    assert bench.journal == ["2000.json"]
    assert os.listdir(bench.folder / "data" / "runs") == ["2000"]


def test_a_node_that_is_killed_takes_its_algorithms_along(bench: Bench) -> None:
    """The next one runs what was under way anew, once the server hands it out again."""
    bench.run_shell(ENDLESS)
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    ids = [int(id) for id in bench.await_file("ids").split()]
    bench.kill()
    for id in ids:
        await_end(id)
    assert bench.journal == [f"{run.id}.json"]
    bench.run_shell("test ! -e leftover; echo again > output")
    first_instance = run.instance
    (bench.folder / "data" / "runs" / str(run.id) / "leftover").touch()
    bench.start()
    bench.server.wait(lambda: bench.server.syncs[-1]["instance"] != first_instance)
    assert bench.server.syncs[-1]["holding"] == []
    bench.server.end_lease(run)
    await_ended(bench, run)
    assert (run.attempt, run.status) == (2, "completed")
    assert base64.b64decode(str(run.result)) == b"again\n"


def test_a_result_waits_for_a_server_that_is_lost(bench: Bench) -> None:
    """For as long as it takes, also through a restart; the algorithm is not run again."""
    bench.run_shell('echo begun >> "$HOME/../../../begun"; echo result > output')
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    left = fail_for(bench, f"PATCH /run/{run.id}", 503, 10**9)
    bench.start()
    bench.server.wait(lambda: left() < 10**9 - 1)
    bench.kill()
    assert bench.journal == [f"{run.id}.json"]
    bench.server.faults = lambda _: None
    bench.start()
    await_ended(bench, run)
    assert base64.b64decode(str(run.result)) == b"result\n"
    assert bench.await_file("begun") == "begun"
    assert bench.stop() == 0
    assert bench.journal == []


def test_a_lost_answer_is_no_second_result(bench: Bench) -> None:
    """The server took it; the same word again is taken again."""
    bench.run_shell("echo result > output")
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    fail_for(bench, f"PATCH /run/{run.id}", 0, 2)
    bench.start()
    bench.server.wait(lambda: len(run.patches) >= 3)
    ended = [patch for patch in run.patches if patch["status"] == "completed"]
    assert ended[0] == ended[-1]
    assert bench.stop() == 0
    assert bench.journal == []


def test_a_run_that_ended_too_late_is_not_run_again(bench: Bench) -> None:
    """Its lease was over before the server heard of its end: the kept result is sent again."""
    bench.run_shell('echo begun >> "$HOME/../../../begun"; echo result > output')
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    left = fail_for(bench, f"PATCH /run/{run.id}", 503, 10**9)
    bench.start()
    bench.server.wait(lambda: left() < 10**9 - 1)
    with bench.server.changed:
        run.claim = "another's"
    bench.server.faults = lambda _: None
    bench.server.wait(lambda: any(patch["status"] == "completed" for patch in run.patches))
    bench.server.end_lease(run)
    await_ended(bench, run)
    assert (run.attempt, base64.b64decode(str(run.result))) == (2, b"result\n")
    assert bench.await_file("begun") == "begun"


def test_a_lost_handout_comes_again(bench: Bench) -> None:
    """The same claim, which the node then holds."""
    bench.run_shell("echo result > output")
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    fail_for(bench, "POST /node", 0, 1)
    bench.start("--json")
    await_ended(bench, run)
    assert (run.attempt, run.status) == (1, "completed")
    assert bench.stop() == 0
    told = [json.loads(line)["message"] for line in bench.log.splitlines()]
    assert f"run {run.id} sent: completed" in told


def test_a_token_that_has_expired_is_renewed(bench: Bench) -> None:
    bench.run_shell("echo result > output")
    bench.start()
    bench.server.wait(lambda: bool(bench.server.syncs))
    with bench.server.changed:
        bench.server.tokens.clear()
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    await_ended(bench, run)
    assert bench.server.requests.count("POST /token/node") == 2


def test_a_refused_key_ends_the_node(bench: Bench) -> None:
    """At its start or at work, and with it what runs."""
    bench.run_shell(ENDLESS)
    bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    ids = [int(id) for id in bench.await_file("ids").split()]
    with bench.server.changed:
        bench.server.tokens.clear()
        bench.server.api_key = "another"
    assert bench.process is not None
    assert bench.process.wait(90) == 4
    assert not any(map(is_alive, ids))
    bench.start()
    assert bench.process.wait(90) == 4
    assert bench.log.count("refused the API key of this node") == 2


def test_a_server_that_is_lost_at_the_start_is_waited_for(bench: Bench) -> None:
    """As after a power cut, when the network is not there yet."""
    bench.run_shell("echo result > output")
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    left = fail_for(bench, "POST /token", 503, 2)
    bench.start()
    await_ended(bench, run)
    assert left() == 0
    assert bench.log.count("server lost") == 1
    assert bench.log.count("server is back") == 1


def test_a_node_that_is_told_to_end_stops_what_runs(bench: Bench) -> None:
    """Without a word: the server hands it out again. Another node can't have its folder before."""
    bench.run_shell(ENDLESS)
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    ids = [int(id) for id in bench.await_file("ids").split()]
    first = bench.process
    bench.start()
    second = bench.process
    assert second is not None
    assert second.wait(90) == 3
    assert "another node works in" in bench.log
    bench.process = first
    instance = bench.server.syncs[-1]["instance"]
    assert bench.stop() == 0
    assert not any(map(is_alive, ids))
    assert [patch["status"] for patch in run.patches] == ["active"]
    last = bench.server.syncs[-1]
    assert (last["instance"], last["leaving"]) == (instance, True)


def test_a_node_ends_without_a_server_too(bench: Bench) -> None:
    """Its last word is said once."""
    bench.start()
    bench.server.wait(lambda: bool(bench.server.syncs))
    bench.server.faults = lambda _: 503
    assert bench.stop() == 0
    assert "the server was not told that the node ends" in bench.log


def test_algorithms_may_end_in_their_grace(bench: Bench) -> None:
    """Where the file gives one, what ends in it is sent before the node ends."""
    bench.values["stop_grace_seconds"] = 600
    bench.run_shell(
        'echo begun > "$HOME/../../../begun"; '
        'while [ ! -e "$HOME/../../../go" ]; do sleep 0.05; done; echo result > output'
    )
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    bench.await_file("begun")
    assert bench.process is not None
    bench.process.terminate()
    bench.server.wait(lambda: bench.server.syncs[-1]["capacity"] == 0)
    (bench.folder / "go").touch()
    assert bench.process.wait(90) == 0
    assert run.status == "completed"


def test_a_node_that_holds_a_run_is_never_idle(bench: Bench) -> None:
    """It would be silent for longer than a lease may be."""
    bench.values |= {"idle_after_seconds": 0, "capacity": 2}
    bench.run_shell('while [ ! -e "$HOME/../../../go" ]; do sleep 0.05; done; echo result > output')
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    bench.server.wait(lambda: bool(bench.server.syncs and bench.server.syncs[-1]["holding"]))
    assert bench.server.syncs[0]["wait_seconds"] == 0
    assert bench.server.syncs[-1]["wait_seconds"] == 20
    (bench.folder / "go").touch()
    await_ended(bench, run)
    assert run.status == "completed"


def test_a_result_that_is_too_large_is_a_failure(bench: Bench) -> None:
    bench.run_shell("head -c 4000000 /dev/zero > output")
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    bench.start()
    await_ended(bench, run)
    assert (run.status, "too many to be sent" in run.log) == ("failed", True)


def test_a_result_that_the_server_never_takes_is_a_failure(bench: Bench) -> None:
    """Of its own limit, for example: the researcher reads so in place of a result."""
    bench.run_shell("echo result > output")
    run = bench.server.add_task({}, image=SHELL_IMAGE)
    fail_for(bench, f"PATCH /run/{run.id}", 413, 2)
    bench.start()
    await_ended(bench, run)
    assert (run.status, "the server refused the result" in run.log) == ("failed", True)
