"""Commands about who you are: login, logout."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stepgrid.cli.context import App, json_option, pass_app, print_fields, print_json
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.config import Config
from stepgrid.kotta.auth import write_auth
from stepgrid.login import Login
from stepgrid.login_store import StoredLogin, forget_login, load_login, store_login
from stepgrid_core.errors import LoginExpired, NewPasswordRequired


@click.command(short_help="Log in as a user of the grid.")
@click.option("--username", "-u", help="As the administrator gave it to you.  [default: asked]")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin: for scripts.")
@click.option(
    "--kotta",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a fresh token to FILE, for `kotta -a FILE`; a login that is kept is enough.",
)
@json_option
@pass_app
def login(
    app: App, *, username: str | None, password_stdin: bool, kotta: Path | None, as_json: bool
) -> int:
    """Log in with a username and a password; every command and program of yours is then this user.

    The password is asked for and not kept. What is kept, in ~/.stepgrid/logins for your eyes only,
    lasts for days: until `stepgrid logout`, or until the grid wants the password again.

    \b
    Examples:
      stepgrid login --username ann
      pass grid/ann | stepgrid login --username ann --password-stdin
      stepgrid login --kotta auth.info
    """
    config = app.find_config()
    kept = None if kotta is None or password_stdin else _kept_login(app, config, username)
    user = kept or _log_in(app, config, username, password_stdin)
    found = {
        "user": user.username,
        "owner": f"cognito:{user.identity_id}",
        "endpoint": config.endpoint,
    }
    if kotta is not None:
        tokens = user.id_token()
        write_auth(kotta, config.endpoint, tokens.id_token, tokens.lifetime_seconds)
        found["kotta"] = str(kotta)
    if as_json:
        print_json(found)
    else:
        print_fields(found.items())
    return ExitCode.OK


def _log_in(app: App, config: Config, username: str | None, password_stdin: bool) -> Login:
    pool = app.find_pool(config)
    username = username or str(click.prompt("Username", err=True))
    password = _read_password(password_stdin)
    user = Login(app.open_cognito(pool), username, password, region=pool.region)
    _sign_in(user, may_ask=not password_stdin)
    store_login(StoredLogin(config.endpoint, username, pool, str(user.refresh_token)), app.home())
    return user


def _kept_login(app: App, config: Config, username: str | None) -> Login | None:
    """The login of this user, or of whoever it is; None if there is none, or it has ended."""
    stored = load_login(config.endpoint, app.home())
    if stored is None or username not in (None, stored.username):
        return None
    cognito = app.open_cognito(stored.pool)
    user = Login(
        cognito, stored.username, refresh_token=stored.refresh_token, region=stored.pool.region
    )
    try:
        user.sign_in()
    except LoginExpired:
        return None
    return user


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, err=True)
    return password


def _sign_in(user: Login, may_ask: bool) -> None:
    """Log in; who has a temporary password chooses another one."""
    try:
        user.sign_in()
    except NewPasswordRequired:
        if not may_ask:
            raise
        user.sign_in(prompt_new_password("This password was temporary. New password"))


def prompt_new_password(text: str) -> str:
    """Asked for twice."""
    password: str = click.prompt(text, hide_input=True, confirmation_prompt=True, err=True)
    return password


@click.command(short_help="Log out, and end the login everywhere.")
@json_option
@pass_app
def logout(app: App, *, as_json: bool) -> int:
    """Forget the login for this grid, and revoke it.

    Programs that signed with it go on until their keys end, within the hour.

    \b
    Example:
      stepgrid logout
    """
    endpoint = app.find_config().endpoint
    stored = load_login(endpoint, app.home())
    # The file first: it must not stay because Cognito does not answer.
    forget_login(endpoint, app.home())
    if stored is not None:
        app.open_cognito(stored.pool).revoke(stored.refresh_token)
    if as_json:
        print_json({"user": stored.username if stored else None})
    else:
        click.echo(f"logged out {stored.username}" if stored else "nobody was logged in")
    return ExitCode.OK
