"""The contract of the PayloadStore port."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from botocore.exceptions import ClientError

from stepgrid_core.aws.payload_store import AwsPayloadStore, LentPayloadStore
from stepgrid_core.errors import InvalidRequest, NotFound, PayloadCorrupted
from stepgrid_core.ports import DOWNLOAD_SECONDS, URL_SECONDS, PayloadStore

from .aws_stack import AwsStack
from .conftest import PayloadBench

KEY = "inputs/owner/upload.jsonl"
#: S3 refuses a smaller part, unless it is the last.
PART_BYTES = 5 * 1024 * 1024
#: How many keys S3 lists, and then deletes, at once: here. The real one takes 1,000.
PAGE = 100


def test_an_object_is_read_as_it_was_put(store: PayloadStore) -> None:
    """Every byte comes back, and `put` answers what `head` will."""
    body = bytes(range(256)) * 3
    stored = store.put(KEY, body)
    assert store.get(KEY) == body
    assert stored.size == len(body)
    assert store.head(KEY) == stored


def test_an_empty_object_is_an_object(store: PayloadStore) -> None:
    """No bytes are not the same as no object."""
    store.put(KEY, b"")
    assert store.get(KEY) == b""
    assert store.head(KEY) is not None


def test_a_missing_object_is_not_found(store: PayloadStore) -> None:
    """`get` raises NotFound and names the key."""
    with pytest.raises(NotFound, match=KEY):
        store.get(KEY)


def test_the_head_of_a_missing_object_is_none(store: PayloadStore) -> None:
    """Asking for something that may not be there is no error."""
    assert store.head(KEY) is None


def test_a_second_put_replaces_the_object(store: PayloadStore) -> None:
    """The last one counts, and it has another ETag."""
    first = store.put(KEY, b"one")
    second = store.put(KEY, b"two!")
    assert store.get(KEY) == b"two!"
    assert store.head(KEY) == second
    assert first.etag != second.etag


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        pytest.param(0, 3, b"012", id="beginning"),
        pytest.param(4, 2, b"45", id="middle"),
        pytest.param(9, 1, b"9", id="last byte"),
        pytest.param(0, 10, b"0123456789", id="all"),
        pytest.param(7, 100, b"789", id="past the end"),
    ],
)
def test_a_range_is_read(store: PayloadStore, start: int, length: int, expected: bytes) -> None:
    """A range is `length` bytes from `start` on, or what there is of them."""
    stored = store.put(KEY, b"0123456789")
    assert list(store.open_range(KEY, start, length, stored.etag)) == [expected]


def test_a_long_range_comes_in_blocks(store: PayloadStore) -> None:
    """Whoever reads it can begin with the first one; none of them is empty."""
    body = bytes(range(256)) * 4096
    blocks = list(store.open_range(KEY, 1, len(body) - 2, store.put(KEY, body).etag))
    assert b"".join(blocks) == body[1:-1]
    assert len(blocks) > 1
    assert all(blocks)


def test_a_range_of_a_missing_object_is_not_found(store: PayloadStore) -> None:
    """An input that is gone is told from one that was replaced."""
    with pytest.raises(NotFound, match=KEY):
        store.open_range(KEY, 0, 1, "0" * 32)


def test_a_range_of_a_replaced_object_is_refused(store: PayloadStore) -> None:
    """No task may run on other bytes than those that were submitted."""
    submitted = store.put(KEY, b"0123456789")
    store.put(KEY, b"9876543210")
    with pytest.raises(PayloadCorrupted, match=KEY):
        store.open_range(KEY, 0, 3, submitted.etag)


def test_only_objects_under_the_prefix_are_deleted(store: PayloadStore) -> None:
    """The results of one session go, its neighbours' stay."""
    keys = ["results/a/0", "results/a/1", "results/ab/0", "inputs/a/0"]
    for key in keys:
        store.put(key, b"x")
    store.delete_prefix("results/a/")
    left = [
        k for k in ("results/a/0", "results/a/1", "results/ab/0", "inputs/a/0") if store.head(k)
    ]
    assert left == ["results/ab/0", "inputs/a/0"]


def test_deleting_nothing_is_no_error(store: PayloadStore) -> None:
    """A delete can be repeated."""
    store.delete_prefix("results/a/")
    assert store.head("results/a/0") is None


def test_more_objects_than_a_page_are_deleted(
    store: PayloadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of many chunks has more outputs than S3 lists at once: here a page is short."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(PAGE))
    keys = [f"results/a/{number:05d}/1-0.jsonl" for number in range(PAGE + 1)]
    for key in keys:
        store.put(key, b"")
    store.delete_prefix("results/a/")
    corners = (keys[0], keys[PAGE - 1], keys[PAGE])
    assert [key for key in corners if store.head(key)] == []


# --- presigned URLs -------------------------------------------------------------------------------


def test_a_url_to_put_takes_an_object(payloads: PayloadBench) -> None:
    """A client with nothing but the URL stores an object under its key."""
    payloads.upload(payloads.store.presign_put(KEY), b"task\n")
    assert payloads.store.get(KEY) == b"task\n"


def test_a_url_to_get_gives_the_object(payloads: PayloadBench) -> None:
    """A client with nothing but the URL reads the object."""
    payloads.store.put(KEY, b"task\n")
    assert payloads.download(payloads.store.presign_get(KEY)) == b"task\n"


def test_a_url_to_download_gives_the_object(payloads: PayloadBench) -> None:
    """As a file of its own name, however strange."""
    key = "jobs/30/owner/session/0/a folder/é #1%.txt"
    payloads.store.put(key, b"result")
    url = payloads.store.presign_download(key, "a folder/é #1%.txt")
    assert payloads.download(url) == b"result"


def test_urls_name_their_key(store: PayloadStore) -> None:
    """A URL is for one object, and for one part of an upload."""
    multipart_id = store.start_multipart(KEY)
    assert KEY in store.presign_get(KEY)
    assert KEY in store.presign_put(KEY)
    part_urls = {store.presign_part(KEY, multipart_id, number) for number in (1, 2)}
    assert len(part_urls) == 2
    assert all(KEY in url for url in part_urls)


# --- multipart uploads ----------------------------------------------------------------------------


def upload_parts(payloads: PayloadBench, bodies: list[bytes]) -> tuple[str, list[str]]:
    store = payloads.store
    multipart_id = store.start_multipart(KEY)
    urls = [store.presign_part(KEY, multipart_id, n) for n in range(1, len(bodies) + 1)]
    return multipart_id, [payloads.upload(u, body) for u, body in zip(urls, bodies, strict=True)]


BODIES = [b"a" * PART_BYTES, b"b" * PART_BYTES, b"c"]


def test_parts_become_one_object(payloads: PayloadBench) -> None:
    """The parts are joined in order of their numbers, and can then be read in ranges."""
    multipart_id, etags = upload_parts(payloads, BODIES)
    assert payloads.store.head(KEY) is None
    size = 2 * PART_BYTES + 1
    stored = payloads.store.complete_multipart(KEY, multipart_id, etags, size)
    assert stored.size == size
    assert stored == payloads.store.head(KEY)
    edge = list(payloads.store.open_range(KEY, PART_BYTES - 1, 2, stored.etag))
    assert edge == [b"ab"]


@pytest.mark.parametrize("quote", ['"', ""], ids=["quoted", "bare"])
def test_etags_may_be_quoted(payloads: PayloadBench, quote: str) -> None:
    """An ETag header has quotes; clients send it on with or without."""
    multipart_id, etags = upload_parts(payloads, [b"tasks"])
    quoted = [quote + etags[0].strip('"') + quote]
    payloads.store.complete_multipart(KEY, multipart_id, quoted, len(b"tasks"))
    assert payloads.store.get(KEY) == b"tasks"


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda a, b: [a, "0" * 32], id="wrong"),
        pytest.param(lambda a, b: [b, a], id="swapped"),
        pytest.param(lambda a, b: [a, b, b], id="one too many"),
        pytest.param(lambda a, b: [], id="none"),
    ],
)
def test_parts_that_do_not_fit_are_refused(payloads: PayloadBench, choose: object) -> None:
    """Wrong ETags are the caller's fault; no object appears, and the right ones still work."""
    multipart_id, etags = upload_parts(payloads, [BODIES[0], BODIES[2]])
    size = PART_BYTES + 1
    wrong = choose(*etags)  # type: ignore[operator]
    with pytest.raises(InvalidRequest, match=KEY):
        payloads.store.complete_multipart(KEY, multipart_id, wrong, size)
    assert payloads.store.head(KEY) is None
    payloads.store.complete_multipart(KEY, multipart_id, etags, size)
    assert payloads.store.head(KEY) is not None


def test_completing_again_is_no_error(payloads: PayloadBench) -> None:
    """A submit that is repeated completes the same upload again; the object stays as it is."""
    multipart_id, etags = upload_parts(payloads, [b"tasks"])
    first = payloads.store.complete_multipart(KEY, multipart_id, etags, len(b"tasks"))
    again = payloads.store.complete_multipart(KEY, multipart_id, etags, len(b"tasks"))
    assert first == again == payloads.store.head(KEY)


def test_uploads_of_one_key_do_not_mix(payloads: PayloadBench) -> None:
    """Each multipart upload has an id of its own."""
    first, first_etags = upload_parts(payloads, [b"first"])
    second, second_etags = upload_parts(payloads, [b"second"])
    assert first != second
    payloads.store.complete_multipart(KEY, first, first_etags, len(b"first"))
    assert payloads.store.get(KEY) == b"first"
    payloads.store.complete_multipart(KEY, second, second_etags, len(b"second"))
    assert payloads.store.get(KEY) == b"second"


def test_an_aborted_upload_is_gone(payloads: PayloadBench) -> None:
    """A client with nothing but the URL ends its upload: no object, and nothing left to abort."""
    multipart_id, _ = upload_parts(payloads, [b"tasks"])
    url = payloads.store.presign_abort(KEY, multipart_id)
    payloads.abort(url)
    with pytest.raises((NotFound, requests.HTTPError)):
        payloads.abort(url)
    assert payloads.store.head(KEY) is None


def test_an_abort_that_comes_too_late_changes_nothing(payloads: PayloadBench) -> None:
    """The object of a completed upload stays."""
    multipart_id, etags = upload_parts(payloads, [b"tasks"])
    payloads.store.complete_multipart(KEY, multipart_id, etags, len(b"tasks"))
    with pytest.raises((NotFound, requests.HTTPError)):
        payloads.abort(payloads.store.presign_abort(KEY, multipart_id))
    assert payloads.store.get(KEY) == b"tasks"


# --- AWS alone ------------------------------------------------------------------------------------


def test_urls_of_aws_are_signed_and_expire(stack: AwsStack) -> None:
    """A URL names bucket and key, is signed with Signature Version 4, and expires in an hour."""
    bucket = stack.create_bucket()
    store = AwsPayloadStore(bucket)
    urls = [store.presign_get(KEY), store.presign_put(KEY), store.presign_part(KEY, "upload", 7)]
    urls.append(store.presign_abort(KEY, "upload"))
    for url in urls:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        assert bucket in parts.netloc + parts.path
        assert parts.path.endswith(KEY)
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        assert query["X-Amz-Expires"] == [str(URL_SECONDS)]
    part = parse_qs(urlsplit(urls[2]).query)
    assert (part["uploadId"], part["partNumber"]) == (["upload"], ["7"])


def test_downloads_of_aws_have_the_bucket_in_their_path(stack: AwsStack) -> None:
    """Of the bucket's region, for a while, and saved under the file's own name."""
    bucket = stack.create_bucket()
    parts = urlsplit(
        AwsPayloadStore(bucket).presign_download("jobs/1/o/s/0/a/b c.txt", "a/b c.txt")
    )
    query = parse_qs(parts.query)
    assert parts.path == f"/{bucket}/jobs/1/o/s/0/a/b%20c.txt"
    assert parts.netloc.startswith("s3.")
    assert query["X-Amz-Expires"] == [str(DOWNLOAD_SECONDS)]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["response-content-disposition"] == ["attachment; filename*=UTF-8''b%20c.txt"]


class Forbidding:
    """S3 as it answers who may not list, about an object that is not there."""

    def get_object(self, **_: object) -> None:
        raise ClientError(
            {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "GetObject"
        )


def test_what_is_lent_is_forbidden_where_it_is_missing() -> None:
    """An input that has expired is one that is not there, and no fault of its container."""
    store = LentPayloadStore("bucket", Forbidding())
    with pytest.raises(NotFound, match=KEY):
        store.get(KEY)
    with pytest.raises(NotFound, match=KEY):
        list(store.open_range(KEY, 0, 10, "etag"))
