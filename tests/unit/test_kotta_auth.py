"""The auth file: what is read from it, and where it is found."""

from pathlib import Path

import pytest

from stepgrid.kotta.auth import (
    Auth,
    choose_server,
    find_auth,
    read_auth,
    server_of,
    write_auth,
)
from stepgrid.kotta.jobfile import read_job
from stepgrid_core.errors import ConfigurationError

ENDPOINT = "https://abc.execute-api.eu-west-1.amazonaws.com/dev/v1"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "token", "server"),
    [
        ("https://h.org/login?access_token=a.b-c_d&expires_in=3600\n", "a.b-c_d", "https://h.org"),
        ("https://h/dev/login?state=x&access_token=t", "t", "https://h/dev"),
        ("http://127.0.0.1:4566/_aws/x/login?access_token=t", "t", "http://127.0.0.1:4566/_aws/x"),
        ("?access_token=t", "t", None),
        ('{"access_token": "t", "refresh_token": "r"}', "t", None),
    ],
)
def test_what_is_in_it(tmp_path: Path, text: str, token: str, server: str | None) -> None:
    """An address with the token, as copied from a browser; or the old library's JSON."""
    assert read_auth(write(tmp_path / "auth", text)) == Auth(token, server)


@pytest.mark.parametrize("text", ["", "https://h/login?token=secret", "{secret", '{"a": 1}', "["])
def test_a_file_without_a_token(tmp_path: Path, text: str) -> None:
    """Says how to get one, and does not quote the file."""
    with pytest.raises(ConfigurationError, match="stepgrid login --kotta") as caught:
        read_auth(write(tmp_path / "auth", text))
    assert "secret" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """One clear line."""
    with pytest.raises(ConfigurationError, match="No such file"):
        read_auth(tmp_path / "auth")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """For the owner's eyes only."""
    path = tmp_path / "new" / "auth"
    write_auth(path, ENDPOINT, "a.b.c", 3599.7)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == (
        f"{server_of(ENDPOINT)}/login?access_token=a.b.c&token_type=bearer&expires_in=3599\n"
    )
    assert read_auth(path) == Auth("a.b.c", "https://abc.execute-api.eu-west-1.amazonaws.com/dev")


def test_the_order_of_places(tmp_path: Path) -> None:
    """Argument, environment, the nearest folder, home."""
    home, folder = tmp_path / "home", tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    assert find_auth(None, {}, folder, home) is None
    of_home = write(home / ".stepgrid/kotta.auth", "x")
    assert find_auth(None, {}, folder, home) == of_home
    above = write(tmp_path / "a/.stepgrid/kotta.auth", "x")
    assert find_auth(None, {}, folder, home) == above
    assert find_auth(None, {"KOTTA_AUTH": "/e"}, folder, home) == Path("/e")
    assert find_auth("/given", {"KOTTA_AUTH": "/e"}, folder, home) == Path("/given")


def test_a_found_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused, not passed over: /tmp may be anybody's."""
    path = write(tmp_path / ".stepgrid/kotta.auth", "x")
    monkeypatch.setattr("stepgrid.kotta.auth.is_trusted", lambda owner, user: False)
    with pytest.raises(ConfigurationError, match="not trusted"):
        find_auth(None, {}, tmp_path, tmp_path)
    assert find_auth(str(path), {}, tmp_path, tmp_path) == path


def test_the_server() -> None:
    """--url, KOTTA_URL, the auth file's; with or without /rest/v1."""
    auth = Auth("t", "https://h/dev")
    assert choose_server(None, {}, auth) == "https://h/dev"
    assert choose_server(None, {"KOTTA_URL": "https://e/rest/v1/"}, auth) == "https://e"
    assert choose_server("https://g/", {"KOTTA_URL": "https://e"}, auth) == "https://g"
    assert choose_server("http://localhost:1/x", {}, auth) == "http://localhost:1/x"


@pytest.mark.parametrize("url", ["http://h.org/dev", "ftp://h", "h.org", ""])
def test_no_token_goes_over_plain_http(url: str) -> None:
    """Nor to what is no server."""
    with pytest.raises(ConfigurationError):
        choose_server(url, {}, Auth("t", None))


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ('{"a": "1", "b": null, "c": true, "d": 5}', {"a": "1", "c": "True", "d": "5"}),
        ("{'a' : '1',\n 'b': None}\n", {"a": "1"}),
        ('{"script": "x\\ny",}', {"script": "x\ny"}),
    ],
)
def test_job_files(tmp_path: Path, text: str, job: dict[str, str]) -> None:
    """JSON, or the literals that the old client read."""
    assert read_job(write(tmp_path / "job", text)) == job


def test_a_script_goes_in(tmp_path: Path) -> None:
    """Over whatever the description has."""
    path = write(tmp_path / "job", '{"script": "old"}')
    assert read_job(path, write(tmp_path / "s", "new\n")) == {"script": "new\n"}


@pytest.mark.parametrize("text", ["[1]", "{", "__import__('os')", "", "\0"])
def test_files_that_are_no_job(tmp_path: Path, text: str) -> None:
    """Named by their paths."""
    with pytest.raises(ConfigurationError, match="job is no job description"):
        read_job(write(tmp_path / "job", text))
