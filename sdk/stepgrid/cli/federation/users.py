"""`stepgrid federation user`: who may do what, for which organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation.keys import Teller
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.federation.showing import print_record, print_records, print_removed
from stepgrid_core.federation.document import read_document
from stepgrid_core.federation.records import User

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.group(cls=InOrder, short_help="Who may do what.", no_args_is_help=False)
def user() -> None:
    """Let users of the grid into the federation, each for one organization.

    \b
    Examples:
      stepgrid federation user add ada --organization Asclepius --role Researcher
      stepgrid federation user roles ada Researcher "Organization Admin"
      stepgrid federation user remove ada
    """


@user.command(short_help="Let a user in.")
@click.argument("username")
@click.option("--organization", required=True, help="Whose user it is.")
@click.option("--role", "roles", multiple=True, help="Once for each.")
@click.option("--rule", "rules", multiple=True, help="Beside its roles, for example task:col:c.")
@click.option("--firstname")
@click.option("--lastname")
@click.option("--email")
@click.option("--subject", help="Of an IAM identity: the owner that `stepgrid quota` shows to it.")
@click.option("--add-users", is_flag=True, help="Make the login as well if there is none.")
@opens_federation
def add(
    registrar: FederationRegistrar,
    *,
    username: str,
    organization: str,
    roles: tuple[str, ...],
    rules: tuple[str, ...],
    add_users: bool,
    as_json: bool,
    **about: str | None,
) -> int:
    """Let USERNAME, who can log in to the grid, into the federation.

    \b
    Examples:
      stepgrid federation user add ada --organization Asclepius --role Researcher
      stepgrid federation user add nightly --organization Panacea --role Viewer \\
          --subject arn:aws:iam::123456789012:user/nightly
    """
    values = {"username": username, "organization": organization, **about}
    named = {"roles": list(roles), "rules": list(rules)}
    document = read_document({"users": [values | named]}, str, "user add")
    give_password = Teller(as_json=as_json).give_password if add_users else None
    made = registrar.add(document, User.KIND, give_password=give_password)
    return print_record(registrar, made, as_json)


@user.command("list", short_help="List them.")
@opens_federation
def list_users(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """List the users of the federation with their roles.

    \b
    Example:
      stepgrid federation user list --json | jq -r 'select(.organization == "Asclepius").username'
    """
    return print_records(registrar, User, as_json)


@user.command(short_help="Take a user out.")
@click.argument("username")
@opens_federation
def remove(registrar: FederationRegistrar, *, username: str, as_json: bool) -> int:
    """Take USERNAME out of the federation; its login stays (`stepgrid users remove`).

    \b
    Example:
      stepgrid federation user remove ada
    """
    registrar.remove_user(username)
    return print_removed("user", username, as_json)


@user.command("roles", short_help="Give a user other roles.")
@click.argument("username")
@click.argument("roles", nargs=-1)
@click.option("--none", is_flag=True, help="Take all roles away.")
@opens_federation
def set_roles(
    registrar: FederationRegistrar,
    *,
    username: str,
    roles: tuple[str, ...],
    none: bool,
    as_json: bool,
) -> int:
    """Give USERNAME these roles in place of those it has; show it when none are named.

    \b
    Examples:
      stepgrid federation user roles ada Researcher "Organization Admin"
      stepgrid federation user roles ada
    """
    if none and roles:
        raise click.UsageError("--none takes all roles away: name no role with it")
    if none or roles:
        return print_record(registrar, registrar.set_roles(username, roles), as_json)
    return print_record(registrar, registrar.read().named(User, username), as_json)
