"""`stepgrid node check` and `new-key`: what an operator sees before the node starts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepgrid.cli import cli
from stepgrid.federation_crypto import PrivateKey
from tests.integration.node_bench import Bench, open_bench
from tests.integration.node_server import ORGANIZATION

KEY = PrivateKey.generate()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as opened:
        opened.run_shell("exit 0")
        yield opened


def check(bench: Bench, *options: str) -> Result:
    return CliRunner().invoke(cli, ["node", "check", "--config", str(bench.config_file), *options])


def test_check_says_who_the_node_is(bench: Bench) -> None:
    """And takes no run."""
    bench.server.add_task({})
    shown = json.loads(check(bench, "--json").stdout)
    assert shown == {
        "node": "north",
        "id": 3,
        "organization": "hospital 1",
        "collaboration": "hearts",
        "encrypted": False,
    }
    assert "hearts" in check(bench).stdout
    assert not bench.server.syncs


def test_check_tells_what_is_wrong(bench: Bench) -> None:
    """A key that the server refuses, a server that does not answer, one that is none."""
    bench.server.faults = lambda _: 503
    lost = check(bench)
    assert (lost.exit_code, "the server answered 503" in lost.output) == (3, True)
    bench.server.faults = lambda _: 404
    other = check(bench)
    assert (other.exit_code, "as the test wants it (404)" in other.output) == (3, True)
    bench.server.faults = lambda _: None
    bench.server.api_key = "another"
    refused = check(bench)
    assert (refused.exit_code, "refused the API key" in refused.output) == (4, True)


@pytest.mark.parametrize(
    ("encrypted", "own", "known", "told"),
    [
        (True, None, "", "is encrypted: give private_key"),
        (False, KEY, "", "is not encrypted: take it out"),
        (True, KEY, PrivateKey.generate().public_key.text, "is not the key of organization"),
        (True, KEY, KEY.public_key.text, None),
        (True, KEY, "", None),
    ],
)
def test_file_and_server_agree_on_encryption(
    bench: Bench, encrypted: bool, own: PrivateKey | None, known: str, told: str | None
) -> None:
    """Else nothing runs: a server can't talk a node into plain results."""
    bench.server.encrypted = encrypted
    bench.server.public_keys[ORGANIZATION] = known
    if own is not None:
        own.save(bench.folder / "key.pem")
        bench.values["private_key"] = "key.pem"
    result = check(bench)
    assert result.exit_code == (0 if told is None else 3)
    assert told is None or told in result.output
    assert bench.server.public_keys[ORGANIZATION] == known


def test_a_new_key_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = CliRunner().invoke(cli, ["node", "new-key", "--out", str(path)])
    assert (made.exit_code, made.stdout) == (0, f"wrote {path}\n")
    text = path.read_text()
    other = CliRunner().invoke(
        cli, ["node", "new-key", "--json", "--out", str(tmp_path / "other.pem")]
    )
    told = json.loads(other.stdout)["public_key"]
    assert told == PrivateKey.load(tmp_path / "other.pem").public_key.text
    again = CliRunner().invoke(cli, ["node", "new-key", "--out", str(path)])
    assert (again.exit_code, "never overwritten" in again.output) == (2, True)
    assert path.read_text() == text
