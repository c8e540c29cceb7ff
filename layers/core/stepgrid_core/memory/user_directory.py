"""Users that can log in, as a dictionary."""

import threading
import uuid
from dataclasses import dataclass, field

from ..errors import Conflict, InvalidRequest


@dataclass
class MemoryUserDirectory:
    users: dict[str, str] = field(default_factory=dict)  #: subjects by names
    passwords: dict[str, str] = field(default_factory=dict)
    shortest_password: int = 8

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def create(self, username: str, password: str, email: str) -> str:
        if len(password) < self.shortest_password:
            raise InvalidRequest("password: too short")
        with self._lock:
            if username in self.users:
                raise Conflict(f"there is a user {username!r} already")
            self.users[username] = str(uuid.uuid4())
            self.passwords[username] = password
            return self.users[username]

    def remove(self, username: str, subject: str) -> None:
        with self._lock:
            if self.users.get(username) == subject:
                del self.users[username], self.passwords[username]
