"""A Cognito in memory, on a clock of its own: users, passwords, tokens and keys that really end.

It fulfils the port stepgrid.cognito.Cognito. Every token and key is different from all others.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from stepgrid.cognito import AwsKeys, Tokens
from stepgrid_core.errors import LoginExpired, LoginRefused, NewPasswordRequired, Unavailable

DAY = 86_400.0


@dataclass
class FakeUser:
    password: str
    temporary: bool = False


@dataclass
class Issued:
    """A token or key: whose it is, and until when."""

    username: str
    ends_at: float
    revoked: bool = False


@dataclass
class FakeCognito:
    """now: epoch seconds, moved by the test. The lifetimes are those of template.yaml."""

    users: dict[str, FakeUser] = field(default_factory=dict)
    now: float = 1_800_000_000.0
    id_token_seconds: float = 3600.0
    refresh_token_seconds: float = 30 * DAY
    key_seconds: float = 3600.0
    down: bool = False
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self._issued: dict[str, Issued] = {}
        self._lock = threading.Lock()

    def time(self) -> float:
        return self.now

    # The port.

    def authenticate(self, username: str, password: str, new_password: str | None) -> Tokens:
        self._count("authenticate")
        user = self.users.get(username)
        if user is None or user.password != password:
            raise LoginRefused("username or password is wrong")
        if user.temporary:
            if new_password is None:
                raise NewPasswordRequired("choose a password")
            user.password, user.temporary = new_password, False
        refresh_token = self._issue("refresh", username, self.refresh_token_seconds)
        return Tokens(self._id_token(username), self.id_token_seconds, refresh_token)

    def refresh(self, refresh_token: str) -> Tokens:
        self._count("refresh")
        user = self._check(refresh_token).username
        return Tokens(self._id_token(user), self.id_token_seconds)

    def exchange(self, id_token: str) -> AwsKeys:
        self._count("exchange")
        user = self._check(id_token).username
        key = self._issue("key", user, self.key_seconds)
        ends_at = self._issued[key].ends_at
        return AwsKeys(f"identity-of-{user}", key, f"secret-of-{key}", f"session-of-{key}", ends_at)

    def revoke(self, refresh_token: str) -> None:
        self._count("revoke")
        self._issued[refresh_token].revoked = True

    # What a test does and asks.

    def accepts(self, access_key_id: str) -> bool:
        """Whether a call signed with this key would pass now."""
        return self.now < self._issued[access_key_id].ends_at

    def sign_out(self, username: str) -> None:
        """End all tokens of a user, as an administrator can."""
        for issued in self._issued.values():
            issued.revoked |= issued.username == username

    def secrets(self) -> list[str]:
        """Everything that must never be shown."""
        return [name for name in self._issued if not name.startswith("key")] + [
            f"{kind}-of-{name}"
            for name in self._issued
            if name.startswith("key")
            for kind in ("secret", "session")
        ]

    def _id_token(self, username: str) -> str:
        return self._issue("id", username, self.id_token_seconds)

    def _issue(self, kind: str, username: str, seconds: float) -> str:
        with self._lock:
            name = f"{kind}-token-{next(self._numbers)}-of-{username}"
            self._issued[name] = Issued(username, self.now + seconds)
        return name

    def _check(self, token: str) -> Issued:
        issued = self._issued[token]
        if issued.revoked or self.now >= issued.ends_at or issued.username not in self.users:
            raise LoginExpired("the login has ended; log in again: `stepgrid login`")
        return issued

    def _count(self, call: str) -> None:
        with self._lock:
            self.calls[call] += 1
        if self.down:
            raise Unavailable(f"Cognito {call}: HTTP 503")
