"""`stepgrid login`, `logout` and `users`, against a Cognito in memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from stepgrid import Config, Conflict, LoginExpired, Unavailable
from stepgrid.cli.context import App
from stepgrid.cognito import UserPool
from stepgrid.kotta.auth import read_auth
from stepgrid.login_store import load_login
from stepgrid.users import User
from tests.fake_cognito import FakeCognito, FakeUser
from tests.unit.cli_fakes import NOW, json_lines, run_app

ENDPOINT = "https://abc.execute-api.eu-west-1.amazonaws.com/dev/v1"
POOL = UserPool("eu-west-1", "eu-west-1_Pool", "client", "eu-west-1:identities")
PASSWORD = "Correct horse battery 1!"


@pytest.fixture
def cognito() -> FakeCognito:
    # Logins take the time from this machine.
    return FakeCognito({"ann": FakeUser(PASSWORD)}, now=4_000_000_000.0)


@dataclass
class FakeUsers:
    """As much of Users as the commands use."""

    did: list[Any] = field(default_factory=list)
    refusal: Exception | None = None

    def add(self, name: str, email: str | None = None) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.did.append(("add", name, email))
        return "Temporary-1"

    def set_password(self, name: str, password: str) -> None:
        self.did.append(("set_password", name, password))

    def reset_password(self, name: str) -> str:
        self.did.append(("reset_password", name))
        return "Temporary-2"

    def remove(self, name: str) -> None:
        self.did.append(("remove", name))

    def list(self) -> Iterator[User]:
        yield User("ann", "ann@example.org", "CONFIRMED", True, NOW - 3600)
        yield User("bob", None, "CONFIRMED", False, NOW - 60)

    def close(self) -> None:
        self.did.append("closed")


@dataclass
class Desk:
    """The commands with their doors to fakes."""

    cognito: FakeCognito
    home: Path
    users: FakeUsers = field(default_factory=FakeUsers)

    def run(self, *arguments: str, stdin: str = "") -> Result:
        app = App(
            find_config=lambda: Config(ENDPOINT),
            find_pool=lambda config: POOL,
            open_cognito=lambda pool: self.cognito,
            open_users=lambda: self.users,  # type: ignore[arg-type,return-value]
            home=lambda: self.home,
            now=lambda: NOW,
        )
        return run_app(app, *arguments, stdin=stdin.encode())


@pytest.fixture
def desk(cognito: FakeCognito, tmp_path: Path) -> Desk:
    return Desk(cognito, tmp_path)


class TestLogin:
    def test_it_asks_and_says_who_you_are(self, desk: Desk) -> None:
        """The questions go to stderr; what is kept logs in again without the password."""
        result = desk.run("login", stdin=f"ann\n{PASSWORD}\n")
        assert result.exit_code == 0
        # click's runner echoes the answers to its prompts on stdout; a terminal's user types them.
        assert result.stdout.endswith(
            f"user      ann\nowner     cognito:identity-of-ann\nendpoint  {ENDPOINT}\n"
        )
        stored = load_login(ENDPOINT, desk.home)
        assert stored is not None
        assert stored.username == "ann"
        assert desk.cognito.refresh(stored.refresh_token).id_token

    def test_scripts_write_the_password_to_stdin(self, desk: Desk) -> None:
        """No question is asked, and the answer is JSON."""
        result = desk.run("login", "-u", "ann", "--password-stdin", "--json", stdin=f"{PASSWORD}\n")
        assert result.stderr == ""
        assert json_lines(result.stdout)[0]["user"] == "ann"

    def test_a_temporary_password_is_replaced_on_the_way(self, desk: Desk) -> None:
        """The new one is asked for twice."""
        desk.cognito.users["ann"].temporary = True
        stdin = f"{PASSWORD}\nAnother horse 2!\nAnother horse 2!\n"
        assert desk.run("login", "-u", "ann", stdin=stdin).exit_code == 0
        assert desk.cognito.users["ann"].password == "Another horse 2!"

    def test_a_script_cannot_choose_a_password(self, desk: Desk) -> None:
        """Nobody is there to be asked: code 4, and nothing is kept."""
        desk.cognito.users["ann"].temporary = True
        result = desk.run("login", "-u", "ann", "--password-stdin", stdin=PASSWORD)
        assert (result.exit_code, result.stdout) == (4, "")
        assert load_login(ENDPOINT, desk.home) is None

    def test_a_wrong_password_is_code_4(self, desk: Desk) -> None:
        """One line on stderr, without the password; an earlier login stays."""
        desk.run("login", "-u", "ann", stdin=PASSWORD)
        before = load_login(ENDPOINT, desk.home)
        result = desk.run("login", "-u", "ann", "--password-stdin", stdin="wrong horse")
        assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
        assert "wrong horse" not in result.output
        assert load_login(ENDPOINT, desk.home) == before

    def test_the_password_is_no_option(self, desk: Desk) -> None:
        """A command line is read by other users, and kept in the shell's history."""
        result = desk.run("login", "-u", "ann", "--password", PASSWORD)
        assert result.exit_code == 2

    def test_no_output_holds_a_token(self, desk: Desk) -> None:
        """Neither the password nor what came of it is printed."""
        result = desk.run("login", stdin=f"ann\n{PASSWORD}\n")
        shown = result.stdout + result.stderr
        assert not [secret for secret in (PASSWORD, *desk.cognito.secrets()) if secret in shown]


class TestKotta:
    @pytest.fixture
    def auth(self, tmp_path: Path) -> Path:
        return tmp_path / "auth.info"

    def test_a_login_writes_the_auth_file(self, desk: Desk, auth: Path) -> None:
        """Private, with a fresh token and the grid's address; the token is not printed."""
        result = desk.run("login", "-u", "ann", "--kotta", str(auth), stdin=f"{PASSWORD}\n")
        assert result.exit_code == 0
        assert result.stdout.endswith(f"kotta     {auth}\n")
        found = read_auth(auth)
        assert found.server == ENDPOINT.removesuffix("/v1")
        assert desk.cognito.exchange(found.token).identity_id == "identity-of-ann"
        assert auth.stat().st_mode & 0o777 == 0o600
        assert found.token not in result.output

    def test_a_login_that_is_kept_is_enough(self, desk: Desk, auth: Path) -> None:
        """No question; each time another token."""
        desk.run("login", "-u", "ann", stdin=PASSWORD)
        tokens = set()
        for arguments in ((), ("-u", "ann")):
            [told] = json_lines(
                desk.run("login", "--kotta", str(auth), "--json", *arguments).stdout
            )
            assert (told["user"], told["kotta"]) == ("ann", str(auth))
            tokens.add(read_auth(auth).token)
        assert len(tokens) == 2
        assert desk.cognito.calls["authenticate"] == 1

    def test_another_user_logs_in(self, desk: Desk, auth: Path) -> None:
        """The login that is kept is not theirs."""
        desk.cognito.users["bob"] = FakeUser(PASSWORD)
        desk.run("login", "-u", "ann", stdin=PASSWORD)
        assert desk.run("login", "-u", "bob", "--kotta", str(auth), stdin=PASSWORD).exit_code == 0
        assert desk.cognito.exchange(read_auth(auth).token).identity_id == "identity-of-bob"

    def test_a_kept_login_that_has_ended(self, desk: Desk, auth: Path) -> None:
        """The password is asked for."""
        desk.run("login", "-u", "ann", stdin=PASSWORD)
        desk.cognito.sign_out("ann")
        result = desk.run("login", "--kotta", str(auth), stdin=f"ann\n{PASSWORD}\n")
        assert result.exit_code == 0
        assert desk.cognito.calls["authenticate"] == 2

    def test_nothing_is_written_without_a_login(self, desk: Desk, auth: Path) -> None:
        assert desk.run("login", "-u", "ann", "--kotta", str(auth), stdin="no").exit_code == 4
        assert not auth.exists()


class TestLogout:
    def test_it_forgets_and_revokes(self, desk: Desk) -> None:
        """The token is worth nothing to whoever copied it."""
        desk.run("login", "-u", "ann", stdin=PASSWORD)
        stored = load_login(ENDPOINT, desk.home)
        assert stored is not None
        assert desk.run("logout").stdout == "logged out ann\n"
        assert load_login(ENDPOINT, desk.home) is None
        with pytest.raises(LoginExpired):
            desk.cognito.refresh(stored.refresh_token)

    def test_the_login_is_gone_even_if_cognito_is_down(self, desk: Desk) -> None:
        """Code 3 says that it was not revoked; this machine has forgotten it all the same."""
        desk.run("login", "-u", "ann", stdin=PASSWORD)
        desk.cognito.down = True
        assert desk.run("logout").exit_code == 3
        assert load_login(ENDPOINT, desk.home) is None

    def test_nobody_was_logged_in(self, desk: Desk) -> None:
        """No error: it is as wanted."""
        assert desk.run("logout").stdout == "nobody was logged in\n"
        assert json.loads(desk.run("logout", "--json").stdout) == {"user": None}


class TestUsers:
    def test_a_temporary_password_is_printed_once(self, desk: Desk) -> None:
        """For the administrator to hand over."""
        result = desk.run("users", "add", "ann", "--email", "ann@example.org")
        assert result.stdout == "user                ann\ntemporary password  Temporary-1\n"
        assert desk.users.did == [("add", "ann", "ann@example.org"), "closed"]

    def test_a_permanent_password_is_asked_for_and_not_shown(self, desk: Desk) -> None:
        """For programs, which can choose none."""
        result = desk.run("users", "add", "batch", "--permanent", stdin=f"{PASSWORD}\n" * 2)
        assert result.exit_code == 0
        assert result.stdout.split() == ["user", "batch"]
        assert PASSWORD not in result.stderr
        assert desk.users.did[1] == ("set_password", "batch", PASSWORD)

    def test_a_name_that_is_taken(self, desk: Desk) -> None:
        """One line that says what to look at; wrong usage."""
        desk.users.refusal = Conflict("there is a user 'ann' already; see `stepgrid users list`")
        result = desk.run("users", "add", "ann")
        assert (result.exit_code, result.stderr) == (
            2,
            "stepgrid: error: there is a user 'ann' already; see `stepgrid users list`\n",
        )

    def test_cognito_is_down(self, desk: Desk) -> None:
        """The grid was not reached."""
        desk.users.refusal = Unavailable("Cognito AdminCreateUser: HTTP 503")
        assert desk.run("users", "add", "ann").exit_code == 3

    def test_a_password_is_reset(self, desk: Desk) -> None:
        """To a temporary one, or to one that lasts."""
        [printed] = json_lines(desk.run("users", "reset-password", "ann", "--json").stdout)
        assert printed == {"user": "ann", "temporary_password": "Temporary-2"}
        desk.run("users", "reset-password", "ann", "--permanent", stdin=f"{PASSWORD}\n" * 2)
        assert desk.users.did[-2] == ("set_password", "ann", PASSWORD)

    def test_users_are_listed_and_removed(self, desk: Desk) -> None:
        """A table for people, JSON for scripts."""
        assert desk.run("users", "list").stdout == (
            "USER  E-MAIL           STATUS         ADDED\n"
            "ann   ann@example.org  CONFIRMED    1 h ago\n"
            "bob   -                DISABLED   1 min ago\n"
        )
        names = [line["user"] for line in json_lines(desk.run("users", "list", "--json").stdout)]
        assert names == ["ann", "bob"]
        assert desk.run("users", "remove", "ann").stdout == "removed ann\n"
