"""What a client sends, counted by service and operation: its part of what a session costs.

Names are those of the functions' own counts (stepgrid_core.request_tally), so that they add up:
"s3.GetObject", and for the API "execute-api.GET /v1/sessions/{id}". It knows no prices.
"""

import re
import threading
from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

API = "execute-api"
_ROUTE = re.compile(r"/v1/.*")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RequestCounts:
    """Attempts by service and operation; threads may count at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def snapshot(self) -> Mapping[str, int]:
        """The counts of this moment; the later less the earlier is what was sent between."""
        with self._lock:
            return Counter(self._counts)

    def count_api(self, method: str, url: str) -> None:
        """A request to the API."""
        self._count(name_call(method, url))

    def count_object(self, method: str, url: str) -> None:
        """A request to the payload store, by a presigned URL."""
        self._count(name_transfer(method, url))

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def name_call(method: str, url: str) -> str:
    """An API call by its route, whatever stage and id are in the path."""
    path = urlsplit(url).path
    route = _ROUTE.search(path)
    return f"{API}.{method} {_ID.sub('{id}', route.group() if route else path)}"


def name_transfer(method: str, url: str) -> str:
    """A transfer as S3 names the operation."""
    if method == "GET":
        return "s3.GetObject"
    if method == "DELETE":
        return "s3.AbortMultipartUpload"
    part = "partNumber" in parse_qs(urlsplit(url).query)
    return "s3.UploadPart" if part else "s3.PutObject"
