"""The parts of the local cloud that need no emulator."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import yaml

from stepgrid.local import LocalCloudError
from stepgrid.local.access import loopback_endpoint
from stepgrid.local.corrections import write_definitions_as_json
from stepgrid.local.emulator import emulator_environment
from stepgrid.local.fingerprint import compute_fingerprint
from stepgrid.local.logs import file_lines
from stepgrid.local.process_tree import (
    MARK_VARIABLE,
    ProcessIdentity,
    find_process,
    find_tree,
    stop_tree,
)
from stepgrid.local.sam import (
    AwsAccess,
    deployment_parameters,
    machine_architecture,
    sam_environment,
)
from stepgrid.local.state import load_state
from stepgrid.local.storage import LocalPaths, exclusive_lock, read_json, write_private_json

ACCESS = AwsAccess("http://127.0.0.1:4566", "us-east-1", "key", "secret")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    source = tmp_path / "functions" / "api"
    source.mkdir(parents=True)
    (source / "app.py").write_text("one")
    (tmp_path / "template.yaml").write_text("template")
    return tmp_path


class TestFingerprint:
    def test_the_same_sources_have_the_same_fingerprint(self, project: Path) -> None:
        """Nothing but content and settings counts."""
        before = compute_fingerprint(project, {"a": "1", "b": "2"})
        os.utime(project / "template.yaml", (0, 0))
        assert compute_fingerprint(project, {"b": "2", "a": "1"}) == before

    @pytest.mark.parametrize("path", ["template.yaml", "functions/api/app.py", "layers/new.py"])
    def test_a_changed_or_new_source_changes_it(self, project: Path, path: str) -> None:
        """Every file that a deployment is made from counts."""
        before = compute_fingerprint(project, {})
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text("changed")
        assert compute_fingerprint(project, {}) != before

    def test_a_renamed_source_changes_it(self, project: Path) -> None:
        """A module's name is part of the program."""
        before = compute_fingerprint(project, {})
        (project / "functions/api/app.py").rename(project / "functions/api/main.py")
        assert compute_fingerprint(project, {}) != before

    def test_settings_change_it(self, project: Path) -> None:
        """Another parameter or tool version is another deployment."""
        assert compute_fingerprint(project, {"a": "1"}) != compute_fingerprint(project, {"a": "2"})

    def test_what_tools_leave_behind_does_not(self, project: Path) -> None:
        """Compiled and hidden files come and go with no change of the program."""
        before = compute_fingerprint(project, {})
        (project / "functions/api/__pycache__").mkdir()
        (project / "functions/api/__pycache__/app.pyc").write_text("x")
        (project / "functions/api/.hidden").write_text("x")
        assert compute_fingerprint(project, {}) == before


class TestStorage:
    def test_a_private_file_is_replaced_in_one_step_with_mode_0600(self, tmp_path: Path) -> None:
        """Secrets are never readable by others, and no temporary file stays."""
        path = tmp_path / "profile.json"
        path.write_text("{}")
        path.chmod(0o644)
        write_private_json(path, {"key": "value"})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_json(path) == {"key": "value"}
        assert [file.name for file in tmp_path.iterdir()] == ["profile.json"]

    @pytest.mark.parametrize("content", ["", "{", "[]", "3"])
    def test_a_spoiled_file_counts_as_none(self, tmp_path: Path, content: str) -> None:
        """Half a file, or another file in its place, is no state."""
        path = tmp_path / "state.json"
        path.write_text(content)
        assert read_json(path) is None

    @pytest.mark.parametrize(
        "content",
        [{}, {"state_version": 99}, {"state_version": 1}, {"state_version": 1, "emulator": {}}],
    )
    def test_a_state_of_another_version_counts_as_none(
        self, tmp_path: Path, content: dict[str, object]
    ) -> None:
        """What can't be read is not guessed at."""
        paths = LocalPaths(tmp_path)
        write_private_json(paths.state, content)
        assert load_state(paths) is None

    def test_the_lock_is_held_by_one_at_a_time(self, tmp_path: Path) -> None:
        """A second holder waits until the first has let go."""
        order: list[str] = []
        path = tmp_path / "lock"

        def second() -> None:
            with exclusive_lock(path):
                order.append("second")

        thread = threading.Thread(target=second)
        with exclusive_lock(path):
            thread.start()
            thread.join(timeout=0.05)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]


class TestParameters:
    def test_the_machine_decides_runtime_and_processor(self, tmp_path: Path) -> None:
        """Functions run in this very interpreter, whatever the template's defaults."""
        parameters = deployment_parameters(tmp_path)
        major, minor = sys.version_info[:2]
        assert parameters["PythonRuntime"] == f"python{major}.{minor}"
        assert parameters["Architecture"] in {"x86_64", "arm64"}

    @pytest.mark.parametrize(
        ("machine", "architecture"),
        [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "arm64"), ("aarch64", "arm64")],
    )
    def test_processors_have_lambda_names(self, machine: str, architecture: str) -> None:
        """Linux and macOS name the same processor differently."""
        assert machine_architecture(machine) == architecture

    @pytest.mark.parametrize(
        "overrides", ['"Stage=local LogLevel=DEBUG"', '["Stage=local", "LogLevel=DEBUG"]']
    )
    def test_the_local_section_of_samconfig_is_honoured(
        self, tmp_path: Path, overrides: str
    ) -> None:
        """A user sets parameters where the SAM CLI looks for them, in either of its forms."""
        text = f"version = 0.1\n[local.deploy.parameters]\nparameter_overrides = {overrides}\n"
        (tmp_path / "samconfig.toml").write_text(text)
        parameters = deployment_parameters(tmp_path)
        assert (parameters["Stage"], parameters["LogLevel"]) == ("local", "DEBUG")

    def test_samconfig_says_how_many_chunks_run_at_once(self, tmp_path: Path) -> None:
        """Few by default: each is a process of this machine."""
        assert int(deployment_parameters(tmp_path)["DefaultConcurrency"]) >= 4
        (tmp_path / "samconfig.toml").write_text(
            '[local.deploy.parameters]\nparameter_overrides = "DefaultConcurrency=3"\n'
        )
        assert deployment_parameters(tmp_path)["DefaultConcurrency"] == "3"


class TestEnvironment:
    def test_nothing_of_a_real_account_reaches_the_sam_cli(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No profile, key or token of the user can lead a local deployment to real AWS."""
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, "the user's")
        monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example")
        environment = sam_environment(LocalPaths(tmp_path), ACCESS)
        aws = {name: value for name, value in environment.items() if name.startswith("AWS_")}
        assert "the user's" not in aws.values()
        assert aws["AWS_ENDPOINT_URL"] == ACCESS.endpoint_url
        assert environment["PIP_INDEX_URL"] == "https://pip.example"

    def test_functions_inherit_nothing_of_the_user(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Functions see the emulator's environment: on AWS they would not see the user's."""
        for name in ("AWS_PROFILE", "HTTP_PROXY", "PYTHONPATH", "STEPGRID_ENDPOINT"):
            monkeypatch.setenv(name, "the user's")
        environment = emulator_environment(LocalPaths(tmp_path), 4566, "mark")
        assert "the user's" not in environment.values()
        assert environment["BIND_HOST"] == "127.0.0.1"


class TestEndpoint:
    def test_the_api_is_reached_by_path(self) -> None:
        """AWS's host name of an API becomes a path on the emulator, stage and base path kept."""
        outputs = {"ApiUrl": "https://ab12.execute-api.us-east-1.amazonaws.com/local/v1/"}
        expected = "http://127.0.0.1:4566/_aws/execute-api/ab12/local/v1"
        assert loopback_endpoint(outputs, "http://127.0.0.1:4566") == expected

    @pytest.mark.parametrize("outputs", [{}, {"ApiUrl": "https://example.com/v1"}])
    def test_a_stack_without_an_api_is_refused(self, outputs: dict[str, str]) -> None:
        """The message names the missing output."""
        with pytest.raises(LocalCloudError, match="ApiUrl"):
            loopback_endpoint(outputs, "http://127.0.0.1:4566")


def test_definitions_are_rewritten_and_nothing_else(tmp_path: Path) -> None:
    """The same definition in JSON takes the place of YAML; other resources stay as they are."""
    (tmp_path / "one.asl.yaml").write_text("StartAt: A\nStates: {A: {Type: Succeed}}\n")
    machine = {"Type": "AWS::Serverless::StateMachine"}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": {"Fn::Sub": "${A}-t"}}}
    resources = {
        "One": {**machine, "Properties": {"DefinitionUri": "../one.asl.yaml", "Type": "EXPRESS"}},
        "Two": {**machine, "Properties": {"Definition": {"StartAt": "B"}}},
        "Table": table,
    }
    template = tmp_path / "build" / "template.yaml"
    template.parent.mkdir()
    template.write_text(yaml.safe_dump({"Resources": resources}))
    write_definitions_as_json(template)
    written = yaml.safe_load(template.read_text())["Resources"]
    assert written["Two"] == resources["Two"]
    assert written["Table"] == table
    assert written["One"]["Properties"] == {"DefinitionUri": "One.asl.json", "Type": "EXPRESS"}
    definition = json.loads((template.parent / "One.asl.json").read_text())
    assert definition == {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}


def test_a_log_is_followed_to_its_end(tmp_path: Path) -> None:
    """Lines that come later are read, and one without an end is not cut in two."""
    log = tmp_path / "log"
    log.write_text("one\ntw")
    later = iter(["o\nthree"])

    def follow() -> bool:
        text = next(later, "")
        with log.open("a") as file:
            file.write(text)
        return text != ""

    assert list(file_lines(log, follow)) == ["one", "two", "three"]
    assert list(file_lines(tmp_path / "absent", lambda: True)) == []


@pytest.fixture
def mark() -> str:
    """Of this test alone: others run at the same time, on this machine and in other folders."""
    return uuid4().hex


@pytest.fixture
def marked(mark: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the mark, not a child of any root that the tests name.

    Its line has come back before the test begins: until a new program runs, the system shows an
    empty environment.
    """
    with subprocess.Popen(
        ["cat"],
        env={**os.environ, MARK_VARIABLE: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"ready\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


class TestProcessTree:
    def test_a_recycled_pid_is_not_taken_for_the_process(
        self, marked: subprocess.Popen[bytes]
    ) -> None:
        """Pid and creation time together name a process."""
        create_time = psutil.Process(marked.pid).create_time()
        assert find_process(ProcessIdentity(marked.pid, create_time)) is not None
        assert find_process(ProcessIdentity(marked.pid, create_time - 60)) is None

    def test_an_orphan_is_found_by_its_mark(
        self, mark: str, marked: subprocess.Popen[bytes]
    ) -> None:
        """A process whose parents are dead, in a session of its own, still belongs to the tree."""
        assert [process.pid for process in find_tree(mark, None)] == [marked.pid]

    def test_stopping_a_tree_kills_the_marked_and_spares_the_others(
        self, mark: str, marked: subprocess.Popen[bytes]
    ) -> None:
        """Another mark is another local cloud."""
        assert stop_tree("another mark", None) is False
        assert marked.poll() is None
        assert stop_tree(mark, None) is True
        assert marked.wait() < 0
