"""Carrying an input file to the payload store while it is still being packed.

    parts, as they are packed --> checksum, in a thread
                             `--> PUT, in threads: a few at once, each held until it has arrived

A file that fits into one part is one PUT. How many parts there will be is known last, so URLs are
asked for when they are needed, each time more of them. The grid puts the parts together when the
session is submitted; a file that comes to no end is aborted.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from stepgrid_core.contract import MAX_PARTS, Upload, UploadRequest
from stepgrid_core.errors import RequestTooLarge, StepgridError, Unavailable

from .connection import Connection
from .objects import LinkRefused
from .parallel import map_ahead, start

#: A part is sent when it has so many bytes: few requests for a large file (S3 takes 10,000 parts of
#: at least 5 MiB), and little left to send once the last task is packed.
PART_BYTES = 8 * 1024 * 1024
#: Parts under way at once: each is held in memory while it is.
PARTS_AT_ONCE = 4
#: Part URLs asked for at first, and at most: 1 GB takes four askings. They expire after an hour, in
#: which a slow line carries 64 parts.
FIRST_URLS, MOST_URLS = 8, 64

_TOO_MANY_PARTS = (
    f"the tasks take more than {MAX_PARTS:,} parts of {PART_BYTES:,} bytes; submit several sessions"
)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What POST /v1/sessions must be told of an upload; see contract.UploadedInput."""

    upload_id: str
    sha256: str
    multipart_id: str | None = None
    etags: list[str] | None = None


def gather_parts(blocks: Iterable[bytes], part_bytes: int = PART_BYTES) -> Iterator[bytes]:
    """Blocks joined to parts: `part_bytes` or somewhat more each, the last one what is left."""
    part: list[bytes] = []
    size = 0
    for block in blocks:
        part.append(block)
        size += len(block)
        if size >= part_bytes:
            yield _take(part)
            size = 0
    if part:
        yield _take(part)


def _take(part: list[bytes]) -> bytes:
    """The blocks as one, which is held by nobody else but the one who asked."""
    data = b"".join(part)
    part.clear()
    return data


def upload_whole(connection: Connection, data: bytes) -> Uploaded:
    """Carry a file by one PUT. Raises as `put_whole`."""
    upload_id = put_whole(connection, UploadRequest.model_validate({}), data)
    return Uploaded(upload_id, hashlib.sha256(data).hexdigest())


def upload_parts(connection: Connection, parts: Iterable[bytes]) -> Uploaded:
    """Carry a file in parts, while they are being made; all but the last have at least 5 MiB.

    Raises what the iterable, the API and the store raise, after the upload was aborted; a URL that
    has expired is asked for again once. Parts under way are not waited for, so an interrupt is
    answered at once: they end by themselves, as their next try finds no upload, and at the latest
    when the time for an object is over. Python's own end waits for them, unless interrupted again.
    """
    return _PartUpload(connection).run(parts)


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


class _PartUpload:
    """One multipart upload."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        # Guarded by `_lock`.
        self._target: Upload | None = None  #: the grid's last answer
        self._urls: dict[int, str] = {}
        self._asked = 0  #: URLs, so far
        self._given_up = False

    def run(self, parts: Iterable[bytes]) -> Uploaded:
        checksum = hashlib.sha256()
        # Its own threads: those of the connection may be busy with results of other sessions.
        pool = ThreadPoolExecutor(PARTS_AT_ONCE + 1, thread_name_prefix="stepgrid-upload")
        try:
            numbered = enumerate(_noted(pool, parts, checksum.update), start=1)
            etags = list(map_ahead(pool, self._send, numbered, PARTS_AT_ONCE))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self._given_up = True
            self._abort()
            raise
        pool.shutdown()
        assert self._target is not None
        upload_id, multipart_id = self._target.upload_id, self._target.multipart_id
        return Uploaded(upload_id, checksum.hexdigest(), multipart_id, etags)

    def _send(self, part: tuple[int, bytes]) -> str:
        number, data = part
        try:
            return self._connection.objects.put(self._url(number), data)
        except LinkRefused:
            return self._connection.objects.put(self._ask(number, 1).urls[0], data)

    def _url(self, number: int) -> str:
        """Others wait for who asks: the answer has their URLs too."""
        with self._lock:
            while number > self._asked:
                count = min(max(2 * self._asked, FIRST_URLS), MOST_URLS, MAX_PARTS - self._asked)
                if count == 0:
                    raise RequestTooLarge(_TOO_MANY_PARTS)
                self._target = self._ask(self._asked + 1, count)
                self._urls.update(enumerate(self._target.urls, start=self._asked + 1))
                self._asked += count
            if self._given_up:  # what this asking may have begun, nobody else would remove
                self._abort()
                raise Unavailable("the upload was given up")
            return self._urls.pop(number)

    def _ask(self, first: int, count: int) -> Upload:
        """URLs for parts; the first asking begins the upload."""
        begun = self._target
        return self._connection.api.create_upload(
            UploadRequest(
                parts=count,
                first_part=first,
                upload_id=begun.upload_id if begun else None,
                multipart_id=begun.multipart_id if begun else None,
            )
        )

    def _abort(self) -> None:
        """As far as that is possible now: parts that are left the store removes by itself."""
        if self._target is not None and self._target.abort_url is not None:
            with suppress(StepgridError):
                self._connection.objects.delete(self._target.abort_url)


def _noted(
    pool: ThreadPoolExecutor, parts: Iterable[bytes], note: Callable[[bytes], None]
) -> Iterator[bytes]:
    """The parts as they come; each is noted, in order, while the next one is being packed."""
    noting: Future[None] | None = None
    for part in parts:
        if noting is not None:
            noting.result()
        noting = start(pool, note, part)
        yield part
    if noting is not None:
        noting.result()
