"""Files of jobs in the payload bucket: which of them an owner may read, and how they are uploaded.

    files/<owner>/<upload>/<name>                     uploaded by the owner
    jobs/<days>/<owner>/<session>/<index>/<attempt>/<name>      left by a job of the owner

One rule says what may be read. The submit goes by it, and so does whoever signs an input for a
container; it knows nothing of either.
"""

import hashlib
import re
import uuid
from collections.abc import Sequence

from .contract import JobFileUpload, JobInput, Upload
from .errors import InvalidRequest
from .job_urls import is_plain_key
from .names import SESSION_ID, file_key, owner_folder
from .ports import URL_SECONDS
from .wiring import Grid

_FOLDERS = re.compile(
    r"(?:files/(?P<uploader>[0-9a-f]{24})/[0-9a-f]{32}"
    rf"|jobs/[1-9][0-9]{{0,2}}/(?P<runner>[0-9a-f]{{24}})/{SESSION_ID.pattern}/(?:0|[1-9][0-9]*)/[1-9][0-9]*)/"
)


def readable_key(bucket: str, owner: str, url: str) -> str | None:
    """The key that an s3 URL names, if it is one that the owner may read; otherwise None.

    The bucket must be the grid's, letter by letter, and the key lie in a folder of the owner's. A
    key is taken as it is written: nothing in it is decoded or resolved, and what somebody else
    might resolve is refused.
    """
    scheme, separator, rest = url.partition("://")
    named, slash, key = rest.partition("/")
    if (scheme, separator, named, slash) != ("s3", "://", bucket, "/") or not is_plain_key(key):
        return None
    folders = _FOLDERS.match(key)
    if folders is None or folders.end() == len(key):
        return None
    return key if owner_folder(owner) in folders.groups() else None


def check_inputs(grid: Grid, owner: str, inputs: Sequence[JobInput]) -> None:
    """Raises InvalidRequest for the first whose URL the owner can't have meant, or may not read.

    In the same words for a file of others and one that is not there.
    """
    for each in inputs:
        if each.url.startswith(("http://", "https://")):
            continue
        if readable_key(grid.settings.bucket, owner, each.url) is None:
            raise InvalidRequest(
                f"inputs: {each.url[:256]!r} is no file of yours; name an http or https address, a "
                "file that you uploaded (POST /v1/uploads with file) or an output of your jobs"
            )


def s3_url(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def create_file_upload(grid: Grid, owner: str, file: JobFileUpload) -> Upload:
    """Where to PUT a file for jobs. The same bytes may be sent again: then they are kept longer."""
    upload_id = uuid.uuid4().hex
    if file.sha256 is not None:
        upload_id = hashlib.sha256(f"file\n{file.sha256}".encode()).hexdigest()[:32]
    key = file_key(owner, upload_id, file.name)
    return Upload(
        upload_id=upload_id,
        urls=[grid.payloads.presign_put(key)],
        s3_url=s3_url(grid.settings.bucket, key),
        expires_in_seconds=URL_SECONDS,
    )
