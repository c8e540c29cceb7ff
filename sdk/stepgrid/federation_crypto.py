"""Encryption between the organizations of a federation, byte for byte as vantage6 has it.

    b64(RSA PKCS1v15(key)) $ b64(IV, 16 bytes) $ b64(AES-256-CTR(message))

Whoever has the private key of an organization reads what was encrypted for it: all of its users and
nodes share that key. The format has no signature: it keeps secrets, and proves no sender.
Knows keys and texts; no server, no configuration.
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from stepgrid_core.errors import ConfigurationError, StepgridError

from .private_files import write_private_text

SEPARATOR = "$"
KEY_BITS = 4096
_KEY_BYTES, _IV_BYTES = 32, 16


class DecryptionFailed(StepgridError):
    """A text is not encrypted, or for somebody else's key."""


class PublicKey:
    """What others encrypt with. Its text is base64 of PEM, as servers keep it."""

    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key

    @classmethod
    def read(cls, text: str, owner: str) -> "PublicKey":
        """owner: whose it is, for the message. Raises ConfigurationError."""
        try:
            key = serialization.load_pem_public_key(base64.b64decode(text, validate=True))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, rsa.RSAPublicKey):
            raise ConfigurationError(
                f"the public key of {owner} is missing or no RSA key: it has to be uploaded anew"
            )
        return cls(key)

    @property
    def text(self) -> str:
        pem = self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(pem).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def encrypt(self, message: bytes) -> str:
        """For the holder of the private key."""
        key, iv = os.urandom(_KEY_BYTES), os.urandom(_IV_BYTES)
        wrapped = self._key.encrypt(key, padding.PKCS1v15())
        parts = (wrapped, iv, _apply(key, iv, message))
        return SEPARATOR.join(base64.b64encode(part).decode() for part in parts)


class PrivateKey:
    """The key of an organization."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS))

    @classmethod
    def load(cls, path: Path) -> "PrivateKey":
        """From a PEM file, PKCS8 or traditional. Raises OSError, ConfigurationError."""
        data = path.read_bytes()
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ConfigurationError(
                f"{path} is no RSA private key in PEM without a password; "
                "`stepgrid node new-key --out FILE` makes one"
            )
        return cls(key)

    def save(self, path: Path) -> None:
        """Readable by its owner alone, in the form that vantage6 writes. Raises OSError."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        write_private_text(path, pem.decode())

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(self._key.public_key())

    def decrypt(self, text: str) -> bytes:
        """Raises DecryptionFailed."""
        try:
            wrapped, iv, message = (
                base64.b64decode(part, validate=True) for part in text.split(SEPARATOR)
            )
            opened = _apply(self._unwrap(wrapped), iv, message)
        except ValueError as error:
            raise DecryptionFailed(
                "a text is not encrypted for this organization's key: whoever sent it has to "
                "encrypt it with the public key that the server has of this organization"
            ) from error
        return _without_browser_coat(opened)

    def _unwrap(self, wrapped: bytes) -> bytes:
        key = self._key.decrypt(wrapped, padding.PKCS1v15())
        if len(key) != _KEY_BYTES:  # vantage6's browser client wraps the key's base64
            key = base64.b64decode(key, validate=True)
        if len(key) != _KEY_BYTES:
            raise ValueError("the wrapped key has another length")
        return key


def _apply(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypts and decrypts alike."""
    stream = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return stream.update(data) + stream.finalize()


def _without_browser_coat(opened: bytes) -> bytes:
    """vantage6's browser client encrypts the base64 of JSON; JSON itself begins otherwise."""
    try:
        inner = base64.b64decode(opened, validate=True)
    except binascii.Error:
        return opened
    return inner if inner[:1] in (b"{", b"[") else opened
