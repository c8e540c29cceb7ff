"""What all requests and responses are made of.

A model is built when it is used first (`defer_build`): a function that starts uses few of them.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CONTRACT_VERSION = "1.0"

Count = Annotated[int, Field(ge=0)]


class Request(BaseModel):
    """Types are taken at their word: "3" is no number, and true is none either."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Query(BaseModel):
    """Query parameters; they all arrive as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Response(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class NoQuery(Query):
    """A route without query parameters."""


class CursorQuery(Query):
    cursor: str | None = Field(None, max_length=128, description="of the page before")
