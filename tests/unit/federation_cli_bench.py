"""An operator of a federation at the command line, on a table in memory with a fake user pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from click.testing import Result

from stepgrid.cli.context import App
from stepgrid.federation_registrar import FederationRegistrar
from stepgrid.users import User as Login
from stepgrid_core.errors import NotFound
from stepgrid_core.federation.registry import Registry
from stepgrid_core.memory.federation_table import MemoryFederationTable
from tests.unit.cli_fakes import NOW, json_lines, run_app
from tests.unit.federation_documents import SMALL

PEM = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"


@dataclass
class FakeUsers:
    """Who can log in, by name, with subjects."""

    subjects: dict[str, str]
    closed: bool = False

    def find(self, name: str) -> Login:
        if name not in self.subjects:
            raise NotFound(f"there is no user {name!r}; see `stepgrid users list`")
        return Login(name, None, "CONFIRMED", True, NOW, self.subjects[name])

    def add(self, name: str, email: str | None = None) -> str:
        self.subjects[name] = f"sub-of-{name}"
        return f"temporary password of {name}!"

    def close(self) -> None:
        self.closed = True


@dataclass
class Operator:
    """Runs commands. `opened`: what the registrar was opened with."""

    users: FakeUsers = field(default_factory=lambda: FakeUsers({"ada": "sub-of-ada"}))
    registry: Registry = field(default_factory=lambda: Registry(MemoryFederationTable()))
    opened: list[Any] = field(default_factory=list)

    def run(self, *arguments: str, stdin: bytes | None = None) -> Result:
        app = App(open_federation=self._open, now=lambda: NOW)
        return run_app(app, "federation", *arguments, stdin=stdin)

    def do(self, *arguments: str) -> list[str]:
        """The lines that a command prints, which must succeed."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout.splitlines()

    def ask(self, *arguments: str) -> list[Any]:
        """The same in JSON."""
        return json_lines("\n".join(self.do(*arguments, "--json")))

    def _open(self, stack: str | None, region: str | None, project_dir: Path) -> Any:
        self.opened.append((stack, region, project_dir))
        return FederationRegistrar(self.registry, lambda: self.users)  # type: ignore[arg-type, return-value]


def write(folder: Path, values: Any) -> str:
    path = folder / "federation.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values), encoding="utf-8")
    return str(path)


def node_keys(lines: list[str]) -> dict[str, str]:
    told = [line.removeprefix("API key of ").split(": ") for line in lines if "API key" in line]
    return dict(told)


def small_federation(folder: Path) -> Operator:
    """Of the small document: a and b in heart, with nodes and a study; ada is of a."""
    made = Operator()
    made.do("apply", write(folder, SMALL), "--keys-dir", str(folder / "keys"))
    return made
