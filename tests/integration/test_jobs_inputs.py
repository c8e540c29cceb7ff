"""Staging in, from real servers on this machine: what is fetched, and what never is."""

import hashlib
import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from stepgrid_core.contract import JobInput, JobSpec
from stepgrid_core.jobs import StagingLimits, is_public_address
from stepgrid_core.jobs.workspace import Workspace
from stepgrid_core.memory import MemoryJobDesk
from stepgrid_core.states import JobState
from tests.hostile_urls import HOSTILE_URLS
from tests.integration.jobs_bench import (
    Answer,
    MakeBench,
    Server,
    await_outcome,
    fault,
    give,
    raw,
    redirect,
)
from tests.integration.stage_bench import Stage
from tests.integration.tls_server import TlsServer, make_certificate

DATA = os.urandom(700_000)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return Stage(folder)


def test_hostile_addresses(stage: Stage, server: Server) -> None:
    """None is fetched: each is refused by the contract or by the container, by name."""
    server.answers["/a"] = give(b"secret")
    assert len(HOSTILE_URLS) >= 150
    for template in HOSTILE_URLS:
        url = template.format(port=server.port, target=f"127.0.0.1:{server.port}")
        try:
            found = JobInput(url=url)
        except ValidationError as error:
            (told,) = error.errors()
            assert "Value error, '" in told["msg"], url
            assert url.isprintable() is False or url[:61] in told["msg"], url
            assert len(told["msg"]) < 400
            continue
        message = stage.refuse(found, is_allowed=is_public_address)
        assert f"{found.destination} from " in message, url
        assert set(stage.left) <= {0}
    assert (server.connections, server.requests) == (0, [])


def test_public_addresses() -> None:
    """What is certain to be on the Internet, also through NAT64."""
    for text in [
        "93.184.216.34",
        "8.8.8.8",
        "2606:4700::1111",
        "64:ff9b::8.8.8.8",
        "::ffff:8.8.8.8",
    ]:
        assert is_public_address(ipaddress.ip_address(text)), text


def test_files_are_fetched_as_they_are(stage: Stage, server: Server) -> None:
    """Of any length, chunked, compressed or empty, into the folders that were asked for."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    server.answers |= {
        "/big.bin": give(DATA),
        "/empty": give(b""),
        "/chunked": raw(chunked),
        "/zipped": give(b"\x1f\x8bnot really", Content_Encoding="gzip"),
        "/until-the-end": raw(b"HTTP/1.0 200 OK\r\n\r\nold"),
    }
    found = stage.fetch(
        JobInput(url=server.url("/big.bin?secret=1"), sha256=hashlib.sha256(DATA).hexdigest()),
        JobInput(url=server.url("/empty"), name="a/b/c"),
        JobInput(url=server.url("/chunked")),
        JobInput(url=server.url("/zipped")),
        JobInput(url=server.url("/until-the-end")),
    )
    assert found == {
        "big.bin": DATA,
        "a/b/c": b"",
        "chunked": b"abcde",
        "zipped": b"\x1f\x8bnot really",
        "until-the-end": b"old",
    }


def wait_for(event: threading.Event) -> Callable[[socket.socket], None]:
    def wait(sock: socket.socket) -> None:
        event.wait(30)

    return wait


def trickle(event: threading.Event) -> Answer:
    """A byte now and then, never silent and never complete."""

    def send(sock: socket.socket) -> None:
        while not event.wait(0.02):
            sock.sendall(b"x")

    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", send)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (give(b"no", status=404), "the server answered 404 Not Found"),
        (give(b"no", status=500), "the server answered 500 Internal Server Error"),
        (give(b"part", status=206), "the server answered 206 Partial Content"),
        (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "the server answered 204 No Content"),
        (give(b"short", length=10), "it ended after 5 of 10 bytes"),
        (give(b"x", length=10**15), "it has 1000000000000000 bytes, and there is room for 1000"),
        (give(b"x" * 1001), "it has 1001 bytes, and there is room for 1000"),
        (raw(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1001), "more bytes than there is room for: 1000"),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001),
            "more bytes than there is room for",
        ),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            "it ended in the middle",
        ),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
            "a Transfer-Encoding that is not known",
        ),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "no valid Content-Length"),
        (
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            "no valid Content-Length",
        ),
        (raw(b"nonsense\r\n\r\n"), "the server's answer is no HTTP"),
        (raw(b""), "the server's answer is no HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000), "the server's answer is no HTTP"),
        (redirect(""), "the server answered 302 and not where it is"),
        (redirect("/a"), "it was redirected more than 3 times"),
        (redirect("file:///etc/passwd"), "is no URL of http, https"),
        (redirect("ftp://127.0.0.1/a"), "is no URL of http, https"),
        (redirect("s3://bucket/key"), "is no URL of http, https"),
        (redirect("http://user@127.0.0.1/a"), "has a user before the host"),
        (redirect("http://[::1"), "it was redirected to no valid URL"),
        (redirect("http://2130706433/a"), "has a number as its host"),
        (redirect("//127.0.0.2/a"), "127.0.0.2 is no public address"),
        (redirect("http://169.254.169.254/latest/meta-data/"), "169.254.169.254 is no public"),
        (redirect("http://metadata.google.internal/"), "leads to 169.254.169.254, which is no"),
        (redirect("http://[fd00:ec2::254]/"), "fd00:ec2::254 is no public address"),
    ],
)
def test_answers_that_are_refused(
    stage: Stage, server: Server, answer: Answer, message: str
) -> None:
    """Each says what is wrong, of which input, without the secrets in its query."""
    server.answers["/a"] = answer
    limits = StagingLimits(input_bytes=1000)
    told = stage.refuse(JobInput(url=server.url("/a?token=secret"), name="in.csv"), limits=limits)
    assert f"in.csv from '{server.url('/a')}'" in told
    assert message in told
    assert "secret" not in told


def test_redirects_are_followed(stage: Stage, server: Server) -> None:
    """Three of them, of each kind, relative and absolute."""
    server.answers |= {
        "/a": redirect("b", 301),
        "/b": redirect(server.url("/c"), 307),
        "/c": redirect("/d?x=1", 308),
        "/d": give(b"there"),
    }
    assert stage.fetch(JobInput(url=server.url("/a"))) == {"a": b"there"}
    assert server.requests == ["/a", "/b", "/c", "/d?x=1"]


def test_a_name_that_flips(stage: Stage, server: Server) -> None:
    """It is resolved once for a connection, which goes to the address that was looked at."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]])
    server.answers |= {"/a": give(b"data"), "/b": redirect("/a")}
    seen: list[str] = []

    def flip(host: str, port: int) -> Sequence[str]:
        seen.append(host)
        return next(answers)

    url = server.url("/a", "flip.example.com")
    assert stage.fetch(JobInput(url=url), resolver=flip) == {"a": b"data"}
    told = stage.refuse(JobInput(url=url), resolver=flip)
    assert "flip.example.com leads to 127.0.0.2, which is no public address" in told
    assert (seen, server.requests) == (["flip.example.com"] * 2, ["/a"])


def test_all_that_failed_are_named(stage: Stage, server: Server) -> None:
    """And those after the first are tried as well."""
    server.answers["/good"] = give(b"good")
    told = stage.refuse(
        JobInput(url=server.url("/one")),
        JobInput(url=server.url("/good")),
        JobInput(url=server.url("/good"), name="changed", sha256="0" * 64),
        JobInput(url="s3://bucket/key"),
    )
    digest = hashlib.sha256(b"good").hexdigest()
    assert told.split("; ") == [
        f"Failed to download inputs one from '{server.url('/one')}': "
        "the server answered 404 Not Found",
        f"changed from '{server.url('/good')}': its sha256 is {digest} and not the one that was "
        "given",
        "key from 's3://bucket/key': there is no such object, or it is not yours to read",
    ]


def test_room_for_all(stage: Stage, server: Server) -> None:
    """Inputs share the room that there is."""
    server.answers["/a"] = give(b"x" * 600)
    limits = StagingLimits(inputs_bytes=1000)
    inputs = [JobInput(url=server.url("/a"), name=name) for name in "ab"]
    assert "b from" in stage.refuse(*inputs, limits=limits)


def test_signed_addresses(stage: Stage, server: Server) -> None:
    """What the grid signed may be anywhere, but may lead nowhere else."""
    desk = MemoryJobDesk(
        {"s3://bucket/key": server.url("/a?sign=1"), "s3://bucket/moved": server.url("/b")}
    )
    server.answers |= {"/a": give(b"object"), "/b": redirect("/a")}
    options = {"desk": desk, "is_allowed": is_public_address}
    assert stage.fetch(JobInput(url="s3://bucket/key"), **options) == {"key": b"object"}  # type: ignore[arg-type]
    told = stage.refuse(JobInput(url="s3://bucket/moved"), **options)
    assert "127.0.0.1 is no public address" in told


@pytest.mark.parametrize("kind", ["trickle", "silent", "no answer"])
def test_servers_that_take_too_long(stage: Stage, server: Server, kind: str) -> None:
    """A trickle never is silent; still it has an end."""
    over = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab" if kind == "silent" else b"HTTP/1.1 2"
    server.answers["/a"] = trickle(over) if kind == "trickle" else raw(head, wait_for(over))
    try:
        told = stage.refuse(JobInput(url=server.url("/a")), seconds=0.3)
        assert "it took too long" in told
        limits = StagingLimits(read_seconds=0.1)
        if kind != "trickle":
            told = stage.refuse(JobInput(url=server.url("/a")), limits=limits)
            assert "the server was silent for too long" in told
    finally:
        over.set()


def test_a_name_that_is_never_resolved(stage: Stage) -> None:
    over = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        over.wait(30)
        return []

    limits = StagingLimits(connect_seconds=0.1)
    told = stage.refuse(JobInput(url="http://slow.example.com/a"), resolver=hang, limits=limits)
    over.set()
    assert "the name slow.example.com was not resolved in time" in told


def test_proxies_of_the_environment(
    stage: Stage, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would see what is fetched, and would connect to any address."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.2:9")
    server.answers["/a"] = give(b"direct")
    assert stage.fetch(JobInput(url=server.url("/a"))) == {"a": b"direct"}


@pytest.fixture
def tls_server(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TlsServer]:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(make_certificate("good.example.com"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = TlsServer(certificate, server.url("/a"))
    yield tls
    tls.close()


def test_https(stage: Stage, server: Server, tls_server: TlsServer) -> None:
    """The certificate is the name's, not the address's; nothing leads back to plain http."""

    def to_local(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    good = JobInput(url=f"https://good.example.com:{tls_server.port}/a")
    assert stage.fetch(good, resolver=to_local) == {"a": b"ok"}
    assert f"Host: good.example.com:{tls_server.port}\r\n" in tls_server.host
    told = stage.refuse(good, resolver=to_local)
    assert "it was redirected from https to another scheme" in told
    assert server.connections == 0
    other = JobInput(url=f"https://other.example.com:{tls_server.port}/a")
    assert "the server can't be trusted: CERTIFICATE_VERIFY_FAILED" in stage.refuse(
        other, resolver=to_local
    )
    assert tls_server.names == ["good.example.com"] * 2 + ["other.example.com"]


def test_nothing_is_written_over(stage: Stage) -> None:
    """Neither a file that is there nor one that a link in the folder leads to."""
    outside = stage.folder.parent / "outside"
    outside.mkdir()
    workspace = Workspace(stage.folder, None)
    (workspace.path / "link").symlink_to(outside / "new")
    (workspace.path / "folder").symlink_to(outside)
    os.close(workspace.create("file"))
    for name in ("link", "folder/new", "file", "file/below"):
        with pytest.raises(OSError, match=r"File exists|Not a directory|symbolic links"):
            workspace.create(name)
    workspace.close()
    assert list(outside.iterdir()) == []


def test_a_job_without_its_inputs(make_bench: MakeBench, server: Server) -> None:
    """It fails before its process starts; its outputs are missing."""
    bench = make_bench()
    inputs = [JobInput(url=server.url("/gone"))]
    outcome = bench.run(JobSpec(executable="true", inputs=inputs, outputs=["a.txt"]))
    record = bench.record
    assert [one.state for one in bench.desk.history[0]] == [JobState.FAILED]
    assert fault(outcome) == ("InputError", record.error)
    assert (record.error or "").startswith("Failed to download inputs gone from ")
    assert (record.exit_code, record.missing, record.processing_at) == (None, ("a.txt",), None)


def test_a_job_with_its_inputs(make_bench: MakeBench, server: Server) -> None:
    """Its process finds them, as its own."""
    server.answers["/data.csv"] = give(b"1,2\n")
    bench = make_bench()
    inputs = [JobInput(url=server.url("/data.csv"), name="in/data.csv")]
    bench.run(
        JobSpec(executable="sh -c 'echo more >> in/data.csv'", inputs=inputs, outputs=["in/*"])
    )
    assert bench.output("in/data.csv") == b"1,2\nmore\n"


def test_cancel_while_inputs_are_fetched(make_bench: MakeBench, server: Server) -> None:
    """A server that sends nothing holds no cancel up."""
    over = threading.Event()
    server.answers["/a"] = raw(b"HTTP/1.1 200 OK\r\n", wait_for(over))
    bench = make_bench()
    outcomes = bench.begin(JobSpec(executable="true", inputs=[JobInput(url=server.url("/a"))]))
    await_outcome(outcomes, lambda: server.requests == ["/a"])
    outcomes.close()
    over.set()
    assert (bench.record.state, bench.record.error_code) == (JobState.CANCELLED, 1002)
    assert bench.record.processing_at is None


def test_the_whole_time_passes_while_inputs_are_fetched(
    make_bench: MakeBench, server: Server
) -> None:
    over = threading.Event()
    server.answers["/a"] = trickle(over)
    bench = make_bench()
    spec = JobSpec(executable="true", inputs=[JobInput(url=server.url("/a"))])
    kind, message = fault(bench.run(spec, timeout_seconds=0.3))
    over.set()
    assert kind == "InputError"
    assert "it took too long" in message
