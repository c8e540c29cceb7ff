"""The environment of a job's process: which variables it may be given. Pure rules."""

import re

from .job_paths import shorten

#: What they name decides about credentials, about the grid, or about what a loader loads.
RESERVED_VARIABLES = ("AWS_", "STEPGRID_", "LD_", "DYLD_")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_variable(name: str) -> str:
    """The name of an environment variable. Raises ValueError."""
    if not _VARIABLE.fullmatch(name):
        raise ValueError(
            f"{shorten(name)} can't be a variable: use letters, digits and _, at most 128"
        )
    if name.upper().startswith(RESERVED_VARIABLES):
        prefixes = ", ".join(RESERVED_VARIABLES)
        raise ValueError(f"{shorten(name)} can't be set: names with {prefixes} are the grid's")
    return name


def check_text(text: str) -> str:
    """What a process can be given as a word or as a value. Raises ValueError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shorten(text)} is not valid Unicode") from None
    if "\0" in text:
        raise ValueError(f"{shorten(text)} has a NUL character, which no process can be given")
    return text
