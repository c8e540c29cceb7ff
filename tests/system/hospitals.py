"""A federation of three hospitals on the local cloud, made by commands as its operator makes it.

Everybody comes through one proxy, which remembers what the grid answered. Nodes and clients of
vantage6 are its own, each in a process of its own: its encryption has one key for a process.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from stepgrid import Grid
from stepgrid.config import Config
from stepgrid.local import LocalCloud
from stepgrid.login import sign_in
from stepgrid.users import make_password

from .child_process import ChildProcess
from .recording_proxy import RecordingProxy

HOSPITALS = ("Asclepius", "Hygieia", "Panacea")
ASCLEPIUS, HYGIEIA, PANACEA = 1, 2, 3
HEART, COUNTS, TRIAL, ELSEWHERE = 1, 2, 3, 4
COLLABORATIONS = {"heart": HEART, "counts": COUNTS, "trial": TRIAL, "elsewhere": ELSEWHERE}
PEOPLE = ("ada", "galen", "hera")  #: who log in with passwords
DOCUMENT = Path(__file__).with_name("federation.yaml")
STEPGRID = Path(sys.executable).with_name("stepgrid")
SECONDS = 120


class RefusedCall(Exception):
    """A method of vantage6's client raised."""


class Client:
    """vantage6's UserClient: `client("task.create", name=...)` calls the method of that name."""

    def __init__(self, process: ChildProcess) -> None:
        self.process = process
        process.hear()

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        self.process.tell(call=method, args=arguments, kwargs=named)
        said = self.process.hear()
        if "error" in said:
            raise RefusedCall(*said["error"])
        return said["answer"]


@dataclass
class Hospitals:
    cloud: LocalCloud
    folder: Path
    passwords: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, ChildProcess] = field(default_factory=dict)

    def __post_init__(self) -> None:
        endpoint = self.cloud.status().endpoint
        assert endpoint is not None
        address = urlsplit(endpoint)
        assert address.hostname is not None
        assert address.port is not None
        self.proxy = RecordingProxy(address.hostname, address.port)
        #: what stands before each route
        self.path = address.path.removesuffix("/v1")
        self.endpoint = f"{self.proxy.origin}{address.path}"
        self._processes: list[ChildProcess] = []
        self._grids: list[Grid] = []

    def build(self) -> None:
        """What the documentation tells an operator to do."""
        self.run("users", "add", "ada")
        document = self.folder / "federation.yaml"
        shutil.copy(DOCUMENT, document)
        keys = str(self.folder / "keys")
        self.run("federation", "apply", str(document), "--add-users", "--keys-dir", keys)
        for name in PEOPLE:
            temporary = json.loads(self.run("users", "reset-password", name, "--json"))
            self.passwords[name] = make_password()
            sign_in(
                self.endpoint,
                name,
                temporary["temporary_password"],
                new_password=self.passwords[name],
            )

    def start_nodes(self) -> None:
        """All at once; each has its key, makes it or tells the server which it is."""
        for name in HOSPITALS:
            places = [f"{self.api_key(name, each)}={each}" for each in ("heart", "counts")]
            key = str(self.key_file(name))
            self.nodes[name] = self.start("vantage6_node.py", self.path + "/api", key, *places)
        for node in self.nodes.values():
            node.hear(lambda line: "ready" in line)

    def run(self, *arguments: str) -> str:
        """A command of the operator; what it printed."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [STEPGRID, *arguments],
            cwd=self.cloud.paths.project_dir,
            env=environment | {"HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def api_key(self, organization: str, collaboration: str) -> str:
        file = self.folder / "keys" / f"{organization} - {collaboration} Node.key"
        return file.read_text().strip()

    def key_file(self, organization: str) -> Path:
        return self.folder / f"{organization}.pem"

    def start(self, script: str, *arguments: str) -> ChildProcess:
        log = self.folder / f"{script}.log"
        process = ChildProcess(script, self.proxy.origin, *arguments, log=log)
        self._processes.append(process)
        return process

    def client(self, user: str) -> Client:
        """Logged in."""
        client = Client(self.start("vantage6_client.py", self.path + "/api"))
        client("authenticate", user, self.passwords[user])
        return client

    def grid(self, user: str) -> Grid:
        """Of a user with a password, or the IAM user of that name."""
        if user in self.passwords:
            grid = Grid(self.endpoint, username=user, password=self.passwords[user])
        else:
            keys = self.cloud.create_user(user)
            config = Config(
                self.endpoint,
                "us-east-1",
                access_key_id=keys.access_key_id,
                secret_access_key=keys.secret_access_key,
            )
            grid = Grid(config=config)
        self._grids.append(grid)
        return grid

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, **query: Any
    ) -> requests.Response:
        """A plain request of no client at all. path: behind the stage."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"{self.proxy.origin}{self.path}{path}"
        with requests.Session() as http:
            http.trust_env = False
            return http.request(
                method, url, params=query, json=body, headers=headers, timeout=SECONDS
            )

    def token(self, kind: str, **login: str) -> str:
        answered = self.ask("POST", f"/api/token/{kind}", login)
        assert answered.status_code == 200, answered.text
        return str(answered.json()["access_token"])

    def user_token(self, user: str) -> str:
        return self.token("user", username=user, password=self.passwords[user])

    def node_token(self, organization: str, collaboration: str) -> str:
        return self.token("node", api_key=self.api_key(organization, collaboration))

    def create_task(
        self, user: str, collaboration: str, organizations: list[str], message: Any
    ) -> dict[str, Any]:
        """By a plain request, in a collaboration that is not encrypted."""
        text = base64.b64encode(json.dumps({"args": [], "kwargs": {}, **message}).encode()).decode()
        ids = [HOSPITALS.index(name) + 1 for name in organizations]
        body = {
            "name": "plain",
            "image": "harbor.example.org/algorithms/plain",
            "collaboration_id": COLLABORATIONS[collaboration],
            "organizations": [{"id": id, "input": text} for id in ids],
            "client_token": uuid.uuid4().hex,
        }
        answered = self.ask("POST", "/api/task", body, self.user_token(user))
        assert answered.status_code == 201, answered.text
        task: dict[str, Any] = answered.json()
        return task

    def finish_run(self, organization: str, collaboration: str, task_id: int, result: str) -> int:
        """As a node does that speaks for itself; the run's id. The result goes as it is."""
        login = {"api_key": self.api_key(organization, collaboration)}
        tokens = self.ask("POST", "/api/token/node", login).json()
        node_id, token = tokens["node_url"].rpartition("/")[2], tokens["access_token"]
        query = {"state": "open", "node_id": node_id, "task_id": task_id}
        (run,) = self.ask("GET", "/api/run", token=token, **query).json()["data"]
        path = f"/api/run/{run['id']}"
        now = datetime.now(UTC).isoformat()
        for words in (
            {"started_at": now, "status": "active"},
            {"finished_at": now, "status": "completed", "result": result, "log": ""},
        ):
            answered = self.ask("PATCH", path, words, token)
            assert answered.status_code == 200, answered.text
        return int(run["id"])

    def stop(self) -> None:
        for grid in self._grids:
            grid.close()
        for process in self._processes:
            process.stop()
        self.proxy.stop()


def of_run(word: str, run_id: int) -> Callable[[dict[str, Any]], bool]:
    """Whether a node says this of a run: began, ended."""
    return lambda line: line.get(word) == run_id


def kill_of(run_id: int) -> Callable[[dict[str, Any]], bool]:
    """Whether a node hears that this run is to end."""

    def is_it(line: dict[str, Any]) -> bool:
        orders = line["data"].get("kill_list", ()) if line.get("heard") == "kill_containers" else ()
        return any(each["run_id"] == run_id for each in orders)

    return is_it
