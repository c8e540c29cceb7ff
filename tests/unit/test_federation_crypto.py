"""Encryption between organizations, against texts that vantage6 4.15.2 made.

Of a private key that is good for these tests only. "browser": as vantage6's web client encrypts.
"""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepgrid import ConfigurationError
from stepgrid.federation_crypto import DecryptionFailed, PrivateKey, PublicKey

MADE = json.loads(Path(__file__).with_name("vantage6_encryption.json").read_text())
MESSAGE = base64.b64decode(MADE["message"])


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    path.write_text(MADE["private_key"])
    return PrivateKey.load(path)


def test_what_vantage6_encrypted_is_read(key: PrivateKey) -> None:
    """Of its Python clients and nodes, and of its web client; bytes stay as they are."""
    assert key.decrypt(MADE["encrypted"]) == MESSAGE
    assert key.decrypt(MADE["browser"]) == MESSAGE
    assert key.decrypt(MADE["binary"]) == bytes(range(256))


def test_the_public_key_is_written_as_vantage6_does(key: PrivateKey) -> None:
    assert key.public_key.text == MADE["public_key"]
    assert PublicKey.read(MADE["public_key"], "organization 1") == key.public_key


@given(message=st.binary(max_size=300))
def test_what_is_encrypted_is_decrypted(key: PrivateKey, message: bytes) -> None:
    """And has vantage6's three parts, with another key each time."""
    assume(not message[:3].isalnum())  # it may look like a web client's
    text = key.public_key.encrypt(message)
    wrapped, iv, body = (base64.b64decode(part, validate=True) for part in text.split("$"))
    assert (len(wrapped), len(iv), len(body)) == (512, 16, len(message))
    assert key.decrypt(text) == message
    assert key.public_key.encrypt(message) != text


def test_json_is_never_taken_for_a_coat(key: PrivateKey) -> None:
    """Numbers and words of JSON are base64, too."""
    for text in (b"1234", b"true", b"null", b'"eyJ9"', b"{}", b"[]", b""):
        assert key.decrypt(key.public_key.encrypt(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "e30=", "a$b", "$$", "a$b$c$d", "AAAA$AAAA$AAAA", "\xe4$b$c", None],
)
def test_what_is_not_for_this_key_is_refused(key: PrivateKey, text: str | None) -> None:
    """Also what was encrypted for another one (None): never something else is given out."""
    foreign = text if text is not None else PrivateKey.generate().public_key.encrypt(MESSAGE)
    with pytest.raises(DecryptionFailed, match="public key"):
        key.decrypt(foreign)


def test_a_key_file_is_private_and_comes_back(key: PrivateKey, tmp_path: Path) -> None:
    """In the form that vantage6 writes and reads."""
    path = tmp_path / "new" / "key.pem"
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == MADE["private_key"]


@pytest.mark.parametrize("text", ["", "nothing", MADE["private_key"][:200]])
def test_other_files_are_no_keys(tmp_path: Path, text: str) -> None:
    """The message names the file and quotes nothing of it."""
    path = tmp_path / "key.pem"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"key\.pem is no RSA private key") as caught:
        PrivateKey.load(path)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("text", ["", "nothing", base64.b64encode(b"-----BEGIN").decode()])
def test_a_bad_public_key_names_its_owner(text: str) -> None:
    with pytest.raises(ConfigurationError, match="organization 4"):
        PublicKey.read(text, "organization 4")
