"""A federation in memory, and clients of its Socket.IO that are functions.

collaboration 1: organizations 1 and 2        collaboration 2: organizations 2 and 3
users: ann of 1 (its collaborations), bob of 2 (his organization only), eve of 3 (nothing)
nodes: 1 of organization 1, 2 of organization 2, both in collaboration 1
"""

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.federation import notices, socketio
from stepgrid_core.federation.engineio import EngineKind, EnginePacket, Framing
from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.records import (
    Collaboration,
    FederatedTask,
    Node,
    Organization,
    RunRecord,
    User,
)
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.routing import answer
from stepgrid_core.federation.rules import rule_id
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.socketio import SocketPacket
from stepgrid_core.federation.tokens import issue_container_token, issue_node_tokens
from stepgrid_core.memory import MemorySockets, MemoryTokenVerifier, MemoryUserLogin, VirtualClock
from stepgrid_core.memory.federation_table import MemoryFederationTable
from stepgrid_core.ports import Caller, Clock

from .login_world import SIGNER

TASKS = "/tasks"
ANN, BOB, EVE = 1, 2, 3
RECEIVES = {ANN: "col", BOB: "org"}
RUN, OTHERS_RUN = 5_000, 5_001  #: of task 5: of organization 1, and of organization 2


def make_token(claims: dict[str, Any]) -> str:
    """In the form of a JWT: who bears it, and its end."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return f"e30.{payload.decode()}.c2ln"


@dataclass
class SocketWorld:
    """`clock`: of the grid in memory unless another one is given."""

    clock: Clock | None = None
    memory: InMemoryGrid = field(default_factory=lambda: InMemoryGrid({}))
    sockets: MemorySockets = field(default_factory=MemorySockets)
    verifier: MemoryTokenVerifier = field(default_factory=MemoryTokenVerifier)

    def __post_init__(self) -> None:
        clock = self.clock or self.memory.clock
        grid = replace(self.memory.wiring, clock=clock, tokens=self.verifier)
        login = MemoryUserLogin(self.verifier, {})
        table = MemoryFederationTable()
        self.federation = Federation(grid, table, SIGNER, login, sockets=self.sockets)
        self.memory.events.notifiers.append(
            lambda event: notices.deliver(self.sockets, event, grid.clock.now())
        )
        self._fill()

    def _fill(self) -> None:
        for number in (1, 2, 3):
            self.keep(Organization(number, f"organization {number}"))
        self.keep(Collaboration(1, "one", organization_ids=(1, 2)))
        self.keep(Collaboration(2, "two", organization_ids=(2, 3)))
        for number, name in ((ANN, "ann"), (BOB, "bob"), (EVE, "eve")):
            rules = () if number == EVE else (rule_id("event", "r", RECEIVES[number]),)
            self.keep(User(number, name, f"sub-{name}", number, rule_ids=rules))
        for number in (1, 2):
            self.keep(Node(number, f"node {number}", number, 1, key_hash=f"hash {number}"))
        self.task = FederatedTask(
            5, "t", "", "image", 1, "session", (1, 2), 1, ANN, job_id=4, parent_id=4, created_at=1.0
        )
        table = self.federation.table
        table.create("task", 5, self.task.as_values())
        self.run = RunRecord(RUN, "pending", attempt=2)
        table.create("run", RUN, self.run.as_values())

    def keep(self, record: Any) -> None:
        assert self.federation.registry.create(record, marks_of(record))

    def user_token(self, id: int = ANN, seconds: float = 3_600) -> str:
        """In the form of Cognito's: its end can be read, and the verifier knows whose it is."""
        user = self.user(id)
        token = make_token({"sub": user.subject, "exp": self.now + seconds})
        caller = Caller(f"owner-{user.username}", user.username, subject=user.subject)
        self.verifier.callers[token] = caller
        return token

    def node_token(self, id: int = 1, seconds_ago: float = 0) -> str:
        grid = replace(self.federation.grid, clock=VirtualClock(self.now - seconds_ago))
        then = replace(self.federation, grid=grid)
        return issue_node_tokens(then, self.node(id)).access_token

    def container_token(self) -> str:
        return issue_container_token(self.federation, self.node(), self.task)

    @property
    def now(self) -> float:
        return self.federation.grid.clock.now()

    def node(self, id: int = 1) -> Node:
        node = self.federation.registry.find(Node, id)
        assert node is not None
        return node

    def user(self, id: int) -> User:
        user = self.federation.registry.find(User, id)
        assert user is not None
        return user

    def request(
        self,
        method: str,
        query: dict[str, str],
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        path: str = "/socket.io/",
    ) -> Answer:
        """As the federation function hands it to the route."""
        values = {name: [value] for name, value in query.items()}
        request = HttpRequest(method, path, values, body, headers=headers or {})
        return answer(self.federation, request)


@dataclass
class Client:
    """Speaks one version, and keeps what it was told and did not ask for yet."""

    world: SocketWorld
    version: int = 4
    token: str = ""
    sid: str = ""

    def open(self) -> "Client":
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self._request("GET", b"", headers)
        (packet,) = self.framing.decode(answer.data)
        assert packet.kind is EngineKind.OPEN
        self.sid = json.loads(packet.data)["sid"]
        return self

    def connect(self, data: Any = None) -> "Client":
        """To /tasks; what is answered waits for the next poll."""
        self.open()
        self.say(SocketPacket(socketio.SocketKind.CONNECT, TASKS, data))
        return self

    @property
    def framing(self) -> Framing:
        return Framing(self.version, in_text=False)

    def emit(self, name: str, *arguments: Any, ack: int | None = None) -> None:
        self.say(replace(socketio.event(TASKS, name, arguments), ack=ack))

    def say(self, packet: SocketPacket) -> None:
        self.post(EnginePacket(EngineKind.MESSAGE, socketio.encode(packet)))

    def post(self, *packets: EnginePacket) -> None:
        answer = self._request("POST", self.framing.encode(packets))
        assert (answer.status, answer.data) == (200, b"ok")

    def poll(self) -> list[EnginePacket]:
        answer = self._request("GET")
        assert answer.status == 200, answer.body
        return self.framing.decode(answer.data)

    def is_unknown(self) -> bool:
        answer = self._request("GET")
        return bool(answer.status == 400 and answer.body["code"] == 1)

    def hear(self) -> list[tuple[str, Any]]:
        """Events of /tasks that are there: name, and the first argument."""
        packets = [socketio.decode(each.data) for each in self.poll() if _is_message(each)]
        events = [each for each in packets if each.kind is socketio.SocketKind.EVENT]
        return [(each.event, next(iter(each.arguments), None)) for each in events]

    def _request(self, method: str, body: bytes = b"", headers: Any = None) -> Answer:
        query = {"EIO": str(self.version), "transport": "polling"}
        if self.sid:
            query["sid"] = self.sid
        return self.world.request(method, query, body, headers)


def _is_message(packet: EnginePacket) -> bool:
    return packet.kind is EngineKind.MESSAGE
