"""A federation in memory for tests: organizations, people, nodes, and their requests."""

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.records import Collaboration, Node, Organization, User
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.routing import answer
from stepgrid_core.federation.service import Federation
from stepgrid_core.memory import (
    MemoryFederationTable,
    MemoryTokenSigner,
    MemoryTokenVerifier,
    MemoryUserLogin,
)
from stepgrid_core.ports import Caller

ROOT, VIEWER, RESEARCHER, ORGANIZATION_ADMIN, COLLABORATION_ADMIN = 1, 2, 3, 4, 5
#: One for all worlds: to make a key takes longer than most tests.
SIGNER = MemoryTokenSigner()
HOSPITALS = ("Asclepius", "Bethesda", "Charite")


def encode(**message: Any) -> str:
    """An input as vantage6's clients write it."""
    return base64.b64encode(json.dumps(message).encode()).decode()


INPUT = encode(method="average", args=[], kwargs={"column": "age"})
#: As vantage6's seed asks: for all that have a node.
SEED_BODY = {
    "description": "human readable description, not used by the code",
    "image": "docker-registry.distributedlearning.ai/docker-image-name",
    "input": "some input",
    "name": "human readable",
    "collaboration_id": 1,
}


@dataclass
class World:
    """Three hospitals with a node each in collaboration 1, and a stranger who is in none."""

    memory: InMemoryGrid = field(default_factory=lambda: InMemoryGrid({}))
    table: MemoryFederationTable = field(default_factory=MemoryFederationTable)
    tokens: MemoryTokenVerifier = field(default_factory=MemoryTokenVerifier)
    nodes: dict[int, str] = field(default_factory=dict)  #: tokens by the ids of organizations

    def __post_init__(self) -> None:
        self.memory.wiring = replace(self.memory.wiring, tokens=self.tokens)
        self.federation = Federation(
            grid=self.memory.wiring,
            table=self.table,
            signer=SIGNER,
            login=MemoryUserLogin({}),
        )
        self.registry = self.federation.registry
        self._fill()

    def _fill(self) -> None:
        for id, name in enumerate((*HOSPITALS, "Stranger"), 1):
            self.add(Organization(id, name))
        self.add(Collaboration(1, "Trial", organization_ids=(1, 2, 3)))
        self.add(Collaboration(2, "Elsewhere", organization_ids=(4,)))
        for id in (1, 2, 3):
            self.add_node(id, 1)
        self.add_user("ann", 1, RESEARCHER)
        self.add_user("bob", 2, RESEARCHER)
        self.add_user("root", 1, ROOT)
        self.add_user("eve", 4, COLLABORATION_ADMIN)

    def add(self, record: Any) -> None:
        assert self.registry.create(record, marks_of(record)), record

    def add_user(self, name: str, organization_id: int, *role_ids: int) -> str:
        """The bearer token."""
        id = self.table.next_id("user")
        self.add(User(id, name, f"sub-{name}", organization_id, role_ids=role_ids))
        self.tokens.callers[name] = Caller(f"cognito:{name}", name, None, f"sub-{name}")
        return name

    def add_node(self, organization_id: int, collaboration_id: int) -> str:
        key = f"key-{organization_id}-{collaboration_id}"
        id = self.table.next_id("node")
        name = f"node {id}"
        self.add(Node(id, name, organization_id, collaboration_id, key_hash=hash_key(key)))
        return self.log_node_in(organization_id, collaboration_id)

    def log_node_in(self, organization_id: int, collaboration_id: int) -> str:
        """The bearer token, which is good for an hour."""
        key = f"key-{organization_id}-{collaboration_id}"
        token = self.json("POST", "/api/token/node", body={"api_key": key})["access_token"]
        self.nodes[organization_id] = token
        return str(token)

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        **query: str,
    ) -> Answer:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        data = b"" if body is None else json.dumps(body).encode()
        values = {name: [value] for name, value in query.items()}
        return answer(self.federation, HttpRequest(method, path, values, data, "", headers), "/dev")

    def json(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        **query: str,
    ) -> Any:
        """The body of an answer that has to be a success."""
        answered = self.ask(method, path, token, body, **query)
        assert answered.status < 300, (answered.status, answered.body)
        return json.loads(answered.data)

    def create_task(self, token: str = "ann", *organization_ids: int, **fields: Any) -> Any:
        ids = organization_ids or (1, 2, 3)
        body = {
            "name": "n",
            "image": "harbor/average",
            "collaboration_id": 1,
            "organizations": [{"id": id, "input": INPUT} for id in ids],
            "databases": [{"label": "default"}],
            **fields,
        }
        return self.json("POST", "/api/task", token, body)

    def sync(self, organization_id: int, instance: str = "a" * 16, **fields: Any) -> Any:
        node = self.registry.node_of(organization_id, 1)
        node_id = organization_id if node is None else node.id
        body = {"instance": instance, "holding": [], "capacity": 4, "wait_seconds": 0, **fields}
        return self.json("POST", f"/api/node/{node_id}/sync", self.nodes[organization_id], body)

    def finish(self, organization_id: int, run: Any, result: Any = None, **fields: Any) -> Answer:
        """The word of a node that has done a run that it was given."""
        text = base64.b64encode(json.dumps(result).encode()).decode()
        body = {"claim": run["claim"], "status": "completed", "result": text, "log": "done"}
        token = self.nodes[organization_id]
        return self.ask("PATCH", f"/api/run/{run['id']}", token, body | fields)
