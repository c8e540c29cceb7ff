"""PayloadStore on S3. An object is read only if it is still the one that was submitted (ETag)."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from ..errors import InvalidRequest, NotFound, Unavailable
from ..ports import URL_SECONDS, StoredObject
from .translate import code_of, make_client, translated

#: Presigned URLs name the bucket's region: the global host redirects for buckets younger than a
#: day or so, and a redirect breaks the signature (S3 user guide, "Request redirection").
REGIONAL = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}


class AwsPayloadStore:
    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3 = make_client("s3", signature_version="s3v4", s3=REGIONAL)

    def put(self, key: str, body: bytes) -> StoredObject:
        with translated(key):
            answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
        return StoredObject(len(body), answer["ETag"].strip('"'))

    def get(self, key: str) -> bytes:
        with translated(key):
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body

    def get_range(self, key: str, start: int, length: int, etag: str) -> bytes:
        span = f"bytes={start}-{start + length - 1}"
        with translated(key):
            answer = self._s3.get_object(Bucket=self._bucket, Key=key, Range=span, IfMatch=etag)
            body: bytes = answer["Body"].read()
        return body

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

    def complete_multipart(self, key: str, multipart_id: str, etags: Sequence[str]) -> None:
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        try:
            with translated(f"upload {key}"):
                self._s3.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=multipart_id,
                    MultipartUpload={"Parts": parts},
                )
        except InvalidRequest as error:
            cause = error.__cause__
            repeated = isinstance(cause, ClientError) and code_of(cause) == "NoSuchUpload"
            if not (repeated and self.head(key)):
                raise
