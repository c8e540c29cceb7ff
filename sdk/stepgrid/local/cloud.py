"""The local cloud: AWS's part of the grid on this machine, from the same template.

    up:    lock -> find or start the emulator -> build -> deploy -> user -> profile
    down:  lock -> stop the emulator and all it started -> forget it

Any step may be cut short by a crash; the next `up` or `down` starts from what is really there:

    the process is gone                   the state file counts for nothing: start and deploy anew
    alive, but its deployment not ended   stop it, start and deploy anew
    alive, deployed, sources unchanged    nothing to do
    alive, deployed, sources changed      build and deploy into it: sessions are kept

This module decides; it calls the others to act. It must not know what the template holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import boto3
import botocore.config

from stepgrid.local import access, logs, sam, stack
from stepgrid.local.corrections import write_definitions_as_json
from stepgrid.local.emulator import (
    REGION,
    ROOT_ACCESS_KEY_ID,
    ROOT_SECRET_ACCESS_KEY,
    Emulator,
    installed_version,
    project_mark,
    start_emulator,
    stop_emulator,
)
from stepgrid.local.errors import DeploymentError, LocalCloudError, NotRunningError
from stepgrid.local.fingerprint import compute_fingerprint
from stepgrid.local.kotta_auth import kotta_auth_is_ours, refresh_kotta_auth
from stepgrid.local.redis_server import start_server, stop_server
from stepgrid.local.state import Deployment, LocalState, load_state, save_state
from stepgrid.local.storage import LocalPaths, exclusive_lock, read_json
from stepgrid_core.errors import StepgridError

Progress = Callable[[str], None]


@dataclass(frozen=True)
class LocalStatus:
    """What there is of a project's local cloud."""

    #: The emulator is alive. `outputs` is empty while its deployment has not ended.
    running: bool
    profile_path: Path
    log_path: Path
    stack_name: str = sam.STACK_NAME
    pid: int | None = None
    uptime_seconds: float | None = None
    #: The API's address, as in the profile.
    endpoint: str | None = None
    #: The emulator's address, for AWS clients.
    aws_endpoint_url: str | None = None
    #: The payload cache, if there is one.
    redis_url: str | None = None
    #: For clients written for HTC-Grid; with a user who may log in, and the password.
    agent_config_path: Path | None = None
    #: For Cloud Kotta's clients: a token of that user.
    kotta_auth_path: Path | None = None
    #: The stack's outputs.
    outputs: dict[str, str] = field(default_factory=dict)


class LocalCloud:
    """The local cloud of the project in `project_dir`; its files are in `project_dir/.stepgrid`.

    Several objects, in several processes, may stand for the same local cloud.
    """

    def __init__(self, project_dir: Path) -> None:
        self.paths = LocalPaths(project_dir.resolve())

    @property
    def log_path(self) -> Path:
        """The emulator's log file."""
        return self.paths.emulator_log

    def up(
        self,
        progress: Progress = lambda _: None,
        redis: bool = False,
        count_requests: bool = False,
    ) -> LocalStatus:
        """Start it or find it running, deploy what changed, write the profile.

        progress: gets a sentence per step. redis: with a payload cache, a Valkey server; without
        it, one that was asked for before is stopped. count_requests: functions write what they
        send to AWS into their logs. Raises EmulatorError, DeploymentError, LocalCloudError.
        """
        if not (self.paths.project_dir / "template.yaml").is_file():
            raise LocalCloudError(
                f"no template.yaml in {self.paths.project_dir}: name the project's folder"
            )
        with exclusive_lock(self.paths.lock) as lock:
            state = self._usable_state(progress) or self._start(progress)
            if redis:
                state = self._ensure_redis(state, progress)
            extras = {"CountRequests": "on"} if count_requests else {}
            if redis and state.redis is not None:
                extras |= {"PayloadCache": "url", "RedisUrl": state.redis.url}
            state = self._deploy_changes(state, progress, lock, extras)
            if not redis:
                state = self._stop_redis(state)
            self._ensure_profile(state, progress)
            self._ensure_logins(state, progress)
        return self.status()

    def down(self) -> bool:
        """Stop what `up` started, with all its children. True if anything was alive."""
        with exclusive_lock(self.paths.lock):
            state = self._own_state()
            if state is not None and state.redis is not None:
                stop_server(state.redis)
            stopped = stop_emulator(self.paths, state.emulator.identity if state else None)
            if state is not None and self._profile_is_ours(state):
                self.paths.profile.unlink(missing_ok=True)
            if state is not None and access.agent_config_is_ours(self.paths, _outputs(state)):
                self.paths.agent_config.unlink(missing_ok=True)
            if kotta_auth_is_ours(self.paths):
                self.paths.kotta_auth.unlink(missing_ok=True)
            self.paths.state.unlink(missing_ok=True)
        return stopped

    def status(self) -> LocalStatus:
        """What there is now; nothing is started or changed."""
        state = self._own_state()
        stopped = LocalStatus(False, self.paths.profile, self.log_path)
        if state is None or not state.emulator.is_alive():
            return stopped
        emulator, outputs = state.emulator, _outputs(state)
        return replace(
            stopped,
            running=True,
            pid=emulator.identity.pid,
            uptime_seconds=time.time() - emulator.identity.create_time,
            endpoint=access.loopback_endpoint(outputs, emulator.url) if outputs else None,
            aws_endpoint_url=emulator.url,
            redis_url=state.redis.url if state.redis and state.redis.is_alive() else None,
            agent_config_path=self.paths.agent_config
            if access.agent_config_is_ours(self.paths, outputs)
            else None,
            kotta_auth_path=self.paths.kotta_auth if kotta_auth_is_ours(self.paths) else None,
            outputs=outputs,
        )

    def client(self, service: str) -> Any:
        """A boto3 client with the root's key: for deployment and inspection, never for the SDK.

        Raises NotRunningError.
        """
        return _aws_client(service, _root_access(self._running_state().emulator))

    def resource(self, service: str) -> Any:
        """A boto3 resource, otherwise as `client`."""
        return _aws(service, _root_access(self._running_state().emulator), "resource")

    def create_user(self, name: str) -> access.UserCredentials:
        """A further IAM user that may call the API and nothing else. Raises NotRunningError.

        Called again for the same name it returns a new key, and the old one ends.
        """
        state = self._running_state()
        if state.deployment is None:
            raise NotRunningError("the deployment has not ended: run `stepgrid local up`")
        return self._create_user(state, name)

    def logs(self, function_name: str | None = None, follow: bool = False) -> Iterator[str]:
        """The lines of the emulator's log, or of what one function wrote.

        function_name: as in the template, or as deployed. follow: go on until it is stopped.
        Raises NotRunningError for a function's log, LocalCloudError for an unknown function.
        """

        def goes_on() -> bool:
            return follow and self.status().running

        if function_name is None:
            return logs.file_lines(self.log_path, goes_on)
        names = stack.function_names(self.client("cloudformation"), sam.STACK_NAME)
        deployed = names.get(function_name, function_name)
        if deployed not in names.values():
            raise LocalCloudError(
                f"no function {function_name!r}; there are {', '.join(sorted(names))}"
            )
        group = logs.function_log_group(self.client("lambda"), deployed)
        return logs.group_lines(self.client("logs"), group, goes_on)

    # The steps of `up`.

    def _usable_state(self, progress: Progress) -> LocalState | None:
        """The state of a running, fully deployed emulator of the installed version, or None."""
        state = self._own_state()
        if state is None or state.deployment is None or not state.emulator.is_alive():
            return None
        if state.emulator.version != installed_version():
            return None
        progress(f"found the local cloud running (pid {state.emulator.identity.pid})")
        return state

    def _start(self, progress: Progress) -> LocalState:
        """Stop whatever is left of an earlier one, then start an empty emulator."""
        old = self._own_state()
        if stop_emulator(self.paths, old.emulator.identity if old else None):
            progress("stopped what was left of an earlier local cloud")
        emulator = start_emulator(self.paths, old.emulator.port if old else None)
        state = LocalState(emulator)
        save_state(self.paths, state)
        progress(f"started {emulator.version} (pid {emulator.identity.pid}) on {emulator.url}")
        return state

    def _ensure_redis(self, state: LocalState, progress: Progress) -> LocalState:
        if state.redis is not None and state.redis.is_alive():
            return state
        port = state.redis.port if state.redis else None
        state = replace(state, redis=start_server(self.paths.redis_log, state.emulator.mark, port))
        save_state(self.paths, state)
        assert state.redis is not None
        progress(f"started the payload cache (pid {state.redis.identity.pid}) on {state.redis.url}")
        return state

    def _stop_redis(self, state: LocalState) -> LocalState:
        """After the deployment: until then the functions use it."""
        if state.redis is None:
            return state
        stop_server(state.redis)
        state = replace(state, redis=None)
        save_state(self.paths, state)
        return state

    def _deploy_changes(
        self, state: LocalState, progress: Progress, lock: int, extras: dict[str, str]
    ) -> LocalState:
        """extras: parameters that were asked for with `up`."""
        parameters = sam.deployment_parameters(self.paths.project_dir) | extras
        settings = parameters | {"aws-sam-cli": version("aws-sam-cli")}
        fingerprint = compute_fingerprint(self.paths.project_dir, settings)
        if state.deployment is not None and state.deployment.fingerprint == fingerprint:
            progress("sources unchanged since the last deployment")
            return state
        self.paths.sam_log.unlink(missing_ok=True)
        self._build(fingerprint, parameters, progress, lock)
        # From here to the end the stack is neither old nor new: a crash must not leave it in use.
        state = replace(state, deployment=None)
        save_state(self.paths, state)
        outputs = self._deploy(state.emulator, parameters, progress, lock)
        state = replace(state, deployment=Deployment(fingerprint, outputs))
        save_state(self.paths, state)
        return state

    def _build(
        self, fingerprint: str, parameters: dict[str, str], progress: Progress, lock: int
    ) -> None:
        marker = self.paths.built_fingerprint
        if marker.is_file() and marker.read_text(encoding="utf-8") == fingerprint:
            progress("sources unchanged since the last build")
            return
        progress("building functions and layers (sam build)")
        marker.unlink(missing_ok=True)
        sam.run_sam(self.paths, sam.build_command(self.paths, parameters), None, lock)
        write_definitions_as_json(self.paths.build_dir / "template.yaml")
        marker.write_text(fingerprint, encoding="utf-8")

    def _deploy(
        self, emulator: Emulator, parameters: dict[str, str], progress: Progress, lock: int
    ) -> dict[str, str]:
        root = _root_access(emulator)
        progress(f"deploying stack {sam.STACK_NAME} (sam deploy)")
        cloudformation = _aws_client("cloudformation", root)
        try:
            command = sam.deploy_command(self.paths, parameters, REGION)
            sam.run_sam(self.paths, command, root, lock)
        except DeploymentError as error:
            reasons = stack.stack_failures(cloudformation, sam.STACK_NAME)
            message = "\n".join([str(error), *reasons])
            raise DeploymentError(message, error.log_path) from error
        outputs = stack.stack_outputs(cloudformation, sam.STACK_NAME)
        access.api_id(outputs)  # a stack without an API is of no use: say so now
        return outputs

    def _ensure_profile(self, state: LocalState, progress: Progress) -> None:
        outputs = _outputs(state)
        root = _root_access(state.emulator)
        endpoint = access.loopback_endpoint(outputs, root.endpoint_url)
        if self._profile_is_ours(state) and self._profile().get("endpoint") == endpoint:
            return
        user = self._create_user(state, access.SDK_USER)
        save_state(self.paths, replace(state, profile_access_key_id=user.access_key_id))
        access.write_profile(self.paths, endpoint, root, user, outputs)
        progress(f"the API is at {endpoint}; profile: {self.paths.profile}")

    def _ensure_logins(self, state: LocalState, progress: Progress) -> None:
        root, outputs = _root_access(state.emulator), _outputs(state)
        endpoint = access.loopback_endpoint(outputs, root.endpoint_url)
        access.ensure_agent_config(self.paths, outputs, endpoint, root)
        try:
            refresh_kotta_auth(self.paths, outputs, endpoint, root)
        except StepgridError as error:
            # Somebody has changed the password: all else works.
            progress(f"no token in {self.paths.kotta_auth}: {error}")

    def _create_user(self, state: LocalState, name: str) -> access.UserCredentials:
        root = _root_access(state.emulator)
        account = _aws_client("sts", root).get_caller_identity()["Account"]
        arn = f"arn:aws:execute-api:{REGION}:{account}:{access.api_id(_outputs(state))}"
        return access.create_api_user(_aws_client("iam", root), name, arn)

    # What is remembered.

    def _own_state(self) -> LocalState | None:
        """The state file's content, unless it came here with a copy of another project."""
        state = load_state(self.paths)
        if state is None or state.emulator.mark != project_mark(self.paths):
            return None
        return state

    def _running_state(self) -> LocalState:
        state = self._own_state()
        if state is None or not state.emulator.is_alive():
            raise NotRunningError("the local cloud is not running: run `stepgrid local up`")
        return state

    def _profile(self) -> dict[str, Any]:
        return read_json(self.paths.profile) or {}

    def _profile_is_ours(self, state: LocalState) -> bool:
        """Whether the profile is the one that `up` wrote, and not, say, one for a real account."""
        ours = state.profile_access_key_id
        return ours is not None and self._profile().get("access_key_id") == ours


def _outputs(state: LocalState) -> dict[str, str]:
    return {} if state.deployment is None else state.deployment.outputs


def _root_access(emulator: Emulator) -> sam.AwsAccess:
    return sam.AwsAccess(emulator.url, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)


def _aws_client(service: str, root: sam.AwsAccess) -> Any:
    return _aws(service, root, "client")


def _aws(service: str, root: sam.AwsAccess, kind: Literal["client", "resource"]) -> Any:
    session = boto3.Session(
        aws_access_key_id=root.access_key_id,
        aws_secret_access_key=root.secret_access_key,
        region_name=root.region,
    )
    # An empty mapping of proxies also keeps those of the environment out.
    config = botocore.config.Config(proxies={}, retries={"mode": "standard"})
    make: Any = getattr(session, kind)
    return make(service, endpoint_url=root.endpoint_url, config=config)
