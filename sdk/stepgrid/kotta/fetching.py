"""Outputs of a job, downloaded into a folder that bears its id, and nowhere else."""

import os
import re
from pathlib import Path, PurePosixPath

import requests

from stepgrid_core.errors import ConfigurationError, Unavailable

from ..http_client import describe_failure, open_client, time_limits
from ..retry import Transient
from .status import OutputFile

PIECE_BYTES = 1024 * 1024
_JOB_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")


def check_job_id(job_id: str) -> str:
    """It becomes part of an address and the name of a folder. Raises ConfigurationError."""
    if not _JOB_ID.fullmatch(job_id):
        raise ConfigurationError(f"{job_id!r} is no job id")
    return job_id


def place(folder: Path, name: str) -> Path:
    """Where a file of this name goes: below `folder`. Raises ConfigurationError."""
    path = PurePosixPath(name)
    tame = name.isprintable() and "\\" not in name and path.parts and ".." not in path.parts
    if not tame or path.is_absolute():
        raise ConfigurationError(f"refused a file whose name is {name!r}")
    target = folder.joinpath(*path.parts)
    # A link that was there before may lead out of the folder.
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"refused a file that would leave {folder}: {name!r}")
    return target


def download(file: OutputFile, target: Path) -> None:
    """The whole file or none. Raises Unavailable, or ConfigurationError for a bad address."""
    url = str(file.url)
    if not url.startswith(("https://", "http://")):
        raise ConfigurationError(f"{file.name}: its address is no http address")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        _receive(file.name, url, unfinished)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _receive(name: str, url: str, path: Path) -> None:
    client = open_client(url, connections=1)
    try:
        with client.get(url, stream=True, timeout=time_limits(60)) as response:
            if response.status_code != requests.codes.ok:
                raise Unavailable(f"{name}: HTTP {response.status_code}")
            with path.open("wb") as out:
                for piece in response.iter_content(PIECE_BYTES):
                    out.write(piece)
    except requests.RequestException as error:
        failure = describe_failure(error, name, "fetch it again")
        raise (failure.error if isinstance(failure, Transient) else failure) from None
    finally:
        client.close()
