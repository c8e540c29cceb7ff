"""Where users log in."""

from pydantic import Field

from .model import Response


class LoginDescription(Response):
    """Where users of this grid log in: public identifiers, no secrets."""

    region: str
    user_pool_id: str
    user_pool_client_id: str
    identity_pool_id: str
    aws_endpoint_url: str | None = Field(None, description="of Cognito, on a local cloud")
