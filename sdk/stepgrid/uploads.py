"""Carrying an input file to the payload store: one PUT, or parts at once when it is large."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from stepgrid_core.contract import UploadRequest

from .connection import Connection
from .objects import LinkRefused
from .parallel import map_ahead

#: One PUT up to this size, parts of it above. S3 wants at least 5 MiB for a part and takes 10,000.
PART_BYTES = 16 * 1024 * 1024
#: Parts under way at once: each is held in memory while it is.
PARTS_AT_ONCE = 4
#: Part URLs asked for at once: they expire after an hour, and a slow line needs that for 5 GiB.
URLS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What POST /v1/sessions must be told of an upload; see contract.UploadedInput."""

    upload_id: str
    multipart_id: str | None = None
    etags: list[str] | None = None


def upload(
    connection: Connection, file: BinaryIO, size: int, part_bytes: int = PART_BYTES
) -> Uploaded:
    """Carry `size` bytes of a file to the payload store.

    Raises what the API and the store raise; a URL that has expired is asked for again once.
    """
    if size <= part_bytes:
        file.seek(0)
        return Uploaded(put_whole(connection, UploadRequest.model_validate({}), file.read(size)))
    return _PartUpload(connection, file, size, part_bytes).run()


def put_whole(connection: Connection, request: UploadRequest, data: bytes) -> str:
    """Carry data by one PUT; nothing if the grid answers that it has it. Answers the upload's id.

    Raises what the API and the store raise; a URL that has expired is asked for again once.
    """
    target = connection.api.create_upload(request)
    try:
        for url in target.urls:
            connection.objects.put(url, data)
    except LinkRefused:
        target = connection.api.create_upload(request)
        for url in target.urls:
            connection.objects.put(url, data)
    return target.upload_id


@dataclass(frozen=True, slots=True)
class _Part:
    number: int  #: from 1
    url: str


class _PartUpload:
    """One multipart upload. The grid completes it when the session is submitted."""

    def __init__(self, connection: Connection, file: BinaryIO, size: int, part_bytes: int) -> None:
        self._connection = connection
        self._file = file
        self._file_lock = threading.Lock()
        self._part_bytes = part_bytes
        self._parts = -(-size // part_bytes)
        self._upload_id: str | None = None
        self._multipart_id: str | None = None

    def run(self) -> Uploaded:
        # Its own threads: those of the connection may be busy with results of other sessions.
        with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="stepgrid-upload") as pool:
            etags = list(map_ahead(pool, self._send, self._links(), PARTS_AT_ONCE))
        return Uploaded(str(self._upload_id), self._multipart_id, etags)

    def _links(self) -> Iterator[_Part]:
        for first in range(1, self._parts + 1, URLS_AT_ONCE):
            count = min(URLS_AT_ONCE, self._parts + 1 - first)
            for number, url in enumerate(self._ask(first, count), start=first):
                yield _Part(number, url)

    def _ask(self, first: int, count: int) -> list[str]:
        """URLs for parts; the first asking begins the upload."""
        target = self._connection.api.create_upload(
            UploadRequest(
                parts=count,
                first_part=first,
                upload_id=self._upload_id,
                multipart_id=self._multipart_id,
            )
        )
        self._upload_id, self._multipart_id = target.upload_id, target.multipart_id
        return target.urls

    def _send(self, part: _Part) -> str:
        with self._file_lock:
            self._file.seek((part.number - 1) * self._part_bytes)
            data = self._file.read(self._part_bytes)
        try:
            return self._connection.objects.put(part.url, data)
        except LinkRefused:
            return self._connection.objects.put(self._ask(part.number, 1)[0], data)
