"""Filters in the query of a list, and whether what is listed passes them. Pure."""

import re
from http import HTTPStatus

from .http import Call, Refused


def id_argument(call: Call, name: str) -> int | None:
    """None: not asked for. Raises Refused for what is no id."""
    value = call.argument(name)
    if value is None or value == "":
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 15):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is no id")
    return int(value)


def passes(call: Call, name: str, value: str) -> bool:
    """As SQL's LIKE has it: % is any text, _ any character; upper and lower case are alike."""
    wanted = call.argument(name)
    return wanted is None or is_like(wanted, value)


def is_like(pattern: str, value: str) -> bool:
    """No regular expression: many % in one would take forever."""
    pieces = pattern.casefold().split("%")
    rest = value.casefold()
    if len(pieces) == 1:
        return len(pieces[0]) == len(rest) and _find(pieces[0], rest) == 0
    first, *middle, last = pieces
    if len(first) + len(last) > len(rest) or _find(first, rest[: len(first)]) != 0:
        return False
    if _find(last, rest[len(rest) - len(last) :]) != 0:
        return False
    return _holds_in_order(middle, rest[len(first) : len(rest) - len(last)])


def is_included(call: Call, what: str) -> bool:
    given = call.request.query.get("include", ())
    return what in [each for value in given for each in value.split(",")]


def is_asked(call: Call, name: str) -> bool:
    """A flag of the query, as the clients of vantage6 write them: True, true or 1."""
    return (call.argument(name) or "").lower() in ("1", "true")


def _holds_in_order(pieces: list[str], text: str) -> bool:
    for piece in pieces:
        place = _find(piece, text)
        if place < 0:
            return False
        text = text[place + len(piece) :]
    return True


def _find(piece: str, text: str) -> int:
    if "_" not in piece:
        return text.find(piece)
    characters = ("." if each == "_" else re.escape(each) for each in piece)
    found = re.search("".join(characters), text, re.DOTALL)
    return found.start() if found else -1
