"""The registry of workers, and functions that the relay may call."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..errors import NotFound, StepgridError
from ..ports import FunctionReply
from ..registration import Registration
from .clock import VirtualClock


@dataclass
class MemoryWorkerRegistry:
    registrations: dict[str, Registration] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)

    def register(self, registration: Registration) -> None:
        self.limit(registration.name, registration.concurrency)
        self.registrations[registration.name] = registration

    def unregister(self, name: str) -> bool:
        if self.registrations.pop(name, None) is None:
            return False
        self.limits.pop(name, None)
        return True

    def read(self, name: str) -> Registration | None:
        found = self.registrations.get(name)
        return found and replace(found, concurrency=self.read_limit(name))

    def list_registered(self) -> list[Registration]:
        found = (self.read(name) for name in sorted(self.registrations))
        return [registration for registration in found if registration]

    def limit(self, name: str, concurrency: int | None) -> None:
        if concurrency is None:
            self.limits.pop(name, None)
        else:
            self.limits[name] = concurrency

    def read_limit(self, name: str) -> int | None:
        return self.limits.get(name)


#: Answers a payload after some virtual seconds, or raises as FunctionCall.wait does.
Behaviour = Callable[[bytes], tuple[float, FunctionReply]]


@dataclass
class MemoryFunctionCaller:
    """Functions by ARN; `begun` is what was sent, in order."""

    clock: VirtualClock
    functions: dict[str, Behaviour] = field(default_factory=dict)
    begun: list[bytes] = field(default_factory=list)

    def begin(self, function: str, payload: bytes) -> "MemoryFunctionCall":
        self.begun.append(payload)
        call = MemoryFunctionCall(self.clock, self.clock.monotonic())
        try:
            behaviour = self.functions.get(function) or _absent(function)
            seconds, call.reply = behaviour(payload)
            call.ends_at += seconds
        except StepgridError as error:
            call.error = error
        return call


@dataclass
class MemoryFunctionCall:
    clock: VirtualClock
    ends_at: float
    reply: FunctionReply | None = None
    error: StepgridError | None = None

    def wait(self, seconds: float) -> FunctionReply | None:
        if self.error is not None:
            raise self.error
        left = self.ends_at - self.clock.monotonic()
        self.clock.advance(max(0.0, min(left, seconds)))
        return self.reply if left <= seconds else None


def _absent(function: str) -> Behaviour:
    raise NotFound(f"{function} could not be called: there is no such function")
