"""More than 400 requests that no client should send; each must be refused with a 4xx.

Data only: the integration test sends them to the api function over the in-memory grid, the system
test to the deployed API over the wire.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SESSION = "00000000-0000-0000-0000-000000000000"
GOOD: dict[str, Any] = {"client_token": "t", "worker": "mock-compute", "tasks": [{}]}
GOOD_INPUT: dict[str, Any] = {
    "upload_id": "0" * 32,
    "tasks": 2,
    "size": 6,
    "sha256": "0" * 64,
    "stride": 1,
    "offsets": [0, 3],
}


@dataclass(frozen=True)
class Malformed:
    """One request, and a name that says what is wrong with it."""

    name: str
    method: str
    path: str
    body: bytes = b""
    query: dict[str, list[str]] = field(default_factory=dict)


def make_cases() -> list[Malformed]:
    return [
        *_no_json(),
        *_submit_fields(),
        *_option_fields(),
        *_input_fields(),
        *_uploads(),
        *_cancels(),
        *_jobs(),
        *_subscriptions(),
        *_queries(),
        *_routes(),
    ]


def _post(name: str, path: str, body: Any) -> Malformed:
    return Malformed(name, "POST", path, json.dumps(body).encode())


NO_JSON = {
    "empty": b"",
    "null": b"null",
    "number": b"1",
    "string": b'"submit"',
    "array": b"[]",
    "true": b"true",
    "cut": b'{"client_token": "t", "worker": "mock-',
    "trailing comma": b'{"client_token": "t",}',
    "two objects": b"{}{}",
    "single quotes": b"{'client_token': 't'}",
    "comment": b'{"a": 1 /* one */}',
    "xml": b"<session/>",
    "form": b"client_token=t&worker=mock-compute",
    "utf-16": '{"client_token": "t"}'.encode("utf-16"),
    "latin-1": '{"client_token": "é"}'.encode("latin-1"),
    "zero byte": b'{"client_token": "t\x00"}',
    "overlong utf-8": b'{"client_token": "\xc0\xaf"}',
    "byte order mark": b'\xef\xbb\xbf{"client_token": "t"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "balanced depth": b'{"tasks":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "lone surrogate": b'{"client_token": "\\ud800", "worker": "mock-compute", "tasks": [1]}',
    "huge number": b'{"client_token": 1' + b"0" * 10_000 + b"}",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


def _no_json() -> Iterator[Malformed]:
    for path in ("/v1/sessions", "/v1/sessions/cancel", "/v1/uploads"):
        for name, body in NO_JSON.items():
            yield Malformed(f"{path} {name}", "POST", path, body)


def _submit_fields() -> Iterator[Malformed]:
    changes: dict[str, Any] = {
        "no token": {"client_token": ...},
        "empty token": {"client_token": ""},
        "long token": {"client_token": "t" * 129},
        "token with a space": {"client_token": "a b"},
        "token with a newline": {"client_token": "a\n"},
        "token of an object": {"client_token": {}},
        "token null": {"client_token": None},
        "no worker": {"worker": ...},
        "empty worker": {"worker": ""},
        "unknown worker": {"worker": "nobody"},
        "worker with capitals": {"worker": "Mock-Compute"},
        "worker with a path": {"worker": "../api"},
        "worker as an arn": {"worker": "arn:aws:lambda:us-east-1:0:function:f"},
        "long worker": {"worker": "w" * 300},
        "worker a number": {"worker": 7},
        "no tasks": {"tasks": ...},
        "empty tasks": {"tasks": []},
        "tasks null": {"tasks": None},
        "tasks an object": {"tasks": {"0": {}}},
        "tasks a string": {"tasks": "[]"},
        "tasks a number": {"tasks": 3},
        "tasks and input": {"input": GOOD_INPUT},
        "unknown field": {"taks": []},
        "owner in the body": {"owner": "somebody"},
        "options a list": {"options": []},
        "options null": {"options": None},
        "options a string": {"options": "fast"},
    }
    for name, change in changes.items():
        yield _post(f"submit: {name}", "/v1/sessions", _changed(GOOD, change))
    for name, text in {"NaN": "NaN", "Infinity": "Infinity", "1e999": "1e999"}.items():
        body = f'{{"client_token": "t", "worker": "mock-compute", "tasks": [{text}]}}'
        yield Malformed(f"submit: task {name}", "POST", "/v1/sessions", body.encode())


def _changed(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`...` takes a field away."""
    merged = {**base, **change}
    return {name: value for name, value in merged.items() if value is not ...}


def _option_fields() -> Iterator[Malformed]:
    wrong: dict[str, list[Any]] = {
        "name": ["n" * 129, 1, []],
        "tags": [[], "a", {"": "x"}, {"a": 1}, {"a": "x" * 257}, {"k" * 129: "x"},
                 {str(n): "x" for n in range(21)}],
        "timeout_seconds": [0, -1, "soon", 10**12, 1.5, None, []],
        "task_timeout_seconds": [0, -1, "short", 604_801, 10**9],
        "max_attempts": [0, -1, 11, "two", "3", True, None, 1.5],
        "priority": [-1, 10, "high", "5", None, 0.5],
        "max_concurrency": [0, -5, 10_001, "all", 2.5],
        "chunk_size": [0, -1, 1_000_001, "big", 3.7],
        "backend": ["gpu", "", 1, None, "LAMBDA", "FARGATE", "node"],
        "task_seconds": [0, -1, "quick", 10**6],
        "retries": [3],
        "Priority": [5],
    }  # fmt: skip
    for field_name, values in wrong.items():
        for value in values:
            shown = json.dumps(value)[:40]
            body = {**GOOD, "options": {field_name: value}}
            yield _post(f"option {field_name} = {shown}", "/v1/sessions", body)


def _input_fields() -> Iterator[Malformed]:
    changes: dict[str, Any] = {
        "never uploaded": {},
        "upload id with a path": {"upload_id": "../" + "0" * 29},
        "short upload id": {"upload_id": "0"},
        "upload id in capitals": {"upload_id": "A" * 32},
        "no size": {"size": ...},
        "size 0": {"size": 0},
        "negative size": {"size": -6},
        "no tasks": {"tasks": 0, "offsets": []},
        "tasks beyond the quota": {"tasks": 10**9, "stride": 10**9, "offsets": [0]},
        "size beyond the quota": {"size": 10**15},
        "bad sha256": {"sha256": "xyz"},
        "stride 0": {"stride": 0},
        "too few offsets": {"offsets": [0]},
        "too many offsets": {"offsets": [0, 3, 5]},
        "offsets from 1": {"offsets": [1, 3]},
        "offsets that fall": {"offsets": [0, 0]},
        "offsets past the end": {"offsets": [0, 6]},
        "negative offsets": {"offsets": [0, -3]},
        "offsets of strings": {"offsets": ["0", "three"]},
        "etags without a multipart id": {"etags": ["a"]},
        "multipart id without etags": {"multipart_id": "a"},
        "unknown multipart id": {"multipart_id": "a", "etags": ["b"]},
        "unknown field": {"bucket": "other"},
        "key of another": {"key": "inputs/other/0.jsonl"},
    }
    for name, change in changes.items():
        body = {**_changed(GOOD, {"tasks": ...}), "input": _changed(GOOD_INPUT, change)}
        yield _post(f"input: {name}", "/v1/sessions", body)
    for value in ([], "file", 1):
        body = {**_changed(GOOD, {"tasks": ...}), "input": value}
        yield _post(f"input: {value!r}", "/v1/sessions", body)


def _uploads() -> Iterator[Malformed]:
    bodies: dict[str, Any] = {
        "parts 0": {"parts": 0},
        "parts 1001": {"parts": 1001},
        "parts negative": {"parts": -1},
        "parts a string": {"parts": "many"},
        "first part 0": {"parts": 1, "first_part": 0},
        "beyond 10,000 parts": {"parts": 1000, "first_part": 9_500},
        "upload id alone": {"parts": 1, "upload_id": "0" * 32},
        "multipart id alone": {"parts": 1, "multipart_id": "m"},
        "upload id with a path": {"parts": 1, "upload_id": "../x", "multipart_id": "m"},
        "continuation without parts": {"upload_id": "0" * 32, "multipart_id": "m"},
        "unknown field": {"key": "inputs/x"},
        "long multipart id": {"parts": 1, "upload_id": "0" * 32, "multipart_id": "m" * 1025},
        "file without a name": {"file": {}},
        "file with a folder": {"file": {"name": "a/b"}},
        "file above": {"file": {"name": ".."}},
        "file encoded": {"file": {"name": "%2e%2e"}},
        "file with a newline": {"file": {"name": "a\n"}},
        "file with a bad sha256": {"file": {"name": "a", "sha256": "x"}},
        "file in parts": {"file": {"name": "a"}, "parts": 2},
        "file a string": {"file": "a"},
        "file with a key": {"file": {"name": "a", "key": "files/x/a"}},
    }
    for name, body in bodies.items():
        yield _post(f"upload: {name}", "/v1/uploads", body)


def _jobs() -> Iterator[Malformed]:
    good = {"client_token": "t", "executable": "true"}
    wrong: dict[str, list[Any]] = {
        "client_token": [..., "", "a b", None, 7],
        "executable": [..., "", None, [], "x" * 8193],
        "args": ["-x", [1], [None], {"0": "x"}, ["x" * 8193]],
        "shell": ["yes", 1, None],
        "script": [1, [], "x" * (256 * 1024 + 1)],
        "script_name": ["", 1, "x" * 1025],
        "inputs": ["https://a/b", ["https://a/b"], [{}], [{"url": ""}], [{"url": 1}],
                   [{"url": "s3://x/y"}], [{"url": "ftp://a/b"}], [{"url": "/etc/passwd"}],
                   [{"url": "https://a/b", "sha256": "x"}], [{"url": "https://a/b", "key": "x"}],
                   [{"url": "https://a/b"}] * 101],
        "outputs": ["a", [1], [""], ["x"] * 101, ["x" * 1025]],
        "environment": ["A=b", ["A"], {"A": 1}, {"": "x"}],
        "walltime_seconds": [0, -1, "60", 1.5, 10**6],
        "queue": ["", 1, None, "Nowhere", "x" * 65],
        "resources": ["large", {"vcpu": 3}, {"vcpu": 16}, {"memory_mib": 1}, {"gpu": 1},
                      {"count": 2}],
        "array": [0, -1, 10_001, "3", 1.5, None],
        "depends_on": [SESSION, [1], [SESSION] * 21],
        "retention_days": [0, 2, "7", 400],
        "name": ["n" * 129, 1],
        "tags": [[], {"a": 1}, {"": "x"}],
        "worker": ["job"],
        "owner": ["somebody"],
        "user_email": ["a@b"],
    }  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            shown = "..." if value is ... else json.dumps(value)[:40]
            yield _post(f"job: {name} = {shown}", "/v1/jobs", _changed(good, {name: value}))
    for name, text in NO_JSON.items():
        yield Malformed(f"/v1/jobs {name}", "POST", "/v1/jobs", text)
    for strange in (SESSION, f"{SESSION}_0", f"{SESSION}_", "x", "%00", "é", "a" * 2000, "cancel"):
        path = f"/v1/jobs/{strange}"
        for method, tail in (("GET", ""), ("GET", "/outputs"), ("POST", "/cancel")):
            yield Malformed(f"{method} {path:.48}{tail}", method, f"{path}{tail}")
        yield Malformed(f"DELETE {path:.48}", "DELETE", path)
    for value in ("1", "x" * 129, "#", ""):
        yield Malformed(f"jobs?cursor={value:.40}", "GET", "/v1/jobs", query={"cursor": [value]})
    yield Malformed("jobs?state", "GET", "/v1/jobs", query={"state": ["failed"]})


def _cancels() -> Iterator[Malformed]:
    bodies: dict[str, Any] = {
        "no ids": {},
        "empty list": {"session_ids": []},
        "null": {"session_ids": None},
        "a string": {"session_ids": SESSION},
        "numbers": {"session_ids": [1, 2]},
        "nulls": {"session_ids": [None]},
        "101 ids": {"session_ids": [SESSION] * 101},
        "a very long id": {"session_ids": ["x" * 129]},
        "unknown field": {"session_ids": [SESSION], "force": True},
        "old name": {"session_ids_to_cancel": [SESSION]},
    }
    for name, body in bodies.items():
        yield _post(f"cancel: {name}", "/v1/sessions/cancel", body)


def _subscriptions() -> Iterator[Malformed]:
    bodies: dict[str, Any] = {
        "no token": {},
        "token with a space": {"client_token": "a b"},
        "no sessions": {"client_token": "t", "session_ids": []},
        "sessions a string": {"client_token": "t", "session_ids": SESSION},
        "21 sessions": {"client_token": "t", "session_ids": [SESSION] * 21},
        "a very long id": {"client_token": "t", "session_ids": ["x" * 129]},
        "no kinds": {"client_token": "t", "kinds": []},
        "unknown kind": {"client_token": "t", "kinds": ["exploded"]},
        "kinds a string": {"client_token": "t", "kinds": "finished"},
        "owner in the body": {"client_token": "t", "owner": "somebody"},
    }
    for name, body in bodies.items():
        yield _post(f"subscribe: {name}", "/v1/subscriptions", body)
    receives: dict[str, Any] = {
        "unknown subscription": {},
        "wait negative": {"wait_seconds": -1},
        "wait too long": {"wait_seconds": 21},
        "wait a string": {"wait_seconds": "5"},
        "ack a string": {"ack": "receipt"},
        "ack of nothing": {"ack": [""]},
        "11 receipts": {"ack": ["r"] * 11},
        "a very long receipt": {"ack": ["r" * 2049]},
        "unknown field": {"limit": 3},
    }
    for name, body in receives.items():
        yield _post(f"receive: {name}", f"/v1/subscriptions/{'0' * 24}/events", body)
    for strange in ("x", "0" * 23, "0" * 25, "A" * 24, SESSION, "a" * 2000, "%00", "é"):
        path = f"/v1/subscriptions/{strange}"
        yield Malformed(f"DELETE {path:.43}", "DELETE", path)
        yield _post(f"{path:.43} events", f"{path}/events", {})
    yield Malformed("GET /v1/subscriptions", "GET", "/v1/subscriptions")


def _queries() -> Iterator[Malformed]:
    one = f"/v1/sessions/{SESSION}"
    queries: list[tuple[str, str, list[str]]] = [
        *((one, "wait", [value]) for value in ("-1", "21", "soon", "nan", "inf", "", "1e9")),
        (one, "wait", ["1", "2"]),
        (one, "waits", ["1"]),
        *((f"{one}/results", "cursor", [value]) for value in ("x" * 129, "-1", "a")),
        (f"{one}/results", "page", ["2"]),
        *((f"{one}/outputs/0", "offset", [value]) for value in ("-1", "x", "", "1.5")),
        *((f"{one}/tasks", "state", [value]) for value in ("done", "", "FAILED", "1")),
        (f"{one}/tasks", "cursor", ["x" * 129]),
        *(("/v1/sessions", "state", [value]) for value in ("open", "", "Finished")),
        *(("/v1/sessions", "cursor", [value]) for value in ("1", "x" * 129, "#", "' OR 1=1")),
        ("/v1/sessions", "owner", ["somebody"]),
        ("/v1/workers", "state", ["x"]),
        ("/v1/health", "verbose", ["1"]),
        ("/v1/login", "username", ["x"]),
    ]
    for path, name, values in queries:
        yield Malformed(f"{path}?{name}={values!r:.40}", "GET", path, query={name: values})
    yield Malformed(f"DELETE {one}?force", "DELETE", one, query={"force": ["1"]})
    query = {"token": ["t"]}
    yield Malformed("submit with a query", "POST", "/v1/sessions", json.dumps(GOOD).encode(), query)


def _routes() -> Iterator[Malformed]:
    unknown = ("/v1/session", "/v1/sessions/a/b/c", "/v1/sessions/a/logs", "/v1/x", "/v1/%2e%2e")
    for path in unknown:
        yield Malformed(f"GET {path}", "GET", path)
    for path in ("/v1/uploads", "/v1/sessions/cancel/now"):
        yield Malformed(f"GET {path}", "GET", path)
    for path in ("/v1/sessions", "/v1/workers", "/v1/health", "/v1/uploads"):
        yield Malformed(f"DELETE {path}", "DELETE", path)
    for path in ("/v1/workers", "/v1/health", "/v1/login", f"/v1/sessions/{SESSION}"):
        yield Malformed(f"POST {path}", "POST", path, b"{}")
    strange = (SESSION, "x", "cancel", "S%23" + SESSION, "é", "a" * 2000, "%00", "{session_id}")
    for session in strange:
        for method, tail in (("GET", ""), ("GET", "/results"), ("GET", "/tasks"), ("DELETE", "")):
            path = f"/v1/sessions/{session}{tail}"
            yield Malformed(f"{method} /v1/sessions/{session:.40}{tail}", method, path)
