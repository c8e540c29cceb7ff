"""Bodies and filters of requests: what is read, and what is said of what can't be."""

import base64
import json
from typing import Any

import pytest

from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.federation import bodies
from stepgrid_core.federation.bodies import Field, read_body
from stepgrid_core.federation.filters import id_argument, is_asked, is_included, is_like
from stepgrid_core.federation.http import Call, Refused
from stepgrid_core.federation.times import iso_time, read_time

FIELDS = {"name": Field(bodies.read_name, required=True), "ids": Field(bodies.read_ids)}


def call(body: Any = None, **query: str) -> Call:
    request = HttpRequest(
        "POST",
        "/x",
        {name: [value] for name, value in query.items()},
        json.dumps(body).encode(),
    )
    return Call(None, None, request, {}, "/api", legacy=False)  # type: ignore[arg-type]


def test_what_is_given_is_read() -> None:
    assert read_body(call({"name": "heart", "ids": [2, 1, 2]}), FIELDS) == {
        "name": "heart",
        "ids": (2, 1),
    }
    assert read_body(call({"ids": None}), FIELDS, partial=True) == {}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": ["Missing data for required field."]}),
        ({"name": None}, {"name": ["Missing data for required field."]}),
        ({"name": "a", "input": 1}, {"input": ["Unknown field."]}),
        ({"name": 1, "ids": 1}, {"name": ["Not a valid string."], "ids": ["Not a valid list."]}),
        ({"name": "a", "ids": [0]}, {"ids": ["Must be greater than or equal to 1."]}),
    ],
)
def test_each_field_that_is_wrong_is_named(body: Any, errors: dict[str, list[str]]) -> None:
    with pytest.raises(Refused) as refused:
        read_body(call(body), FIELDS)
    assert refused.value.http_status == 400
    assert refused.value.details == errors


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (bodies.read_name, ""),
        (bodies.read_name, "  "),
        (bodies.read_name, "17"),
        (bodies.read_name, "a" * 129),
        (bodies.read_name, "a\x00b"),
        (bodies.read_name, "\ud800"),
        (bodies.read_username, "ab"),
        (bodies.read_username, "1ab"),
        (bodies.read_username, "a b c"),
        (bodies.read_username, "änne"),
        (bodies.read_email, "ann"),
        (bodies.read_email, "ann@b c"),
        (bodies.read_password, "Short 1"),
        (bodies.read_password, "no capitals 1!"),
        (bodies.read_password, "NO SMALLS 1!"),
        (bodies.read_password, "No numbers!!"),
        (bodies.read_password, "NoSpecial123"),
        (bodies.read_password, "Long enough 1!" * 10),
        (bodies.read_password, 12345678),
        (bodies.read_public_key, "no base64!"),
        (bodies.read_public_key, "A" * 8196),
        (bodies.read_ip, "256.1.1.1"),
        (bodies.read_ip, 1),
        (bodies.read_boolean, "yes"),
        (bodies.read_boolean, 2),
        (bodies.read_id, True),
        (bodies.read_id, "1"),
        (bodies.read_id, 1.0),
        (bodies.read_id, 10**15),
        (bodies.read_ids, list(range(1, 1002))),
        (bodies.read_organization_ids, []),
        (bodies.read_organization_ids, [1, 1]),
    ],
)
def test_values_that_are_refused(read: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(value)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (bodies.read_name, "Klinikum Würzburg-Nord"),
        (bodies.read_username, "ann.b-c_1"),
        (bodies.read_email, "ann@example.org"),
        (bodies.read_password, "Correct horse 1!"),
        (bodies.read_public_key, base64.b64encode(b"-----BEGIN PUBLIC KEY-----\n").decode()),
        (bodies.read_public_key, ""),
        (bodies.read_ip, "10.76.0.1"),
        (bodies.read_boolean, True),
        (bodies.read_boolean, 0),
        (bodies.text(1024), "two\nlines"),
    ],
)
def test_values_that_are_taken(read: Any, value: Any) -> None:
    assert read(value) == value


@pytest.mark.parametrize(
    ("pattern", "value", "like"),
    [
        ("heart", "Heart", True),
        ("heart", "hearts", False),
        ("hear%", "hearts", True),
        ("%art%", "hearts", True),
        ("%", "", True),
        ("%%", "heart", True),
        ("h_art", "heart", True),
        ("h_art", "hart", False),
        ("%a%a%", "banana", True),
        ("%a%x%", "banana", False),
        ("a%a", "a", False),
        ("ab%bc", "abc", False),
        ("a.c", "abc", False),
        ("", "heart", False),
        ("", "", True),
        ("_%_", "ab", True),
        ("_%_", "a", False),
    ],
)
def test_names_are_filtered_as_sql_does(pattern: str, value: str, like: bool) -> None:
    assert is_like(pattern, value) is like


def test_a_hostile_pattern_takes_no_time() -> None:
    """Each % is looked for once: no trying of all ways to divide the text."""
    assert not is_like("%a" * 1000 + "%b", "a" * 5000)


@pytest.mark.parametrize("value", ["x", "-1", "1" * 16, "²"])
def test_an_argument_that_is_no_id(value: str) -> None:
    with pytest.raises(Refused):
        id_argument(call(role_id=value), "role_id")


def test_arguments() -> None:
    asked = call(role_id="7", user_id="", include="runs,results", delete_dependents="True")
    assert id_argument(asked, "role_id") == 7
    assert id_argument(asked, "user_id") is None
    assert id_argument(asked, "rule_id") is None
    assert is_included(asked, "results")
    assert not is_included(asked, "result")
    assert is_asked(asked, "delete_dependents")
    assert not is_asked(call(delete_dependents="False"), "delete_dependents")


def test_times_as_text() -> None:
    text = "2026-11-30T12:00:00+00:00"
    assert iso_time(read_time(text)) == text
    assert read_time("2026-11-30T12:00:00") == read_time("2026-11-30T12:00:00Z")
    assert iso_time(None) is None
    assert iso_time(0.0) is None
    assert read_time("yesterday") is None
