"""The `/token` routes: who gets a token, in which words it is refused."""

from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.errors import AccessDenied
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.authentication import authenticate, authenticate_signed
from stepgrid_core.federation.http import Refused
from stepgrid_core.federation.principals import UserPrincipal
from stepgrid_core.federation.records import FederatedTask, Node, User
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.tokens import ACCESS_SECONDS, issue_node_tokens

from .login_world import ANN, API_KEY, IMAGE, PASSWORD, LoginWorld

MISSING = ["Missing data for required field."]


@pytest.fixture
def world() -> LoginWorld:
    return LoginWorld()


def log_in(world: LoginWorld, username: str = "ann", **more: Any) -> tuple[int, Any]:
    body = {"username": username, "password": PASSWORD, **more}
    return world.ask("POST", "/api/token/user", body)


class TestUsers:
    @pytest.mark.parametrize(("path", "base"), [("/api", "/dev/api"), ("", "/dev")])
    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_a_password_becomes_tokens(
        self, world: LoginWorld, method: str, path: str, base: str
    ) -> None:
        """Their URLs begin with the stage, because clients put them behind the host."""
        body = {"username": "ann", "password": PASSWORD}
        status, answered = world.ask(method, f"{path}/token/user", body)
        assert status == 200
        assert answered == {
            "access_token": "access-2",
            "refresh_token": "refresh-1",
            "refresh_url": f"{base}/token/refresh",
            "user_url": f"{base}/user/7",
        }

    @pytest.mark.parametrize("wrong", [{"username": "nobody"}, {"password": "wrong"}])
    def test_a_wrong_password_is_refused(self, world: LoginWorld, wrong: dict[str, str]) -> None:
        """In the same words as an unknown name."""
        assert log_in(world, **wrong) == (401, {"msg": "Failed to login"})

    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            ({}, {"username": MISSING, "password": MISSING}),
            ({"username": "ann"}, {"password": MISSING}),
            ({"username": 1, "password": PASSWORD}, {"username": ["Not a valid string."]}),
            ({"username": "", "password": PASSWORD}, {"username": ["Not a valid string."]}),
        ],
    )
    def test_fields_that_are_missing_or_wrong(
        self, world: LoginWorld, body: Any, errors: dict[str, Any]
    ) -> None:
        expected = {"msg": "Request body is incorrect", "errors": errors}
        assert world.ask("POST", "/token/user", body) == (400, expected)

    @pytest.mark.parametrize("code", [None, ""])
    def test_a_second_factor_is_asked_for(self, world: LoginWorld, code: str | None) -> None:
        """With 200, so that clients know that the password was right."""
        message = "Please include your two-factor authentication code"
        assert log_in(world, "mia", mfa_code=code) == (200, {"msg": message})

    @pytest.mark.parametrize(("code", "status"), [("123456", 200), (123456, 200), ("1", 401)])
    def test_a_second_factor_counts(self, world: LoginWorld, code: Any, status: int) -> None:
        """As text or as a number."""
        assert log_in(world, "mia", mfa_code=code)[0] == status

    def test_a_temporary_password_is_not_enough(self, world: LoginWorld) -> None:
        """The answer says what is to be done."""
        status, answered = log_in(world, "new")
        assert status == 401
        assert "NEW_PASSWORD_REQUIRED" in answered["msg"]

    def test_a_user_of_no_organization_is_refused(self, world: LoginWorld) -> None:
        """To have a password is not to be in the federation."""
        status, answered = log_in(world, "eve")
        assert status == 401
        assert "operator" in answered["msg"]

    def test_a_refresh_answers_both_tokens(self, world: LoginWorld) -> None:
        refresh_token = log_in(world)[1]["refresh_token"]
        status, answered = world.ask("POST", "/api/token/refresh", token=refresh_token)
        assert status == 200
        assert answered["refresh_token"] == refresh_token
        assert authenticate(world.federation, answered["access_token"]).kind == "user"

    def test_a_user_who_was_removed_is_refused_at_once(self, world: LoginWorld) -> None:
        """Whatever tokens there are."""
        tokens = log_in(world)[1]
        user = world.federation.registry.find(User, 7)
        assert user is not None
        assert world.federation.registry.delete(user, marks_of(user))
        assert world.ask("POST", "/token/refresh", token=tokens["refresh_token"])[0] == 401
        with pytest.raises(Refused):
            authenticate(world.federation, tokens["access_token"])

    def test_a_user_has_the_rules_of_its_roles_and_its_own(self, world: LoginWorld) -> None:
        principal = authenticate(world.federation, log_in(world)[1]["access_token"])
        assert isinstance(principal, UserPrincipal)
        assert principal.rules == {1, 2, 3}
        assert principal.owner == ANN.owner
        assert principal.organization_id == 1

    def test_a_token_without_a_subject_is_refused(self, world: LoginWorld) -> None:
        """It would be anybody."""
        world.verifier.callers["bare"] = replace(ANN, subject="")
        with pytest.raises(Refused):
            authenticate(world.federation, "bare")


class TestSigned:
    @pytest.mark.parametrize("subject", [ANN.subject, ANN.owner])
    def test_a_user_is_known_by_subject(self, world: LoginWorld, subject: str) -> None:
        """Or by the owner, where a signature tells no more."""
        arn = "arn:aws:iam::123456789012:user/quant"
        world.keep(User(8, "quant", arn, 2))
        found = authenticate_signed(world.federation, "owner", ANN.subject)
        assert (found.user.id, found.owner) == (7, "owner")
        assert authenticate_signed(world.federation, arn, arn).user.id == 8

    def test_a_stranger_is_refused(self, world: LoginWorld) -> None:
        with pytest.raises(AccessDenied, match="no user of this federation"):
            authenticate_signed(world.federation, "owner", "subject")


class TestNodes:
    def test_an_api_key_becomes_tokens(self, world: LoginWorld) -> None:
        status, answered = world.ask("POST", "/api/token/node", {"api_key": API_KEY})
        assert status == 200
        assert answered.keys() == {"access_token", "refresh_token", "refresh_url", "node_url"}
        assert answered["node_url"] == "/dev/api/node/5"
        assert authenticate(world.federation, answered["access_token"]).kind == "node"

    def test_an_unknown_key_is_refused(self, world: LoginWorld) -> None:
        """Also the hash of one: it is no key."""
        for key in ("unknown", hash_key(API_KEY)):
            refused = world.ask("POST", "/token/node", {"api_key": key})
            assert refused == (401, {"msg": "Api key is not recognized!"})

    def test_a_missing_key(self, world: LoginWorld) -> None:
        errors = {"api_key": MISSING}
        expected = {"msg": "Request body is incorrect", "errors": errors}
        assert world.ask("POST", "/token/node", {}) == (400, expected)

    def test_a_refresh_answers_both_tokens(self, world: LoginWorld) -> None:
        """New ones, also when the access token has ended."""
        first = world.ask("POST", "/token/node", {"api_key": API_KEY})[1]
        world.clock.advance(ACCESS_SECONDS)
        status, second = world.ask("POST", "/token/refresh", token=first["refresh_token"])
        assert status == 200
        assert second["refresh_token"] != first["refresh_token"]
        assert authenticate(world.federation, second["access_token"]).kind == "node"

    def test_an_access_token_refreshes_nothing(self, world: LoginWorld) -> None:
        first = world.ask("POST", "/token/node", {"api_key": API_KEY})[1]
        assert world.ask("POST", "/token/refresh", token=first["access_token"])[0] == 401

    def test_a_node_with_a_new_key_gets_no_new_token(self, world: LoginWorld) -> None:
        tokens = issue_node_tokens(world.federation, world.node)
        changed = replace(world.node, key_hash=hash_key("another"))
        assert world.federation.registry.change(changed)
        assert world.ask("POST", "/token/refresh", token=tokens.refresh_token)[0] == 401

    @pytest.mark.parametrize("token", [None, "noise"])
    def test_a_refresh_needs_a_token(self, world: LoginWorld, token: str | None) -> None:
        assert world.ask("POST", "/token/refresh", token=token)[0] == 401


class TestContainers:
    @pytest.fixture
    def token(self, world: LoginWorld) -> str:
        return issue_node_tokens(world.federation, world.node).access_token

    def ask(self, world: LoginWorld, token: str, **changes: Any) -> tuple[int, Any]:
        body = {"task_id": 3, "image": IMAGE, **changes}
        return world.ask("POST", "/api/token/container", body, token)

    def test_a_node_gets_a_token_for_its_container(self, world: LoginWorld, token: str) -> None:
        status, answered = self.ask(world, token)
        assert status == 200
        assert authenticate(world.federation, answered["container_token"]).kind == "container"

    @pytest.mark.parametrize(
        ("changes", "status", "message"),
        [
            ({"task_id": 4}, 400, "Parent task does not exist!"),
            ({"image": "another"}, 401, "Image and task do no match"),
        ],
    )
    def test_for_its_own_task_only(
        self, world: LoginWorld, token: str, changes: Any, status: int, message: str
    ) -> None:
        assert self.ask(world, token, **changes) == (status, {"msg": message})

    @pytest.mark.parametrize("task_id", ["3", 3.0, True, None])
    def test_a_task_is_a_number(self, world: LoginWorld, token: str, task_id: Any) -> None:
        status, answered = self.ask(world, token, task_id=task_id)
        assert status == 400
        assert answered["errors"] == {"task_id": ["Not a valid integer."]}

    def test_another_collaboration(self, world: LoginWorld, token: str) -> None:
        task = world.federation.registry.find(FederatedTask, 3)
        assert task is not None
        world.federation.registry.change(replace(task, collaboration_id=2))
        message = "You are not within the collaboration"
        assert self.ask(world, token) == (401, {"msg": message})

    def test_a_task_of_other_organizations(self, world: LoginWorld) -> None:
        """In the same collaboration."""
        world.federation.registry.change(replace(world.task, organization_ids=(2,)))
        token = issue_node_tokens(world.federation, world.node).access_token
        assert self.ask(world, token)[0] == 401

    def test_not_after_the_task(self, world: LoginWorld, token: str) -> None:
        world.end_the_task()
        assert self.ask(world, token) == (400, {"msg": "Task is already finished!"})

    def test_only_nodes_may_ask(self, world: LoginWorld, token: str) -> None:
        """No container makes itself another one, no user any."""
        container = self.ask(world, token)[1]["container_token"]
        user = log_in(world)[1]["access_token"]
        for bearer in (container, user):
            assert self.ask(world, bearer) == (401, {"msg": "You lack the permission to do that!"})

    def test_by_another_node_of_the_collaboration(self, world: LoginWorld) -> None:
        """For its own run."""
        node = Node(6, "hygieia", 2, 1, key_hash=hash_key("hygieia"))
        world.keep(node)
        token = issue_node_tokens(world.federation, node).access_token
        assert self.ask(world, token)[0] == 200
