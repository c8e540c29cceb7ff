"""Bodies of requests: which fields there may be, and what is said of wrong ones. Pure.

The words are marshmallow's, as vantage6 answers them: {"errors": {field: [what is wrong]}}.
A field that is null is one that was not given: clients send whatever they were not told so.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .http import Call, Refused

MAX_NAME_CHARACTERS = 128
MAX_TEXT_CHARACTERS = 1024
#: An RSA key of 16384 bits, in PEM, in base64, has 3.8 KB.
MAX_KEY_CHARACTERS = 8192
MAX_PASSWORD_CHARACTERS = 128
MAX_IDS = 1000
REQUIRED = "Missing data for required field."
_USERNAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]{2,127}", re.ASCII)
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")

#: What a value is read as. Raises ValueError with the words for the caller.
Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    read: Reader
    required: bool = False


def read_body(call: Call, fields: Mapping[str, Field], *, partial: bool = False) -> dict[str, Any]:
    """Raises Refused that says of each field what is wrong. partial: nothing has to be there."""
    body = {name: value for name, value in call.json().items() if value is not None}
    read: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name in body.keys() - fields.keys():
        errors[name[:MAX_NAME_CHARACTERS]] = ["Unknown field."]
    for name, field in fields.items():
        try:
            if name in body:
                read[name] = field.read(body[name])
            elif field.required and not partial:
                raise ValueError(REQUIRED)
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", errors)
    return read


def text(longest: int = MAX_NAME_CHARACTERS) -> Reader:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("Not a valid string.")
        if len(value) > longest:
            raise ValueError(f"Longer than maximum length {longest}.")
        if not value.replace("\n", " ").isprintable():
            raise ValueError("Has characters that can't be printed.")
        return value

    return read


def read_name(value: Any) -> str:
    name: str = text()(value)
    if not name.strip():
        raise ValueError("Name cannot be empty")
    if name.isnumeric():
        raise ValueError("Name cannot be numerical")
    return name


def read_username(value: Any) -> str:
    name = read_name(value)
    if not _USERNAME.fullmatch(name):
        raise ValueError(
            "A username has 3 to 128 letters, digits, dots, hyphens and underscores, "
            "and begins with a letter."
        )
    return name


def read_email(value: Any) -> str:
    address: str = text(254)(value)
    if not _EMAIL.fullmatch(address):
        raise ValueError("Not a valid email address.")
    return address


def read_password(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_PASSWORD_CHARACTERS:
        raise ValueError(f"A password is text of at most {MAX_PASSWORD_CHARACTERS} characters.")
    wanted = ("[0-9]", "[A-Z]", "[a-z]", "[^0-9A-Za-z]")
    if len(value) < 8 or not all(re.search(kind, value) for kind in wanted):
        raise ValueError(
            "A password has 8 characters or more, of them at least one lower case letter, "
            "one upper case letter, one number and one special character."
        )
    return value


def read_public_key(value: Any) -> str:
    key: str = text(MAX_KEY_CHARACTERS)(value)
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("Not a valid base64 text.") from None
    return key


def read_ip(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError("IP address is not valid") from None


def read_boolean(value: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ValueError("Not a valid boolean.")


def read_id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("Not a valid integer.")
    if not 1 <= value < 10**15:
        raise ValueError("Must be greater than or equal to 1.")
    return value


def read_ids(value: Any) -> tuple[int, ...]:
    """Each once, in their order."""
    if not isinstance(value, list) or len(value) > MAX_IDS:
        raise ValueError("Not a valid list.")
    return tuple(dict.fromkeys(read_id(each) for each in value))


def read_organization_ids(value: Any) -> tuple[int, ...]:
    ids = read_ids(value)
    if not ids:
        raise ValueError("At least one organization id is required")
    if len(ids) != len(value):
        raise ValueError("Organization ids must be unique")
    return ids
