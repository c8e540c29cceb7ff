"""The names of a job's files."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepgrid_core.job_paths import (
    MAX_NAME_BYTES,
    check_apart,
    check_destination,
    check_name,
    check_pattern,
    default_name,
    is_pattern,
    shorten,
)
from tests.hostile_names import HOSTILE_NAMES, HOSTILE_PATTERNS

GOOD_NAMES = [
    "a",
    "a.txt",
    ".hidden",
    "...",
    "..a",
    "a..",
    "-rf",
    "a b",
    "ab:c",
    "data/2026/a.csv",
    "\u00e4/\u65e5\u672c.csv",
    "\U0001f600",
    "a~",
    "a" * 255,
    "/".join(["a" * 254] * 4),
    "stepgrid",
    "CON",
    "a%2f..%2fb",
    "$HOME",
    "a;rm -rf b",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names(name: str) -> None:
    """Whatever stays below the folder is a name, however odd it looks."""
    assert check_name(name) == check_destination(name) == check_pattern(name) == name


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_hostile_names(name: str) -> None:
    """All are refused, in words that name them, can be printed and stay short."""
    for check in (check_name, check_destination, check_pattern):
        with pytest.raises(ValueError, match=r"relative to the job's folder") as caught:
            check(name)
        message = str(caught.value)
        assert message.startswith(shorten(name))
        assert message.isprintable()
        assert len(message) < 700


@pytest.mark.parametrize("pattern", HOSTILE_PATTERNS, ids=ascii)
def test_hostile_patterns(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"wildcards|\*\* has|has \*\*|without \]") as caught:
        check_pattern(pattern)
    assert shorten(pattern) in str(caught.value)


def test_there_are_many() -> None:
    assert len(set(HOSTILE_NAMES)) >= 100


@pytest.mark.parametrize(
    "pattern", ["*", "*.txt", "a/*/b?", "[a-c]*", "[[]x", "[]]", "[!a]", "[!]]"]
)
def test_patterns(pattern: str) -> None:
    assert check_pattern(pattern) == pattern
    assert is_pattern(pattern)


@pytest.mark.parametrize("name", ["STDOUT.txt", "STDERR.txt", "STDOUT.txt/a"])
def test_names_of_the_job_itself(name: str) -> None:
    """What it prints may be named as an output, but nothing may be put in its place."""
    assert check_pattern(name) == name
    with pytest.raises(ValueError, match="choose another name"):
        check_destination(name)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/a.csv", "a.csv"),
        ("https://example.com/x/a%20b.csv?sign=/x#y/z", "a b.csv"),
        ("s3://bucket/folder/key", "key"),
        ("s3://bucket/folder/\u00e9 a+b.csv", "\u00e9 a+b.csv"),
        ("https://example.com/%C3%A4", "\u00e4"),
    ],
)
def test_default_names(url: str, name: str) -> None:
    assert default_name(url) == name


@pytest.mark.parametrize(
    "end", ["", "/", "/a/", "/..", "/%2e%2e", "/a%2Fb", "/%00", "/%0a", "/%ff", "/STDOUT.txt", "/~"]
)
def test_urls_that_name_no_file(end: str) -> None:
    with pytest.raises(ValueError, match="name"):
        default_name(f"https://example.com{end}")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], "'a' is the name of two files"),
        (["a/b", "a"], "'a' is both a file and a folder"),
        (["x/y/z/a", "x/y"], "'x/y' is both a file and a folder"),
    ],
)
def test_names_that_meet(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_apart(names)


def test_names_that_do_not_meet() -> None:
    check_apart(["a", "ab", "b/a", "b/c"])


@given(st.text(alphabet=st.sampled_from("ab./\\*?[]!~: \0\n\u202e\ud800"), max_size=30))
def test_what_is_accepted_stays_below(name: str) -> None:
    """Whatever passes has only parts that lead down, and can be stored."""
    try:
        check_pattern(name)
    except ValueError:
        return
    parts = name.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert all(fnmatch.translate(part) for part in parts)
