"""The local cloud with a real emulator and the real SAM CLI, on a small project of its own.

All tests share one local cloud; each begins with `up`, so they run in any order.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests
from botocore.exceptions import ClientError
from requests_aws4auth import AWS4Auth

from stepgrid.local import (
    DeploymentError,
    LocalCloud,
    LocalCloudError,
    LocalStatus,
    NotRunningError,
)
from stepgrid.local.process_tree import find_tree
from stepgrid.local.state import load_state

PROJECT = Path(__file__).parent / "local_project"
UP_SCRIPT = """
import sys
from pathlib import Path
from stepgrid.local import LocalCloud
print(LocalCloud(Path(sys.argv[1])).up().pid)
"""

RESOURCES_THAT_FAIL = """Resources:
  MachineWithoutDefinition:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: !Sub arn:aws:iam::${AWS::AccountId}:role/any
      DefinitionS3Location: {Bucket: absent, Key: absent}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    project_dir = tmp_path_factory.mktemp("local") / "project"
    shutil.copytree(PROJECT, project_dir)
    cloud = LocalCloud(project_dir)
    yield cloud
    cloud.down()


def read_profile(cloud: LocalCloud) -> dict[str, str]:
    profile: dict[str, str] = json.loads(cloud.paths.profile.read_text())
    return profile


def signature(key_id: str, secret: str) -> AWS4Auth:
    return AWS4Auth(key_id, secret, "us-east-1", "execute-api")


def call(cloud: LocalCloud, auth: AWS4Auth | None = None) -> requests.Response:
    profile = read_profile(cloud)
    return requests.get(f"{profile['endpoint']}/echo", auth=auth, timeout=30)


def signed_call(cloud: LocalCloud) -> dict[str, Any]:
    profile = read_profile(cloud)
    auth = signature(profile["access_key_id"], profile["secret_access_key"])
    response = call(cloud, auth)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def leave_process(cloud: LocalCloud, status: LocalStatus) -> int:
    """Have the function start a process in a session of its own; returns its pid."""
    response = cloud.client("lambda").invoke(
        FunctionName=status.outputs["EchoFunction"], Payload=b'{"leave_process": true}'
    )
    pid: int = json.loads(response["Payload"].read())["pid"]
    assert is_alive(pid)
    return pid


def is_alive(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_emulator(status: LocalStatus) -> None:
    emulator = psutil.Process(status.pid)
    emulator.kill()
    emulator.wait()


def test_a_call_signed_with_the_profile_reaches_the_function(cloud: LocalCloud) -> None:
    """What `up` wrote into the profile is all that a client needs."""
    status = cloud.up()
    assert status.running
    assert status.endpoint == read_profile(cloud)["endpoint"]
    assert signed_call(cloud)["caller"].endswith(":user/stepgrid-user")


def test_unsigned_and_wrongly_signed_calls_are_refused(cloud: LocalCloud) -> None:
    """The local API verifies signatures as AWS does."""
    cloud.up()
    wrong = signature(read_profile(cloud)["access_key_id"], "wrong")
    assert call(cloud).status_code == 403
    assert call(cloud, wrong).status_code == 403


def test_the_profile_names_the_endpoint_and_is_private(cloud: LocalCloud) -> None:
    """The profile holds a secret key, so only its owner can read it."""
    status = cloud.up()
    mode = stat.S_IMODE(cloud.paths.profile.stat().st_mode)
    profile = read_profile(cloud)
    assert mode == 0o600
    assert profile["aws_endpoint_url"] == status.aws_endpoint_url
    assert set(profile) == {
        "access_key_id",
        "aws_endpoint_url",
        "endpoint",
        "region",
        "secret_access_key",
        "stack_name",
    }


def test_a_second_up_finds_the_running_one(cloud: LocalCloud) -> None:
    """With nothing changed `up` neither starts, builds nor deploys, and keys stay valid."""
    first, profile, steps = cloud.up(), read_profile(cloud), list[str]()
    second = cloud.up(steps.append)
    assert second.pid == first.pid
    assert read_profile(cloud) == profile
    assert [step for step in steps if "sam" in step or "started" in step] == []


def test_a_lost_profile_is_written_again(cloud: LocalCloud) -> None:
    """`up` mends a profile that was removed, without a new deployment."""
    first = cloud.up()
    cloud.paths.profile.unlink()
    assert cloud.up().pid == first.pid
    assert signed_call(cloud)["version"] >= 1


def test_it_listens_on_loopback_only(cloud: LocalCloud) -> None:
    """Nobody outside this machine can reach the local cloud or anything it started."""
    status = cloud.up()
    signed_call(cloud)
    root = psutil.Process(status.pid)
    listening = [
        ipaddress.ip_address(connection.laddr.ip)
        for process in [root, *root.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert all(address.is_loopback for address in listening)


def test_two_ups_at_once_start_one(cloud: LocalCloud) -> None:
    """Two `up` commands at once end with the same one emulator."""
    cloud.down()
    command = [sys.executable, "-c", UP_SCRIPT, str(cloud.paths.project_dir)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {int(one.communicate(timeout=120)[0]) for one in both}
    assert pids == {cloud.status().pid}
    state = load_state(cloud.paths)
    assert state is not None
    tree = find_tree(state.emulator.mark, state.emulator.identity)
    assert [p.pid for p in tree if "stepgrid.local.corrected_ministack" in p.cmdline()] == [*pids]


def test_up_recovers_from_a_killed_emulator(cloud: LocalCloud) -> None:
    """After SIGKILL of the emulator `up` clears what it left and deploys anew, on the same port."""
    before = cloud.up()
    orphan = leave_process(cloud, before)
    kill_emulator(before)
    assert not cloud.status().running
    after = cloud.up()
    assert after.pid != before.pid
    assert after.aws_endpoint_url == before.aws_endpoint_url
    assert not is_alive(orphan)
    assert signed_call(cloud)["version"] >= 1


def test_up_takes_another_port_when_a_stranger_has_the_old_one(cloud: LocalCloud) -> None:
    """A foreign server on the remembered port is left alone, and not mistaken for the emulator."""
    before = cloud.up()
    kill_emulator(before)
    assert before.aws_endpoint_url is not None
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", int(before.aws_endpoint_url.rsplit(":", 1)[1])))
        stranger.listen()
        after = cloud.up()
    assert after.aws_endpoint_url != before.aws_endpoint_url
    assert signed_call(cloud)["version"] >= 1


def test_up_starts_anew_after_a_half_done_deployment(cloud: LocalCloud) -> None:
    """An `up` that died while it deployed leaves a stack nobody knows: it is not used."""
    before = cloud.up()
    state = json.loads(cloud.paths.state.read_text())
    cloud.paths.state.write_text(json.dumps({**state, "deployment": None}))
    after = cloud.up()
    assert after.pid != before.pid
    assert not is_alive(before.pid)
    assert signed_call(cloud)["version"] >= 1


def test_up_finds_an_emulator_whose_state_file_is_lost(cloud: LocalCloud) -> None:
    """Without its state file an emulator can't be used, but it is still found and stopped."""
    before = cloud.up()
    cloud.paths.state.unlink()
    assert cloud.up().pid != before.pid
    assert not is_alive(before.pid)


def test_changed_sources_are_deployed_into_the_running_one(cloud: LocalCloud) -> None:
    """A changed function is in use after `up`, and the emulator keeps its data and port."""
    before = cloud.up()
    source = cloud.paths.project_dir / "functions" / "echo" / "echo.py"
    version = signed_call(cloud)["version"]
    text = source.read_text().replace(f"VERSION = {version}", f"VERSION = {version + 1}")
    source.write_text(text)
    after = cloud.up()
    assert after.pid == before.pid
    assert signed_call(cloud)["version"] == version + 1


@contextmanager
def changed_file(path: Path, text: str) -> Iterator[None]:
    """The file holds `text` inside the block, and afterwards what it held before, if anything."""
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    try:
        yield
    finally:
        path.unlink() if before is None else path.write_text(before)


def test_a_function_that_cannot_be_built_is_explained(cloud: LocalCloud) -> None:
    """A failed build says why and where the log is; what ran before it still runs."""
    before = cloud.up()
    requirements = cloud.paths.project_dir / "functions" / "echo" / "requirements.txt"
    with (
        changed_file(requirements, "not a requirement"),
        pytest.raises(DeploymentError, match=r"sam build(.|\n)*not a requirement") as caught,
    ):
        cloud.up()
    assert str(caught.value.log_path) in str(caught.value)
    assert signed_call(cloud)["version"] >= 1
    assert cloud.up().pid == before.pid


def test_a_resource_that_cannot_be_deployed_is_explained(cloud: LocalCloud) -> None:
    """A failed deployment names the resource, and the next `up` after the repair starts anew."""
    cloud.up()
    template = cloud.paths.project_dir / "template.yaml"
    broken = template.read_text().replace("Resources:\n", RESOURCES_THAT_FAIL, 1)
    with (
        changed_file(template, broken),
        pytest.raises(DeploymentError, match=r"sam deploy(.|\n)*\nMachineWithoutDefinition: "),
    ):
        cloud.up()
    cloud.up()
    assert signed_call(cloud)["version"] >= 1


def test_a_further_user_may_call_the_api_and_nothing_else(cloud: LocalCloud) -> None:
    """Users made for tests are told apart by the API and have no right on AWS services."""
    status = cloud.up()
    first = cloud.create_user("other-owner")
    second = cloud.create_user("other-owner")
    old = signature(first.access_key_id, first.secret_access_key)
    new = signature(second.access_key_id, second.secret_access_key)
    assert call(cloud, new).json()["caller"].endswith(":user/other-owner")
    assert call(cloud, old).status_code == 403
    with pytest.raises(ClientError, match="AccessDenied"):
        table_client(second.access_key_id, second.secret_access_key, status).list_tables()


def table_client(key_id: str, secret: str, status: LocalStatus) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=status.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )


def test_logs_show_the_emulator_and_the_function(cloud: LocalCloud) -> None:
    """A function's prints are found by its name in the template."""
    cloud.up()
    signed_call(cloud)
    assert "echo was called" in list(cloud.logs("EchoFunction"))
    assert any("Running on" in line for line in cloud.logs())
    with pytest.raises(LocalCloudError, match="EchoFunction"):
        cloud.logs("Unknown")


def test_down_stops_everything_and_leaves_nothing(cloud: LocalCloud) -> None:
    """No process survives `down`, whatever its session, and unpacked files and keys are gone."""
    status = cloud.up()
    leave_process(cloud, status)
    root = psutil.Process(status.pid)
    tree = [root, *root.children(recursive=True)]
    assert len(tree) >= 3
    assert cloud.down() is True
    assert [process for process in tree if is_alive(process.pid)] == []
    assert not cloud.paths.scratch.exists()
    assert not cloud.paths.profile.exists()
    assert not cloud.paths.state.exists()
    assert not cloud.status().running


def test_down_twice_has_nothing_left_to_do(cloud: LocalCloud) -> None:
    """`down` is idempotent, and what needs a running cloud then says how to get one."""
    cloud.down()
    assert cloud.down() is False
    with pytest.raises(NotRunningError, match="stepgrid local up"):
        cloud.client("dynamodb")
    with pytest.raises(NotRunningError, match="stepgrid local up"):
        cloud.create_user("anybody")


def test_down_after_the_emulator_died_stops_its_orphans(cloud: LocalCloud) -> None:
    """`down` works as well when the emulator is already dead."""
    status = cloud.up()
    orphan = leave_process(cloud, status)
    kill_emulator(status)
    assert cloud.down() is True
    assert not is_alive(orphan)


def test_a_copied_project_is_another_local_cloud(cloud: LocalCloud, tmp_path: Path) -> None:
    """A copy of the folder, state file and all, does not take the original's processes."""
    original = cloud.up()
    copied_to = tmp_path / "copy"
    shutil.copytree(cloud.paths.project_dir, copied_to)
    copy = LocalCloud(copied_to)
    assert not copy.status().running
    assert copy.down() is False
    assert cloud.status().pid == original.pid


def test_a_stranger_with_the_recorded_pid_is_spared(cloud: LocalCloud) -> None:
    """A pid that the system gave to somebody else is not stopped."""
    before = cloud.up()
    kill_emulator(before)
    # A session of its own: then the stranger's pid is a session's number as well.
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        state = json.loads(cloud.paths.state.read_text())
        state["emulator"]["identity"]["pid"] = stranger.pid
        cloud.paths.state.write_text(json.dumps(state))
        assert not cloud.status().running
        cloud.down()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_folder_without_a_template_is_refused(tmp_path: Path) -> None:
    """`up` in the wrong folder says so, and leaves no trace there."""
    with pytest.raises(LocalCloudError, match=r"no template\.yaml"):
        LocalCloud(tmp_path).up()
    assert list(tmp_path.iterdir()) == []
