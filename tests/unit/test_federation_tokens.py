"""Tokens of nodes and containers: what is in them, and everything that is none."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.authentication import authenticate
from stepgrid_core.federation.http import Refused
from stepgrid_core.federation.principals import ContainerPrincipal, NodePrincipal
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.tokens import (
    ACCESS_SECONDS,
    CONTAINER_SECONDS,
    REFRESH_SECONDS,
    is_ours,
    issue_container_token,
    issue_node_tokens,
    verify,
)
from stepgrid_core.memory import MemoryTokenSigner
from tests.federated import end_run

from .login_world import IMAGE, LoginWorld


@pytest.fixture
def world() -> LoginWorld:
    return LoginWorld()


@pytest.fixture
def token(world: LoginWorld) -> str:
    return issue_node_tokens(world.federation, world.node).access_token


def decode(token: str) -> Any:
    """As vantage6's clients do it: whatever it says."""
    return jwt.decode(token, options={"verify_signature": False})


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def forge(
    world: LoginWorld, token: str, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """The token with other claims, truly signed by the grid's own key."""
    said = {key: value for key, value in {**decode(token), **claims}.items() if value is not None}
    message = f"{encode(header or jwt.get_unverified_header(token))}.{encode(said)}"
    signature = base64.urlsafe_b64encode(world.signer.sign(message.encode()))
    return f"{message}.{signature.decode().rstrip('=')}"


def assert_refused(world: LoginWorld, token: str, use: Any = "access") -> None:
    with pytest.raises(Refused) as refused:
        verify(world.federation, token, use)
    assert refused.value.http_status == 401


def test_a_node_token_says_what_node_clients_read(world: LoginWorld, token: str) -> None:
    """`sub` is the node's id, `exp` is when to ask for another; nothing leads to the key."""
    claims = decode(token)
    assert claims["sub"] == 5
    assert claims["client_type"] == "node"
    assert claims["exp"] == int(world.clock.now()) + ACCESS_SECONDS
    assert world.node.key_hash not in json.dumps(claims)


def test_a_container_token_says_what_algorithm_clients_read(world: LoginWorld) -> None:
    """`sub` holds all that the client tells its algorithm."""
    claims = decode(issue_container_token(world.federation, world.node, world.task))
    assert claims["sub"] == {
        "client_type": "container",
        "node_id": 5,
        "organization_id": 1,
        "collaboration_id": 1,
        "study_id": None,
        "store_id": None,
        "task_id": 3,
        "image": IMAGE,
        "databases": [{"label": "default", "type": "csv"}],
    }
    assert claims["client_type"] == "container"
    assert claims["exp"] == int(world.clock.now()) + CONTAINER_SECONDS


def test_no_two_tokens_are_alike(world: LoginWorld) -> None:
    """Also those of one second."""
    issued = [issue_node_tokens(world.federation, world.node) for _ in range(2)]
    tokens = {each.access_token for each in issued} | {each.refresh_token for each in issued}
    assert len(tokens) == 4


def test_a_token_is_good_until_its_end(world: LoginWorld, token: str) -> None:
    """By the grid's clock; the refusal says that it was one."""
    world.clock.advance(ACCESS_SECONDS - 1)
    assert verify(world.federation, token, "access")["sub"] == 5
    world.clock.advance(1)
    with pytest.raises(Refused, match="Token has expired"):
        verify(world.federation, token, "access")


def test_a_refresh_token_is_for_refreshing_alone(world: LoginWorld, token: str) -> None:
    """Neither can stand for the other."""
    refresh = issue_node_tokens(world.federation, world.node).refresh_token
    world.clock.advance(ACCESS_SECONDS - 1)
    assert verify(world.federation, refresh, "refresh")["sub"] == 5
    assert_refused(world, refresh, "access")
    assert_refused(world, token, "refresh")
    world.clock.advance(REFRESH_SECONDS)
    assert_refused(world, refresh, "refresh")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": ["stepgrid-federation", 1]},
        {"iss": "another"},
        {"iss": None},
        {"exp": None},
        {"exp": "4000000000"},
        {"exp": 4e9},
        {"iat": None},
        {"use": None},
        {"use": "id"},
        {"sub": None},
    ],
    ids=str,
)
def test_other_claims_are_refused(world: LoginWorld, token: str, claims: dict[str, Any]) -> None:
    """However well they are signed: a key may sign other things one day."""
    assert verify(world.federation, forge(world, token), "access")
    assert_refused(world, forge(world, token, **claims))


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "RS512", "PS256", "ES256"])
def test_another_algorithm_is_refused(world: LoginWorld, token: str, algorithm: str) -> None:
    """Whatever the header says, RS256 is what counts."""
    header = jwt.get_unverified_header(token) | {"alg": algorithm}
    assert_refused(world, forge(world, token, header))


@pytest.mark.parametrize("signature", ["", "c2ln"])
def test_unsigned_tokens_are_refused(world: LoginWorld, token: str, signature: str) -> None:
    """With "alg": "none", and without."""
    head, claims, _ = token.split(".")
    header = jwt.get_unverified_header(token) | {"alg": "none"}
    assert_refused(world, f"{encode(header)}.{claims}.{signature}")
    assert_refused(world, f"{head}.{claims}.{signature}")


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_the_public_key_is_no_secret_to_sign_with(world: LoginWorld, token: str, form: str) -> None:
    """Whoever knows the public key can make an HS256 of it, and gets nowhere."""
    der = world.signer.public_key()
    pem = load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = jwt.get_unverified_header(token) | {"alg": "HS256"}
    message = f"{encode(header)}.{token.split('.')[1]}"
    secret = der if form == "DER" else pem
    signature = hmac.digest(secret, message.encode(), hashlib.sha256)
    assert_refused(world, f"{message}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


def test_another_key_is_refused(world: LoginWorld) -> None:
    """Under its own name, and under that of the grid's key."""
    other = LoginWorld(signer=MemoryTokenSigner())
    foreign = issue_node_tokens(other.federation, other.node).access_token
    assert not is_ours(world.federation, foreign)
    assert_refused(world, foreign)
    ours = issue_node_tokens(world.federation, world.node).access_token
    renamed = forge(other, foreign, jwt.get_unverified_header(ours))
    assert is_ours(world.federation, renamed)
    assert_refused(world, renamed)


@pytest.mark.parametrize("key_id", [None, 1, "another"])
def test_a_key_has_to_be_named(world: LoginWorld, token: str, key_id: Any) -> None:
    """Nobody guesses which key a token may be of."""
    header = {"alg": "RS256", "typ": "JWT", **({} if key_id is None else {"kid": key_id})}
    assert_refused(world, forge(world, token, header))


@pytest.mark.parametrize("index", range(3))
def test_a_changed_token_is_refused(world: LoginWorld, token: str, index: int) -> None:
    """In any of its parts."""
    parts = token.split(".")
    parts[index] = parts[index][:10] + ("A" if parts[index][10] != "A" else "B") + parts[index][11:]
    assert_refused(world, ".".join(parts))


NOISE = LoginWorld()


@given(st.one_of(st.text(), st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True)))
def test_noise_is_refused(text: str) -> None:
    """Whatever stands behind "Bearer", nothing but a refusal comes of it."""
    assert_refused(NOISE, text)


@pytest.mark.parametrize("text", ["[" * 9_000, '{"a":' * 2_000, "x" * 200_000])
def test_deep_and_long_noise_is_refused(world: LoginWorld, text: str) -> None:
    """JSON in JSON, and more than any token has."""
    part = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    assert_refused(world, f"{part}.{part}.c2ln")


class TestWhoIsBehindIt:
    def test_a_node(self, world: LoginWorld, token: str) -> None:
        assert authenticate(world.federation, token) == NodePrincipal(world.node)

    def test_a_node_with_a_new_key(self, world: LoginWorld, token: str) -> None:
        """Tokens end at once when the key is another."""
        changed = replace(world.node, key_hash=hash_key("another"))
        assert world.federation.registry.change(changed)
        with pytest.raises(Refused):
            authenticate(world.federation, token)

    def test_a_node_that_was_removed(self, world: LoginWorld, token: str) -> None:
        assert world.federation.registry.delete(world.node, marks_of(world.node))
        with pytest.raises(Refused):
            authenticate(world.federation, token)

    def test_a_container(self, world: LoginWorld) -> None:
        """While its task goes on."""
        token = issue_container_token(world.federation, world.node, world.task)
        expected = ContainerPrincipal(world.node, 3, IMAGE)
        assert authenticate(world.federation, token) == expected
        world.end_the_task()
        with pytest.raises(Refused):
            authenticate(world.federation, token)

    def test_a_container_whose_run_has_ended(self, world: LoginWorld) -> None:
        """The runs of the others may still go on."""
        token = issue_container_token(world.federation, world.node, world.task)
        session = world.federation.grid.table.read_session(world.task.session_id)
        assert session is not None
        end_run(world.federation.grid, session, 0, "MQ==")
        with pytest.raises(Refused):
            authenticate(world.federation, token)

    def test_a_container_of_a_node_with_a_new_key(self, world: LoginWorld) -> None:
        """What a lost key let in goes with it."""
        token = issue_container_token(world.federation, world.node, world.task)
        changed = replace(world.node, key_hash=hash_key("another"))
        assert world.federation.registry.change(changed)
        with pytest.raises(Refused):
            authenticate(world.federation, token)

    def test_a_container_after_a_month(self, world: LoginWorld) -> None:
        token = issue_container_token(world.federation, world.node, world.task)
        world.clock.advance(CONTAINER_SECONDS)
        with pytest.raises(Refused, match="Token has expired"):
            authenticate(world.federation, token)
