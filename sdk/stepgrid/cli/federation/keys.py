"""What is told once and kept nowhere: API keys of nodes, and temporary passwords.

They are told before what they open is made: a key is never lost, at worst it opens nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import click

from stepgrid.cli.context import print_json
from stepgrid.private_files import write_private_text
from stepgrid_core.federation.records import Node

keys_option = click.option(
    "--keys-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write API keys to files there, only for you to read, in place of printing them.",
)


@dataclass(frozen=True, slots=True)
class Teller:
    keys_dir: Path | None = None
    as_json: bool = False

    def give_key(self, node: Node, key: str) -> None:
        if self.keys_dir is None:
            self._tell({"node": node.name, "api_key": key}, f"API key of {node.name}: {key}")
            return
        path = self.keys_dir / key_file_name(node.name)
        write_private_text(path, key + "\n")
        told = {"node": node.name, "api_key_file": str(path)}
        self._tell(told, f"API key of {node.name}: in {path}")

    def give_password(self, username: str, password: str) -> None:
        told = {"user": username, "temporary_password": password}
        self._tell(told, f"temporary password of {username}: {password}")

    def _tell(self, values: dict[str, str], text: str) -> None:
        if self.as_json:
            print_json(values)
        else:
            click.echo(text)


def key_file_name(node_name: str) -> str:
    """Another one for every name, and none that leads out of the folder."""
    return node_name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C") + ".key"
