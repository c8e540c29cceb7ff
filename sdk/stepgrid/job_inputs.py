"""The inputs of a job: addresses as they are, files of this machine uploaded first.

It knows neither jobs nor their states.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from stepgrid_core.contract import JobFileUpload, JobInput, UploadRequest, read_faults
from stepgrid_core.errors import InvalidRequest, RequestTooLarge

from .connection import Connection
from .objects import LinkRefused

#: A URL, a file of this machine, either of them with the name it is to have, or all of it.
Input: TypeAlias = str | Path | JobInput | tuple[str | Path, str]
#: Of a file of this machine, which is held in memory while it is sent.
MOST_FILE_BYTES = 1024**3


def make_inputs(connection: Connection, inputs: Iterable[Input]) -> list[JobInput]:
    """What a job is to be told of its inputs; uploads those that are files of this machine.

    Raises InvalidRequest for what is no input, OSError for a file that can't be read.
    """
    if isinstance(inputs, str | Path | JobInput):
        raise InvalidRequest(f"inputs is one {type(inputs).__name__}; give a list")
    return [_make(connection, each) for each in inputs]


def _make(connection: Connection, given: Input) -> JobInput:
    if isinstance(given, JobInput):
        return given
    source, name = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if isinstance(source, Path):
        return upload_file(connection, source.name, _read(source), name)
    try:
        return JobInput.model_validate({"url": source, "name": name})
    except ValidationError as error:
        raise InvalidRequest(f"input {given!r}: {read_faults(error)[0][1]}") from error


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        raise RequestTooLarge(
            f"{path} has {size:,} bytes, and {MOST_FILE_BYTES:,} is the most that is sent from "
            "memory; PUT it to the URL that POST /v1/uploads gives, and name its s3_url"
        )
    return path.read_bytes()


def upload_file(
    connection: Connection, file_name: str, data: bytes, name: str | None = None
) -> JobInput:
    """Store a file for jobs; the same bytes under the same name are the same input.

    name: that it has in the job's folder, if that is another one. A URL that has expired is asked
    for again once.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        file = JobFileUpload(name=file_name, sha256=sha256)
    except ValidationError as error:
        raise InvalidRequest(f"file {file_name!r}: {read_faults(error)[0][1]}") from error
    request = UploadRequest.model_validate({"file": file})
    target = connection.api.create_upload(request)
    try:
        connection.objects.put(target.urls[0], data)
    except LinkRefused:
        target = connection.api.create_upload(request)
        connection.objects.put(target.urls[0], data)
    return JobInput.model_validate(
        {"url": target.s3_url, "name": name or file_name, "sha256": sha256}
    )
