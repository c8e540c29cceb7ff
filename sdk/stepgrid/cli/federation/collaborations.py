"""`stepgrid federation collaboration` and `member`: who works with whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation.keys import Teller, keys_option
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.federation.showing import print_record, print_records, print_removed
from stepgrid_core.federation.document import FederationDocument, read_document
from stepgrid_core.federation.records import Collaboration

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.group(cls=InOrder, short_help="Who works with whom.", no_args_is_help=False)
def collaboration() -> None:
    """Add, list and remove collaborations.

    \b
    Examples:
      stepgrid federation collaboration add heart --encrypted --member Asclepius --member Hygieia
      stepgrid federation collaboration list
      stepgrid federation collaboration remove heart
    """


@collaboration.command(short_help="Add a collaboration.")
@click.argument("name")
@click.option("--member", "members", multiple=True, metavar="ORGANIZATION", help="Once for each.")
@click.option("--encrypted", is_flag=True, help="Nobody between its members can read their data.")
@click.option("--nodes", is_flag=True, help="Make a node for each member as well.")
@keys_option
@opens_federation
def add(
    registrar: FederationRegistrar,
    *,
    name: str,
    members: tuple[str, ...],
    encrypted: bool,
    nodes: bool,
    keys_dir: Path | None,
    as_json: bool,
) -> int:
    """Add the collaboration NAME of these organizations.

    \b
    Example:
      stepgrid federation collaboration add counts --member Asclepius --nodes --keys-dir keys
    """
    values = {"name": name, "encrypted": encrypted, "organizations": list(members)}
    values["nodes"] = "all" if nodes else []
    document = _document(values)
    teller = Teller(keys_dir, as_json)
    made = registrar.add(document, Collaboration.KIND, give_key=teller.give_key)
    return print_record(registrar, made, as_json)


def _document(values: dict[str, object]) -> FederationDocument:
    return read_document({"collaborations": [values]}, str, "collaboration add")


@collaboration.command("list", short_help="List them.")
@opens_federation
def list_collaborations(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """List the collaborations with their members, and how many tasks each has.

    \b
    Example:
      stepgrid federation collaboration list --json | jq 'select(.encrypted) | .name'
    """
    return print_records(registrar, Collaboration, as_json)


@collaboration.command(short_help="Remove a collaboration.")
@click.argument("name")
@opens_federation
def remove(registrar: FederationRegistrar, *, name: str, as_json: bool) -> int:
    """Remove the collaboration NAME with its nodes and studies, once it has no tasks.

    \b
    Example:
      stepgrid federation collaboration remove heart
    """
    registrar.remove_collaboration(name)
    return print_removed("collaboration", name, as_json)


@click.group(cls=InOrder, short_help="Who is in a collaboration.", no_args_is_help=False)
def member() -> None:
    """Let organizations into a collaboration, and take them out.

    \b
    Examples:
      stepgrid federation member add heart Panacea
      stepgrid federation member remove heart Hygieia
    """


@member.command("add", short_help="Let an organization in.")
@click.argument("collaboration")
@click.argument("organization")
@opens_federation
def add_member(
    registrar: FederationRegistrar, *, collaboration: str, organization: str, as_json: bool
) -> int:
    """Let ORGANIZATION into COLLABORATION; `stepgrid federation node add` makes its node.

    \b
    Example:
      stepgrid federation member add heart Panacea
    """
    changed = registrar.add_member(collaboration, organization)
    return print_record(registrar, changed, as_json)


@member.command("remove", short_help="Take an organization out.")
@click.argument("collaboration")
@click.argument("organization")
@opens_federation
def remove_member(
    registrar: FederationRegistrar, *, collaboration: str, organization: str, as_json: bool
) -> int:
    """Take ORGANIZATION out of COLLABORATION and its studies, and remove its node there.

    \b
    Example:
      stepgrid federation member remove heart Hygieia
    """
    registrar.remove_member(collaboration, organization)
    return print_removed("member", f"{organization} of {collaboration}", as_json)
