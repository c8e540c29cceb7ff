"""PayloadStore on S3. An object is read only if it is still the one that was submitted (ETag)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from ..errors import InvalidRequest, NotFound, Unavailable
from ..ports import DOWNLOAD_SECONDS, URL_SECONDS, StoredObject
from .translate import code_of, make_client, translated

#: Presigned URLs name the bucket's region: the global host redirects for buckets younger than a
#: day or so, and a redirect breaks the signature (S3 user guide, "Request redirection").
REGIONAL = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
IN_PATH = REGIONAL | {"addressing_style": "path"}
#: Whoever reads an output checks it against the digest in its row, and TLS guards the way: no other
#: sum over every byte is made here, neither as a checksum nor for the signature.
UNSUMMED = {"payload_signing_enabled": False}
#: What is read of a body at once.
BLOCK_BYTES = 256 * 1024
#: Connections that may break before a body is given up.
MOST_BREAKS = 2


def make_s3_client(session: Any = None) -> Any:
    """session: a boto3 session whose credentials sign; this process's own when left out."""
    return make_client(
        "s3",
        session,
        signature_version="s3v4",
        s3=REGIONAL | UNSUMMED,
        request_checksum_calculation="when_required",
    )


class AwsPayloadStore:
    def __init__(self, bucket: str, client: Any = None) -> None:
        """client: see make_s3_client; with this process's own credentials when left out."""
        self._bucket = bucket
        self._s3 = client or make_s3_client()

    def put(self, key: str, body: bytes) -> StoredObject:
        with translated(key):
            answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
        return StoredObject(len(body), answer["ETag"].strip('"'))

    def get(self, key: str) -> bytes:
        with translated(key):
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body

    def open_range(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        body = self._open(key, start, length, etag)
        return self._read_on(body, key, range(start, start + length), etag)

    def _open(self, key: str, start: int, length: int, etag: str) -> StreamingBody:
        span = f"bytes={start}-{start + length - 1}"
        with translated(key):
            answer = self._s3.get_object(Bucket=self._bucket, Key=key, Range=span, IfMatch=etag)
        body: StreamingBody = answer["Body"]
        return body

    def _read_on(self, body: StreamingBody, key: str, places: range, etag: str) -> Iterator[bytes]:
        """A connection that breaks is followed by another one, from where it broke."""
        read = breaks = 0
        while True:
            try:
                for block in body.iter_chunks(BLOCK_BYTES):
                    read += len(block)
                    yield block
                return
            except BotoCoreError as error:
                breaks += 1
                if breaks > MOST_BREAKS:
                    raise Unavailable(f"{key} can't be read to its end: {error}") from error
            body = self._open(key, places.start + read, len(places) - read, etag)

    def head(self, key: str) -> StoredObject | None:
        try:
            with translated(key):
                answer = self._s3.head_object(Bucket=self._bucket, Key=key)
        except NotFound:
            return None
        return StoredObject(answer["ContentLength"], answer["ETag"].strip('"'))

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {}

    def delete_prefix(self, prefix: str) -> list[str]:
        deleted: list[str] = []
        pages = self._s3.get_paginator("list_objects_v2")
        with translated(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
                if keys:
                    self._delete(keys)
                    deleted += [entry["Key"] for entry in keys]
        return deleted

    def _delete(self, keys: Sequence[dict[str, str]]) -> None:
        """One request, of which S3 may carry out a part."""
        delete = {"Objects": keys, "Quiet": True}
        refused = self._s3.delete_objects(Bucket=self._bucket, Delete=delete).get("Errors")
        if refused:
            raise Unavailable(f"{len(refused)} objects could not be deleted; delete again")

    def presign_get(self, key: str) -> str:
        return self._presign("get_object", key)

    def presign_download(self, key: str, name: str) -> str:
        return str(
            self._in_path.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ResponseContentDisposition": f"attachment; filename*=UTF-8''{_quoted(name)}",
                },
                ExpiresIn=DOWNLOAD_SECONDS,
            )
        )

    @cached_property
    def _in_path(self) -> Any:
        """Made when it is needed first: few environments ever do."""
        return make_client("s3", signature_version="s3v4", s3=IN_PATH)

    def presign_put(self, key: str) -> str:
        return self._presign("put_object", key)

    def start_multipart(self, key: str) -> str:
        with translated(key):
            answer = self._s3.create_multipart_upload(Bucket=self._bucket, Key=key)
        return str(answer["UploadId"])

    def presign_part(self, key: str, multipart_id: str, number: int) -> str:
        return self._presign("upload_part", key, UploadId=multipart_id, PartNumber=number)

    def presign_abort(self, key: str, multipart_id: str) -> str:
        return self._presign("abort_multipart_upload", key, UploadId=multipart_id)

    def _presign(self, operation: str, key: str, **more: Any) -> str:
        return str(
            self._s3.generate_presigned_url(
                operation,
                Params={"Bucket": self._bucket, "Key": key, **more},
                ExpiresIn=URL_SECONDS,
            )
        )

    def complete_multipart(
        self, key: str, multipart_id: str, etags: Sequence[str], size: int
    ) -> StoredObject:
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        try:
            with translated(f"upload {key}"):
                answer = self._s3.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=multipart_id,
                    MultipartUpload={"Parts": parts},
                    MpuObjectSize=size,
                )
        except InvalidRequest as error:
            cause = error.__cause__
            repeated = isinstance(cause, ClientError) and code_of(cause) == "NoSuchUpload"
            stored = self.head(key) if repeated else None
            if stored is None:
                raise
            return stored
        return StoredObject(size, answer["ETag"].strip('"'))


class LentPayloadStore(AwsPayloadStore):
    """By credentials that name the keys of one session, and may list nothing.

    S3 then answers 403 for an object that is not there (API reference, GetObject); and what a
    session's credentials do not name, nobody asks for.
    """

    def get(self, key: str) -> bytes:
        with _missing_if_forbidden(key):
            return super().get(key)

    def _open(self, key: str, start: int, length: int, etag: str) -> StreamingBody:
        with _missing_if_forbidden(key):
            return super()._open(key, start, length, etag)


@contextmanager
def _missing_if_forbidden(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) != "AccessDenied":
            raise
        raise NotFound(f"{key} is not there") from error


def _quoted(name: str) -> str:
    """A file's name without its folders, as RFC 5987 has it in a header."""
    return quote(name.rpartition("/")[2], safe="")
