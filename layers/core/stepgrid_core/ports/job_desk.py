"""What a job asks of the grid while it runs."""

from pathlib import Path
from typing import Protocol

from ..records import JobRecord


class JobDesk(Protocol):
    """Speaks for the jobs of one session."""

    def report(self, index: int, record: JobRecord) -> None:
        """Tell how far the job has come; a report of an earlier attempt changes nothing.

        Raises Unavailable.
        """

    def sign_input(self, url: str) -> str:
        """An https address from which an s3 one can be read for a while.

        Raises NotFound for whatever the job's owner may not read, and Unavailable.
        """

    def store_output(self, index: int, attempt: int, name: str, file: Path) -> None:
        """Keep a regular file as an output, in parts if it is large. Raises Unavailable.

        Another attempt of the same job has files of its own: it may be at work at the same time.
        """
