"""A federation in memory: what its document says, and functions in the place of algorithms.

    ages = {"Asclepius": 61.5, "Hygieia": 48.0}
    memory = InMemoryGrid(
        {},
        federation={
            "organizations": [{"name": name} for name in ages],
            "collaborations": [{"name": "heart", "organizations": [*ages], "nodes": "all"}],
            "users": [{"username": "tester", "organization": "Hygieia", "roles": ["Researcher"]}],
        },
        algorithms={"average": lambda organization, column: ages[organization]},
    )
    with memory.client() as grid:
        task = grid.federation.submit("any", "average", collaboration="heart", args=["age"])
        assert task.by_organization() == ages

The routes are the real ones; only tokens and nodes are left out. Nodes of encrypted collaborations
do nothing by themselves: they have no keys.
"""

import base64
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.errors import RequestError
from stepgrid_core.federation.application import apply
from stepgrid_core.federation.authentication import authenticate_signed
from stepgrid_core.federation.document import read_document
from stepgrid_core.federation.http import Answer, Call
from stepgrid_core.federation.membership import TableMembership
from stepgrid_core.federation.node_sync import sync
from stepgrid_core.federation.planning import plan_changes
from stepgrid_core.federation.principals import NodePrincipal
from stepgrid_core.federation.records import Collaboration, Node, Organization
from stepgrid_core.federation.routing import SIGNED, answer_signed, refuse_signed
from stepgrid_core.federation.run_routes import patch_run
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.snapshot import Snapshot
from stepgrid_core.memory import (
    MemoryFederationTable,
    MemoryTokenSigner,
    MemoryTokenVerifier,
    MemoryUserLogin,
)
from stepgrid_core.wiring import Grid

#: organization, args, kwargs -> a JSON value
Algorithm = Callable[..., Any]
_INSTANCE = "0" * 16
_CAPACITY = 64


class MemoryFederation:
    def __init__(
        self, grid: Grid, document: Mapping[str, Any], algorithms: Mapping[str, Algorithm]
    ) -> None:
        """document: as `stepgrid federation apply` takes it, read from YAML.

        A user without a subject is the owner arn:aws:iam::000000000000:user/<username>. algorithms:
        by the names of methods; images are not looked at.
        """
        table = MemoryFederationTable()
        #: in which federated sessions are for who may see them
        self.grid = replace(grid, members=TableMembership(table))
        login = MemoryUserLogin(MemoryTokenVerifier())
        self.service = Federation(self.grid, table, MemoryTokenSigner(), login)
        self._algorithms = algorithms
        self._running = False
        wanted, registry = read_document(document, _no_file), self.service.registry
        subjects = {each.username: owner_named(each.username) for each in wanted.users}
        apply(registry, plan_changes(Snapshot.read(registry), wanted, subjects).changes, _no_key)

    def serves(self, path: str) -> bool:
        return path.startswith(f"{SIGNED}/")

    def answer(self, request: HttpRequest, owner: str) -> Answer:
        try:
            principal = authenticate_signed(self.service, owner, owner)
        except RequestError as error:
            return refuse_signed(error, request)
        return answer_signed(self.service, request, principal)

    def run(self) -> None:
        """Have the nodes do all that waits for them; does nothing inside itself."""
        if self._running:
            return
        self._running = True
        try:
            for node in self.service.registry.find_all(Node):
                self._run_node(node)
        finally:
            self._running = False

    def take(self, node: Node) -> list[dict[str, Any]]:
        """The runs that wait for a node, which are its from now on."""
        body = {"instance": _INSTANCE, "holding": [], "capacity": _CAPACITY, "wait_seconds": 0}
        answered = sync(self._call(node, "POST", f"/node/{node.id}/sync", node.id, body))
        runs: list[dict[str, Any]] = json.loads(answered.data)["runs"]
        return runs

    def end(self, node: Node, run: Mapping[str, Any], **words: str) -> None:
        """words: status, result, log; as a node sends them."""
        body = {"claim": run["claim"], "log": "", **words}
        patch_run(self._call(node, "PATCH", f"/run/{run['id']}", run["id"], body))

    def _run_node(self, node: Node) -> None:
        place = self.service.registry.find(Collaboration, node.collaboration_id)
        organization = self.service.registry.find(Organization, node.organization_id)
        if place is None or organization is None or place.encrypted:
            return
        while runs := self.take(node):
            for run in runs:
                self.end(node, run, **self._do(organization.name, run["input"]))

    def _do(self, organization: str, given: str) -> dict[str, str]:
        try:
            asked = json.loads(base64.b64decode(given))
            algorithm = self._algorithms[asked["method"]]
            found = algorithm(organization, *asked["args"], **asked["kwargs"])
            result = base64.b64encode(json.dumps(found).encode()).decode()
        except Exception:  # as a container that ended with another exit code than 0
            return {"status": "crashed", "log": traceback.format_exc()}
        return {"status": "completed", "result": result}

    def _call(self, node: Node, method: str, path: str, id: int, body: Mapping[str, Any]) -> Call:
        request = HttpRequest(method, path, {}, json.dumps(body).encode())
        principal = NodePrincipal(node)
        return Call(self.service, principal, request, {"id": str(id)}, "", legacy=False)


def owner_named(username: str) -> str:
    return f"arn:aws:iam::000000000000:user/{username}"


def _no_file(path: str) -> str:
    raise FileNotFoundError(path)


def _no_key(node: Node, key: str) -> None:
    """No node of this federation logs in."""
