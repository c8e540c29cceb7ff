"""`stepgrid federation organization`: who takes part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.federation.showing import print_record, print_records, print_removed
from stepgrid_core.federation.document import read_document
from stepgrid_core.federation.records import Organization

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.group(cls=InOrder, short_help="Who takes part.", no_args_is_help=False)
def organization() -> None:
    """Add, list and remove organizations.

    \b
    Examples:
      stepgrid federation organization add Asclepius --country CH
      stepgrid federation organization list --json | jq -r .name
      stepgrid federation organization remove Asclepius
    """


@organization.command(short_help="Add an organization.")
@click.argument("name")
@click.option("--domain", help="For example asclepius.example.")
@click.option("--address", "address1", help="Street and number.")
@click.option("--zipcode")
@click.option("--country")
@click.option(
    "--public-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="In PEM, for encrypted collaborations; its clients can send it as well.",
)
@opens_federation
def add(
    registrar: FederationRegistrar,
    *,
    name: str,
    public_key_file: Path | None,
    as_json: bool,
    **address: str | None,
) -> int:
    """Add the organization NAME.

    \b
    Example:
      stepgrid federation organization add Hygieia --public-key-file hygieia.pem
    """
    values = {"name": name, **address}
    if public_key_file is not None:
        values["public_key_file"] = str(public_key_file)
    document = read_document({"organizations": [values]}, _read, "organization add")
    return print_record(registrar, registrar.add(document, Organization.KIND), as_json)


def _read(name: str) -> str:
    return Path(name).read_text(encoding="utf-8", errors="replace")


@organization.command("list", short_help="List them.")
@opens_federation
def list_organizations(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """List the organizations, and the collaborations that each is in.

    \b
    Example:
      stepgrid federation organization list
    """
    return print_records(registrar, Organization, as_json)


@organization.command(short_help="Remove an organization.")
@click.argument("name")
@opens_federation
def remove(registrar: FederationRegistrar, *, name: str, as_json: bool) -> int:
    """Remove the organization NAME, once it has no users, and is in no collaboration.

    \b
    Example:
      stepgrid federation organization remove Hygieia
    """
    registrar.remove_organization(name)
    return print_removed("organization", name, as_json)
