"""federation.yaml as it is read: what may stand in it, and what is said of what may not."""

from base64 import b64decode, b64encode
from typing import Any

import pytest

from stepgrid_core.errors import InvalidRequest
from stepgrid_core.federation.document import read_document
from tests.unit.federation_documents import document, example, no_file

PEM = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"


def test_the_example_is_read() -> None:
    """Three organizations, one collaboration that is encrypted and one that is not."""
    found = example()
    assert [each.name for each in found.organizations] == ["Asclepius", "Hygieia", "Panacea"]
    assert {each.name: each.encrypted for each in found.collaborations} == {
        "counts": None,
        "heart": True,
    }
    assert [node.organization for node in found.collaborations[0].node_entries()] == [
        "Asclepius",
        "Hygieia",
        "Panacea",
    ]


def test_nothing_is_a_document() -> None:
    """An empty file changes nothing."""
    assert document(None) == document({})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "the document: "),
        ({"nodes": []}, "nodes: Extra inputs"),
        ({"organizations": [{"name": "a", "adress1": "x"}]}, r"organizations\.0\.adress1: Extra"),
        ({"organizations": [{"name": "a"}, {"name": "a"}]}, "organizations has 'a' twice"),
        ({"organizations": [{"name": "a", "country": False}]}, r"organizations\.0\.country: "),
        ({"organizations": [{"name": ""}]}, r"organizations\.0\.name: "),
        ({"organizations": [{"name": "12"}]}, r"organizations\.0\.name: a name of digits"),
        ({"organizations": [{"name": "a\x1b[0m"}]}, r"organizations\.0\.name: a name has no space"),
        ({"organizations": [{"name": " a"}]}, r"organizations\.0\.name: a name has no space"),
        (
            {"organizations": [{"name": "a", "public_key": PEM, "public_key_file": "a.pem"}]},
            "say the same",
        ),
        ({"organizations": [{"name": "a", "public_key": "nonsense"}]}, "no public key in PEM form"),
        ({"users": [{"username": "ada"}]}, r"users\.0\.organization: Field required"),
        (
            {"users": [{"username": "ada", "organization": "a", "subject": "ada"}]},
            r"users\.0\.subject: a subject begins with arn:",
        ),
        ({"roles": [{"name": "r", "rules": ["task:col:x"]}]}, r"roles\.0\.rules\.0: "),
        (
            {"roles": [{"name": "r", "organization": "a", "rules": []}] * 2},
            "roles has 'a / r' twice",
        ),
        (
            {"collaborations": [{"name": "c", "organizations": ["a", "a"]}]},
            r"collaborations\.0: organizations has 'a' twice",
        ),
        (
            {"collaborations": [{"name": "c", "organizations": [], "nodes": "some"}]},
            r"collaborations\.0\.nodes",
        ),
        (
            {
                "collaborations": [
                    {
                        "name": "c",
                        "organizations": ["a"],
                        "nodes": [
                            {"organization": "a", "cloud": {"worker": "w", "backend": "ec2"}}
                        ],
                    }
                ]
            },
            r"nodes\.list.*\.0\.cloud\.backend: ",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(values: Any, message: str) -> None:
    """And with the file's name."""
    with pytest.raises(InvalidRequest, match=f"^federation.yaml: .*{message}"):
        document(values)


@pytest.mark.parametrize("key", [PEM, PEM.strip(), b64encode(PEM.encode()).decode()])
def test_a_public_key_is_kept_as_clients_send_it(key: str) -> None:
    """Base64 of the PEM, its last line ended; whichever way it was written down."""
    (entry,) = document({"organizations": [{"name": "a", "public_key": key}]}).organizations
    assert b64decode(str(entry.public_key)).decode() == PEM


def test_a_public_key_may_be_in_a_file() -> None:
    """Which is read once the document itself is right."""
    values = {"organizations": [{"name": "a", "public_key_file": "keys/a.pem"}]}
    (entry,) = read_document(values, {"keys/a.pem": PEM}.__getitem__).organizations
    assert b64decode(str(entry.public_key)).decode() == PEM
    assert entry.public_key_file is None


@pytest.mark.parametrize("encoded", [False, True])
def test_a_private_key_is_refused(encoded: bool) -> None:
    """And not shown."""
    key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"
    text = b64encode(key.encode()).decode() if encoded else key
    with pytest.raises(InvalidRequest, match="private key: it must stay where it is") as caught:
        read_document({"organizations": [{"name": "a", "public_key_file": "f"}]}, lambda _: text)
    assert "secret" not in str(caught.value)


def test_a_key_file_that_is_not_there_is_an_error_of_files() -> None:
    """Told by its path."""
    with pytest.raises(FileNotFoundError, match=r"a\.pem"):
        read_document({"organizations": [{"name": "a", "public_key_file": "a.pem"}]}, no_file)
