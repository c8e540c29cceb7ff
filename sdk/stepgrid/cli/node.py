"""`stepgrid node`: what runs on an organization's premises.

The node is imported when a command needs it: no other command is to wait for that.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from stepgrid.cli.context import InOrder, json_option, print_fields, print_json
from stepgrid.cli.exit_codes import ExitCode

config_option = click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The node's file: docs/examples/node.yaml shows all that it can hold.",
)


@click.group(cls=InOrder, short_help="Run algorithms where the data is.", no_args_is_help=False)
def node() -> None:
    """Run algorithms of a federation on this organization's data, which stays here.

    \b
    Examples:
      stepgrid node check --config node.yaml
      stepgrid node start --config node.yaml
    """


@node.command(short_help="Work until told to end.")
@config_option
@json_option
def start(*, config_file: Path, as_json: bool) -> int:
    """Take runs from the server and do them, until SIGTERM or Ctrl-C.

    Prints a line for each event to stderr. What had ended when the node did is sent at the next
    start; what had not is run again from its beginning.

    \b
    Example:
      stepgrid node start --config node.yaml
    """
    from stepgrid.node.config import load_config  # noqa: PLC0415
    from stepgrid.node.opening import open_node  # noqa: PLC0415

    config = load_config(config_file)
    _log_to_stderr(as_json)
    signal.signal(signal.SIGTERM, _interrupt)
    with open_node(config) as opened:
        try:
            opened.work()
        except KeyboardInterrupt:
            opened.wind_up()
    return ExitCode.OK


@node.command(short_help="Check the file, and log in once.")
@config_option
@json_option
def check(*, config_file: Path, as_json: bool) -> int:
    """Say what is wrong with the file or the login, or who this node is.

    \b
    Example:
      stepgrid node check --config node.yaml
    """
    from stepgrid.node.config import load_config  # noqa: PLC0415
    from stepgrid.node.opening import check_node  # noqa: PLC0415

    identity = check_node(load_config(config_file))
    found: dict[str, str | int] = {
        "node": identity.name,
        "id": identity.node_id,
        "organization": identity.organization,
        "collaboration": identity.collaboration,
        "encrypted": identity.encrypted,
    }
    if as_json:
        print_json(found)
    else:
        found["encrypted"] = "yes" if identity.encrypted else "no"
        print_fields((name, str(value)) for name, value in found.items())
    return ExitCode.OK


@node.command("new-key", short_help="Make the key of an organization.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The file; it must not be there."
)
@json_option
def new_key(*, out: Path, as_json: bool) -> int:
    """Make a private key for encrypted collaborations: one for an organization, for all its users.

    Whoever has it reads what was sent to the organization; if it is lost, nobody does.

    \b
    Example:
      stepgrid node new-key --out key.pem
    """
    if out.exists():
        raise click.UsageError(f"{out} is there already, and a key is never overwritten")
    from stepgrid.federation_crypto import PrivateKey  # noqa: PLC0415

    key = PrivateKey.generate()
    key.save(out)
    if as_json:
        print_json({"path": str(out), "public_key": key.public_key.text})
    else:
        click.echo(f"wrote {out}")
    return ExitCode.OK


class _JsonLines(logging.Formatter):
    """An object on each line; a traceback is in it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _log_to_stderr(as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(message)s")
    handler.setFormatter(_JsonLines() if as_json else plain)
    logger = logging.getLogger("stepgrid.node")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
