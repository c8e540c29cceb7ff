"""A client of S3 whose credentials are lent, and borrowed anew before they end."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials
from botocore.session import get_session

from .payload_store import make_s3_client

Borrow = Callable[[], Mapping[str, Any]]


class LentProvider(CredentialProvider):
    """The only place where botocore looks for credentials."""

    METHOD = "stepgrid-broker"

    def __init__(self, borrow: Borrow) -> None:
        super().__init__()
        self._borrow = borrow

    def load(self) -> RefreshableCredentials:
        return RefreshableCredentials.create_from_metadata(
            metadata=self._metadata(), refresh_using=self._metadata, method=self.METHOD
        )

    def _metadata(self) -> dict[str, str]:
        lent = self._borrow()
        return {
            "access_key": lent["access_key_id"],
            "secret_key": lent["secret_access_key"],
            "token": lent["session_token"],
            "expiry_time": datetime.fromtimestamp(lent["expires_at"], UTC).isoformat(),
        }


def lent_client(borrow: Borrow) -> Any:
    """borrow: answers LentCredentials.as_dict; asked now, and again some minutes before the end."""
    session = get_session()
    session.register_component("credential_provider", CredentialResolver([LentProvider(borrow)]))
    return make_s3_client(boto3.Session(botocore_session=session))
