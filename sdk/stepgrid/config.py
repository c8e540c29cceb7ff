"""Where the grid is and as whom to call it: the Config, and the places it is found in.

    argument  >  STEPGRID_ENDPOINT, STEPGRID_REGION  >  file STEPGRID_PROFILE
              >  .stepgrid/profile.json here or in a parent folder  >  ~/.stepgrid/profile.json

Whose credentials sign the calls is decided in credentials.

A file that is found by itself counts only as a whole: an endpoint from elsewhere is not called with
its keys. It knows neither HTTP nor the local cloud.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stepgrid_core.errors import ConfigurationError

from .private_files import write_private_text

#: Of a profile, below a project's folder or the home folder.
PROFILE_PATH = Path(".stepgrid", "profile.json")

_REGION_OF_API = re.compile(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.")
_NOT_FOUND = (
    "no grid is configured: run `stepgrid local up` for one on this machine or "
    "`stepgrid connect --stack NAME` for one on AWS, or set STEPGRID_ENDPOINT and STEPGRID_REGION"
)


@dataclass(frozen=True, slots=True)
class Config:
    """Where the grid is, and whose credentials sign the calls.

    Without keys, boto3 finds the credentials (environment, `aws_profile`, single sign-on, role of
    the machine) and refreshes them.
    """

    #: base address of the API, up to and with `/v1`
    endpoint: str
    #: that requests are signed for; of an API Gateway address it is in the address
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    #: of the AWS configuration files; boto3's default when None
    aws_profile: str | None = None
    #: where the other AWS services are: set for a local cloud
    aws_endpoint_url: str | None = None
    #: the CloudFormation stack that the grid is
    stack_name: str | None = None
    #: where users log in; the grid is asked (GET /v1/login) when None
    user_pool_id: str | None = None
    user_pool_client_id: str | None = None
    identity_pool_id: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"{self.endpoint!r} is no endpoint; one looks like https://HOST/STAGE/v1"
            )
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ConfigurationError("access_key_id and secret_access_key belong together")
        object.__setattr__(self, "endpoint", self.endpoint.rstrip("/"))
        if self.region is None and (match := _REGION_OF_API.search(parts.hostname)):
            object.__setattr__(self, "region", match[1])


def find_config(
    endpoint: str | None = None,
    region: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    home: Path | None = None,
) -> Config:
    """The first Config that is found; see this module's head for the order.

    endpoint, region: arguments of the caller, which win. environment, folder, home: where to look,
    this process's own by default. Raises ConfigurationError, which says what to do.
    """
    environment = os.environ if environment is None else environment
    endpoint = endpoint or environment.get("STEPGRID_ENDPOINT") or None
    region = region or environment.get("STEPGRID_REGION") or None
    named = environment.get("STEPGRID_PROFILE")
    if named:
        found: Config | None = read_profile(Path(named))
    else:
        found = None if endpoint else _discover(folder or Path.cwd(), home or Path.home())
    if found is None and endpoint is None:
        raise ConfigurationError(_NOT_FOUND)
    if found is None:
        return Config(str(endpoint), region)
    return replace(found, endpoint=endpoint or found.endpoint, region=region or found.region)


def _discover(folder: Path, home: Path) -> Config | None:
    for path in _candidates(folder, home):
        # Not path.is_file(), which raises where another user's .stepgrid above is private.
        if os.path.isfile(path):
            _check_owner(path)
            return read_profile(path)
    return None


def _candidates(folder: Path, home: Path) -> Iterator[Path]:
    for parent in (folder, *folder.parents):
        yield parent / PROFILE_PATH
    yield home / PROFILE_PATH


def is_trusted(owner: int, user: int) -> bool:
    """Only the user's own profiles and root's are followed without being named.

    A folder above may be anybody's, /tmp for one: their profile would get the user's tasks.
    """
    return owner in (user, 0)


def _check_owner(path: Path) -> None:
    if not is_trusted(path.stat().st_uid, os.getuid()):
        raise ConfigurationError(
            f"{path} belongs to another user and is not trusted; "
            f"set STEPGRID_PROFILE={path} to use it all the same"
        )


def read_profile(path: Path) -> Config:
    """The Config in a profile file; entries it does not know are ignored.

    Raises ConfigurationError if it can't be read or has no endpoint.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"profile {path} can't be read: {error}; a profile is a file, as `stepgrid local up` "
            "and `stepgrid connect` write it"
        ) from error
    known = {item.name for item in fields(Config)}
    entries = content.items() if isinstance(content, dict) else ()
    values = {name: value for name, value in entries if name in known and value is not None}
    if "endpoint" not in values or not all(isinstance(value, str) for value in values.values()):
        raise ConfigurationError(f"profile {path} is not one: it needs an endpoint; {_NOT_FOUND}")
    try:
        return Config(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"profile {path}: {error}") from error


def write_profile(config: Config, path: Path | None = None) -> Path:
    """Write a profile that only this user can read, replacing one that is there; answers its path.

    path: by default in the home folder, where every project finds it. Raises OSError.
    """
    path = path or Path.home() / PROFILE_PATH
    content = {name: value for name, value in asdict(config).items() if value is not None}
    write_private_text(path, json.dumps(content, indent=2) + "\n")
    return path


def connect(stack_name: str, region: str | None = None, boto3_session: Any = None) -> Config:
    """The Config of a grid deployed on AWS, from its stack's outputs (see template.yaml).

    region: of the stack; that of the AWS configuration when left out. Raises ConfigurationError if
    there is no such stack, or it is no grid's.
    """
    session, outputs = read_stack(stack_name, region, boto3_session=boto3_session)
    return config_of(stack_name, outputs, session, region)


def config_of(
    stack_name: str, outputs: Mapping[str, str], session: Any, region: str | None = None
) -> Config:
    """The Config that a stack's outputs make, read by a boto3 session.

    Raises ConfigurationError if the stack is no grid's.
    """
    if "ApiUrl" not in outputs:
        raise ConfigurationError(f"stack {stack_name!r} has no output ApiUrl: it is no grid's")
    return Config(
        endpoint=outputs["ApiUrl"],
        region=outputs.get("Region") or region or session.region_name,
        aws_profile=None if session.profile_name == "default" else session.profile_name,
        stack_name=stack_name,
        user_pool_id=outputs.get("UserPoolId"),
        user_pool_client_id=outputs.get("UserPoolClientId"),
        identity_pool_id=outputs.get("IdentityPoolId"),
    )


def read_stack(
    stack_name: str,
    region: str | None = None,
    aws_profile: str | None = None,
    boto3_session: Any = None,
) -> tuple[Any, dict[str, str]]:
    """A boto3 session for the stack's region, and the stack's outputs by name.

    Raises ConfigurationError if there is no such stack, or it may not be read.
    """
    # boto3 takes a while to import, and a grid that is already known does without it.
    import boto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        session = boto3_session or boto3.Session(region_name=region, profile_name=aws_profile)
        client = session.client("cloudformation", region_name=region)
        stacks = client.describe_stacks(StackName=stack_name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        where = f" in {region}" if region else ""
        raise ConfigurationError(f"can't read stack {stack_name!r}{where}: {error}") from error
    return session, {
        item["OutputKey"]: item["OutputValue"] for item in stacks[0].get("Outputs", ())
    }
