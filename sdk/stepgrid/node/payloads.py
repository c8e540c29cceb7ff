"""Inputs and results: as text, as they travel, and as bytes, as algorithms read and write them."""

import base64
from typing import Protocol

from stepgrid.federation_crypto import DecryptionFailed, PrivateKey, PublicKey


class Payloads(Protocol):
    """How a collaboration writes them."""

    encrypted: bool

    def open(self, text: str) -> bytes:
        """What was sent to this organization. Raises DecryptionFailed."""

    def seal(self, data: bytes, public_key: str, owner: str) -> str:
        """For an organization, by its public key. Raises ConfigurationError."""


class PlainPayloads:
    """Base64."""

    encrypted = False

    def open(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError as error:
            raise DecryptionFailed("an input is not base64, as inputs travel") from error

    def seal(self, data: bytes, public_key: str, owner: str) -> str:
        return base64.b64encode(data).decode()


class EncryptedPayloads:
    """Ciphertext, which the server can't read."""

    encrypted = True

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        return self._key.public_key.text

    def open(self, text: str) -> bytes:
        return self._key.decrypt(text)

    def seal(self, data: bytes, public_key: str, owner: str) -> str:
        return PublicKey.read(public_key, owner).encrypt(data)
