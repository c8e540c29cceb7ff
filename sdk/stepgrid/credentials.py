"""The credentials and the region that calls are signed with, from a Config and from boto3."""

from dataclasses import dataclass
from typing import Any

from stepgrid_core.errors import ConfigurationError

from .config import Config


@dataclass(frozen=True, slots=True)
class Signer:
    """credentials: botocore's; those that expire refresh themselves."""

    credentials: Any
    region: str


def find_signer(config: Config, boto3_session: Any = None) -> Signer:
    """Whose name calls bear: a boto3 session's, else the Config's keys, else boto3's own choice.

    Raises ConfigurationError if there are no credentials or no region.
    """
    # boto3 takes a while to import, and a grid in memory does without it.
    import boto3  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    if boto3_session is None and config.access_key_id and config.secret_access_key:
        credentials: Any = Credentials(config.access_key_id, config.secret_access_key)
        return Signer(credentials, config.region or "us-east-1")
    try:
        session = boto3_session or boto3.Session(profile_name=config.aws_profile)
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise ConfigurationError(f"boto3 finds no usable AWS credentials: {error}") from error
    if credentials is None:
        raise ConfigurationError(
            "no AWS credentials were found; run `aws configure` or `aws sso login`, or set "
            "AWS_PROFILE"
        )
    region = config.region or session.region_name
    if not region:
        raise ConfigurationError(
            f"the region of {config.endpoint} is not known; set STEPGRID_REGION or pass region="
        )
    return Signer(credentials, region)
