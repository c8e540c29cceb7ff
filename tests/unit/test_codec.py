"""JSON text of payloads: what goes in comes out, as the json module has it."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.codec import decode, decoder_for, encode
from tests.json_values import NOT_JSON, json_values


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 9


class Side(StrEnum):
    BUY = "buy"


@dataclass
class Trade:
    strike: float


@given(json_values)
def test_a_value_comes_out_as_it_went_in(value: Any) -> None:
    """Types included: 1 is not 1.0, and integers of any length stay exact."""
    assert repr(decode(encode(value))) == repr(value)


@given(json_values)
def test_the_text_is_one_line_that_json_reads(value: Any) -> None:
    """Other languages, and users with json at hand, read the same."""
    text = encode(value)
    assert b"\n" not in text
    assert repr(json.loads(text)) == repr(value)


@given(st.lists(json_values, max_size=8))
def test_one_decoder_serves_all_lines_of_a_file(values: list[Any]) -> None:
    """It is chosen once, by all the bytes."""
    lines = [encode(value) for value in values]
    decoder = decoder_for(b"\n".join(lines))
    assert repr([decoder(line) for line in lines]) == repr(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"a": [1, 2]}, b'{"a":[1,2]}', id="no spaces"),
        pytest.param("line\nbreak", rb'"line\nbreak"', id="newline escaped"),
        pytest.param("é", '"é"'.encode(), id="UTF-8"),
        pytest.param(None, b"null", id="null"),
        pytest.param([None, "null"], b'[null,"null"]', id="null and the word"),
        pytest.param((1, (2,)), b"[1,[2]]", id="tuples are lists"),
        pytest.param(
            {1: 2, False: 3, None: 4}, b'{"1":2,"false":3,"null":4}', id="keys become text"
        ),
        pytest.param({1.5: "é"}, '{"1.5":"é"}'.encode(), id="keys become text, in UTF-8"),
        pytest.param(2**64, b"18446744073709551616", id="over 64 bits"),
        pytest.param([Level.HIGH, Side.BUY], b'[9,"buy"]', id="enums that are numbers or text"),
        pytest.param(Colour.RED, b'"red"', id="other enums"),
        pytest.param([Colour.RED, None], b'["red",null]', id="other enums beside null"),
        pytest.param(UUID(int=1), b'"00000000-0000-0000-0000-000000000001"', id="UUID"),
        pytest.param(
            {"id": UUID(int=1), "n": 2**80},
            b'{"id":"00000000-0000-0000-0000-000000000001","n":1208925819614629174706176}',
            id="UUID beside a long integer",
        ),
    ],
)
def test_text_of_a_value(value: Any, text: bytes) -> None:
    """The same value is written alike, whatever stands beside it."""
    assert encode(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *NOT_JSON,
        pytest.param([None, math.nan], id="NaN beside null"),
        pytest.param({"null": math.inf}, id="infinity beside the word null"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param(datetime(2026, 1, 1, tzinfo=UTC), id="datetime"),
        pytest.param(Trade(1.0), id="dataclass"),
        pytest.param(Decimal("1.5"), id="Decimal"),
    ],
)
def test_what_json_can_not_say_is_refused(value: Any) -> None:
    """A result that would come out as something else is an error where it is made."""
    with pytest.raises((TypeError, ValueError)):
        encode(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b"18446744073709551616", 2**64, id="over 64 bits"),
        pytest.param(b"-9223372036854775809", -(2**63) - 1, id="under 64 bits"),
        pytest.param(b"18446744073709551615", 2**64 - 1, id="the largest of 64 bits"),
        pytest.param(b'{"a":[1e3,123456789012345678901]}', {"a": [1e3, 123456789012345678901]}),
        pytest.param(b"0.1234567890123456789", 0.1234567890123456789, id="many decimals"),
        pytest.param(rb'"\ud800"', "\ud800", id="half a surrogate pair"),
        pytest.param(b" [1 , 2]\r\n", [1, 2], id="spaces"),
        pytest.param(b'{"a":1,"a":2}', {"a": 2}, id="the last of two equal keys"),
    ],
)
def test_value_of_a_text(text: bytes, value: Any) -> None:
    """Texts of other writers are read as json reads them."""
    assert repr(decode(text)) == repr(value)


@pytest.mark.parametrize("text", [b"", b"nan", b"NaN", b"[1,]", b"-Infinity", b"\xff", b"[NaN]"])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """NaN is none either, though json would take it."""
    with pytest.raises(ValueError, match=r"."):
        decode(text)
