"""Users and their passwords as a dictionary; their tokens are numbered."""

from dataclasses import dataclass, field

from ..ports import SECOND_FACTOR, Caller, LoginStep, UserTokens
from .tokens import MemoryTokenVerifier


@dataclass(frozen=True, slots=True)
class MemoryUser:
    caller: Caller  #: whom the verifier is to know by the user's tokens
    password: str
    mfa_code: str | None = None  #: None: no second factor is asked for
    challenge: str | None = None  #: what else is to be done first, as Cognito calls it


@dataclass
class MemoryUserLogin:
    verifier: MemoryTokenVerifier = field(default_factory=MemoryTokenVerifier)
    users: dict[str, MemoryUser] = field(default_factory=dict)  #: by their names
    renewable: dict[str, str] = field(default_factory=dict)  #: refresh token -> name
    issued: int = 0

    def log_in(
        self, username: str, password: str, mfa_code: str | None = None
    ) -> UserTokens | LoginStep | None:
        user = self.users.get(username)
        if user is None or user.password != password:
            return None
        if user.challenge is not None:
            return LoginStep(user.challenge)
        if user.mfa_code is not None and not mfa_code:
            return LoginStep(SECOND_FACTOR)
        if user.mfa_code not in (None, mfa_code):
            return None
        refresh_token = self._number("refresh")
        self.renewable[refresh_token] = username
        return self._issue(user, refresh_token)

    def renew(self, refresh_token: str) -> UserTokens | None:
        user = self.users.get(self.renewable.get(refresh_token, ""))
        return None if user is None else self._issue(user, refresh_token)

    def _issue(self, user: MemoryUser, refresh_token: str) -> UserTokens:
        access_token = self._number("access")
        self.verifier.callers[access_token] = user.caller
        return UserTokens(access_token, refresh_token)

    def _number(self, use: str) -> str:
        self.issued += 1
        return f"{use}-{self.issued}"
