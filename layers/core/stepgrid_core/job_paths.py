"""Names of a job's files: what may be written into its folder, and what may be read from it.

Names are relative POSIX paths. Whoever submits a job may be hostile, so all that is not plainly a
name below the job's folder is refused. The contract asks this module when a job is submitted, its
container asks again before it touches a file. It knows no file system.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

STDOUT_NAME, STDERR_NAME = "STDOUT.txt", "STDERR.txt"
#: Made by the grid in each job's folder: no input and no script can have these names.
RESERVED_NAMES = frozenset({STDOUT_NAME, STDERR_NAME})
RESERVED_PREFIX = ".stepgrid"

MAX_SEGMENT_BYTES = 255  #: what Linux file systems take
MAX_NAME_BYTES = 1024  #: what S3 takes as a key
#: A pattern is matched against every entry of a folder: it has to stay cheap.
MAX_WILDCARDS = 16

_SHOWN_CHARACTERS = 64
_WILDCARDS = re.compile(r"[*?\[]")
_CLASS = re.compile(r"\[!?+.[^\]]*\]")
_DRIVE = re.compile(r"^[A-Za-z]:")
#: They make a name look like another one.
_DIRECTION_CHARACTERS = frozenset(
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def shorten(text: str) -> str:
    """As it can be shown in an error: quoted, without control characters, and not long."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"


def check_name(name: str) -> str:
    """The name of a file in the job's folder. Raises ValueError that says what is wrong with it."""
    problem = _find_problem(name)
    if problem:
        raise ValueError(
            f"{shorten(name)} {problem}: give a path relative to the job's folder, like data/a.csv"
        )
    return name


def check_destination(name: str) -> str:
    """The name of an input or a script: STDOUT.txt and STDERR.txt are the job's own."""
    check_name(name)
    if name.split("/", 1)[0] in RESERVED_NAMES:
        raise ValueError(f"{shorten(name)} is what the job prints: choose another name")
    return name


def check_pattern(pattern: str) -> str:
    """The name of an output, or a pattern with * ? []. Raises ValueError as `check_name` does."""
    check_name(pattern)
    problem = _find_pattern_problem(pattern) if is_pattern(pattern) else None
    if problem:
        raise ValueError(f"{shorten(pattern)} {problem}")
    return pattern


def is_pattern(name: str) -> bool:
    return bool(_WILDCARDS.search(name))


def default_name(url: str) -> str:
    """What an input is called that was given no name. Raises ValueError if the URL tells none."""
    try:
        name = _last_part(url)
    except UnicodeDecodeError:
        raise ValueError(f"{shorten(url)} ends in no readable name: give a name") from None
    if not name or "/" in name:
        raise ValueError(f"{shorten(url)} does not end in the name of a file: give a name")
    try:
        return check_destination(name)
    except ValueError as error:
        raise ValueError(f"{shorten(url)} needs a name: its last part {error}") from None


def _last_part(url: str) -> str:
    if url.startswith("s3://"):  # a key is taken as it is written
        return url.rsplit("/", 1)[-1]
    return unquote(urlsplit(url).path.rsplit("/", 1)[-1], errors="strict")


def check_apart(names: Iterable[str]) -> None:
    """Raises ValueError if two of them are the same file, or one is the folder of another."""
    files: set[str] = set()
    for name in names:
        if name in files:
            raise ValueError(f"{shorten(name)} is the name of two files: give each its own")
        files.add(name)
    for name in files:
        parts = name.split("/")
        folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
        if found := next((folder for folder in folders if folder in files), None):
            raise ValueError(f"{shorten(found)} is both a file and a folder: rename one of them")


def _find_problem(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not name:
        return "is empty"
    if size > MAX_NAME_BYTES:
        return f"has {size} bytes, and a name at most {MAX_NAME_BYTES}"
    return _find_bad_character(name) or _find_bad_form(name) or _find_bad_segment(name)


def _find_bad_character(name: str) -> str | None:
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return "has a control character or a line break"
    if not _DIRECTION_CHARACTERS.isdisjoint(name):
        return "has a character that changes the direction of writing"
    return "has a backslash" if "\\" in name else None


def _find_bad_form(name: str) -> str | None:
    if name.startswith("/"):
        return "is an absolute path"
    if _DRIVE.match(name):
        return "begins with a drive"
    if name.startswith("~"):
        return "begins with ~"
    if name.endswith("/"):
        return "ends with / and names a folder"
    return "begins or ends with a space" if name != name.strip() else None


def _find_bad_segment(name: str) -> str | None:
    segments = name.split("/")
    if "" in segments:
        return "has an empty part between two /"
    if "." in segments or ".." in segments:
        return "has a part . or .."
    if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        return f"has a part of more than {MAX_SEGMENT_BYTES} bytes"
    if any(segment.lower().startswith(RESERVED_PREFIX) for segment in segments):
        return f"has a part that begins with {RESERVED_PREFIX}, which is the grid's"
    return None


def _find_pattern_problem(pattern: str) -> str | None:
    if "**" in pattern:
        return "has **: a * stays within one folder, so write a pattern for each depth"
    if len(_WILDCARDS.findall(pattern)) > MAX_WILDCARDS:
        return f"has more than {MAX_WILDCARDS} wildcards: use several patterns"
    if any("[" in _CLASS.sub("", segment) for segment in pattern.split("/")):
        return "has a [ without ] in the same part: close it, or write [[] for the character"
    return None
