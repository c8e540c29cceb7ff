"""What the benchmark asks of a system.

A contender lives in a process of its own, which is the *client*, and starts whatever else it needs.
All that listens does so on loopback, and nothing is told to the makers of a peer.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from tests.benchmarks.workload import Task, echo, echo_all, nap


class NotOffered(Exception):
    """The system has no such thing; the message says what it lacks."""


class Contender:
    """A system with its workers. The methods that are here suit those that run Python functions."""

    #: distributions whose versions are reported
    packages: ClassVar[tuple[str, ...]] = ()

    def start(self, workers: int, folder: Path) -> None:
        """Start it with so many workers of one task each; its files go to `folder`."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop all that was started."""
        raise NotImplementedError

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        """Call the function once for each input, as users of the system write it plainly."""
        raise NotImplementedError

    def queue(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Callable[[], None]:
        """Submit the calls, and return what cancels them. Raises NotOffered."""
        raise NotOffered("it has no cancel")

    def echo(self, tasks: Iterable[Task]) -> Iterable[Task]:
        """Run the no-op tasks in one plain call."""
        return self.map(echo, tasks)

    def echo_chunks(self, chunks: Iterable[list[Task]]) -> Iterable[list[Task]]:
        """Run the no-op tasks as chunks that the user has cut. Raises NotOffered."""
        return self.map(echo_all, chunks)

    def nap(self, naps: Iterable[Task]) -> Iterable[int]:
        """Run tasks that sleep in one plain call."""
        return self.map(nap, naps)

    def queue_naps(self, naps: Iterable[Task]) -> Callable[[], None]:
        """Submit tasks that sleep, and return what cancels them. Raises NotOffered."""
        return self.queue(nap, naps)

    def tidy(self) -> None:
        """Called after each measure: drop what is kept of it, as most systems do by themselves."""

    def versions(self) -> dict[str, str]:
        """Its packages and their versions."""
        return {name: version(name) for name in self.packages}

    def detached_processes(self) -> list[int]:
        """Process ids of servers that belong to it and are no children of this process."""
        return []
