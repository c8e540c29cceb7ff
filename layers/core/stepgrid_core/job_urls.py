"""Addresses of a job's inputs: which may be asked for at all.

A URL is taken at its word: whatever two programs could read differently is refused, such as spaces,
other scripts, users before the host, or an IPv4 address that is not written as four decimal
numbers. Where a name leads to is found out when it is connected (`jobs.addresses`).

An s3 address is no URL of the web: `s3://bucket/key`, with the key as it is written. Nothing in it
is decoded, so it may have spaces and letters of any script. Pure rules.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from .job_paths import shorten

INPUT_SCHEMES = ("http", "https", "s3")
MAX_URL_CHARACTERS = 4096
MAX_KEY_BYTES = 1024  #: what S3 takes

_PLAIN = re.compile(r"[!-~]+")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: What somebody else may read as another key: a client that decodes it, or ends the path there.
_AMBIGUOUS = re.compile(r"[\\%?#]")
_S3 = "s3://"


def check_url(url: str, schemes: tuple[str, ...] = INPUT_SCHEMES) -> str:
    """An input's URL. Raises ValueError that says what is wrong with it."""
    problem = _find_problem(url, schemes)
    if problem:
        raise ValueError(f"{shorten(url)} {problem}")
    return url


def is_plain_key(key: str) -> bool:
    """Can it be read in one way only?"""
    return _find_key_problem(key) is None


def show_url(url: str) -> str:
    """As it may be told: without its query, which may be a secret."""
    return shorten(re.split(r"[?#]", url, maxsplit=1)[0])


def _find_problem(url: str, schemes: tuple[str, ...]) -> str | None:
    if len(url) > MAX_URL_CHARACTERS:
        return f"has {len(url)} characters, and a URL at most {MAX_URL_CHARACTERS}"
    if url.startswith(_S3) and "s3" in schemes:
        return _find_object_problem(url.removeprefix(_S3))
    return _find_web_problem(url, schemes)


def _find_web_problem(url: str, schemes: tuple[str, ...]) -> str | None:
    if not _PLAIN.fullmatch(url) or "\\" in url:
        return "has characters that a URL can't have: percent-encode them"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has no valid host: write it like https://example.org/data.csv"
    if parts.scheme not in schemes or parts.scheme == "s3":
        return f"is no URL of {', '.join(schemes)}: other addresses are not fetched"
    if "@" in parts.netloc:
        return "has a user before the host: use a presigned URL"
    return _find_host_problem(parts)


def _find_object_problem(rest: str) -> str | None:
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        return "names no bucket: write s3://bucket/key"
    return _find_key_problem(key)


def _find_key_problem(key: str) -> str | None:
    if not key:
        return "names no object: write s3://bucket/key"
    if not key.isprintable():
        return "has characters that can't be seen, and the key of an input has none"
    if len(key.encode()) > MAX_KEY_BYTES:
        return f"has a key of more than {MAX_KEY_BYTES} bytes, which S3 does not take"
    if _AMBIGUOUS.search(key):
        return "has one of ? # % \\ in its key, which is taken as written: use another name"
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        return "has an empty part, . or .. in its key"
    return None


def _find_host_problem(parts: SplitResult) -> str | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        return "has no valid port: leave it out, or give one from 1 to 65535"
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        return None if _is_ip(host, 6) else "has no valid IPv6 address as its host"
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "has no valid host: write it like https://example.org/data.csv"
    if _NUMBER.fullmatch(labels[-1]) and not _is_ip(host, 4):
        return "has a number as its host: write an IPv4 address as four decimal numbers"
    return None


def _is_ip(host: str, version: int) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A zone, as in fe80::1%eth0, names an interface of whoever fetches.
    return address.version == version and "%" not in host
