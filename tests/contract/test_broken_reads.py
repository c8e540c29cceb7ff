"""An S3 whose connections break in the middle of a body: AwsPayloadStore reads on from there."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from stepgrid_core.aws.payload_store import BLOCK_BYTES, MOST_BREAKS, AwsPayloadStore
from stepgrid_core.errors import Unavailable

BODY = bytes(range(251)) * (4 * BLOCK_BYTES // 251)
ETAG = "0" * 32
START = 7
PART = BODY[START:]


class BreakingS3:
    """GetObject on loopback: of each answer only so many bytes arrive, then it hangs up."""

    def __init__(self, breaks_at: list[int]) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.etags: set[str] = set()
        breaks, s3 = iter(breaks_at), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
                s3.ranges.append((first, last))
                s3.etags.add(self.headers["If-Match"])
                body = BODY[first : last + 1]
                self.send_response(206)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{ETAG}"')
                self.end_headers()
                self.wfile.write(body[: next(breaks, len(body))])
                self.close_connection = True

            def log_message(self, format: str, *arguments: Any) -> None:
                """Tests print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def s3(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, boto_session: boto3.Session
) -> Iterator[BreakingS3]:
    server = BreakingS3(request.param)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto_session)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    yield server
    server.close()


def read(s3: BreakingS3) -> Iterator[bytes]:
    return AwsPayloadStore("bucket").open_range("key", START, len(PART), ETAG)


@pytest.mark.parametrize("s3", [[0], [1], [BLOCK_BYTES], [10, 20], [len(PART) - 1]], indirect=True)
def test_what_is_missing_is_asked_for(s3: BreakingS3) -> None:
    """From where it broke to the same end, of the same object: no byte twice, none left out."""
    assert b"".join(read(s3)) == PART
    assert len(s3.ranges) > 1
    assert {last for _, last in s3.ranges} == {len(BODY) - 1}
    assert {etag.strip('"') for etag in s3.etags} == {ETAG}


@pytest.mark.parametrize("s3", [[10] * 99], indirect=True)
def test_one_that_breaks_again_and_again_is_given_up(s3: BreakingS3) -> None:
    """After some more connections it is Unavailable, and the message names the object."""
    with pytest.raises(Unavailable, match="key can't be read to its end"):
        list(read(s3))
    assert len(s3.ranges) == 1 + MOST_BREAKS
