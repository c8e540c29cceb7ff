"""Payload files: what is packed can be cut and read again, and damage is noticed."""

import math
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.codec import encode
from stepgrid_core.data_plane import (
    OutcomeHead,
    TaskFault,
    check,
    digest,
    encode_lines,
    failed_line,
    read_error,
    read_heads,
    read_outcomes,
)
from stepgrid_core.errors import InvalidRequest, PayloadCorrupted
from stepgrid_core.output_lines import finished_line
from tests.json_values import NOT_JSON, json_values

FAULT = TaskFault("ValueError", 'no "such" rate\n', 'Traceback:\n  File "é"\n')


# --- encode_lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", NOT_JSON)
def test_the_first_task_that_is_not_json_is_named(value: Any) -> None:
    """The caller learns which of many tasks it was."""
    with pytest.raises(InvalidRequest, match="task 2 "):
        list(encode_lines([1, "two", value, math.nan]))


def test_an_error_of_the_tasks_themselves_has_a_note() -> None:
    """It comes out as it is, and says in whose place it came."""

    def tasks() -> Iterator[int]:
        yield from range(3)
        raise ZeroDivisionError("of the caller's own")

    with pytest.raises(ZeroDivisionError) as caught:
        list(encode_lines(tasks()))
    assert caught.value.__notes__ == ["raised by the tasks where task 3 should have come"]


# --- output lines ---------------------------------------------------------------------------------


@given(
    index=st.integers(0, 10**6),
    attempts=st.integers(1, 10),
    milliseconds=st.floats(0, 1e9),
    result=json_values,
)
def test_a_result_travels_in_its_line(
    index: int, attempts: int, milliseconds: float, result: Any
) -> None:
    """The line is JSON, its head can be read alone, and its result is the function's."""
    line = finished_line(index, attempts, milliseconds, encode(result))
    (outcome,) = read_outcomes(line)
    assert outcome["i"] == index
    assert outcome["state"] == "finished"
    assert outcome["attempts"] == attempts
    assert outcome["ms"] == pytest.approx(milliseconds, abs=0.001)
    assert outcome["result"] == result
    ((head, same),) = read_heads(line)
    assert same + b"\n" == line
    assert head == OutcomeHead(index, "finished", attempts, outcome["ms"])


@pytest.mark.parametrize("state", ["failed", "retrying"])
def test_an_error_travels_in_its_line(state: str) -> None:
    """Type, message and traceback come back as they were, whatever characters are in them."""
    line = failed_line(7, 3, 12.5, FAULT, state)
    ((head, text),) = read_heads(line)
    assert head == OutcomeHead(7, state, 3, 12.5)
    assert read_error(text) == {
        "type": FAULT.type,
        "message": FAULT.message,
        "traceback": FAULT.traceback,
    }


def test_a_finished_line_has_no_error() -> None:
    """Asking for one is no mistake."""
    assert read_error(finished_line(0, 1, 1.0, b"null")) == {}


def test_heads_are_not_taken_from_results() -> None:
    """A result that looks like an output line is still a result."""
    inner = finished_line(99, 9, 9.0, b'"inner"').decode()
    data = finished_line(0, 1, 1.0, encode(inner)) + finished_line(1, 1, 1.0, encode([inner]))
    assert [head.index for head, _ in read_heads(data)] == [0, 1]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"<html>", id="not JSON"),
        pytest.param(b"{}", id="no head"),
        pytest.param(b'{"state":"finished","i":0,"attempts":1,"ms":1}', id="other order"),
        pytest.param(b' {"i":0,"state":"finished","attempts":1,"ms":1}', id="indented"),
    ],
)
def test_a_line_without_a_head_is_corrupt(line: bytes) -> None:
    """An output that is not ours is noticed, not skipped."""
    with pytest.raises(PayloadCorrupted):
        list(read_heads(finished_line(0, 1, 1.0, b"1") + line + b"\n"))


def test_an_empty_output_has_no_outcomes() -> None:
    """A chunk in which nothing has ended yet."""
    assert list(read_heads(b"")) == []
    assert list(read_outcomes(b"")) == []


# --- check ----------------------------------------------------------------------------------------

DATA = b'{"i":0}\n'


def test_bytes_that_were_committed_pass() -> None:
    """What the row published is handed on."""
    assert check(DATA, len(DATA), digest(DATA), "key") == DATA


@pytest.mark.parametrize(
    ("data", "size", "expected"),
    [
        pytest.param(DATA[:-1], len(DATA), digest(DATA), id="cut off"),
        pytest.param(DATA + b"\n", len(DATA), digest(DATA), id="longer"),
        pytest.param(DATA.replace(b"0", b"1"), len(DATA), digest(DATA), id="changed"),
        pytest.param(DATA, len(DATA), digest(b""), id="another digest"),
        pytest.param(DATA, len(DATA) + 1, digest(DATA), id="another size"),
    ],
)
def test_other_bytes_than_committed_are_corrupt(data: bytes, size: int, expected: str) -> None:
    """The error names the object and what to do."""
    with pytest.raises(PayloadCorrupted, match=r"results/key .* ask again"):
        check(data, size, expected, "results/key")


@given(st.binary())
def test_a_digest_fits_into_a_row(data: bytes) -> None:
    """Short, always of one length, and without the characters that separate a row's fields."""
    text = digest(data)
    assert len(text) == 16
    assert not set(text) & set("|.,=")
