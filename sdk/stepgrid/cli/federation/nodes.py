"""`stepgrid federation node`: the programs that run an organization's part, and their API keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation.keys import Teller, keys_option
from stepgrid.cli.federation.opening import opens_federation
from stepgrid.cli.federation.showing import print_record, print_records, print_removed
from stepgrid_core.federation.document import read_document
from stepgrid_core.federation.records import Node

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


@click.group(cls=InOrder, short_help="Who runs an organization's part.", no_args_is_help=False)
def node() -> None:
    """Add, list and remove nodes: one for each organization in a collaboration.

    \b
    Examples:
      stepgrid federation node add heart Asclepius
      stepgrid federation node list
      stepgrid federation node new-key heart Asclepius --keys-dir keys
    """


@node.command(short_help="Add a node.")
@click.argument("collaboration")
@click.argument("organization")
@click.option("--name", help="[default: 'ORGANIZATION - COLLABORATION Node']")
@click.option("--worker", help="In the cloud: the worker of the grid that does its work.")
@click.option(
    "--backend",
    type=click.Choice(["lambda", "fargate"]),
    default="lambda",
    show_default=True,
    help="What that worker runs on.",
)
@click.option(
    "--allow-image",
    "allowed_images",
    multiple=True,
    metavar="PATTERN",
    help="In the cloud: only images like this, as in 'harbor.example.org/*'. May be repeated.",
)
@click.option(
    "--task-timeout",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="In the cloud: of one run. [default: 300, or what the worker allows]",
)
@keys_option
@opens_federation
def add(
    registrar: FederationRegistrar,
    *,
    collaboration: str,
    organization: str,
    name: str | None,
    worker: str | None,
    backend: str,
    allowed_images: tuple[str, ...],
    task_timeout: int | None,
    keys_dir: Path | None,
    as_json: bool,
) -> int:
    """Add the node of ORGANIZATION in COLLABORATION, and tell its API key: once.

    A node in the cloud has none.

    \b
    Examples:
      stepgrid federation node add heart Asclepius --keys-dir keys
      stepgrid federation node add counts Panacea --worker mean --backend fargate
    """
    entry: dict[str, Any] = {"organization": organization, "name": name}
    if worker is not None:
        entry["cloud"] = {
            "worker": worker,
            "backend": backend,
            "allowed_images": list(allowed_images),
            "task_timeout_seconds": task_timeout,
        }
    elif allowed_images or task_timeout is not None:
        raise click.UsageError("--allow-image and --task-timeout are of a node with a --worker")
    home = registrar.describe(collaboration)
    home["nodes"] = [entry]
    document = read_document({"collaborations": [home]}, str, "node add")
    teller = Teller(keys_dir, as_json)
    made = registrar.add(document, Node.KIND, give_key=teller.give_key)
    return print_record(registrar, made, as_json)


@node.command("list", short_help="List them, and who is online.")
@opens_federation
def list_nodes(registrar: FederationRegistrar, *, as_json: bool) -> int:
    """List the nodes, and when each was last heard of.

    \b
    Example:
      stepgrid federation node list --json | jq -r 'select(.online | not) | .name'
    """
    return print_records(registrar, Node, as_json)


@node.command(short_help="Remove a node.")
@click.argument("collaboration")
@click.argument("organization")
@opens_federation
def remove(
    registrar: FederationRegistrar, *, collaboration: str, organization: str, as_json: bool
) -> int:
    """Remove the node of ORGANIZATION in COLLABORATION: its key and tokens open nothing more.

    \b
    Example:
      stepgrid federation node remove heart Asclepius
    """
    gone = registrar.remove_node(collaboration, organization)
    return print_removed("node", gone.name, as_json)


@node.command("new-key", short_help="Give a node another API key.")
@click.argument("collaboration")
@click.argument("organization")
@keys_option
@opens_federation
def renew_key(
    registrar: FederationRegistrar,
    *,
    collaboration: str,
    organization: str,
    keys_dir: Path | None,
    as_json: bool,
) -> int:
    """Give the node another API key, and tell it: once. The old one opens nothing more.

    \b
    Example:
      stepgrid federation node new-key heart Asclepius
    """
    changed = registrar.renew_key(collaboration, organization, Teller(keys_dir, as_json).give_key)
    return print_record(registrar, changed, as_json)
