"""Tasks from JSON Lines: every bad line is named, and a good file is never held in memory."""

from collections.abc import Iterator

import pytest

from stepgrid.cli.task_file import read_tasks
from stepgrid_core.errors import InvalidRequest


def tasks_of(text: bytes) -> list[object]:
    return list(read_tasks(text.splitlines(keepends=True), "t.jsonl"))


def test_each_line_is_a_task() -> None:
    """Any JSON value is a task, null and false too; the order is that of the file."""
    assert tasks_of(b'{"a": 1}\n[2]\n"three"\nnull\nfalse\n') == [
        {"a": 1},
        [2],
        "three",
        None,
        False,
    ]


@pytest.mark.parametrize("text", [b"1\r\n2\r\n", b"1\n2", b"1\n2\n\n  \n", b"\xef\xbb\xbf1\n2\n"])
def test_line_ends_and_the_end_of_the_file_are_forgiven(text: bytes) -> None:
    """Files of other systems, without a last newline, or with empty lines at the end, are good."""
    assert tasks_of(text) == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'1\n{"a": }\n', "line 2 is not JSON: Expecting value (column 7)"),
        (b"1\n\n2\n", "line 2 is empty; each line is one task"),
        (b"1\n\n\n\n2\n", "line 2 is empty"),
        (b"1\n2\nNaN\n", "line 3 is not JSON: NaN is not a JSON number"),
        (b"-Infinity\n", "line 1 is not JSON: -Infinity is not a JSON number"),
        (b'"\xff"\n', "line 1 is not UTF-8 (byte 2)"),
        (b'{"a": 1} {"b": 2}\n', "line 1 is not JSON: Extra data"),
        (b"[" * 100_000 + b"\n", "line 1 is nested too deeply"),
        (b"9" * 5_000 + b"\n", "line 1 is not JSON"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(text: bytes, message: str) -> None:
    """The message says which file, which line, what is wrong, and that nothing was submitted."""
    with pytest.raises(InvalidRequest) as refusal:
        tasks_of(text)
    assert f"t.jsonl: {message}" in str(refusal.value)
    assert str(refusal.value).endswith("nothing was submitted")


@pytest.mark.parametrize("text", [b"", b"\n", b"\n \n\t\n"])
def test_a_file_without_tasks_is_refused(text: bytes) -> None:
    """A session has at least one task."""
    with pytest.raises(InvalidRequest, match="holds no task"):
        tasks_of(text)


def test_lines_are_read_as_tasks_are_taken() -> None:
    """Taking two tasks reads two lines."""
    read = []

    def lines() -> Iterator[bytes]:
        for number in range(1000):
            read.append(number)
            yield b"%d\n" % number

    tasks = read_tasks(lines(), "t.jsonl")
    assert [next(tasks), next(tasks)] == [0, 1]
    assert read == [0, 1]
