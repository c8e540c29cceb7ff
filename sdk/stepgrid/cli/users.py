"""`stepgrid users`: who may log in. For whoever deployed the grid."""

from __future__ import annotations

from dataclasses import asdict

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import (
    App,
    InOrder,
    json_option,
    pass_app,
    print_fields,
    print_json,
    print_table,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.login import prompt_new_password
from stepgrid.users import User, Users

permanent_option = click.option(
    "--permanent", is_flag=True, help="Ask for a password that lasts, in place of a temporary one."
)
COLUMNS = (
    rendering.Column("USER"),
    rendering.Column("E-MAIL"),
    rendering.Column("STATUS"),
    rendering.Column("ADDED", right=True),
)


@click.group(cls=InOrder, short_help="Manage who may log in.", no_args_is_help=False)
def users() -> None:
    """Manage the users of the grid, with the AWS credentials of whoever deployed it.

    \b
    Examples:
      stepgrid users add ann --email ann@example.org
      stepgrid users list
      stepgrid users reset-password ann
      stepgrid users remove ann
    """


def _open_users(app: App) -> Users:
    users = app.open_users()
    click.get_current_context().call_on_close(users.close)
    return users


@users.command(short_help="Add a user.")
@click.argument("name")
@click.option("--email", help="For your own records: the grid sends no mail.")
@permanent_option
@json_option
@pass_app
def add(app: App, *, name: str, email: str | None, permanent: bool, as_json: bool) -> int:
    """Add user NAME, and print a temporary password: once, so hand it over now.

    The user chooses another one at the first `stepgrid login`, within seven days.

    \b
    Examples:
      stepgrid users add ann
      stepgrid users add nightly-batch --permanent
    """
    password = prompt_new_password("Password") if permanent else None
    users = _open_users(app)
    temporary: str | None = users.add(name, email)
    if password is not None:
        users.set_password(name, password)
        temporary = None
    _print_password(name, temporary, as_json)
    return ExitCode.OK


@users.command("reset-password", short_help="Give a user another password.")
@click.argument("name")
@permanent_option
@json_option
@pass_app
def reset_password(app: App, *, name: str, permanent: bool, as_json: bool) -> int:
    """Give user NAME a new temporary password, and end the user's logins.

    \b
    Example:
      stepgrid users reset-password ann
    """
    password = prompt_new_password("Password") if permanent else None
    users = _open_users(app)
    temporary: str | None = users.reset_password(name)
    if password is not None:
        users.set_password(name, password)
        temporary = None
    _print_password(name, temporary, as_json)
    return ExitCode.OK


@users.command(short_help="Remove a user.")
@click.argument("name")
@json_option
@pass_app
def remove(app: App, *, name: str, as_json: bool) -> int:
    """Remove user NAME: no login any more; keys that are out end within the hour.

    The user's sessions go on. A user added later under the same name does not see them.

    \b
    Example:
      stepgrid users remove ann
    """
    _open_users(app).remove(name)
    if as_json:
        print_json({"user": name})
    else:
        click.echo(f"removed {name}")
    return ExitCode.OK


@users.command("list", short_help="List the users.")
@json_option
@pass_app
def list_users(app: App, *, as_json: bool) -> int:
    """List the users. FORCE_CHANGE_PASSWORD: has a temporary password still.

    \b
    Example:
      stepgrid users list --json | jq -r .user
    """
    found = _open_users(app).list()
    if as_json:
        for user in found:
            values = asdict(user)
            print_json({"user": values.pop("name"), **values})
    else:
        print_table(COLUMNS, (_row(user, app.now()) for user in found))
    return ExitCode.OK


def _row(user: User, now: float) -> tuple[str, str, str, str]:
    status = user.status if user.enabled else "DISABLED"
    added = rendering.age(user.created_at, now)
    return user.name, user.email or rendering.NONE, status, added


def _print_password(name: str, temporary: str | None, as_json: bool) -> None:
    if as_json:
        print_json({"user": name, "temporary_password": temporary})
    elif temporary is None:
        print_fields([("user", name)])
    else:
        print_fields([("user", name), ("temporary password", temporary)])
