"""`stepgrid federation role`: which roles there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.federation.showing import print_records
from stepgrid_core.federation.records import Role

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.group(cls=InOrder, short_help="Which roles there are.", no_args_is_help=False)
def role() -> None:
    """See the roles that users can have; a document adds others.

    \b
    Example:
      stepgrid federation role list --json | jq 'select(.name == "Researcher") | .rules'
    """


@role.command("list", short_help="List them with their rules.")
@opens_federation
def list_roles(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """List the roles: those of every federation, and those that were added.

    \b
    Example:
      stepgrid federation role list
    """
    return print_records(registrar, Role, as_json)
