"""What operators said about workers."""

from typing import Protocol

from ..registration import Registration


class WorkerRegistry(Protocol):
    """What operators said about workers: registered functions, and limits of any worker."""

    def register(self, registration: Registration) -> None:
        """Store it, in place of an earlier one of this name."""

    def unregister(self, name: str) -> bool:
        """Forget the function and its limit; False if none was registered under this name."""

    def read(self, name: str) -> Registration | None: ...

    def list_registered(self) -> list[Registration]:
        """All registered functions, by name (eventually consistent)."""

    def limit(self, name: str, concurrency: int | None) -> None:
        """So many chunks of a worker of either kind run at once; None: the grid's number."""

    def read_limit(self, name: str) -> int | None: ...
