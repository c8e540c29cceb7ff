"""`stepgrid federation study`: some of the organizations of a collaboration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.federation.showing import print_record, print_records, print_removed
from stepgrid_core.federation.document import read_document
from stepgrid_core.federation.records import Study

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.group(cls=InOrder, short_help="Parts of a collaboration.", no_args_is_help=False)
def study() -> None:
    """Add, list and remove studies: some of the organizations of a collaboration.

    \b
    Examples:
      stepgrid federation study add heart pilot --member Hygieia
      stepgrid federation study list
      stepgrid federation study remove heart pilot
    """


@study.command(short_help="Add a study.")
@click.argument("collaboration")
@click.argument("name")
@click.option("--member", "members", multiple=True, metavar="ORGANIZATION", help="Once for each.")
@opens_federation
def add(
    registrar: FederationRegistrar,
    *,
    collaboration: str,
    name: str,
    members: tuple[str, ...],
    as_json: bool,
) -> int:
    """Add the study NAME of these members of COLLABORATION.

    \b
    Example:
      stepgrid federation study add heart pilot --member Hygieia
    """
    home = registrar.describe(collaboration)
    home["studies"] = [{"name": name, "organizations": list(members)}]
    document = read_document({"collaborations": [home]}, str, "study add")
    return print_record(registrar, registrar.add(document, Study.KIND), as_json)


@study.command("list", short_help="List them.")
@opens_federation
def list_studies(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """List the studies of all collaborations.

    \b
    Example:
      stepgrid federation study list
    """
    return print_records(registrar, Study, as_json)


@study.command(short_help="Remove a study.")
@click.argument("collaboration")
@click.argument("name")
@opens_federation
def remove(registrar: FederationRegistrar, *, collaboration: str, name: str, as_json: bool) -> int:
    """Remove the study NAME of COLLABORATION; its tasks stay.

    \b
    Example:
      stepgrid federation study remove heart pilot
    """
    registrar.remove_study(collaboration, name)
    return print_removed("study", f"{collaboration}/{name}", as_json)
