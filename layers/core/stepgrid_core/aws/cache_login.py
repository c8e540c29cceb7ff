"""Logging in to ElastiCache by IAM: a password that is a presigned request, good for 15 minutes.

Source: ElastiCache user guide, "Authenticating with IAM". There is no secret to keep: the role of
the function signs, and its policy says which user of which cache it may be.
"""

import boto3
from botocore.model import ServiceId
from botocore.signers import RequestSigner
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

PASSWORD_SECONDS = 900


class ElastiCacheLogin(CredentialProvider):
    """Name and password for each new connection to a serverless cache."""

    def __init__(self, cache: str, user: str, session: boto3.Session | None = None) -> None:
        """session: whose credentials and region; those of this process when left out."""
        self._cache = cache
        self._user = user
        self._session = session or boto3.Session()

    def get_credentials(self) -> tuple[str, str]:
        session = self._session
        credentials = session.get_credentials()
        if credentials is None:
            raise AuthenticationError("there are no AWS credentials to log in with")
        signer = RequestSigner(
            ServiceId("elasticache"),
            session.region_name,
            "elasticache",
            "v4",
            credentials,
            session.events,
        )
        query = f"Action=connect&User={self._user}&ResourceType=ServerlessCache"
        url = signer.generate_presigned_url(
            {
                "method": "GET",
                "url": f"https://{self._cache}/?{query}",
                "body": {},
                "headers": {},
                "context": {},
            },
            region_name=session.region_name,
            expires_in=PASSWORD_SECONDS,
            operation_name="",
        )
        return self._user, str(url).removeprefix("https://")
