"""Files of any size into the payload bucket: large ones in parts, several parts at once."""

from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig

from ..errors import Unavailable
from .translate import translated

MIB = 1024 * 1024
#: Up to so much is one PUT; parts are so large that 10,000 of them make 160 GiB (S3 quotas).
PARTS = TransferConfig(
    multipart_threshold=16 * MIB, multipart_chunksize=16 * MIB, max_concurrency=4
)


class AwsFileStore:
    def __init__(self, bucket: str, client: Any) -> None:
        """client: of S3."""
        self._bucket = bucket
        self._s3 = client

    def store(self, key: str, file: Path) -> None:
        """Raises Unavailable. What was stored of a file that failed is removed."""
        try:
            with translated(key):
                self._s3.upload_file(str(file), self._bucket, key, Config=PARTS)
        except S3UploadFailedError as error:
            raise Unavailable(f"{key} could not be stored: {error}") from error
