"""`stepgrid local` on a fake cloud, and `stepgrid connect`."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stepgrid.cli.context import App
from stepgrid.config import Config
from stepgrid.local import DeploymentError, LocalStatus, NotRunningError
from stepgrid_core.errors import ConfigurationError, LocalCloudError
from tests.unit.cli_fakes import json_lines, run_app

RUNNING = LocalStatus(
    running=True,
    profile_path=Path("/p/.stepgrid/profile.json"),
    log_path=Path("/p/.stepgrid/emulator.log"),
    pid=42,
    uptime_seconds=65.0,
    endpoint="http://127.0.0.1:4000/v1",
    aws_endpoint_url="http://127.0.0.1:4000",
    agent_config_path=Path("/p/.stepgrid/agent_config.json"),
    kotta_auth_path=Path("/p/.stepgrid/kotta.auth"),
    outputs={"SessionMachineArn": "arn:aws:states:::m"},
)
STOPPED = LocalStatus(False, RUNNING.profile_path, RUNNING.log_path)


@dataclass
class FakeCloud:
    state: LocalStatus = RUNNING
    refusal: BaseException | None = None
    project_dir: Path | None = None
    asked: list[Any] = field(default_factory=list)

    def up(self, progress: Callable[[str], None], redis: bool, count_requests: bool) -> LocalStatus:
        self.asked += [("redis", redis), ("count_requests", count_requests)]
        if self.refusal:
            raise self.refusal
        progress("building functions and layers")
        progress("deploying")
        return self.state

    def down(self) -> bool:
        return self.state.running

    def status(self) -> LocalStatus:
        return self.state

    def logs(self, function_name: str | None = None, follow: bool = False) -> Iterator[str]:
        self.asked.append((function_name, follow))
        yield "first line"
        yield "second line"
        if follow:
            raise KeyboardInterrupt


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def run(cloud: FakeCloud, *arguments: str) -> Any:
    def open_cloud(project_dir: Path) -> FakeCloud:
        cloud.project_dir = project_dir
        return cloud

    return run_app(App(open_cloud=open_cloud), "local", *arguments)  # type: ignore[arg-type]


class TestUp:
    @pytest.mark.parametrize(
        ("option", "asked"),
        [
            ((), {"redis": False, "count_requests": False}),
            (("--redis",), {"redis": True, "count_requests": False}),
            (("--count-requests",), {"redis": False, "count_requests": True}),
        ],
    )
    def test_extras_are_asked_for(
        self, cloud: FakeCloud, option: tuple[str, ...], asked: dict[str, bool]
    ) -> None:
        """A payload cache and counted requests, only where the option is given."""
        assert run(cloud, "up", *option).exit_code == 0
        assert dict(cloud.asked) == asked

    def test_it_tells_its_steps_and_then_where_the_grid_is(self, cloud: FakeCloud) -> None:
        """Steps on stderr as they come, the answer on stdout."""
        result = run(cloud, "up")
        assert result.exit_code == 0
        assert result.stderr == "building functions and layers\ndeploying\n"
        assert result.stdout.splitlines() == [
            "state    running",
            "process  42, for 1 min 5 s",
            "api      http://127.0.0.1:4000/v1",
            "aws      http://127.0.0.1:4000",
            "profile  /p/.stepgrid/profile.json",
            "login    a user and its password are in /p/.stepgrid/agent_config.json",
            "kotta    a token of that user is in /p/.stepgrid/kotta.auth",
            "log      /p/.stepgrid/emulator.log",
        ]

    def test_json_is_the_status(self, cloud: FakeCloud) -> None:
        """The fields of LocalStatus; paths are texts."""
        [status] = json_lines(run(cloud, "up", "--json").stdout)
        assert status["profile_path"] == "/p/.stepgrid/profile.json"
        assert status["outputs"] == {"SessionMachineArn": "arn:aws:states:::m"}

    def test_the_project_is_the_current_folder_or_the_one_given(
        self, cloud: FakeCloud, tmp_path: Path
    ) -> None:
        """--project names the folder of template.yaml."""
        run(cloud, "up")
        assert cloud.project_dir == Path()
        run(cloud, "up", "--project", str(tmp_path))
        assert cloud.project_dir == tmp_path

    def test_a_project_that_is_not_there_is_wrong_usage(self, cloud: FakeCloud) -> None:
        """Code 2, and nothing is started."""
        assert run(cloud, "up", "--project", "no/such/folder").exit_code == 2
        assert cloud.project_dir is None

    def test_a_deployment_that_fails_is_one_line(self, cloud: FakeCloud) -> None:
        """Reasons that span lines are joined: one error is one line."""
        log_path = Path("sam.log")
        cloud.refusal = DeploymentError("sam deploy failed\nApi: no such role\n", log_path)
        result = run(cloud, "up")
        assert result.exit_code == 3
        assert result.stderr == ("stepgrid: error: sam deploy failed; Api: no such role\n")

    @pytest.mark.parametrize("kind", [LocalCloudError, NotRunningError])
    def test_an_error_of_the_local_cloud_is_code_3(
        self, cloud: FakeCloud, kind: type[Exception]
    ) -> None:
        """Those of its own tree and those of the shared one."""
        cloud.refusal = kind("it is not running")
        result = run(cloud, "up")
        assert (result.exit_code, result.stderr) == (3, "stepgrid: error: it is not running\n")

    def test_without_the_extra_it_says_what_to_install(self) -> None:
        """The local cloud is not part of a plain installation."""

        def open_cloud(project_dir: Path) -> Any:
            raise ModuleNotFoundError("No module named 'psutil'", name="psutil")

        result = run_app(App(open_cloud=open_cloud), "local", "up")
        assert result.exit_code == 3
        assert result.stderr == (
            "stepgrid: error: the local cloud is not installed: "
            'pip install "stepgrid[local]" (missing: psutil)\n'
        )


class TestDown:
    @pytest.mark.parametrize(
        ("state", "text"), [(RUNNING, "stopped\n"), (STOPPED, "nothing was running\n")]
    )
    def test_it_may_be_repeated(self, cloud: FakeCloud, state: LocalStatus, text: str) -> None:
        """Nothing to stop is a success, and is said."""
        cloud.state = state
        assert (run(cloud, "down").exit_code, run(cloud, "down").stdout) == (0, text)
        assert json_lines(run(cloud, "down", "--json").stdout) == [{"stopped": state.running}]


class TestStatus:
    def test_a_running_one_is_code_0(self, cloud: FakeCloud) -> None:
        """Where it is."""
        result = run(cloud, "status")
        assert (result.exit_code, result.stdout.split()[:2]) == (0, ["state", "running"])

    def test_a_stopped_one_is_code_3_and_says_how_to_start_it(self, cloud: FakeCloud) -> None:
        """`stepgrid local status || stepgrid local up`."""
        cloud.state = STOPPED
        result = run(cloud, "status")
        assert (result.exit_code, result.stdout) == (
            3,
            "state  stopped\nstart  stepgrid local up\n",
        )
        [status] = json_lines(run(cloud, "status", "--json").stdout)
        assert (status["running"], status["pid"]) == (False, None)


class TestLogs:
    def test_lines_are_printed_as_they_are(self, cloud: FakeCloud) -> None:
        """Of the function that was named, or of the emulator."""
        assert run(cloud, "logs", "ApiFunction").stdout == "first line\nsecond line\n"
        assert run(cloud, "logs", "--json").stdout == (
            '{"message":"first line"}\n{"message":"second line"}\n'
        )
        assert cloud.asked == [("ApiFunction", False), (None, False)]

    def test_following_ends_with_ctrl_c(self, cloud: FakeCloud) -> None:
        """What was there before has been printed; no traceback."""
        result = run(cloud, "logs", "--follow")
        assert (result.exit_code, result.stdout) == (130, "first line\nsecond line\n")
        assert result.stderr == "stepgrid: interrupted\n"


class TestConnect:
    def test_it_writes_a_profile_and_says_where(self, tmp_path: Path) -> None:
        """Endpoint and region come from the stack."""
        asked = []

        def connect(stack: str, region: str | None, path: Path | None) -> tuple[Config, Path]:
            asked.append((stack, region, path))
            return Config("https://h/prod/v1", "eu-west-1"), tmp_path

        app = App(connect=connect)
        result = run_app(app, "connect", "--stack", "grid", "--region", "eu-west-1")
        assert result.stdout == (
            f"endpoint  https://h/prod/v1\nregion    eu-west-1\nprofile   {tmp_path}\n"
        )
        path = str(tmp_path / "p.json")
        answer = run_app(app, "connect", "--stack", "grid", "--profile-file", path, "--json").stdout
        assert json.loads(answer) == {
            "endpoint": "https://h/prod/v1",
            "region": "eu-west-1",
            "profile": str(tmp_path),
        }
        assert asked == [("grid", "eu-west-1", None), ("grid", None, Path(path))]

    def test_a_stack_that_is_not_there_is_code_3(self) -> None:
        """The grid was not found."""

        def connect(stack: str, region: str | None, path: Path | None) -> Any:
            raise ConfigurationError(f"can't read stack {stack!r}")

        result = run_app(App(connect=connect), "connect", "--stack", "grid")
        assert (result.exit_code, result.stderr) == (
            3,
            "stepgrid: error: can't read stack 'grid'\n",
        )

    def test_it_needs_a_stack(self) -> None:
        """There is no default: a wrong grid would get the user's tasks."""
        result = run_app(App(), "connect")
        assert (result.exit_code, "Missing option '--stack'" in result.stderr) == (2, True)
