"""A federation in memory with two organizations, a user, a node and a task that is at work."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import (
    Collaboration,
    FederatedTask,
    Node,
    Organization,
    Role,
    User,
)
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.routing import answer
from stepgrid_core.federation.run_rows import kill_runs
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.sessions import create_session
from stepgrid_core.memory import (
    MemoryTokenSigner,
    MemoryTokenVerifier,
    MemoryUser,
    MemoryUserLogin,
    VirtualClock,
)
from stepgrid_core.memory.federation_table import MemoryFederationTable
from stepgrid_core.ports import Caller
from stepgrid_core.records import FederationFacts

API_KEY = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"
PASSWORD = "Correct horse battery 1!"
IMAGE = "harbor.example.org/average"
ANN = Caller("cognito:eu-central-1:ann", "ann", "ann@example.org", "1-ann")
EVE = Caller("cognito:eu-central-1:eve", "eve", None, "2-eve")  #: of no organization
#: One for all tests: to make a key takes longer than most of them.
SIGNER = MemoryTokenSigner()


@dataclass
class LoginWorld:
    signer: MemoryTokenSigner = SIGNER
    memory: InMemoryGrid = field(default_factory=lambda: InMemoryGrid({}))
    table: MemoryFederationTable = field(default_factory=MemoryFederationTable)
    verifier: MemoryTokenVerifier = field(default_factory=MemoryTokenVerifier)

    def __post_init__(self) -> None:
        users = {
            "ann": MemoryUser(ANN, PASSWORD),
            "eve": MemoryUser(EVE, PASSWORD),
            "mia": MemoryUser(ANN, PASSWORD, mfa_code="123456"),
            "new": MemoryUser(ANN, PASSWORD, challenge="NEW_PASSWORD_REQUIRED"),
        }
        self.login = MemoryUserLogin(self.verifier, users)
        grid = replace(self.memory.wiring, tokens=self.verifier)
        self.federation = Federation(grid, self.table, self.signer, self.login)
        for number, name in enumerate(("Asclepius", "Hygieia"), start=1):
            self.keep(Organization(number, name))
        self.keep(Collaboration(1, "health", organization_ids=(1, 2)))
        self.keep(Role(100, "Statistician", rule_ids=(1, 2)))
        self.keep(User(7, "ann", ANN.subject, 1, role_ids=(100,), rule_ids=(2, 3)))
        self.node = Node(5, "asclepius", 1, 1, key_hash=hash_key(API_KEY))
        self.keep(self.node)
        self.task = self._task(3, organization_ids=(1, 2))

    @property
    def clock(self) -> VirtualClock:
        return self.memory.clock

    def keep(self, record: Any) -> None:
        marks = {} if isinstance(record, FederatedTask) else {"marks": marks_of(record)}
        assert self.federation.registry.create(record, **marks)

    def _task(self, number: int, organization_ids: tuple[int, ...]) -> FederatedTask:
        session = create_session(
            self.federation.grid,
            ANN.owner,
            session_id=f"{number:032x}",
            facts=FederationFacts(number, 1, organization_ids),
            inputs=[""] * len(organization_ids),
        )
        task = FederatedTask(
            number,
            "average",
            "",
            IMAGE,
            1,
            session.session_id,
            organization_ids,
            init_org_id=1,
            init_user_id=7,
            job_id=number,
            parent_id=None,
            created_at=self.clock.now(),
            databases=({"label": "default", "type": "csv"},),
        )
        self.keep(task)
        return task

    def end_the_task(self) -> None:
        session = self.federation.grid.table.read_session(self.task.session_id)
        assert session is not None
        kill_runs(self.federation.grid, session)

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        data = b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method, path, body=data, headers=headers)
        answered = answer(self.federation, request, "/dev")
        return int(answered.status), json.loads(answered.data)
