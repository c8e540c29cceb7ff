"""`stepgrid federation show`, and how every command prints records."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import print_fields, print_json, print_lines, print_table
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.federation import rendering
from stepgrid.cli.federation.opening import now, opens_federation
from stepgrid.cli.rendering import printable
from stepgrid_core.federation.snapshot import KINDS, Kind, Managed

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.command(short_help="Who works with whom.")
@opens_federation
def show(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """Show all collaborations with their organizations, nodes and users.

    \b
    Examples:
      stepgrid federation show
      stepgrid federation show --json | jq -r '.nodes[] | select(.online) | .name'
    """
    found, time = registrar.read(), now()
    if not as_json:
        print_lines(map(printable, rendering.tree(found, time)))
        return ExitCode.OK
    values: dict[str, list[rendering.Values]] = {plural(kind.KIND): [] for kind in KINDS}
    for record in sorted(found.records.values(), key=attrgetter("id")):
        values[plural(record.KIND)].append(rendering.record_values(record, found, time))
    print_json(values)
    return ExitCode.OK


def plural(kind: str) -> str:
    return "studies" if kind == "study" else f"{kind}s"


def print_records(registrar: FederationRegistrar, kind: type[Kind], as_json: bool) -> int:
    """All of a kind: as a table, or a line of JSON for each."""
    found, time = registrar.read(), now()
    values = [rendering.record_values(each, found, time) for each in found.all(kind)]
    if as_json:
        for each in values:
            print_json(each)
    else:
        rows = (rendering.row_of(kind.KIND, each, time) for each in values)
        print_table(rendering.columns_of(kind.KIND), rows)
    return ExitCode.OK


def print_record(registrar: FederationRegistrar, record: Managed, as_json: bool) -> int:
    """One that was made or changed, as it is now."""
    found, time = registrar.read(), now()
    values = rendering.record_values(record, found, time)
    if as_json:
        print_json(values)
    else:
        print_fields(rendering.fields_of(record.KIND, values, time))
    return ExitCode.OK


def print_removed(kind: str, name: str, as_json: bool) -> int:
    if as_json:
        print_json({"removed": kind, "name": name})
    else:
        click.echo(f"removed {kind} {printable(name)}")
    return ExitCode.OK
