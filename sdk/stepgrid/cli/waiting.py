"""Waiting for a session at a terminal: progress, and what to say when the user has had enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stepgrid.cli.context import note

if TYPE_CHECKING:
    from stepgrid.session import Session


def wait_for_end(session: Session, timeout_seconds: float | None = None) -> None:
    """Return when the session has ended. Raises DeadlineExceeded after timeout_seconds.

    The SDK draws a progress bar on stderr if that is a terminal.
    """
    with attachable(session.id):
        session.wait(timeout_seconds)


@contextmanager
def attachable(session_id: str) -> Iterator[None]:
    """While the user may press Ctrl-C: that ends the command, and never the session."""
    try:
        yield
    except KeyboardInterrupt:
        note(
            f"\nstepgrid: the session itself goes on; wait again: stepgrid results {session_id}; "
            f"end it: stepgrid cancel {session_id}"
        )
        raise
