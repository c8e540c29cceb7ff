"""`stepgrid federation apply`: what a document changes, and what of it is told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stepgrid.cli.federation.keys import Teller
from stepgrid.federation_registrar import FederationRegistrar
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import Node, Organization, User
from tests.unit.cli_fakes import json_lines
from tests.unit.federation_cli_bench import (
    PEM,
    FakeUsers,
    Operator,
    node_keys,
    small_federation,
    write,
)
from tests.unit.federation_documents import EXAMPLE, SMALL, document


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return small_federation(tmp_path)


class TestApply:
    def test_changes_and_keys_are_told(self, tmp_path: Path) -> None:
        """A key once, and never again."""
        operator, file = Operator(), write(tmp_path, SMALL)
        lines = operator.do("apply", file)
        keys = node_keys(lines)
        assert sorted(keys) == ["a - heart Node", "b - heart Node"]
        node = operator.registry.find_named(Node, "a - heart Node")
        assert node is not None
        assert node.key_hash == hash_key(keys["a - heart Node"])
        table = [line.split() for line in lines[2:]]
        assert table[0] == ["CHANGE", "KIND", "NAME", "FIELDS"]
        assert ["create", "study", "heart/pilot"] in table
        assert operator.do("apply", file) == ["all of it is there already"]
        assert operator.users.closed

    def test_json_tells_a_change_a_line(self, operator: Operator, tmp_path: Path) -> None:
        """With ids, and the names of the fields as documents have them."""
        heart = SMALL["collaborations"][0] | {"encrypted": True}
        assert operator.ask("apply", write(tmp_path, SMALL | {"collaborations": [heart]})) == [
            {
                "change": "update",
                "kind": "collaboration",
                "id": 1,
                "name": "heart",
                "fields": ["encrypted"],
            }
        ]

    def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        """And tells the same; of users without a login as well."""
        operator = Operator(FakeUsers({}))
        result = operator.run("apply", str(EXAMPLE), "--dry-run", "--add-users", "--json")
        told = json_lines(result.stdout)
        assert (result.exit_code, operator.users.subjects) == (0, {})
        assert operator.registry.find_all(Organization) == []
        assert [each["name"] for each in told if each["kind"] == "login"] == ["ada", "galen"]
        assert {each["id"] for each in told} == {None}
        assert "nothing was changed" in result.stderr

    def test_a_user_without_a_login_is_told_of(self, tmp_path: Path) -> None:
        """With what to do; nothing is changed."""
        operator = Operator()
        result = operator.run("apply", str(EXAMPLE))
        assert (result.exit_code, result.stdout) == (4, "")
        assert "'galen': no login; `stepgrid users add galen`" in result.stderr
        assert operator.registry.find_all(Organization) == []

    def test_logins_are_made_if_asked_for(self) -> None:
        """Their passwords are told once."""
        operator = Operator()
        told = operator.ask("apply", str(EXAMPLE), "--add-users")
        password = {"user": "galen", "temporary_password": "temporary password of galen!"}
        assert told[0] == password
        assert sum("temporary_password" in each for each in told) == 1
        galen = operator.registry.user_of("sub-of-galen")
        assert galen is not None
        assert galen.username == "galen"
        nightly = operator.registry.user_of("arn:aws:iam::123456789012:user/nightly")
        assert nightly is not None

    def test_what_is_made_while_it_asks_is_not_removed(
        self, operator: Operator, tmp_path: Path
    ) -> None:
        """Pruning removes what it has told of, and nothing else."""
        registrar = FederationRegistrar(operator.registry, FakeUsers)  # type: ignore[arg-type]
        plan, logins = registrar.plan(document({}), prune=True)
        operator.do("organization", "add", "late")
        teller = Teller()
        registrar.carry_out(
            plan, logins, give_key=teller.give_key, give_password=teller.give_password
        )
        assert [each.name for each in operator.registry.find_all(Organization)] == ["late"]

    def test_keys_go_to_files_that_only_their_owner_reads(self, tmp_path: Path) -> None:
        """And not to the screen."""
        operator, folder = Operator(), tmp_path / "keys"
        lines = operator.do("apply", write(tmp_path, SMALL), "--keys-dir", str(folder))
        files = {path.name: path for path in folder.iterdir()}
        assert sorted(files) == ["a - heart Node.key", "b - heart Node.key"]
        node = operator.registry.find_named(Node, "a - heart Node")
        key = files["a - heart Node.key"].read_text(encoding="utf-8").strip()
        assert node is not None
        assert node.key_hash == hash_key(key)
        assert key not in "\n".join(lines)
        assert stat.S_IMODE(files["a - heart Node.key"].stat().st_mode) == 0o600

    def test_pruning_asks_before_it_removes(self, operator: Operator, tmp_path: Path) -> None:
        """It tells what; anything but a yes leaves all as it is."""
        file = write(tmp_path, {"organizations": SMALL["organizations"]})
        left = operator.run("apply", file)
        assert "left as it is: user ada, node a - heart Node" in left.stderr
        refused = operator.run("apply", file, "--prune", stdin=b"n\n")
        assert refused.exit_code == 130
        assert "stepgrid: removes user ada" in refused.stderr
        assert len(operator.registry.find_all(User)) == 1
        assert operator.run("apply", file, "--prune", "--yes").exit_code == 0
        assert operator.registry.find_all(User) == []
        assert len(operator.registry.find_all(Organization)) == 2

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("organizations: [", "no YAML: line 1: "),
            ("organizations: []\norganizations: []", "'organizations' is there twice"),
            ("x: !!python/object:os.system {}", "no YAML: line 1: could not determine"),
            ("organizations: [{name: a, country: NO}]", r"organizations.0.country: "),
            ("[" * 5_000, "no YAML: "),
            ("users: [{username: ada, organization: a}]", "there is no organization 'a'"),
        ],
    )
    def test_a_document_that_is_wrong_is_one_line(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        """With its place in it, and the exit code of bad input."""
        result = Operator().run("apply", write(tmp_path, text))
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert message in result.stderr

    def test_key_files_stand_beside_the_document(self, tmp_path: Path) -> None:
        """Wherever the command is run."""
        (tmp_path / "a.pem").write_text(PEM, encoding="utf-8")
        operator = Operator()
        entry = {"name": "a", "public_key_file": "a.pem"}
        operator.do("apply", write(tmp_path, {"organizations": [entry]}))
        (listed,) = operator.ask("organization", "list")
        assert listed["has_public_key"]
        entry["public_key_file"] = "b.pem"
        missing = operator.run("apply", write(tmp_path, {"organizations": [entry]}))
        assert (missing.exit_code, "b.pem: No such file" in missing.stderr) == (2, True)
