"""`stepgrid federation`: an operator's commands, noun by noun."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepgrid.cli import cli
from stepgrid.cli.federation.keys import key_file_name
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import Collaboration, Node, Organization
from stepgrid_core.federation.snapshot import tasks_list
from tests.unit.cli_fakes import NOW
from tests.unit.federation_cli_bench import PEM, Operator, node_keys, small_federation


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return small_federation(tmp_path)


def test_show_is_a_tree(operator: Operator) -> None:
    """Collaborations, who is in them, and who of their nodes is there."""
    node = operator.registry.find_named(Node, "a - heart Node")
    assert node is not None
    operator.registry.change(replace(node, seen_at=NOW - 5))
    operator.do("organization", "add", "c")
    assert operator.do("show") == [
        "collaboration heart (id 1)",
        "  organization a (id 1)",
        "    node a - heart Node (id 1): online",
        "    user ada (id 1): Researcher",
        "  organization b (id 2)",
        "    node b - heart Node (id 2): offline, last seen: never",
        "  study pilot (id 1): a, b",
        "organization c (id 3), in no collaboration",
    ]
    (shown,) = operator.ask("show")
    assert [(each["name"], each["online"]) for each in shown["nodes"]] == [
        ("a - heart Node", True),
        ("b - heart Node", False),
    ]
    assert [each["name"] for each in shown["studies"]] == ["pilot"]
    assert "key_hash" not in json.dumps(shown)


class TestOrganizations:
    def test_one_is_added_and_listed(self, tmp_path: Path) -> None:
        """With what is known of it."""
        operator, key = Operator(), tmp_path / "a.pem"
        key.write_text(PEM, encoding="utf-8")
        operator.do("organization", "add", "a", "--country", "CH", "--public-key-file", str(key))
        (listed,) = operator.ask("organization", "list")
        assert (listed["id"], listed["name"], listed["country"]) == (1, "a", "CH")
        assert operator.do("organization", "list")[1].split() == ["1", "a", "-", "CH", "yes", "-"]

    def test_one_that_is_there_is_not_added_again(self, operator: Operator) -> None:
        """The message says what changes it."""
        result = operator.run("organization", "add", "a")
        assert (result.exit_code, "there is a organization" in result.stderr) == (2, False)
        assert "'a' is there already" in result.stderr

    def test_one_that_is_needed_is_not_removed(self, operator: Operator) -> None:
        """The message says by what; a task that it asked for is something, too."""
        result = operator.run("organization", "remove", "a")
        assert result.exit_code == 2
        assert "is needed by user 'ada', collaboration 'heart'" in result.stderr
        operator.do("user", "remove", "ada")
        operator.do("member", "remove", "heart", "a")
        a = operator.registry.find_named(Organization, "a")
        assert a is not None
        operator.registry.table.put_in(tasks_list(a), [1, 2])
        assert "is needed by 2 tasks" in operator.run("organization", "remove", "a").stderr
        operator.registry.table.take_out(tasks_list(a), [1, 2])
        assert operator.do("organization", "remove", "a") == ["removed organization a"]


class TestCollaborations:
    def test_one_is_added_with_nodes(self, operator: Operator) -> None:
        """Their keys are told."""
        lines = operator.do(
            "collaboration", "add", "lung", "--encrypted", "--member", "b", "--nodes"
        )
        assert list(node_keys(lines)) == ["b - lung Node"]
        assert "encrypted      yes" in lines
        assert [each["name"] for each in operator.ask("collaboration", "list")] == ["heart", "lung"]

    def test_members_come_and_go(self, operator: Operator) -> None:
        """Who goes loses its node and its part in studies."""
        assert operator.ask("member", "remove", "heart", "b") == [
            {"removed": "member", "name": "b of heart"}
        ]
        assert [each["organization"] for each in operator.ask("node", "list")] == ["a"]
        assert operator.ask("study", "list")[0]["organizations"] == ["a"]
        again = operator.run("member", "remove", "heart", "b")
        assert (again.exit_code, "there is no member of 'heart' 'b'" in again.stderr) == (4, True)
        assert operator.ask("member", "add", "heart", "b")[0]["organizations"] == ["a", "b"]
        assert operator.run("member", "add", "heart", "b").exit_code == 2

    def test_one_with_tasks_is_not_removed(self, operator: Operator) -> None:
        """Without them it goes with its nodes and studies."""
        (heart,) = operator.registry.find_all(Collaboration)
        operator.registry.table.put_in(tasks_list(heart), [1])
        assert "is needed by 1 task:" in operator.run("collaboration", "remove", "heart").stderr
        assert operator.ask("collaboration", "list")[0]["tasks"] == 1
        operator.registry.table.take_out(tasks_list(heart), [1])
        operator.do("collaboration", "remove", "heart")
        assert (operator.ask("node", "list"), operator.ask("study", "list")) == ([], [])


class TestNodes:
    def test_one_is_added_for_a_member(self, operator: Operator) -> None:
        """And its key is told."""
        operator.do("node", "remove", "heart", "a")
        (told, shown) = operator.ask("node", "add", "heart", "a", "--name", "mine")
        assert (told["node"], shown["name"], shown["online"]) == ("mine", "mine", False)
        assert operator.registry.table.find(f"key:{hash_key(told['api_key'])}") == shown["id"]
        assert operator.run("node", "add", "heart", "a").exit_code == 2
        operator.do("organization", "add", "c")
        stranger = operator.run("node", "add", "heart", "c")
        assert "'c' is no member of collaboration 'heart'" in stranger.stderr

    def test_one_in_the_cloud_has_no_key(self, operator: Operator) -> None:
        """It is no program that could show one."""
        operator.do("node", "remove", "heart", "a")
        cloud = ("--worker", "mean", "--backend", "fargate")
        (shown,) = operator.ask("node", "add", "heart", "a", *cloud)
        assert shown["cloud"] == {"worker": "mean", "backend": "fargate"}
        assert "mean on fargate" in operator.do("node", "list")[1]
        refused = operator.run("node", "new-key", "heart", "a")
        assert (refused.exit_code, "is in the cloud" in refused.stderr) == (2, True)

    def test_one_in_the_cloud_may_be_choosy(self, operator: Operator) -> None:
        """About images, and about time; a node outside says that itself."""
        operator.do("node", "remove", "heart", "a")
        choice = ("--allow-image", "harbor/*", "--allow-image", "ghcr.io/*", "--task-timeout", "60")
        refused = operator.run("node", "add", "heart", "a", *choice)
        assert (refused.exit_code, "with a --worker" in refused.stderr) == (2, True)
        (shown,) = operator.ask("node", "add", "heart", "a", "--worker", "mean", *choice)
        assert shown["cloud"] == {
            "worker": "mean",
            "backend": "lambda",
            "allowed_images": ["harbor/*", "ghcr.io/*"],
            "task_timeout_seconds": 60,
        }

    def test_another_key_ends_the_old_one(self, operator: Operator) -> None:
        """It is told once, and the node is found by it alone."""
        before = operator.registry.find_named(Node, "a - heart Node")
        (told, shown) = operator.ask("node", "new-key", "heart", "a")
        after = operator.registry.find_named(Node, "a - heart Node")
        assert before is not None
        assert after is not None
        assert after == replace(before, key_hash=hash_key(told["api_key"]))
        assert operator.registry.table.find(f"key:{before.key_hash}") is None
        assert operator.registry.table.find(f"key:{after.key_hash}") == after.id
        assert "key_hash" not in shown

    def test_a_removed_node_is_known_by_nothing(self, operator: Operator) -> None:
        """Neither key nor name."""
        node = operator.registry.find_named(Node, "a - heart Node")
        assert node is not None
        assert operator.do("node", "remove", "heart", "a") == ["removed node a - heart Node"]
        assert operator.registry.table.find(f"key:{node.key_hash}") is None
        gone = operator.run("node", "new-key", "heart", "a")
        assert "there is no node in 'heart' of 'a'; there is 'b'" in gone.stderr

    def test_key_files_stay_in_their_folder(self) -> None:
        """Whatever a node is called; and no two of them share a file."""
        names = ["../x", "..%2Fx", "a/b", "a\\b", ".."]
        files = [key_file_name(name) for name in names]
        assert len(set(files)) == len(names)
        assert not any("/" in file or "\\" in file for file in files)


class TestUsers:
    def test_one_is_let_in_with_roles_and_rules(self) -> None:
        """By its login, or by the subject that it signs as."""
        operator = Operator()
        operator.do("organization", "add", "a")
        by_login = ("--organization", "a", "--role", "Researcher", "--role", "Viewer")
        (made,) = operator.ask("user", "add", "ada", *by_login)
        assert (made["subject"], made["roles"]) == ("sub-of-ada", ["Researcher", "Viewer"])
        arn = "arn:aws:iam::123456789012:user/nightly"
        by_key = ("--organization", "a", "--subject", arn, "--rule", "task:col:c")
        (made,) = operator.ask("user", "add", "nightly", *by_key)
        assert (made["subject"], made["rules"]) == (arn, ["task:col:c"])
        assert [each["username"] for each in operator.ask("user", "list")] == ["ada", "nightly"]

    def test_a_login_may_be_made_as_well(self) -> None:
        """Else there must be one."""
        operator = Operator()
        operator.do("organization", "add", "a")
        missing = operator.run("user", "add", "eve", "--organization", "a")
        assert (missing.exit_code, "`stepgrid users add eve`" in missing.stderr) == (4, True)
        told = operator.ask("user", "add", "eve", "--organization", "a", "--add-users")
        assert [each.get("temporary_password") for each in told] == [
            "temporary password of eve!",
            None,
        ]

    def test_roles_are_replaced_shown_and_taken(self, operator: Operator) -> None:
        """An unknown one is told with those that there are."""
        assert operator.ask("user", "roles", "ada")[0]["roles"] == ["Researcher"]
        roles = ("Viewer", "Organization Admin")
        assert operator.ask("user", "roles", "ada", *roles)[0]["roles"] == list(roles)
        assert operator.ask("user", "roles", "ada", "--none")[0]["roles"] == []
        assert operator.run("user", "roles", "ada", "--none", "Viewer").exit_code == 2
        unknown = operator.run("user", "roles", "ada", "Counter")
        assert unknown.exit_code == 4
        assert "there is no role 'Counter'; there is 'Collaboration Admin'" in unknown.stderr

    def test_one_who_goes_is_known_by_nothing(self, operator: Operator) -> None:
        """The login stays."""
        operator.do("user", "remove", "ada")
        assert operator.registry.user_of("sub-of-ada") is None
        assert "ada" in operator.users.subjects
        again = operator.run("user", "remove", "ada")
        assert again.stderr == "stepgrid: error: there is no user 'ada'; there is none\n"


def test_studies_are_added_and_removed(operator: Operator) -> None:
    """Of members of the collaboration."""
    (made,) = operator.ask("study", "add", "heart", "second", "--member", "b")
    assert (made["collaboration"], made["organizations"]) == ("heart", ["b"])
    operator.do("study", "remove", "heart", "pilot")
    assert [each["name"] for each in operator.ask("study", "list")] == ["second"]
    again = operator.run("study", "remove", "heart", "pilot")
    assert "there is no study of 'heart' 'pilot'; there is 'second'" in again.stderr


def test_roles_are_listed_with_rules(operator: Operator) -> None:
    """Those of every federation, and those that were added."""
    roles = {each["name"]: each for each in operator.ask("role", "list")}
    assert {"Root", "Viewer", "Researcher", "Counter"} <= roles.keys()
    assert "task:col:c" in roles["Researcher"]["rules"]
    assert (roles["Counter"]["organization"], roles["Counter"]["rules"]) == ("b", ["task:col:c"])
    rows = {line.split()[1]: line for line in operator.do("role", "list")[1:]}
    assert rows["Root"].endswith(" all")
    assert rows["Researcher"].endswith(f" {len(roles['Researcher']['rules'])} rules")
    assert rows["Counter"].endswith(" task:col:c")


def test_the_stack_may_be_named(operator: Operator) -> None:
    """As for all commands of operators."""
    operator.do("show", "--stack", "prod", "--region", "eu-west-1")
    assert operator.opened[-1] == ("prod", "eu-west-1", Path())


def test_every_command_has_json_and_an_example() -> None:
    """Help is where one looks first."""
    group: Any = cli.commands["federation"]
    found = [
        (name, command)
        for name, each in group.commands.items()
        for command in getattr(each, "commands", {"": each}).values()
    ]
    assert len(found) == 22
    for name, command in found:
        assert "Example" in str(command.help), name
        assert "as_json" in {parameter.name for parameter in command.params}, name
