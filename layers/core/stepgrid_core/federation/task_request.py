"""The body of POST /task: today's form of vantage6, and the one of before May 2019. Pure.

today      {"organizations": [{"id", "input"}, ...], ...}
before     {"input": "...", "organization_ids": [...]}   all of the collaboration if left out
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .http import Refused

#: In front of each of the three parts of vantage6's ciphertext there is none of them.
SEPARATOR = "$"
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_MISSING = ["Missing data for required field."]
#: A name and a description are shown, so they are kept short.
MOST_TEXT = 4_096
#: Of all databases of a task, as JSON, and how deep that may be nested.
MOST_DATABASES, MOST_DEPTH = 32_000, 32


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """What is asked for. `organizations` is None where all of them are meant."""

    image: str
    name: str
    description: str
    collaboration_id: int | None
    study_id: int | None
    organizations: tuple[tuple[int, str], ...] | None
    input: str  #: for all of them, in the old form
    databases: tuple[dict[str, Any], ...]
    timeout_seconds: float | None = None  #: from now until its runs end, whatever they do
    client_token: str = ""  #: the same one means the same task, however long ago


def read_request(body: Mapping[str, Any]) -> TaskRequest:
    """Raises Refused in vantage6's shape, with a message for each field that is wrong."""
    errors: dict[str, list[str]] = {}
    image = _text(body, "image", errors)
    if not image and "image" not in errors:
        errors["image"] = _MISSING
    request = TaskRequest(
        image=image,
        name=_text(body, "name", errors),
        description=_text(body, "description", errors),
        collaboration_id=_number(body, "collaboration_id", errors),
        study_id=_number(body, "study_id", errors),
        organizations=_organizations(body, errors),
        input=_old_input(body, errors),
        databases=_databases(body, errors),
        timeout_seconds=_seconds(body, errors),
        client_token=_text(body, "client_token", errors),
    )
    if request.collaboration_id is None and request.study_id is None:
        errors.setdefault("collaboration_id", _MISSING)
    if errors:
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", errors)
    return request


def _text(body: Mapping[str, Any], name: str, errors: dict[str, list[str]]) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MOST_TEXT or not _is_utf8(value):
        errors[name] = [f"Not a valid string of at most {MOST_TEXT} characters."]
        return ""
    return value


def _is_utf8(text: str) -> bool:
    """JSON can say half a surrogate pair, which nothing that keeps text takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(body: Mapping[str, Any], name: str, errors: dict[str, list[str]]) -> int | None:
    """Old clients sent ids as strings, too."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:15])
    if type(value) is not int or not 0 < value < 10**15:
        errors[name] = ["Not a valid integer."]
        return None
    return value


def _seconds(body: Mapping[str, Any], errors: dict[str, list[str]]) -> float | None:
    value = body.get("timeout_seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 3.2e9:
        errors["timeout_seconds"] = ["Not a number of seconds from 1 on."]
        return None
    return float(value)


def _organizations(
    body: Mapping[str, Any], errors: dict[str, list[str]]
) -> tuple[tuple[int, str], ...] | None:
    given = body.get("organizations")
    if given is None:
        return _old_organizations(body, errors)
    if not isinstance(given, list):
        errors["organizations"] = ["Not a valid list."]
        return ()
    found = []
    for each in given:
        id = each.get("id") if isinstance(each, dict) else None
        if type(id) is not int or not 0 < id < 10**15:
            errors["organizations"] = ["Each needs an id, which is a number."]
            return ()
        found.append((id, _input(each.get("input"))))
    return tuple(found)


def _old_organizations(
    body: Mapping[str, Any], errors: dict[str, list[str]]
) -> tuple[tuple[int, str], ...] | None:
    ids = body.get("organization_ids")
    if ids is None:
        if "input" not in body:
            errors["organizations"] = _MISSING
        return None
    if not isinstance(ids, list) or not all(type(id) is int and 0 < id < 10**15 for id in ids):
        errors["organization_ids"] = ["Not a valid list of numbers."]
        return ()
    return tuple((id, _input(body.get("input"))) for id in ids)


def _old_input(body: Mapping[str, Any], errors: dict[str, list[str]]) -> str:
    if "organizations" in body and "input" in body:
        errors["input"] = ["Unknown field."]
    return _input(body.get("input"))


def _input(value: Any) -> str:
    """Old clients sent an object, too: a node gets it as today's write it, in base64 of JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else base64.b64encode(json.dumps(value).encode()).decode()


def _databases(body: Mapping[str, Any], errors: dict[str, list[str]]) -> tuple[dict[str, Any], ...]:
    given = body.get("databases", body.get("database"))
    if given is None:
        return ()
    listed = [{"label": given}] if isinstance(given, str) else given
    named = isinstance(listed, list) and all(
        isinstance(each, dict) and isinstance(each.get("label"), str) for each in listed
    )
    if not named:
        errors["databases"] = ["Each needs a label."]
        return ()
    if not _can_be_kept(listed):
        errors["databases"] = [f"Not JSON of at most {MOST_DATABASES} characters, flat and finite."]
        return ()
    return tuple(dict(each) for each in listed)


def _can_be_kept(listed: list[Any]) -> bool:
    """They are part of the task's item, and go with each of its runs."""
    try:
        text = json.dumps(listed, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return len(text) <= MOST_DATABASES and _is_within(MOST_DEPTH, listed)


def _is_within(depth: int, value: Any) -> bool:
    if not isinstance(value, dict | list):
        return True
    parts = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_within(depth - 1, each) for each in parts)


def is_ciphertext(text: str) -> bool:
    """Has it the three parts of vantage6's encryption, which a readable input never has?"""
    key, *parts = text.split(SEPARATOR)
    if len(parts) != 2:
        return False
    iv, message = parts
    # what is encrypted may be empty
    return _is_base64(key) and _is_base64(iv) and (not message or _is_base64(message))


def _is_base64(text: str) -> bool:
    if not _BASE64.fullmatch(text):
        return False
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def check_inputs(inputs: Sequence[str], *, encrypted: bool) -> None:
    """Ciphertext where the collaboration wants it, and only there. Raises Refused."""
    if encrypted and not all(map(is_ciphertext, inputs)):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "Your collaboration requires encryption, but input is not encrypted! "
            "Please encrypt your input before sending it.",
        )
    if not encrypted and any(map(is_ciphertext, inputs)):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "Your task's input seems encrypted, but the collaboration is not; its nodes could "
            "not read it. Send the input as it is.",
        )
