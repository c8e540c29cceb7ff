"""What calls registered functions."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FunctionReply:
    """What a registered function answered: its result, or what it says of its failure."""

    payload: bytes
    failed: bool = False


class FunctionCall(Protocol):
    """One call under way. It can't be taken back: Lambda runs it to its end."""

    def wait(self, seconds: float) -> FunctionReply | None:
        """The reply; None if there is none after so many seconds.

        Raises Unavailable if the function was certainly not started (throttled, unreachable),
        NotFound or AccessDenied if it never can be, RequestTooLarge for a payload that Lambda
        refuses, ServiceError if nobody knows whether it ran.
        """


class FunctionCaller(Protocol):
    """Calls registered functions, each call once: repeating one is the caller's decision."""

    def begin(self, function: str, payload: bytes) -> FunctionCall:
        """Send the payload (JSON text) to the function, an ARN; does not wait."""
