"""The TokenSigner port: KMS on moto, and a key in memory.

moto knows no MessageType: it takes a digest for the message itself, and hashes it again. That a
digest is signed as one is proven on the local cloud.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from moto import mock_aws

from stepgrid_core.aws.token_signer import AwsTokenSigner
from stepgrid_core.errors import Unavailable
from stepgrid_core.memory import MemoryTokenSigner
from stepgrid_core.ports import TokenSigner


@pytest.fixture
def kms() -> Iterator[Any]:
    with mock_aws():
        yield boto3.Session("AKIA", "secret", region_name="eu-west-1").client("kms")


def make_key(kms: Any) -> str:
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    return str(key["KeyMetadata"]["Arn"])


@pytest.fixture(params=["memory", "moto"])
def signer(request: pytest.FixtureRequest) -> TokenSigner:
    if request.param == "memory":
        return MemoryTokenSigner()
    kms = request.getfixturevalue("kms")
    return AwsTokenSigner(make_key(kms), kms)


def verify(signer: TokenSigner, signature: bytes, message: bytes) -> None:
    """As whoever has the public key does it; raises InvalidSignature."""
    if isinstance(signer, AwsTokenSigner):
        message = sha256(message).digest()
    key = load_der_public_key(signer.public_key())
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("message", [b"", b"message", b"x" * 10_000], ids=len)
def test_what_it_signs_is_verified_with_its_public_key(signer: TokenSigner, message: bytes) -> None:
    """Also more than the 4096 bytes that KMS takes at once."""
    signature = signer.sign(message)
    verify(signer, signature, message)
    with pytest.raises(InvalidSignature):
        verify(signer, signature, message + b"x")


def test_its_key_stays(signer: TokenSigner) -> None:
    assert signer.public_key() == signer.public_key()


class FakeKms:
    """A client that counts, or that fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[str] = []
        self.signed: dict[str, Any] = {}

    def get_public_key(self, **_: Any) -> dict[str, bytes]:
        return self._ask("get_public_key", {"PublicKey": b"key"})

    def sign(self, **request: Any) -> dict[str, bytes]:
        self.signed = request
        return self._ask("sign", {"Signature": b"signature"})

    def _ask(self, name: str, answer: dict[str, bytes]) -> dict[str, bytes]:
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure
        return answer


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Sign")


def test_what_is_asked_for() -> None:
    """The signature of RS256, over a digest that is said to be one."""
    kms = FakeKms()
    assert AwsTokenSigner("key", kms).sign(b"message") == b"signature"
    assert kms.signed == {
        "KeyId": "key",
        "Message": sha256(b"message").digest(),
        "MessageType": "DIGEST",
        "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
    }


def test_the_key_is_asked_for_once() -> None:
    """It never changes; each signature is a request."""
    kms = FakeKms()
    signer = AwsTokenSigner("key", kms)
    for _ in range(2):
        signer.public_key()
        signer.sign(b"message")
    assert kms.asked == ["get_public_key", "sign", "sign"]


@pytest.mark.parametrize(
    "failure",
    [
        refusal("ThrottlingException"),
        refusal("KMSInternalException"),
        refusal("KeyUnavailableException"),
        EndpointConnectionError(endpoint_url="https://x"),
    ],
    ids=str,
)
def test_an_outage_is_told_as_one(failure: Exception) -> None:
    signer = AwsTokenSigner("key", FakeKms(failure))
    for ask in (lambda: signer.sign(b"message"), signer.public_key):
        with pytest.raises(Unavailable):
            ask()


def test_a_failed_question_is_asked_again() -> None:
    """An outage at the first request is none for ever."""
    kms = FakeKms(refusal("ThrottlingException"))
    signer = AwsTokenSigner("key", kms)
    with pytest.raises(Unavailable):
        signer.public_key()
    kms.failure = None
    assert signer.public_key() == b"key"


def test_a_fault_of_the_deployment_is_raised() -> None:
    """A key that is disabled or not ours is nobody's outage."""
    with pytest.raises(ClientError):
        AwsTokenSigner("key", FakeKms(refusal("AccessDeniedException"))).sign(b"message")
