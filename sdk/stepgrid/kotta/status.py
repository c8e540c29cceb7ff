"""What the server says of a job: its items in order, and the files among them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepgrid_core.errors import Unavailable

_LINK = re.compile(r'<a href="(?P<url>[^"]*)">(?P<name>.*)</a>', re.DOTALL)
_ABSENT = re.compile(r"<i>(?P<name>.*)</i>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OutputFile:
    name: str
    url: str | None  #: None: it is not there
    told: bool = True  #: False: the server gave a name alone


def read_items(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and values, in the server's order. Raises Unavailable if it is no such answer."""
    try:
        items = sorted(answer["items"].items(), key=lambda item: int(item[0]))
        pairs = [pair for _, item in items for pair in item.items()]
    except (KeyError, ValueError, AttributeError, TypeError):
        raise Unavailable("the server's answer is no job's status") from None
    return ((str(key), str(value).strip()) for key, value in pairs)


def read_output(value: str) -> OutputFile:
    """A file that a job left, or was to leave."""
    if match := _LINK.fullmatch(value):
        return OutputFile(match["name"], match["url"])
    if match := _ABSENT.fullmatch(value):
        return OutputFile(match["name"], None)
    return OutputFile(value, None, told=False)


def read_outputs(answer: Mapping[str, Any]) -> list[OutputFile]:
    return [read_output(value) for key, value in read_items(answer) if key == "outputs"]
