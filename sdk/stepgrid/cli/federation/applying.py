"""`stepgrid federation apply`: the document of a federation becomes what is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepgrid.cli.context import note, print_json, print_lines, print_table
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.federation import rendering
from stepgrid.cli.federation.document import load_document
from stepgrid.cli.federation.keys import Teller, keys_option
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.rendering import printable
from stepgrid_core.federation.draft import Action, Change

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar, Logins


@click.command(short_help="Make it what a document says.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
@click.option(
    "--prune", is_flag=True, help="Remove what the document does not mention; never a task."
)
@click.option("--yes", is_flag=True, help="Do not ask before something is removed.")
@click.option("--add-users", is_flag=True, help="Make logins for users who have none.")
@keys_option
@opens_federation
def apply(
    registrar: FederationRegistrar,
    *,
    file: Path,
    dry_run: bool,
    prune: bool,
    yes: bool,
    add_users: bool,
    keys_dir: Path | None,
    as_json: bool,
) -> int:
    """Make the federation what the document FILE says, and leave alone what it does not mention.

    Applying it again changes nothing, and goes on where a run was interrupted. API keys of new
    nodes and passwords of new logins are told once.

    \b
    Examples:
      stepgrid federation apply federation.yaml --dry-run
      stepgrid federation apply federation.yaml --add-users --keys-dir keys
      stepgrid federation apply federation.yaml --prune
    """
    document = load_document(file)
    plan, logins = registrar.plan(document, prune=prune, add_users=add_users)
    if dry_run:
        _print(plan.changes, logins, as_json)
        _tell_left(plan.left)
        note("stepgrid: nothing was changed (--dry-run)")
        return ExitCode.OK
    if not yes:
        _confirm([change for change in plan.changes if change.action is Action.DELETE])
    teller = Teller(keys_dir, as_json)
    done = registrar.carry_out(
        plan, logins, give_key=teller.give_key, give_password=teller.give_password
    )
    _print(done, logins, as_json)
    _tell_left(plan.left)
    return ExitCode.OK


def _confirm(removed: Sequence[Change]) -> None:
    """Raises click.Abort for anything but a yes."""
    if removed:
        for change in removed:
            note(printable(f"stepgrid: removes {change.kind} {change.title}"))
        click.confirm("Remove them? (--yes does not ask)", abort=True, err=True)


def _print(changes: Sequence[Change], logins: Logins, as_json: bool) -> None:
    values: list[rendering.Values] = [
        {"change": "create", "kind": "login", "id": None, "name": entry.username, "fields": []}
        for entry in logins.missing
    ]
    values += map(rendering.change_values, rendering.in_effect(changes))
    if as_json:
        for each in values:
            print_json(each)
    elif values:
        print_table(rendering.CHANGE_COLUMNS, map(rendering.change_row, values))
    else:
        print_lines(["all of it is there already"])


def _tell_left(left: Sequence[Change]) -> None:
    if left:
        note(printable(f"stepgrid: {rendering.left_over(left)}"))
