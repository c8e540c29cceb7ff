"""The environment of an algorithm, as vantage6's algorithm tools read it. Pure.

Values travel as base32 with "!" for "=", so that none of them can be code on its way.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepgrid.node.config import Database
from stepgrid_core.errors import StepgridError

#: What a task may say of a database, beside its label.
_PARAMETERS = ("query", "sheet_name", "preprocessing")


class DatabaseMissing(StepgridError):
    """A task wants a database that this node does not have."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where an algorithm finds its files and the proxy, in its own eyes."""

    input_file: str
    output_file: str
    token_file: str
    temporary_folder: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A database that a task asks for."""

    database: Database
    uri: str  #: in the algorithm's eyes
    parameters: Mapping[str, Any]


def find_wanted(task: Mapping[str, Any], databases: Sequence[Database]) -> list[Wanted]:
    """What a task asks for. Raises DatabaseMissing."""
    known = {database.label: database for database in databases}
    found = []
    for asked in task.get("databases") or ():
        database = known.get(asked["label"])
        if database is None:
            raise DatabaseMissing(
                f"this node has no database {asked['label']!r}; "
                f"it has: {', '.join(sorted(known)) or 'none'}"
            )
        found.append(Wanted(database, database.uri, _parameters(asked)))
    return found


def _parameters(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Servers put them into a string of JSON."""
    text = asked.get("parameters") or "{}"
    read = json.loads(text) if isinstance(text, str) else text
    return read if isinstance(read, dict) else {}


def make_environment(places: Places, wanted: Sequence[Wanted]) -> dict[str, str]:
    """Not encoded yet. An algorithm is told of no database but those that its task asks for."""
    values = {
        "INPUT_FILE": places.input_file,
        "OUTPUT_FILE": places.output_file,
        "TOKEN_FILE": places.token_file,
        "TEMPORARY_FOLDER": places.temporary_folder,
        "HOST": places.host,
        "PORT": str(places.port),
        "API_PATH": "",  # the proxy has its routes at the root
        "USER_REQUESTED_DATABASE_LABELS": ",".join(each.database.label for each in wanted),
        "DB_LABELS": ",".join(each.database.label for each in wanted),
    }
    for each in wanted:
        values |= _of_database(each)
    return values


def _of_database(wanted: Wanted) -> dict[str, str]:
    prefix = wanted.database.label.upper()
    values = {
        f"{prefix}_DATABASE_URI": wanted.uri,
        f"{prefix}_DATABASE_TYPE": wanted.database.type,
    }
    for name, value in wanted.database.env.items():
        values[f"{prefix}_DB_PARAM_{name.upper()}"] = value
    for name in _PARAMETERS:
        if name in wanted.parameters:
            given = wanted.parameters[name]
            text = json.dumps(given) if name == "preprocessing" else str(given)
            values[f"{prefix}_{name.upper()}"] = text
    return values


def encode(values: Mapping[str, str]) -> dict[str, str]:
    return {name: encode_value(value) for name, value in values.items()}


def encode_value(value: str) -> str:
    return base64.b32encode(value.encode()).decode().replace("=", "!")
