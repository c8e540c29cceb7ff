"""A federation in memory with somebody of every kind, and everything near and far from them.

    heart (1)  Asclepius (1), Borealis (2)    nodes 1 and 2   studies 1 (of 1) and 2 (of 2)
    lung  (2)  Chiron (3), Dione (4)          node 3          study 3
    liver (3)  Asclepius, Borealis            node 4, of Asclepius
    spare (4)  Asclepius, Borealis

Whoever asks is of Asclepius. The node that asks is node 1, the container runs for it on task 1.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import (
    Collaboration,
    FederatedTask,
    Node,
    Organization,
    Record,
    Role,
    Study,
    User,
)
from stepgrid_core.federation.registry import Registry, marks_of
from stepgrid_core.federation.routing import answer
from stepgrid_core.federation.rules import rule_id
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.tokens import issue_container_token, issue_node_tokens
from stepgrid_core.memory import (
    MemoryFederationTable,
    MemoryTokenSigner,
    MemoryTokenVerifier,
    MemoryUserDirectory,
    MemoryUserLogin,
    VirtualClock,
)
from stepgrid_core.ports import Caller, Marks
from stepgrid_core.submission import submit

#: One for all worlds: to make a key takes longer than most tests.
SIGNER = MemoryTokenSigner()
#: Users of Asclepius by what they are, and their role; their ids are 1 to 6.
ROLES = {
    "root": (1,),
    "viewer": (2,),
    "researcher": (3,),
    "organization admin": (4,),
    "collaboration admin": (5,),
    "no role": (),
}
USERS = {name: number for number, name in enumerate(ROLES, 1)}
#: Others: at Asclepius, Borealis and Chiron.
COLLEAGUE, PEER, STRANGER = 7, 8, 9
ROLE, PEERS_ROLE, STRANGERS_ROLE = 100, 101, 102
NOBODY_KNOWS = 77  #: an id that nothing has
OWNER = "cognito:eu-west-1:asclepius"


@dataclass
class FederationWorld:
    memory: InMemoryGrid = field(
        default_factory=lambda: InMemoryGrid({"echo": lambda task, context: task})
    )
    table: MemoryFederationTable = field(default_factory=MemoryFederationTable)
    verifier: MemoryTokenVerifier = field(default_factory=MemoryTokenVerifier)
    directory: MemoryUserDirectory = field(default_factory=MemoryUserDirectory)

    def __post_init__(self) -> None:
        grid = replace(self.memory.wiring, tokens=self.verifier)
        login = MemoryUserLogin(self.verifier)
        self.federation = Federation(grid, self.table, SIGNER, login, directory=self.directory)
        for record in (*_places(), *_people()):
            self.keep(record)
        self.task = self._make_task()
        self.keep(self.task, Marks(lists=("tasks:of:tests",)))

    @property
    def registry(self) -> Registry:
        return self.federation.registry

    @property
    def clock(self) -> VirtualClock:
        return self.memory.clock

    def keep(self, record: Record, marks: Marks | None = None) -> None:
        """Ids that are given here are given to nothing else."""
        assert self.registry.create(record, marks_of(record) if marks is None else marks)  # type: ignore[arg-type]
        number: int = record.id - (ROLE - 1 if isinstance(record, Role) else 0)  # type: ignore[attr-defined]
        while self.table.next_id(record.KIND) < number:
            pass

    def token_of(self, principal: str) -> str:
        """Of a user by what it is, and of "node" and "container"."""
        if principal in USERS:
            return self.user_token(USERS[principal])
        node = self.registry.find(Node, 1)
        assert node is not None
        if principal == "node":
            return issue_node_tokens(self.federation, node).access_token
        return issue_container_token(self.federation, node, self.task)

    def user(self, id: int) -> User:
        found = self.registry.find(User, id)
        assert found is not None
        return found

    def give(self, id: int, **rights: Sequence[int]) -> None:
        """Rights that somebody has, whoever gave them."""
        assert self.registry.change(replace(self.user(id), **rights))  # type: ignore[arg-type]

    def user_token(self, user_id: int) -> str:
        user = self.user(user_id)
        caller = Caller(f"cognito:{user.username}", user.username, user.email, user.subject)
        self.verifier.callers[f"token of {user_id}"] = caller
        return f"token of {user_id}"

    def ask(
        self, principal: str | None, method: str, path: str, body: Any = None
    ) -> tuple[int, Any]:
        """Status and JSON of the answer. principal: None has no token."""
        token = None if principal is None else self.token_of(principal)
        return self.ask_with(token, method, path, body)

    def ask_with(
        self, token: str | None, method: str, path: str, body: Any = None
    ) -> tuple[int, Any]:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        data = b"" if body is None else json.dumps(body).encode()
        route, _, query = path.partition("?")
        request = HttpRequest(method, route, parse_qs(query), data, headers=headers)
        answered = answer(self.federation, request, "/dev")
        return int(answered.status), json.loads(answered.data)

    def ids(self, principal: str, path: str) -> list[int]:
        """Of all that a list shows."""
        status, body = self.ask(principal, "GET", f"/api{path}")
        assert status == 200, body
        return [each["id"] for each in body["data"]]

    def stored(self) -> dict[str, list[Any]]:
        """All there is, to see whether something has changed."""
        kinds = (Organization, Collaboration, Study, Role, User, Node, FederatedTask)
        stored: dict[str, list[Any]] = {k.KIND: self.table.read_all(k.KIND) for k in kinds}
        return {**stored, "logins": sorted(self.directory.users.items())}

    def _make_task(self) -> FederatedTask:
        asked = SubmitRequest.model_validate({"client_token": "1", "worker": "echo", "tasks": [{}]})
        session = submit(self.federation.grid, OWNER, asked).session
        return FederatedTask(
            id=1,
            name="average",
            description="",
            image="harbor.example.org/average",
            collaboration_id=1,
            session_id=session.session_id,
            organization_ids=(1, 2),
            init_org_id=1,
            init_user_id=USERS["researcher"],
            job_id=1,
            parent_id=None,
            created_at=self.clock.now(),
        )


def _places() -> list[Record]:
    names = ("Asclepius", "Borealis", "Chiron", "Dione")
    members = {"heart": (1, 2), "lung": (3, 4), "liver": (1, 2), "spare": (1, 2)}
    nodes = ((1, 1), (2, 1), (3, 2), (1, 3))
    return [
        *(Organization(id, name, country="Greece") for id, name in enumerate(names, 1)),
        *(
            Collaboration(id, name, organization_ids=ids)
            for id, (name, ids) in enumerate(members.items(), 1)
        ),
        Study(1, "ours", 1, (1,)),
        Study(2, "theirs", 1, (2,)),
        Study(3, "elsewhere", 2, (3,)),
        *(
            Node(id, f"node {id} of {place}", *place, key_hash=hash_key(f"key {id}"))
            for id, place in enumerate(nodes, 1)
        ),
    ]


def _people() -> list[Record]:
    seeing = (rule_id("task", "v", "col"),)
    users = [_user(id, name, 1, ROLES[name]) for name, id in USERS.items()]
    others = ((COLLEAGUE, "colleague", 1), (PEER, "peer", 2), (STRANGER, "stranger", 3))
    roles = ((ROLE, 1), (PEERS_ROLE, 2), (STRANGERS_ROLE, 3))
    return [
        *(Role(id, f"custom of {place}", "", seeing, place) for id, place in roles),
        *users,
        *(_user(id, name, place, (2,)) for id, name, place in others),
    ]


def _user(id: int, name: str, organization_id: int, role_ids: tuple[int, ...]) -> User:
    username = name.replace(" ", "-")
    return User(
        id,
        username,
        subject=f"00000000-0000-4000-8000-{id:012}",
        organization_id=organization_id,
        firstname=name,
        email=f"{username}@example.org",
        role_ids=role_ids,
    )
