"""Time, as the planes are told it."""

from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Epoch seconds."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...
