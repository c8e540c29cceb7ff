"""Where files go before a session is submitted."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ..names import UPLOAD_ID
from .model import Request, Response
from .submission import CommonFile

#: of one file (S3 multipart upload limits); each but the last has at least so many bytes
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * 1024 * 1024


def _check_file_name(name: str) -> str:
    if name in (".", "..") or not name.isprintable():
        raise ValueError("this is no name of a file")
    return name


#: without what would make a folder, or mean something else in a URL
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^/\\%?#]+$"),
    AfterValidator(_check_file_name),
]


class JobFileUpload(Request):
    """A file that jobs are to be given."""

    name: FileName = Field(description="without folders: the last part of its URL")
    sha256: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9a-f]{64}$",
            description="of the file: the same name and bytes have the same URL then",
        ),
    ] = None


class UploadRequest(Request):
    """POST /v1/uploads: where to PUT an input file, whole or in parts; a common input; or a file.

    For more parts of the same file, ask again with its upload_id, multipart_id and first_part.
    Parts but the last have at least 5 MiB (S3 multipart upload limits). A common input is one PUT;
    where the grid has these very bytes of yours already, it answers no URL.
    """

    parts: int | None = Field(None, ge=1, le=1000, description="left out: one PUT, up to 5 GiB")
    upload_id: str | None = Field(None, pattern=UPLOAD_ID)
    multipart_id: str | None = Field(None, max_length=1024)
    first_part: int = Field(1, ge=1, le=MAX_PARTS)
    common: CommonFile | None = None
    file: Annotated[JobFileUpload | None, Field(description="for jobs: one PUT, up to 5 GiB")] = (
        None
    )

    @model_validator(mode="after")
    def _common_is_one_put(self) -> Self:
        if self.common is not None and (self.parts or self.upload_id):
            raise ValueError("a common input is uploaded by one PUT: leave parts and upload_id out")
        return self

    @model_validator(mode="after")
    def _file_is_one_put(self) -> Self:
        if self.file is not None and (self.parts or self.upload_id or self.common):
            raise ValueError("a file is uploaded by one PUT: leave parts, upload_id and common out")
        return self

    @model_validator(mode="after")
    def _continuation_needs_both(self) -> Self:
        if (self.upload_id is None) != (self.multipart_id is None):
            raise ValueError("upload_id and multipart_id belong together")
        if self.upload_id is not None and self.parts is None:
            raise ValueError("parts says how many more URLs are wanted")
        if self.first_part + (self.parts or 1) - 1 > MAX_PARTS:
            raise ValueError(f"a file has at most {MAX_PARTS:,} parts")
        return self


class Upload(Response):
    upload_id: str
    multipart_id: str | None = None
    urls: list[str]
    abort_url: Annotated[
        str | None, Field(description="DELETE it: ends an upload in parts that won't be submitted")
    ] = None
    s3_url: Annotated[
        str | None, Field(description="of a file: what a job names in its inputs")
    ] = None
    expires_in_seconds: int
