"""The parts of the container agent that need no emulator."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from stepgrid.local.agent_keeper import agent_command, agent_environment
from stepgrid.local.container_agent import container_environment
from stepgrid.local.container_endpoint import ContainerEndpoint, RoleCredentials, TaskAddresses
from stepgrid.local.container_limits import MarkedProcesses, folder_bytes, memory_bytes
from stepgrid.local.container_logs import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_LINE_BYTES,
    LogLine,
    batches,
    read_lines,
)
from stepgrid.local.container_specs import (
    CannotStartError,
    ContainerSpec,
    lets_tasks_in,
    read_task,
)
from stepgrid.local.containers import CONTAINER_MARK_VARIABLE, launch_command, write_python
from stepgrid.local.ecs_corrections import as_states_answer, failed
from stepgrid.local.emulator import emulator_environment
from stepgrid.local.process_tree import MARK_VARIABLE, ProcessIdentity
from stepgrid.local.storage import LocalPaths
from stepgrid.local.task_records import ContainerRecord, TaskRecord, TaskRecords

TASK = {"taskArn": "arn:aws:ecs:us-east-1:000000000000:task/c/id", "clusterArn": "cluster"}


def definition(container: dict[str, Any] | None = None, **task: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "x", "command": ["one"], **(container or {})}
    return {"family": "f", "revision": 1, "containerDefinitions": [main], **task}


class TestSpecs:
    def test_what_is_not_said_has_ecs_defaults(self) -> None:
        """A quarter of a vCPU, 20 GiB, 30 seconds to stop, no role, no log."""
        task = read_task(TASK, definition())
        (container,) = task.containers
        assert (task.task_id, task.vcpu, task.storage_gib) == ("id", 0.25, 20)
        assert (task.memory_mib, task.role_arn, container.log) == (None, None, None)
        assert (container.stop_timeout_seconds, container.essential) == (30, True)

    def test_overrides_go_before_the_definition(self) -> None:
        """Command and sizes are replaced; the environment is merged; the entry point stays."""
        given = definition(
            {"entryPoint": ["run"], "environment": [{"name": "A", "value": "1"}]},
            memory="512",
            cpu="256",
        )
        override = {
            "name": "main",
            "command": ["two"],
            "environment": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
        }
        overrides = {
            "containerOverrides": [override],
            "memory": "1024",
            "cpu": "2048",
            "ephemeralStorage": {"sizeInGiB": 30},
        }
        task = read_task({**TASK, "overrides": overrides}, given)
        assert task.containers[0].command == ("run", "two")
        assert task.containers[0].environment == {"A": "2", "B": "3"}
        assert (task.memory_mib, task.vcpu, task.storage_gib) == (1024, 2.0, 30)

    @pytest.mark.parametrize(
        ("cpu", "memory", "vcpu", "memory_mib"),
        [("512", "2048", 0.5, 2048), (".5 vCPU", "2 GB", 0.5, 2048), ("1 vcpu", "0.5GB", 1.0, 512)],
    )
    def test_sizes_come_in_two_units(
        self, cpu: str, memory: str, vcpu: float, memory_mib: int
    ) -> None:
        """As RegisterTaskDefinition takes them."""
        task = read_task(TASK, definition(cpu=cpu, memory=memory))
        assert (task.vcpu, task.memory_mib) == (vcpu, memory_mib)

    @pytest.mark.parametrize(
        "given",
        [
            definition(memory="much"),
            definition({"secrets": [{"name": "A", "valueFrom": "arn"}]}),
            definition({"logConfiguration": {"logDriver": "awslogs", "options": {}}}),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, given: dict[str, Any]) -> None:
        """A container never runs with less than it asked for."""
        with pytest.raises(CannotStartError):
            read_task(TASK, given)

    def test_nobody_waits_longer_than_fargate_for_a_stop(self) -> None:
        """At most two minutes."""
        task = read_task(TASK, definition({"stopTimeout": 600}))
        assert task.containers[0].stop_timeout_seconds == 120

    @pytest.mark.parametrize(
        ("principal", "effect", "expected"),
        [
            ({"Service": "ecs-tasks.amazonaws.com"}, "Allow", True),
            ({"Service": ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com"]}, "Allow", True),
            ({"Service": "ecs-tasks.amazonaws.com"}, "Deny", False),
            ({"Service": "lambda.amazonaws.com"}, "Allow", False),
            ({"AWS": "arn:aws:iam::000000000000:root"}, "Allow", False),
            ("*", "Allow", False),
        ],
    )
    def test_a_role_must_name_the_service(
        self, principal: Any, effect: str, expected: bool
    ) -> None:
        """Only then ECS may assume it."""
        assert lets_tasks_in({"Statement": {"Effect": effect, "Principal": principal}}) is expected


class TestLogs:
    def test_batches_keep_the_order_and_the_limits(self) -> None:
        """PutLogEvents takes 10,000 events and 1 MiB, 26 bytes more for each event."""
        many = [LogLine(n, "x") for n in range(MAX_BATCH_EVENTS + 1)]
        large = [LogLine(n, "é" * (MAX_LINE_BYTES // 2)) for n in range(9)]
        found = [*batches(many), *batches(large)]
        assert [line for batch in found for line in batch] == many + large
        assert all(len(batch) <= MAX_BATCH_EVENTS for batch in found)
        assert all(sum(line.size_bytes for line in batch) <= MAX_BATCH_BYTES for batch in found)
        assert len(found) == 2 + 3

    def test_a_line_too_long_comes_in_pieces(self) -> None:
        """None is larger than an event may be, also when it is no text."""
        pieces = list(read_lines(io.BytesIO(b"a" * 2 * MAX_LINE_BYTES + b"\n" + b"\xff" * 200_000)))
        assert max(len(piece.encode()) for piece in pieces) <= MAX_LINE_BYTES
        assert "".join(pieces).count("a") == 2 * MAX_LINE_BYTES

    def test_empty_lines_are_no_events(self) -> None:
        """PutLogEvents refuses them."""
        assert list(read_lines(io.BytesIO(b"one\r\n\n\ntwo"))) == ["one", "two"]


class RecordingSts:
    """Gives credentials that live this long, and counts."""

    def __init__(self, life: timedelta) -> None:
        self.asked: list[dict[str, str]] = []
        self._life = life

    def assume_role(self, **asked: str) -> dict[str, Any]:
        self.asked.append(asked)
        return {
            "Credentials": {
                "AccessKeyId": f"key-{len(self.asked)}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": datetime.now(UTC) + self._life,
            }
        }


class TestCredentials:
    @pytest.mark.parametrize(("minutes", "last_key"), [(60, "key-1"), (15, "key-2")])
    def test_they_are_made_anew_before_they_end(self, minutes: int, last_key: str) -> None:
        """Early enough for clients, which ask again a quarter of an hour before the end."""
        sts = RecordingSts(timedelta(minutes=minutes))
        credentials = RoleCredentials(sts, "arn:aws:iam::000000000000:role/r", "id")
        assert credentials.answer()["AccessKeyId"] == "key-1"
        assert credentials.answer()["AccessKeyId"] == last_key
        assert sts.asked[0] == {
            "RoleArn": "arn:aws:iam::000000000000:role/r",
            "RoleSessionName": "id",
        }

    def test_nobody_gets_them_without_address_and_token(self) -> None:
        """Another task's token does not fit, and addresses end with their task."""
        task = read_task(TASK, definition())
        endpoint = ContainerEndpoint()
        try:
            credentials = RoleCredentials(RecordingSts(timedelta(hours=1)), "arn:x/r", "id")
            mine, other = TaskAddresses(task, credentials), TaskAddresses(task, credentials)
            endpoint.add(mine)
            endpoint.add(other)
            path = f"/credentials/{mine.path}"
            assert endpoint.answer(path, mine.token)[0] == 200
            assert endpoint.answer(path, other.token)[0] == 401
            assert endpoint.answer(path, None)[0] == 401
            assert endpoint.answer("/credentials/guess", mine.token)[0] == 404
            endpoint.remove(mine)
            assert endpoint.answer(path, mine.token)[0] == 404
        finally:
            endpoint.close()


class TestEnvironment:
    def test_nothing_of_the_user_and_no_key_reaches_a_container(self, tmp_path: Path) -> None:
        """Neither through the agent's environment nor by its own settings."""
        own = emulator_environment(LocalPaths(tmp_path), 4566, "mark") | {"HTTP_PROXY": "x"}
        agent = agent_environment(own)
        container = container_environment(agent, "http://127.0.0.1:4566", tmp_path / "bin")
        for environment in (agent, container):
            assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HTTP_PROXY"} & {*environment}
            assert environment[MARK_VARIABLE] == "mark"
        assert container["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")

    def test_the_agent_is_told_where_its_emulator_is(self, tmp_path: Path) -> None:
        """By arguments, because its environment is its containers'."""
        command = agent_command(emulator_environment(LocalPaths(tmp_path), 4566, "mark"))
        assert command[command.index("--endpoint-url") + 1] == "http://127.0.0.1:4566"
        assert command[-1].startswith(str(LocalPaths(tmp_path).scratch))

    def test_python3_is_this_python(self, tmp_path: Path) -> None:
        """With its packages, whatever the PATH holds."""
        write_python(tmp_path)
        command = [str(tmp_path / "python3"), "-c", "import psutil, sys; print(sys.prefix)"]
        assert subprocess.check_output(command, text=True).strip() == sys.prefix

    def test_nobody_gets_more_files_than_the_agent(self) -> None:
        """A limit that cannot be set is lowered."""
        spec = ContainerSpec("main", "x", ("true",), nofile=(10, 2**62))
        _, _, _, _, soft, hard, _ = launch_command(spec, {"PATH": os.environ["PATH"]})
        assert soft == "10"
        assert int(hard) < 2**62


class TestLimits:
    def test_processes_are_found_by_their_container(self) -> None:
        """Also one in a session of its own; what it uses is counted."""
        with subprocess.Popen(
            ["cat"],
            env={**os.environ, CONTAINER_MARK_VARIABLE: "id/main"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"ready\n")
            process.stdin.flush()
            process.stdout.readline()
            marked = MarkedProcesses()
            for _ in range(2):
                (found,) = marked.find()["id/main"]
                assert found.pid == process.pid
            used_bytes = psutil.Process(process.pid).memory_info().rss
            assert memory_bytes([found], 2**40) == used_bytes
            assert 0 < memory_bytes([found], 0) <= used_bytes
            process.kill()

    def test_a_folder_counts_what_it_occupies(self, tmp_path: Path) -> None:
        """A sparse file does not occupy its length, and a link not what it leads to."""
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "file").write_bytes(b"x" * 1_000_000)
        with (tmp_path / "sparse").open("wb") as file:
            file.truncate(1_000_000_000)
        (tmp_path / "link").symlink_to(tmp_path / "deep" / "file")
        assert 1_000_000 <= folder_bytes(tmp_path) < 1_100_000


def test_records_are_found_by_the_next_agent(tmp_path: Path) -> None:
    """With all that names a process; a spoiled one is passed over."""
    started = ContainerRecord("main", "id/main", ProcessIdentity(7, 1.5))
    record = TaskRecord("id", "arn", "cluster", [started, ContainerRecord("side", "id/side")])
    records = TaskRecords(tmp_path / "records")
    assert records.read_all() == []
    records.write(record)
    (tmp_path / "records" / "spoiled.json").write_text("{")
    assert records.read_all() == [record]
    records.remove(record)
    assert records.read_all() == []


class TestStatesAnswer:
    def test_names_and_times_are_those_of_step_functions(self) -> None:
        """PascalCase all the way down, milliseconds."""
        task = {
            "stoppedAt": "1970-01-01T00:00:01Z",
            "overrides": {"containerOverrides": [{"environment": [{"name": "a", "value": "at"}]}]},
        }
        assert as_states_answer(task) == {
            "StoppedAt": 1000,
            "Overrides": {"ContainerOverrides": [{"Environment": [{"Name": "a", "Value": "at"}]}]},
        }

    @pytest.mark.parametrize(
        ("stop_code", "codes", "expected"),
        [
            ("EssentialContainerExited", [0, 0], False),
            ("EssentialContainerExited", [0, 137], True),
            ("TaskFailedToStart", [None], True),
            ("UserInitiated", [None], True),
        ],
    )
    def test_any_container_that_failed_fails_the_state(
        self, stop_code: str, codes: list[int | None], expected: bool
    ) -> None:
        """Step Functions does not ask which of them are essential."""
        containers = [{} if code is None else {"exitCode": code} for code in codes]
        assert failed({"stopCode": stop_code, "containers": containers}) is expected
