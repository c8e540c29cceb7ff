"""What a federation needs of the world: a place for its entities, a signer, and a login."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import InvalidRequest, Unavailable


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing that is kept: its values are JSON, its version changes with every write."""

    kind: str
    id: int
    version: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Marks:
    """By what an entity is found beside its id, all of it kept in one transaction with it."""

    names: Sequence[str] = ()  #: unique, for example "organization:Asclepius"
    lists: Sequence[str] = ()  #: in which its id stands, for example "tasks:collaboration:1"


NO_MARKS = Marks()


class FederationTable(Protocol):
    """Entities with integer ids. Reads are strongly consistent."""

    def next_id(self, kind: str) -> int:
        """A number, from 1 on, that no entity of the kind was given before."""

    def create(
        self, kind: str, id: int, values: Mapping[str, Any], marks: Marks = NO_MARKS
    ) -> Entity | None:
        """Keep all of it or nothing: None if the id or one of the names is taken."""

    def read(self, kind: str, id: int) -> Entity | None: ...

    def read_many(self, kind: str, ids: Sequence[int]) -> list[Entity]:
        """Those that are there, in the order of `ids`."""

    def read_all(self, kind: str) -> list[Entity]:
        """In order of their ids."""

    def find(self, name: str) -> int | None:
        """The id of the entity that bears a unique name."""

    def replace(
        self,
        old: Entity,
        values: Mapping[str, Any],
        added: Marks = NO_MARKS,
        removed: Marks = NO_MARKS,
    ) -> Entity | None:
        """None, and nothing is changed, if it is not as it was read or a name is taken."""

    def delete(self, old: Entity, marks: Marks = NO_MARKS) -> bool:
        """With what it was found by; False if it is not as it was read."""

    def put_in(self, listed: str, ids: Sequence[int]) -> None:
        """Add to a list; those that are in it already stay."""

    def take_out(self, listed: str, ids: Sequence[int]) -> None: ...

    def list_ids(
        self, listed: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[int]:
        """Ids of a list in order, those behind `after` (0: all); newest first, those before it."""

    def count(self, listed: str) -> int: ...


class TokenSigner(Protocol):
    """A key that only the grid can sign with: RSASSA-PKCS1-v1_5 with SHA-256 (JWT: RS256)."""

    def sign(self, message: bytes) -> bytes:
        """Raises Unavailable."""

    def public_key(self) -> bytes:
        """In DER (SubjectPublicKeyInfo). Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class UserTokens:
    """What a user has after a login."""

    access_token: str
    refresh_token: str


#: The one challenge that a login can answer: a code of the user's authenticator.
SECOND_FACTOR = "SOFTWARE_TOKEN_MFA"


@dataclass(frozen=True, slots=True)
class LoginStep:
    """A login that is not at its end: what the user is asked for."""

    challenge: str  #: as Cognito calls it, for example SECOND_FACTOR


class UserLogin(Protocol):
    """Users and their passwords."""

    def log_in(
        self, username: str, password: str, mfa_code: str | None = None
    ) -> UserTokens | LoginStep | None:
        """None: refused, for whatever reason. Raises Unavailable."""

    def renew(self, refresh_token: str) -> UserTokens | None:
        """None: the refresh token is none, or not any more. Raises Unavailable."""


class NoSigner:
    """Of who makes no tokens."""

    def sign(self, message: bytes) -> bytes:
        raise Unavailable("there is no key to sign with here")

    def public_key(self) -> bytes:
        raise Unavailable("there is no key to sign with here")


class NoLogin:
    """Of who lets nobody in."""

    def log_in(
        self, username: str, password: str, mfa_code: str | None = None
    ) -> UserTokens | LoginStep | None:
        return None

    def renew(self, refresh_token: str) -> UserTokens | None:
        return None


class UserDirectory(Protocol):
    """Who can log in at all. Whoever is in it may still be in none of the organizations."""

    def create(self, username: str, password: str, email: str) -> str:
        """The subject of a new user, whose password is good from now on.

        Raises Conflict if there is one of that name, InvalidRequest for a name or a password that
        is not taken, and Unavailable.
        """

    def remove(self, username: str, subject: str) -> None:
        """Nothing happens if it is gone, or is another one by now. Raises Unavailable."""


class NoDirectory:
    """Of a grid whose users are known by something else than a login."""

    def create(self, username: str, password: str, email: str) -> str:
        raise InvalidRequest(f"{username!r} can't be created: this grid keeps no logins")

    def remove(self, username: str, subject: str) -> None:
        """There is nothing to remove."""
