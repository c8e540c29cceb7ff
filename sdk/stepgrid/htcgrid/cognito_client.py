"""Logging in with a boto3 client that the program brings, as HTC-Grid's `init` takes one.

It translates calls and errors, and knows nothing of logins.
"""

from collections.abc import Mapping
from typing import Any

from stepgrid_core.errors import Unavailable

from ..cognito_wire import THROTTLED, Refusal


class ClientCalls:
    """The port stepgrid.cognito_wire.Calls on a boto3 client for cognito-idp."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """See Calls.call. What boto3 says is left out of errors: it may quote the request."""
        from botocore import xform_name  # noqa: PLC0415 - whoever brings a client has botocore
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**body)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in THROTTLED:
                raise Unavailable(f"Cognito {operation}: {code}; try again later") from None
            raise Refusal(operation, code) from None
        except BotoCoreError as error:
            name = type(error).__name__
            raise Unavailable(f"Cognito {operation}: no answer ({name}); try again") from None
        return answer

    def close(self) -> None:
        """The client is the program's own."""
