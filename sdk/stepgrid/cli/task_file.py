"""Reading tasks from JSON Lines, line by line: a file of any size takes the memory of one line.

A bad line is refused with its number, and nothing is submitted: a file that is half read would give
a session with other tasks than its author meant.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from stepgrid_core.codec import decode
from stepgrid_core.errors import InvalidRequest


def read_tasks(lines: Iterable[bytes], name: str) -> Iterator[Any]:
    """The task of each line, in order. Empty lines at the end of the file are ignored.

    name: of the file, for messages. Raises InvalidRequest that names the first bad line, and when
    there is no task at all.
    """
    number = 0
    empty_line = 0  # the number of the first empty line after the last task
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            empty_line = empty_line or number
            continue
        if empty_line:
            raise InvalidRequest(_refusal(name, empty_line, "is empty; each line is one task"))
        yield _parse_task(line, number, name)
    if not number or empty_line == 1:
        raise InvalidRequest(f"{name} holds no task; write one JSON value on each line")


def read_value(text: bytes, name: str) -> Any:
    """The one JSON value of a whole file. Raises InvalidRequest that names the file."""
    try:
        return _parse(text.removeprefix(codecs.BOM_UTF8))
    except ValueError as error:
        raise InvalidRequest(f"{name} {error}; nothing was submitted") from error


def _parse_task(line: bytes, number: int, name: str) -> Any:
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)  # editors on Windows write it
    try:
        return _parse(line.rstrip(b"\r\n"))
    except ValueError as error:
        raise InvalidRequest(_refusal(name, number, str(error))) from error


def _parse(text: bytes) -> Any:
    """Raises ValueError that says what is wrong with the text."""
    try:
        return decode(text)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start + 1})"
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}"
        problem = f"is not JSON: {error.msg} ({where})"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    raise ValueError(problem)


def _refusal(name: str, number: int, problem: str) -> str:
    return f"{name}: line {number} {problem}; nothing was submitted"
