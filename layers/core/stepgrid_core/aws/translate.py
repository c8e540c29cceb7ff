"""Errors of botocore become ours, at one border and by one table.

Throttling and outages are Unavailable: botocore has retried them by then. What is not in the table
is a fault of the deployment or of this code, and passes as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from ..errors import InvalidRequest, NotFound, PayloadCorrupted, StepgridError, Unavailable

TRANSLATIONS: dict[str, type[StepgridError]] = {
    "NoSuchKey": NotFound,
    "404": NotFound,
    "412": PayloadCorrupted,
    "PreconditionFailed": PayloadCorrupted,
    "NoSuchUpload": InvalidRequest,
    "InvalidPart": InvalidRequest,
    "InvalidPartOrder": InvalidRequest,
    "EntityTooSmall": InvalidRequest,
    "InvalidRequest": InvalidRequest,
    "MalformedXML": InvalidRequest,
    "InvalidArgument": InvalidRequest,
    "SlowDown": Unavailable,
    "503": Unavailable,
    "InternalError": Unavailable,
    "InternalException": Unavailable,
    "InternalServerError": Unavailable,
    "InternalFailure": Unavailable,
    "InternalErrorException": Unavailable,
    "ExternalServiceException": Unavailable,
    "ServiceUnavailable": Unavailable,
    "ServiceException": Unavailable,
    "RequestLimitExceeded": Unavailable,
    "ProvisionedThroughputExceededException": Unavailable,
    "ThrottlingException": Unavailable,
    "Throttling": Unavailable,
    "TooManyRequestsException": Unavailable,
    "ExecutionLimitExceeded": Unavailable,
    "KMSInternalException": Unavailable,
    "KeyUnavailableException": Unavailable,
    "DependencyTimeoutException": Unavailable,
    # Of DynamoDB, after all repeats: the same request again finds out what became of it.
    "TransactionConflictException": Unavailable,
    "TransactionInProgressException": Unavailable,
}

#: The api function has 29 s: three tries of 2 + 6 s and 3 s of waiting leave time to answer.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=6,
    max_pool_connections=32,
    signature_version="v4",
    # Requests are made here and checked by types: to look at each again takes a fifth of its time.
    parameter_validation=False,
)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(what: str) -> Iterator[None]:
    """`what` names the thing that was asked for, for the message."""
    try:
        yield
    except ClientError as error:
        kind = TRANSLATIONS.get(code_of(error))
        if kind is None:
            raise
        raise kind(f"{what}: {error.response['Error'].get('Message', code_of(error))}") from error
    except (ConnectionError, HTTPClientError) as error:
        raise Unavailable(f"{what}: no answer from the service") from error


def make_client(service: Any, session: Any = None, **changes: Any) -> Any:
    """A client of `service` with our time budget.

    session: of boto3, when region and credentials are not to be found as boto3 does it.
    """
    return (session or boto3).client(service, config=CLIENT_CONFIG.merge(Config(**changes)))
