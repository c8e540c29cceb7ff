"""Reading of JSON records field by field: what a field accepts, and what it says when it refuses.

Knows nothing of options or of QuantLib. Every refusal is a ValueError that starts with the field's
path, so that a caller only adds where the record came from.
"""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: The default of a field that has none.
REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    #: Turns the JSON value into the value used; raises ValueError saying what is accepted.
    read: Callable[[object], Any]
    #: The value of an absent field. It is used as it is, without `read`.
    default: object = REQUIRED


def read_record(given: object, fields: Mapping[str, Field], path: str) -> dict[str, Any]:
    """Return the values of all `fields`, defaults filled in.

    path: how messages call the record. Raises ValueError when `given` is no JSON object, has an
    unknown field, lacks a required one, or holds a value its field refuses.
    """
    if not isinstance(given, dict):
        raise ValueError(f"{path} must be an object, got {reprlib.repr(given)}")
    for name in given:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise ValueError(f"{path}.{name} is not a known field; known fields: {known}")
    return {name: _read_field(given, name, field, path) for name, field in fields.items()}


def _read_field(given: Mapping[str, Any], name: str, field: Field, path: str) -> Any:
    if name not in given:
        if field.default is REQUIRED:
            raise ValueError(f"{path}.{name} is missing")
        return field.default
    try:
        return field.read(given[name])
    except ValueError as error:
        raise ValueError(f"{path}.{name} {error}, got {reprlib.repr(given[name])}") from None


def number_between(minimum: float, maximum: float) -> Callable[[object], float]:
    """Return a reader of numbers from `minimum` to `maximum`, both included."""

    def read(value: object) -> float:
        # NaN compares false with everything, so it is refused too.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        if not minimum <= value <= maximum:
            raise ValueError(f"must be a number from {minimum:g} to {maximum:g}")
        return float(value)

    return read


def positive_number(maximum: float) -> Callable[[object], float]:
    """Return a reader of numbers above 0 and up to `maximum`."""

    def read(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value <= maximum
        ):
            raise ValueError(f"must be a number above 0 and up to {maximum:g}")
        return float(value)

    return read


def whole_number(minimum: int, maximum: int) -> Callable[[object], int]:
    """Return a reader of whole numbers from `minimum` to `maximum`, both included."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return value

    return read


def one_of(choices: Sequence[str]) -> Callable[[object], str]:
    """Return a reader of the texts in `choices`."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return read


def read_object(value: object) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value
