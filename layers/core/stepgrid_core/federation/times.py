"""Times as text, and back. Never asks what time it is. Pure."""

from datetime import UTC, datetime


def iso_time(epoch_seconds: float | None) -> str | None:
    """In UTC; None where nothing has happened yet."""
    return None if not epoch_seconds else datetime.fromtimestamp(epoch_seconds, UTC).isoformat()


def read_time(text: str) -> float | None:
    """Epoch seconds; without an offset it is UTC. None for what is no such time.

    By its offset a time can be in no year that has one: then it is none, for it can't be shown.
    """
    try:
        read = datetime.fromisoformat(text)
        seconds = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
        datetime.fromtimestamp(seconds, UTC)
        return seconds
    except (ValueError, OverflowError):
        return None
