"""TokenSigner by an asymmetric key of KMS: the private half never leaves it."""

from functools import cached_property
from hashlib import sha256
from typing import Any

from .translate import make_client, translated


class AwsTokenSigner:
    def __init__(self, key_id: str, client: Any = None) -> None:
        """client: of kms; made at first use when left out."""
        self._key_id = key_id
        self._given = client
        self._public_key = b""

    @cached_property
    def _client(self) -> Any:
        return self._given or make_client("kms")

    def sign(self, message: bytes) -> bytes:
        """Of any length: only its digest travels, KMS would take 4 KiB of the message itself."""
        with translated("the signing key"):
            answer = self._client.sign(
                KeyId=self._key_id,
                Message=sha256(message).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )
        return bytes(answer["Signature"])

    def public_key(self) -> bytes:
        """Asked for once: a key never changes."""
        if not self._public_key:
            with translated("the signing key"):
                answer = self._client.get_public_key(KeyId=self._key_id)
            self._public_key = bytes(answer["PublicKey"])
        return self._public_key
