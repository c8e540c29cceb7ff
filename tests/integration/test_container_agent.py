"""The container agent against a real emulator: ECS tasks run, end and are stopped as on Fargate.

Containers tell what they do by files in a folder of the test ($SIGNS), so no test guesses how long
anything takes.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stepgrid.local.container_agent import HOST_LOST, OUT_OF_MEMORY
from stepgrid.local.task_runs import ESSENTIAL_EXITED
from tests.integration.agent_bench import (
    ACCOUNT,
    CLUSTER,
    PRELUDE,
    Fargate,
    Signs,
    await_death,
    eventually,
    exit_code,
    is_alive,
    make_fargate,
    run_states,
)


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    yield from make_fargate(tmp_path_factory.mktemp("fargate"))


@pytest.fixture
def other_fargate(tmp_path: Path) -> Iterator[Fargate]:
    """One that the test may destroy."""
    yield from make_fargate(tmp_path / "project")


@pytest.fixture
def signs(tmp_path: Path) -> Signs:
    folder = tmp_path / "signs"
    folder.mkdir()
    return Signs(folder)


class TestRun:
    def test_a_container_gets_its_variables_and_not_the_roots_key(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """Definition and overrides make the environment; nothing of the machine's user is in it."""
        program = "import json; sign('environment', json.dumps(dict(os.environ)))"
        variables = [{"name": "COLOUR", "value": "red"}, {"name": "SHAPE", "value": "round"}]
        definition = fargate.define(program, {"environment": variables})
        override = [{"name": "COLOUR", "value": "blue"}]
        arn = fargate.run(definition, signs.folder, environment=override)
        assert exit_code(fargate.await_end(arn)) == 0
        found = json.loads(signs.read("environment"))
        assert (found["COLOUR"], found["SHAPE"]) == ("blue", "round")
        assert found["AWS_ENDPOINT_URL"] == fargate.emulator.url
        assert found["AWS_REGION"] == "us-east-1"
        assert not {"AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} & found.keys()
        assert "test" not in found.values()

    def test_an_overridden_command_takes_the_place_of_the_definitions(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """The entry point stays; `python3` is this Python, also for what the container starts."""
        definition = fargate.define("sign('never')")
        inner = "import sys, psutil; print(sys.version_info[:2], file=open(sys.argv[1], 'w'))"
        program = PRELUDE + (
            f"subprocess.run(['python3', '-c', {inner!r}, os.environ['SIGNS'] + '/inner'])\n"
            "sign('outer', sys.version_info[:2])"
        )
        fargate.await_end(fargate.run(definition, signs.folder, command=[program]))
        assert signs.read("inner").strip() == signs.read("outer")
        assert not (signs.folder / "never").exists()

    def test_the_exit_code_of_the_essential_container_is_the_tasks(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """A task ends with its container, and keeps its code and why it ended."""
        task = fargate.await_end(fargate.run(fargate.define("sys.exit(3)"), signs.folder))
        assert exit_code(task) == 3
        assert task["stopCode"] == "EssentialContainerExited"
        assert task["stoppedReason"] == ESSENTIAL_EXITED

    def test_lines_of_both_streams_are_in_the_log_when_the_task_is_stopped(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """They come in the order they were written, under the name that ECS gives the stream."""
        program = """
for n in range(300): print(n, file=sys.stderr if n % 3 else sys.stdout, flush=True)
print("x" * 200_000)
print("no end", end="")
"""
        arn = fargate.run(fargate.define(program), signs.folder)
        fargate.await_end(arn)
        expected = [str(n) for n in range(300)] + ["x" * 200_000, "no end"]
        assert fargate.lines(arn) == expected

    def test_a_log_that_fails_does_not_end_a_container(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """It goes on without; the lines are lost."""
        fargate.logs.create_log_group(logGroupName="/lost")
        options = {"awslogs-group": "/lost", "awslogs-region": "us-east-1"}
        program = """
sign("started")
while not pathlib.Path(os.environ["SIGNS"], "deleted").exists(): time.sleep(0.01)
for n in range(20_000): print("lost", flush=True)
sys.exit(7)
"""
        configuration = {"logDriver": "awslogs", "options": options}
        definition = fargate.define(program, {"logConfiguration": configuration})
        arn = fargate.run(definition, signs.folder)
        signs.read("started")
        fargate.logs.delete_log_group(logGroupName="/lost")
        (signs.folder / "deleted").touch()
        assert exit_code(fargate.await_end(arn)) == 7

    def test_a_container_has_a_folder_of_its_own_until_its_end(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """It is the working folder and TMPDIR, and it is gone with the task."""
        program = "assert os.environ['TMPDIR'] == os.getcwd(); sign('folder', os.getcwd())"
        task = fargate.await_end(fargate.run(fargate.define(program), signs.folder))
        assert exit_code(task) == 0
        assert not Path(signs.read("folder")).exists()

    def test_limits_of_files_cores_and_dumps_are_set(self, fargate: Fargate, signs: Signs) -> None:
        """A quarter of a vCPU is at most one core, and nothing dumps core."""
        program = """
import resource
sign("files", resource.getrlimit(resource.RLIMIT_NOFILE))
sign("dumps", resource.getrlimit(resource.RLIMIT_CORE))
if hasattr(os, "sched_getaffinity"): assert len(os.sched_getaffinity(0)) == 1
"""
        limit = {"name": "nofile", "softLimit": 100, "hardLimit": 200}
        definition = fargate.define(program, {"ulimits": [limit]})
        assert exit_code(fargate.await_end(fargate.run(definition, signs.folder))) == 0
        assert (signs.read("files"), signs.read("dumps")) == ("(100, 200)", "(0, 0)")

    def test_the_metadata_say_which_task_it_is(self, fargate: Fargate, signs: Signs) -> None:
        """A container finds its task's ARN, family and limits where ECS has them."""
        program = """
from urllib.request import urlopen
uri = os.environ["ECS_CONTAINER_METADATA_URI_V4"]
sign("container", urlopen(uri).read().decode())
sign("task", urlopen(uri + "/task").read().decode())
"""
        arn = fargate.run(fargate.define(program), signs.folder)
        fargate.await_end(arn)
        task = json.loads(signs.read("task"))
        assert (task["TaskARN"], task["Limits"]) == (arn, {"CPU": 0.25, "Memory": 1024})
        assert json.loads(signs.read("container"))["Name"] == "main"

    def test_a_task_ends_with_its_essential_container(self, fargate: Fargate, signs: Signs) -> None:
        """The others are asked to stop."""
        run = {"image": "x", "entryPoint": ["python3", "-c"]}
        where = [{"name": "SIGNS", "value": str(signs.folder)}]
        side = {**run, "name": "side", "essential": False, "environment": where}
        await_side = "import time\nwhile not os.path.exists(os.environ['SIGNS'] + '/sleeps'): pass"
        definition = fargate.register(
            [
                {**run, "name": "main", "command": [PRELUDE + await_side]},
                {**side, "command": [PRELUDE + "sleep()"]},
            ]
        )
        task = fargate.await_end(fargate.run(definition, signs.folder))
        assert [container["exitCode"] for container in task["containers"]] == [0, 143]
        assert not is_alive(signs.pid())


class TestStart:
    @pytest.mark.parametrize("command", [["/no/such/program"], []])
    def test_a_container_that_cannot_be_started_is_explained(
        self, fargate: Fargate, signs: Signs, command: list[str]
    ) -> None:
        """The task is stopped, and has no exit code."""
        definition = fargate.define("", {"entryPoint": [], "command": command})
        task = fargate.await_end(fargate.run(definition, signs.folder))
        assert task["stopCode"] == "TaskFailedToStart"
        assert task["stoppedReason"].startswith("CannotStartContainerError: ")
        assert exit_code(task) is None

    def test_a_log_group_that_is_not_there_is_explained(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """As on ECS, no container starts without its log."""
        options = {"awslogs-group": "/absent", "awslogs-region": "us-east-1"}
        configuration = {"logDriver": "awslogs", "options": options}
        definition = fargate.define("", {"logConfiguration": configuration})
        task = fargate.await_end(fargate.run(definition, signs.folder))
        assert task["stopCode"] == "TaskFailedToStart"
        assert "/absent" in task["stoppedReason"]

    def test_a_role_for_another_service_is_refused(self, fargate: Fargate, signs: Signs) -> None:
        """The trust policy must name ECS tasks; a role for functions will not do."""
        role = fargate.make_role("function-role", "lambda.amazonaws.com")
        definition = fargate.define("sign('never')", taskRoleArn=role)
        task = fargate.await_end(fargate.run(definition, signs.folder))
        assert task["stopCode"] == "TaskFailedToStart"
        assert "unable to assume the role" in task["stoppedReason"]

    def test_a_container_acts_as_its_tasks_role(self, fargate: Fargate, signs: Signs) -> None:
        """The session has the task's id for its name; what the role may not do is denied."""
        program = """
import boto3, botocore.exceptions, urllib.error, urllib.request
sign("who", boto3.client("sts").get_caller_identity()["Arn"])
try: boto3.client("dynamodb").list_tables()
except botocore.exceptions.ClientError as error: sign("denied", error.response["Error"]["Code"])
try: urllib.request.urlopen(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
except urllib.error.HTTPError as error: sign("without-token", error.code)
"""
        definition = fargate.define(program, taskRoleArn=fargate.role)
        arn = fargate.run(definition, signs.folder)
        task_id = arn.rpartition("/")[2]
        assert exit_code(fargate.await_end(arn)) == 0, fargate.lines(arn)
        assert signs.read("who") == f"arn:aws:sts::{ACCOUNT}:assumed-role/task-role/{task_id}"
        assert signs.read("denied") == "AccessDeniedException"
        assert signs.read("without-token") == "401"


class TestStop:
    def test_a_stopped_task_gets_sigterm_and_time_to_end(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """What it does then counts: its own exit code, and its last line."""
        program = """
def end(*_): print("saved", flush=True); sys.exit(5)
signal.signal(signal.SIGTERM, end)
sleep()
"""
        arn = fargate.run(fargate.define(program), signs.folder)
        pid = signs.pid()
        fargate.ecs.stop_task(cluster=CLUSTER, task=arn, reason="enough")
        task = fargate.await_end(arn)
        assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
        assert exit_code(task) == 5
        assert fargate.lines(arn) == ["saved"]
        assert not is_alive(pid)

    def test_a_container_that_ignores_sigterm_is_killed(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """When the stop timeout is over."""
        program = "signal.signal(signal.SIGTERM, signal.SIG_IGN); sleep()"
        arn = fargate.run(fargate.define(program, {"stopTimeout": 1}), signs.folder)
        pid = signs.pid()
        fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
        assert exit_code(fargate.await_end(arn)) == 137
        assert not is_alive(pid)

    def test_what_a_container_leaves_behind_dies_with_it(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """Children in other sessions, and those without its environment."""
        child = f"{PRELUDE}\nsign(sys.argv[1], os.getpid()); time.sleep(600)"
        program = f"""
start = [sys.executable, "-c", {child!r}]
subprocess.Popen([*start, "setsid"], start_new_session=True)
subprocess.Popen([*start, "bare"], env={{"SIGNS": os.environ["SIGNS"]}})
while not all(pathlib.Path(os.environ["SIGNS"], name).exists() for name in ("setsid", "bare")):
    time.sleep(0.01)
"""
        fargate.await_end(fargate.run(fargate.define(program), signs.folder))
        assert not is_alive(signs.pid("setsid"))
        assert not is_alive(signs.pid("bare"))

    def test_too_much_memory_ends_a_task(self, fargate: Fargate, signs: Signs) -> None:
        """The processes of a task count together, in whatever session they are."""
        child = f"{PRELUDE}\nhold = bytearray(os.urandom(1) * 50_000_000); time.sleep(600)"
        program = f"""
for _ in range(3): subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True)
sleep()
"""
        definition = fargate.define(program, memory="128")
        task = fargate.await_end(fargate.run(definition, signs.folder))
        assert exit_code(task) == 137
        assert task["stoppedReason"] == OUT_OF_MEMORY
        assert not is_alive(signs.pid())

    def test_a_container_that_is_killed_has_code_137(self, fargate: Fargate, signs: Signs) -> None:
        """As a shell tells SIGKILL."""
        arn = fargate.run(fargate.define("sleep()"), signs.folder)
        os.kill(signs.pid(), signal.SIGKILL)
        task = fargate.await_end(arn)
        assert (exit_code(task), task["stopCode"]) == (137, "EssentialContainerExited")

    def test_a_task_that_ecs_forgot_is_killed(self, fargate: Fargate, signs: Signs) -> None:
        """Nobody could stop it any more."""
        fargate.ecs.create_cluster(clusterName="doomed")
        fargate.run(fargate.define("sleep()"), signs.folder, cluster="doomed")
        pid = signs.pid()
        fargate.ecs.delete_cluster(cluster="doomed")
        await_death(pid)


class TestAgent:
    def test_it_listens_on_loopback_alone(self, fargate: Fargate) -> None:
        """Nobody outside this machine can ask it for credentials."""
        agent = eventually(fargate.agent, "there is an agent")

        def listening() -> set[str] | None:
            connections = agent.net_connections("inet")
            return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} or None

        assert eventually(listening, "the agent listens") == {"127.0.0.1"}

    def test_tasks_of_an_agent_that_died_are_lost_with_it(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """Its containers are killed, its tasks stopped, and the next agent runs the next task."""
        arn = fargate.run(fargate.define("sleep()"), signs.folder)
        pid = signs.pid()
        agent = fargate.agent()
        assert agent is not None
        agent.kill()
        task = fargate.await_end(arn)
        assert (exit_code(task), task["stoppedReason"]) == (137, HOST_LOST)
        assert not is_alive(pid)
        after = fargate.await_end(fargate.run(fargate.define("sys.exit(4)"), signs.folder))
        assert exit_code(after) == 4

    def test_an_agent_that_is_asked_to_end_stops_its_tasks(
        self, fargate: Fargate, signs: Signs
    ) -> None:
        """They get SIGTERM, and their own exit codes are reported."""
        program = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(6)); sleep()"
        arn = fargate.run(fargate.define(program), signs.folder)
        signs.pid()
        agent = eventually(fargate.agent, "there is an agent")
        agent.terminate()
        assert exit_code(fargate.await_end(arn)) == 6

    def test_no_emulator_no_agent_no_container(self, other_fargate: Fargate, signs: Signs) -> None:
        """When the emulator is killed, the agent kills its containers and ends."""
        other_fargate.run(other_fargate.define("sleep()"), signs.folder)
        pid, agent = signs.pid(), other_fargate.agent()
        assert agent is not None
        psutil.Process(other_fargate.emulator.identity.pid).kill()
        await_death(pid)
        await_death(agent.pid)


class TestStates:
    def test_a_state_answers_the_task_that_it_ran(self, fargate: Fargate, signs: Signs) -> None:
        """In the words of Step Functions."""
        machine = fargate.make_machine(fargate.define("print('done')"), signs.folder)
        started = fargate.states.start_execution(stateMachineArn=machine)["executionArn"]
        found = fargate.await_execution(started)
        assert found["status"] == "SUCCEEDED"
        task = json.loads(found["output"])
        assert (task["LastStatus"], task["StopCode"]) == ("STOPPED", "EssentialContainerExited")
        assert task["Containers"][0]["ExitCode"] == 0
        assert isinstance(task["StoppedAt"], int)

    def test_a_state_fails_with_its_task(self, fargate: Fargate, signs: Signs) -> None:
        """The error is States.TaskFailed; its cause is the task."""
        machine = fargate.make_machine(fargate.define("sys.exit(3)"), signs.folder)
        started = fargate.states.start_execution(stateMachineArn=machine)["executionArn"]
        found = fargate.await_execution(started)
        assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
        assert json.loads(found["cause"])["Containers"][0]["ExitCode"] == 3

    @pytest.mark.parametrize("is_map", [False, True])
    def test_a_stopped_execution_stops_its_task(
        self, fargate: Fargate, signs: Signs, is_map: bool
    ) -> None:
        """Also where the task is an item of a distributed Map."""
        definition = fargate.define("sleep()")
        states = run_states(definition, signs.folder)
        if is_map:
            mode = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
            items = {"Type": "Map", "ItemsPath": "$.items", "End": True}
            states = {
                "StartAt": "Map",
                "States": {"Map": {**items, "ItemProcessor": {**mode, **states}}},
            }
        machine = fargate.make_machine(definition, signs.folder, **states)
        started = fargate.states.start_execution(stateMachineArn=machine, input='{"items": [1]}')
        pid = signs.pid()
        fargate.states.stop_execution(executionArn=started["executionArn"])
        await_death(pid)
