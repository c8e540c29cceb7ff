"""Where inputs and outputs are kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    size: int
    etag: str


#: how long a presigned URL is good
URL_SECONDS = 3600
#: how long one that leads to a file of a job is
DOWNLOAD_SECONDS = 1500


class PayloadStore(Protocol):
    """Objects by key. Knows nothing of what is in them."""

    def put(self, key: str, body: bytes) -> StoredObject: ...

    def get(self, key: str) -> bytes:
        """Raises NotFound."""

    def open_range(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        """A part of an object in blocks, each as it arrives; none of them is empty.

        Raises NotFound if the object is gone and PayloadCorrupted if it is another one than `etag`,
        both before it answers; while it is read also Unavailable.
        """

    def head(self, key: str) -> StoredObject | None: ...

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those outputs that are at hand without a request that is billed for each; maybe none."""

    def delete_prefix(self, prefix: str) -> list[str]:
        """Answers the keys that it deleted."""

    def presign_get(self, key: str) -> str: ...

    def presign_download(self, key: str, name: str) -> str:
        """To save the object as a file of that name; good for DOWNLOAD_SECONDS.

        Bucket and key are both in the URL's path: clients of Cloud Kotta read them there.
        """

    def presign_put(self, key: str) -> str: ...

    def start_multipart(self, key: str) -> str:
        """Answers the id of the multipart upload."""

    def presign_part(self, key: str, multipart_id: str, number: int) -> str: ...

    def presign_abort(self, key: str, multipart_id: str) -> str:
        """A URL by which the upload ends without an object, and its parts are removed."""

    def complete_multipart(
        self, key: str, multipart_id: str, etags: Sequence[str], size: int
    ) -> StoredObject:
        """The parts become one object of `size` bytes; repeating it answers that object.

        Raises InvalidRequest for parts that don't fit, or have another size.
        """
