"""Which addresses a job's inputs may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepgrid_core.job_urls import MAX_KEY_BYTES, MAX_URL_CHARACTERS, check_url, is_plain_key


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a%20b?x=1#y",
        "http://[2606:4700::1111]:8080/a",
        "s3://bucket/key",
        "s3://my.bucket-1/files/0/\u00e9 a+b&c=[1].csv",
        "s3://bucket/" + "x" * MAX_KEY_BYTES,
    ],
)
def test_addresses(url: str) -> None:
    """Those of the web are written as they travel, those of objects as their keys are."""
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/a b", "percent-encode"),
        ("https://example.org/\u00e9", "percent-encode"),
        ("s3://b/key", "names no bucket"),
        ("s3://bucket", "names no object"),
        ("s3://bucket/", "names no object"),
        ("s3://bucket/a%20b", "one of"),
        ("s3://bucket/a?versionId=1", "one of"),
        ("s3://bucket/a#b", "one of"),
        ("s3://bucket/a\\b", "one of"),
        ("s3://bucket/a\nb", "can't be seen"),
        ("s3://bucket/a\u202eb", "can't be seen"),
        ("s3://bucket/a\ud800", "can't be seen"),
        ("s3://bucket/a//b", "empty part"),
        ("s3://bucket/../b", "empty part"),
        ("s3://bucket/" + "\u00e9" * MAX_KEY_BYTES, "more than 1024 bytes"),
        ("s3://bucket/" + "x" * MAX_URL_CHARACTERS, "characters"),
        ("S3://bucket/a", "is no URL of"),
        ("s3:bucket/a", "is no URL of"),
    ],
)
def test_what_is_refused(url: str, words: str) -> None:
    """The error says why, in letters that can be shown."""
    with pytest.raises(ValueError, match=words) as caught:
        check_url(url)
    assert str(caught.value).isprintable()


def test_an_object_is_no_address_of_the_web() -> None:
    """A server can't redirect to one."""
    with pytest.raises(ValueError, match="is no URL of http, https"):
        check_url("s3://bucket/key", ("http", "https"))


@given(st.text(alphabet=st.sampled_from("a\u00e9 ./\\%?#\n\u202e"), max_size=20))
def test_an_address_is_as_plain_as_its_key(key: str) -> None:
    """Contract and submit go by one rule."""
    try:
        check_url(f"s3://bucket/{key}")
    except ValueError:
        assert not is_plain_key(key)
    else:
        assert is_plain_key(key)
