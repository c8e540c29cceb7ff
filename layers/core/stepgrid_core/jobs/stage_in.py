"""Brings a job's inputs into its folder: all of them, or an error that names all that failed."""

import os
from collections.abc import Sequence

from ..contract import JobInput
from ..errors import RequestError, ServiceError
from ..job_urls import show_url
from ..ports import Clock, JobDesk
from .connection import FetchFailed
from .fetching import Fetched, Fetcher, Room
from .limits import StagingLimits
from .workspace import Workspace

_SIGN_ATTEMPTS = 3
_SIGN_PAUSE_SECONDS = 0.5
_MAX_ERROR_CHARACTERS = 2000


class StageInFailed(Exception):
    """At least one input could not be had; the message names them all."""


class StageIn:
    """Of one job."""

    def __init__(
        self,
        workspace: Workspace,
        fetcher: Fetcher,
        desk: JobDesk,
        clock: Clock,
        limits: StagingLimits,
    ) -> None:
        self._workspace = workspace
        self._fetcher = fetcher
        self._desk = desk
        self._clock = clock
        self._limits = limits
        self._room = limits.inputs_bytes

    def fetch_all(self, inputs: Sequence[JobInput], deadline: float) -> None:
        """Raises StageInFailed, and Stopped. `deadline` is monotonic."""
        deadline = min(deadline, self._clock.monotonic() + self._limits.stage_in_seconds)
        failures = []
        for one in inputs:
            try:
                self._room -= self._fetch(one, deadline).size
            except FetchFailed as error:
                failures.append(f"{one.destination} from {show_url(one.url)}: {error}")
        if failures:
            text = "Failed to download inputs " + "; ".join(failures)
            raise StageInFailed(text[:_MAX_ERROR_CHARACTERS])

    def _fetch(self, one: JobInput, deadline: float) -> Fetched:
        trusted = one.url.lower().startswith("s3:")
        url = self._sign(one.url) if trusted else one.url
        room = Room(min(self._limits.input_bytes, self._room), deadline)
        try:
            file_fd = self._workspace.create(one.destination)
        except OSError as error:
            raise FetchFailed(f"the file can't be made: {error.strerror}") from error
        try:
            fetched = self._fetcher.fetch(url, file_fd, room, trusted)
        except FetchFailed:
            os.ftruncate(file_fd, 0)  # others need the room
            raise
        finally:
            os.close(file_fd)
        if one.sha256 is not None and fetched.sha256 != one.sha256:
            raise FetchFailed(f"its sha256 is {fetched.sha256} and not the one that was given")
        return fetched

    def _sign(self, url: str) -> str:
        for attempt in range(1, _SIGN_ATTEMPTS + 1):
            try:
                return self._desk.sign_input(url)
            except RequestError as error:
                raise FetchFailed("there is no such object, or it is not yours to read") from error
            except ServiceError as error:
                if attempt == _SIGN_ATTEMPTS:
                    raise FetchFailed("the storage did not answer") from error
            self._clock.sleep(_SIGN_PAUSE_SECONDS * attempt)
        raise AssertionError("unreachable")
