"""Payloads as JSON text: tasks, results, what a session has in common.

orjson does the work, several times faster than the json module. Where the two differ in what they
say, json's word counts, because a value must come out as it went in:

    integers over 64 bits   orjson refuses to write them, and reads them as floats without a word
    NaN, infinity           orjson writes null; JSON has no word for them, so they are refused
    keys that are numbers   orjson refuses them; json writes them as text

This module knows values and bytes, no files and no lines. It is loaded by the child process before
user code, so it imports nothing but orjson and the standard library.
"""

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, NoReturn
from uuid import UUID

import orjson

Decoder = Callable[[bytes], Any]

#: What orjson would write in a way of its own is left to json, which knows no such thing.
_STRICT = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
#: The shortest integer that may not fit into 64 bits has so many digits.
_LONG_DIGITS = 19
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * _LONG_DIGITS


def encode(value: Any) -> bytes:
    """JSON text in UTF-8 on one line, without spaces.

    Tuples are written as lists, keys that are numbers, True, False or None as text, members of an
    Enum by their value, UUIDs as text. Raises TypeError, ValueError or RecursionError for what JSON
    can't say: sets, bytes, other objects, NaN, infinity, half a surrogate pair, circular values.
    """
    try:
        text = orjson.dumps(value, option=_STRICT)
    except TypeError:
        return _encode_exactly(value)
    if b"null" in text:  # None, NaN, infinity or a part of a string: only json tells
        _encode_exactly(value)
    return text


def decode(text: bytes) -> Any:
    """The value that JSON text stands for. Raises ValueError or RecursionError."""
    return decoder_for(text)(text)


def decoder_for(data: bytes) -> Decoder:
    """The fastest decoder that is exact for every JSON text in `data`, such as the lines of a file.

    It raises as `decode` does.
    """
    return _decode_exactly if _LONG_NUMBER in data.translate(_DIGITS_ALIKE) else _decode_quickly


def _encode_exactly(value: Any) -> bytes:
    text = json.dumps(
        value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_simplify
    )
    return text.encode()


def _simplify(value: Any) -> Any:
    """What orjson knows and can't be told to refuse: the same value must not depend on the way."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _decode_quickly(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _decode_exactly(text)  # it may be right all the same: half a pair, deep nesting


def _decode_exactly(text: bytes) -> Any:
    return _decode(text.decode())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
