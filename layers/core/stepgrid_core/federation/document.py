"""A federation as its operator writes it down: federation.yaml as models. Pure.

    organizations:   who takes part, each with its public key
    collaborations:  who works with whom; with studies, and nodes
    roles, users:    who may do what

Things are known by their names. What a document does not say of a thing is left as it is. Knows no
file, no table and no rule's number.
"""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ..contract import MAX_TASK_TIMEOUT_SECONDS
from ..contract.faults import first_fault
from ..errors import InvalidRequest
from ..names import WORKER_NAME

#: How a subject begins that is no login's: as the grid calls owners, see `stepgrid quota`.
OWNER_PREFIXES = ("arn:", "cognito:")
_PEM_BEGIN = b"-----BEGIN PUBLIC KEY-----"


def _check_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("a name has no space around it, and nothing in it that can't be printed")
    if name.isnumeric():
        raise ValueError("a name of digits alone would be taken for an id")
    return name


def _encode_key(text: str) -> str:
    """As it is kept: base64 of its PEM. Either is taken."""
    pem = text.strip().encode()
    if not pem.startswith(b"-----"):
        try:
            pem = b64decode(pem, validate=True)
        except ValueError:
            pem = b""
    if b"PRIVATE KEY" in pem:
        raise ValueError("this is a private key: it must stay where it is; give the public one")
    if not pem.startswith(_PEM_BEGIN):
        raise ValueError("no public key in PEM form, nor the base64 of one")
    return b64encode(pem.strip() + b"\n").decode()


def _check_subject(subject: str) -> str:
    if not subject.startswith(OWNER_PREFIXES):
        raise ValueError(f"a subject begins with {' or '.join(OWNER_PREFIXES)}")
    return subject


Name = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_check_name)]
Text = Annotated[str, StringConstraints(max_length=1024)]
#: As in "task:col:c": what it is about, how far it reaches, what it lets do.
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+:(own|org|col|glo):[vecdsr]$")]
Subject = Annotated[str, StringConstraints(max_length=512), AfterValidator(_check_subject)]


class Entry(BaseModel):
    """Types are taken at their word: `no` without quotes is no country."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these fields that the document says something of."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class OrganizationEntry(Entry):
    name: Name
    domain: Text | None = None
    address1: Text | None = None
    address2: Text | None = None
    zipcode: Text | None = None
    country: Text | None = None
    public_key: Annotated[str, AfterValidator(_encode_key)] | None = None
    public_key_file: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.public_key is not None and self.public_key_file is not None:
            raise ValueError("public_key and public_key_file say the same: give one of them")
        return self


class CloudEntry(Entry):
    """A node that is no program of its own: a worker of the grid does its work."""

    worker: Annotated[str, StringConstraints(pattern=WORKER_NAME)]
    backend: Literal["lambda", "fargate"]
    allowed_images: list[Annotated[str, StringConstraints(min_length=1, max_length=512)]] = []
    task_timeout_seconds: Annotated[int, Field(ge=1, le=MAX_TASK_TIMEOUT_SECONDS)] | None = None

    def as_record(self) -> dict[str, Any]:
        """As a node's record has it: only what is said."""
        return self.model_dump(exclude_defaults=True)


class NodeEntry(Entry):
    organization: Name
    name: Name | None = None
    cloud: CloudEntry | None = None


class StudyEntry(Entry):
    name: Name
    organizations: list[Name]


class CollaborationEntry(Entry):
    name: Name
    encrypted: bool | None = None
    organizations: list[Name]
    studies: list[StudyEntry] = []
    nodes: list[NodeEntry] | Literal["all"] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_twice("organizations", self.organizations)
        _refuse_twice("studies", (study.name for study in self.studies))
        _refuse_twice("nodes", (node.organization for node in self.node_entries()))
        return self

    def node_entries(self) -> list[NodeEntry]:
        """One for each organization where it says `all`."""
        if self.nodes == "all":
            return [NodeEntry(organization=name) for name in self.organizations]
        return list(self.nodes)


class RoleEntry(Entry):
    name: Name
    description: Text | None = None
    rules: list[RuleName]
    organization: Name | None = None


class UserEntry(Entry):
    username: Name
    organization: Name
    roles: list[Name] | None = None
    rules: list[RuleName] | None = None
    firstname: Text | None = None
    lastname: Text | None = None
    email: Text | None = None
    subject: Subject | None = None


class FederationDocument(Entry):
    organizations: list[OrganizationEntry] = []
    collaborations: list[CollaborationEntry] = []
    roles: list[RoleEntry] = []
    users: list[UserEntry] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_twice("organizations", (each.name for each in self.organizations))
        _refuse_twice("collaborations", (each.name for each in self.collaborations))
        _refuse_twice("roles", ((each.organization or "", each.name) for each in self.roles))
        _refuse_twice("users", (each.username for each in self.users))
        return self


def _refuse_twice(where: str, names: Iterable[Hashable]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        told = " / ".join(filter(None, twice)) if isinstance(twice, tuple) else twice
        raise ValueError(f"{where} has {told!r} twice")


def read_document(
    values: Any, read_file: Callable[[str], str], source: str = "federation.yaml"
) -> FederationDocument:
    """`read_file` answers the text of a public_key_file. Raises InvalidRequest, which says where.

    Raises what `read_file` does as well.
    """
    try:
        document = FederationDocument.model_validate({} if values is None else values)
        organizations = [_with_key(each, read_file) for each in document.organizations]
    except ValidationError as error:
        raise InvalidRequest(f"{source}: {first_fault(error, 'the document')}") from error
    return document.model_copy(update={"organizations": organizations})


def _with_key(entry: OrganizationEntry, read_file: Callable[[str], str]) -> OrganizationEntry:
    if entry.public_key_file is None:
        return entry
    values = entry.model_dump(exclude={"public_key_file"})
    return OrganizationEntry.model_validate(
        values | {"public_key": read_file(entry.public_key_file)}
    )
