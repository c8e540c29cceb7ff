"""node.yaml: what a node is told by its organization. Reads and checks; starts nothing.

Paths in the file are taken from the folder that the file is in.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stepgrid.http_client import is_loopback
from stepgrid_core.errors import ConfigurationError

_FILE_TYPES = frozenset({"csv", "excel", "parquet"})
#: The image's own business (vantage6); ours, where it names the package to run.
_RESERVED_VARIABLES = frozenset({"PKG_NAME"})


def _from_here(path: Path, info: ValidationInfo) -> Path:
    return Path(_folder(info), path.expanduser())


def _folder(info: ValidationInfo) -> Path:
    assert info.context is not None
    return Path(info.context["folder"])


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _check_environment(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if not (name.isascii() and name.isidentifier()) or name in _RESERVED_VARIABLES:
            raise ValueError(f"{name!r} can't be set: letters, digits and _ only, not PKG_NAME")
        if "\0" in value:
            raise ValueError(f"the value of {name} has a zero byte")
    return values


HerePath = Annotated[Path, AfterValidator(_from_here)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
#: vantage6 reads numbers as well, and compares text.
Name = Annotated[str, Field(coerce_numbers_to_str=True)]
Environment = Annotated[dict[str, Name], AfterValidator(_check_environment)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(_Part):
    """Data of the organization, which algorithms ask for by its label."""

    label: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    uri: str = Field(min_length=1)  #: of csv, excel and parquet: a path
    type: str = Field(min_length=1)
    read_only: bool = True  #: how a container sees it
    #: further words for the algorithm: <LABEL>_DB_PARAM_<NAME>
    env: Environment = Field(default_factory=dict)

    @field_validator("uri")
    @classmethod
    def _find_file(cls, uri: str, info: ValidationInfo) -> str:
        """A path that is there becomes absolute: an algorithm runs in another folder."""
        path = Path(_folder(info), uri).expanduser()
        return str(path.absolute()) if "://" not in uri and path.exists() else uri

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.type.lower() in _FILE_TYPES and not Path(self.uri).exists():
            raise ValueError(f"database {self.label}: there is no file {self.uri}")
        return self


class Algorithm(_Part):
    """How the node runs one image, or those that a pattern fits. One of the three is given."""

    image: str = Field(min_length=1)  #: exact, or with * and ?
    #: a package that was written for vantage6-algorithm-tools
    python: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*$")
    executable: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    container: Literal[True] | None = None
    python_path: HerePath | None = None  #: an interpreter that has the package; default: the node's
    search_path: tuple[HerePath, ...] = ()  #: folders where the package is looked for, too
    environment: Environment = Field(default_factory=dict)
    #: values as they are, for programs that do not know how vantage6 encodes them
    plain_environment: bool = False

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        given = [self.python, self.executable, self.container]
        if sum(kind is not None for kind in given) != 1:
            raise ValueError("give one of python, executable and container")
        if self.python is None and (self.python_path or self.search_path):
            raise ValueError("python_path and search_path go with python")
        if self.python_path is not None and not self.python_path.is_file():
            raise ValueError(f"there is no interpreter {self.python_path}")
        if self.container and self.plain_environment:
            # a line break in a value, which a task may bring along, would be another variable
            raise ValueError("plain_environment does not go with container")
        return self


class Policies(_Part):
    """What else has to be true of a task; without any, all that have an algorithm here run."""

    #: vantage6's meaning: plain names with or without tag, or patterns that fit from the beginning
    allowed_algorithms: tuple[Pattern, ...] = ()
    allowed_users: tuple[Name, ...] = ()  #: ids or names
    allowed_organizations: tuple[Name, ...] = ()  #: ids or names
    #: of containers: an image that can't be pulled anew does not run
    require_algorithm_pull: bool = True


class Docker(_Part):
    """How containers reach the proxy, and nothing else."""

    command: str = "docker"
    network: str = "stepgrid-node"  #: made with `docker network create --internal`
    #: the host's address in that network, where the proxy listens
    proxy_address: str = "172.30.0.1"


class NodeConfig(_Part):
    """All of node.yaml."""

    server_url: str  #: with the stage
    api_path: str = "/api"
    api_key: SecretStr
    private_key: HerePath | None = None  #: PEM; in encrypted collaborations
    databases: tuple[Database, ...] = ()
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    policies: Policies = Policies()
    docker: Docker = Docker()
    capacity: int = Field(default=1, ge=1, le=64)  #: runs at once
    #: without work for so long the node only looks in, every `idle_pause_seconds`; see pace
    idle_after_seconds: float = Field(default=900, ge=0)
    idle_pause_seconds: float = Field(default=15, ge=1, le=45)
    data_dir: HerePath
    #: how long the files of an ended run stay; they hold its input
    task_dir_retention_hours: float = Field(default=0, ge=0)
    #: what the runs of a job share, after the last of them ended
    job_dir_retention_hours: float = Field(default=168, ge=0)
    #: how long algorithms may go on when the node is told to end
    stop_grace_seconds: float = Field(default=0, ge=0)

    @field_validator("server_url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        scheme = urlsplit(url).scheme
        if scheme != "https" and not (scheme == "http" and is_loopback(url)):
            raise ValueError("has to begin with https://")
        return url.rstrip("/")

    @field_validator("databases")
    @classmethod
    def _differ(cls, databases: tuple[Database, ...]) -> tuple[Database, ...]:
        labels = [each.label.upper() for each in databases]
        if len(set(labels)) != len(labels):
            raise ValueError("labels differ in more than upper and lower case")
        return databases

    @property
    def base_url(self) -> str:
        """What stands before routes."""
        path = self.api_path.strip("/")
        return f"{self.server_url}/{path}" if path else self.server_url


def load_config(path: Path) -> NodeConfig:
    """Raises ConfigurationError, which names the file and the fields that are wrong."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no YAML: {_place(error)}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} has to hold fields: server_url, api_key, ...")
    folder = path.absolute().parent
    try:
        return NodeConfig.model_validate(
            _with_key(values, path, folder), context={"folder": folder}
        )
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_describe(error)}") from None


def _with_key(values: Mapping[str, Any], path: Path, folder: Path) -> dict[str, Any]:
    """With the API key, which may be in a file of its own."""
    rest = {name: value for name, value in values.items() if name != "api_key_file"}
    if "api_key_file" not in values:
        return rest
    if "api_key" in values:
        raise ConfigurationError(f"{path}: give api_key or api_key_file, not both")
    file = Path(folder, Path(str(values["api_key_file"])).expanduser())
    try:
        return {**rest, "api_key": file.read_text(encoding="utf-8").strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: api_key_file can't be read: {error}") from None


def _place(error: yaml.YAMLError) -> str:
    """Without the lines themselves: they may hold the key."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not readable"
    return f"{problem}, line {mark.line + 1}" if mark else str(problem)


def _describe(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)
    )
