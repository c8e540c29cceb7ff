"""Logging in to ElastiCache: a presigned request in place of a password."""

from urllib.parse import parse_qs, urlsplit

import boto3

from stepgrid_core.aws.cache_login import PASSWORD_SECONDS, ElastiCacheLogin

from .aws_stack import REGION


def test_the_password_is_a_presigned_request(boto_session: boto3.Session) -> None:
    """It names the cache and the user, says that the cache is serverless, and ends soon."""
    user, password = ElastiCacheLogin("grid-cache", "grid-user", boto_session).get_credentials()
    assert user == "grid-user"
    assert not password.startswith("http")
    parts = urlsplit(f"https://{password}")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert parts.netloc == "grid-cache"
    assert query["Action"] == "connect"
    assert query["User"] == "grid-user"
    assert query["ResourceType"] == "ServerlessCache"
    assert query["X-Amz-Expires"] == str(PASSWORD_SECONDS)
    assert f"/{REGION}/elasticache/aws4_request" in query["X-Amz-Credential"]
    assert query["X-Amz-Signature"]


def test_each_connection_gets_a_new_one(boto_session: boto3.Session) -> None:
    """One that was made at the start would have ended when a connection is made again."""
    login = ElastiCacheLogin("grid-cache", "grid-user", boto_session)
    assert login.get_credentials() is not login.get_credentials()
