"""How algorithms are started: environment, files, arguments, as vantage6's tools want them."""

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stepgrid.node.algorithms.commands import Site, Start, make_container, make_process
from stepgrid.node.algorithms.environment import (
    DatabaseMissing,
    Places,
    Wanted,
    encode_value,
    find_wanted,
    make_environment,
)
from stepgrid.node.config import Algorithm, Database, Docker

PLACES = Places("/f/input", "/f/output", "/f/token", "/tmp/job", "http://127.0.0.1", 8080)
OWN = {"PATH": "/usr/bin", "AWS_SECRET_ACCESS_KEY": "secret", "DOCKER_HOST": "unix:///d"}
HERE = {"folder": Path("/")}


def database(label: str = "default", **values: Any) -> Database:
    given = {"label": label, "uri": "postgresql://db", "type": "sql"} | values
    return Database.model_validate(given, context=HERE)


def make_start(
    folder: Path, wanted: tuple[Wanted, ...] = (), image: str = "a:1", **algorithm: Any
) -> Start:
    kind = Algorithm.model_validate({"image": "*"} | algorithm, context={"folder": folder})
    site = Site(folder / "run", folder / "job", "127.0.0.1", 8080)
    return Start(kind, image, 1000, site, wanted)


def decode(values: Mapping[str, str]) -> dict[str, str]:
    """As vantage6's tools read them."""
    return {
        name: base64.b32decode(value.replace("!", "=")).decode() for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("value", "encoded"),
    [("abc", "MFRGG!!!"), ("", ""), ("/mnt/data/ä", "F5WW45BPMRQXIYJPYOSA!!!!")],
)
def test_values_travel_as_vantage6_encodes_them(value: str, encoded: str) -> None:
    assert encode_value(value) == encoded


def test_an_algorithm_is_told_what_vantage6_tells() -> None:
    """Places, the proxy, and of the databases that its task asks for."""
    wanted = find_wanted(
        {"databases": [{"label": "reg", "parameters": '{"query": "select 1", "x": 2}'}]},
        [database(), database("reg", env={"schema": "public"})],
    )
    assert make_environment(PLACES, wanted) == {
        "INPUT_FILE": "/f/input",
        "OUTPUT_FILE": "/f/output",
        "TOKEN_FILE": "/f/token",
        "TEMPORARY_FOLDER": "/tmp/job",
        "HOST": "http://127.0.0.1",
        "PORT": "8080",
        "API_PATH": "",
        "USER_REQUESTED_DATABASE_LABELS": "reg",
        "DB_LABELS": "reg",
        "REG_DATABASE_URI": "postgresql://db",
        "REG_DATABASE_TYPE": "sql",
        "REG_DB_PARAM_SCHEMA": "public",
        "REG_QUERY": "select 1",
    }


def test_parameters_of_a_database() -> None:
    """A sheet, and steps of preprocessing, which stay JSON; an object is taken as well."""
    steps = [{"function": "select_columns"}]
    asked = {"label": "default", "parameters": {"sheet_name": 2, "preprocessing": steps}}
    found = make_environment(PLACES, find_wanted({"databases": [asked]}, [database()]))
    assert found["DEFAULT_SHEET_NAME"] == "2"
    assert found["DEFAULT_PREPROCESSING"] == '[{"function": "select_columns"}]'


@pytest.mark.parametrize("parameters", ["{}", "[]", "", None])
def test_no_parameters(parameters: object) -> None:
    asked = {"label": "default", "parameters": parameters}
    (wanted,) = find_wanted({"databases": [asked]}, [database()])
    assert wanted.parameters == {}


def test_a_database_that_is_not_here_is_named() -> None:
    with pytest.raises(DatabaseMissing, match="no database 'x'; it has: default"):
        find_wanted({"databases": [{"label": "x"}]}, [database()])
    assert find_wanted({"databases": None}, [database()]) == []


def test_a_package_runs_in_vantage6s_wrapper(tmp_path: Path) -> None:
    """In the interpreter that the file names; nothing of the node's environment leaks."""
    interpreter = tmp_path / "python"
    interpreter.touch()
    start = make_start(
        tmp_path, python="average", python_path="python", search_path=["lib"],
        environment={"THREADS": "2", "HOST": "elsewhere"},
    )  # fmt: skip
    command = make_process(start, OWN)
    assert command.argv[0] == str(interpreter)
    assert "wrap_algorithm()" in command.argv[-1]
    assert command.folder == tmp_path / "run"
    plain = {name: command.environment[name] for name in ("PATH", "PKG_NAME", "PYTHONPATH")}
    assert plain == {"PATH": "/usr/bin", "PKG_NAME": "average", "PYTHONPATH": f"{tmp_path}/lib"}
    told = decode({name: command.environment[name] for name in ("THREADS", "HOST", "INPUT_FILE")})
    assert told["THREADS"] == "2"
    assert told["HOST"] == "http://127.0.0.1"
    assert told["INPUT_FILE"] == f"{tmp_path}/run/input"
    assert not {"AWS_SECRET_ACCESS_KEY", "DOCKER_HOST"} & command.environment.keys()


def test_the_nodes_own_interpreter_is_the_default(tmp_path: Path) -> None:
    assert make_process(make_start(tmp_path, python="average"), OWN).argv[0] == sys.executable


def test_an_executable_may_have_plain_values(tmp_path: Path) -> None:
    start = make_start(tmp_path, executable=["/bin/count", "-q"], plain_environment=True)
    command = make_process(start, OWN)
    assert list(command.argv) == ["/bin/count", "-q"]
    assert command.environment["PORT"] == "8080"
    assert command.environment["OUTPUT_FILE"] == f"{tmp_path}/run/output"


def test_a_container_sees_its_run_and_its_databases(tmp_path: Path) -> None:
    """Databases read-only unless the file says otherwise; a network to the proxy only."""
    file, folder = tmp_path / "p.csv", tmp_path / "images"
    file.touch()
    folder.mkdir()
    wanted = (
        Wanted(database("patients", uri=str(file), type="csv"), str(file), {}),
        Wanted(database("scans", uri=str(folder), type="other", read_only=False), str(folder), {}),
        Wanted(database("reg"), "postgresql://db", {}),
    )
    start = make_start(tmp_path, wanted, image="harbor.test/a:1", container=True)
    made = make_container(start, Docker(command="/bin/docker", network="net"), "0a1b", OWN)
    argv = list(made.run.argv)
    assert argv[:2] == ["/bin/docker", "run"]
    assert argv[-1] == "harbor.test/a:1"
    assert argv[argv.index("--network") + 1] == "net"
    assert argv[argv.index("--label") + 1] == "stepgrid-node=0a1b"
    mounts = [argv[at + 1] for at, word in enumerate(argv) if word == "--mount"]
    assert mounts == [
        f"type=bind,source={tmp_path}/run,target=/mnt/data",
        f"type=bind,source={tmp_path}/job,target=/mnt/tmp",
        f"type=bind,source={file},target=/mnt/patients.csv,readonly",
        f"type=bind,source={folder},target=/mnt/scans",
    ]
    assert made.kill == ("/bin/docker", "rm", "--force", "stepgrid-node-0a1b-1000")
    told = decode(dict(line.split("=", 1) for line in made.env_text.splitlines()))
    assert told["INPUT_FILE"] == "/mnt/data/input"
    assert told["TEMPORARY_FOLDER"] == "/mnt/tmp"
    assert told["PATIENTS_DATABASE_URI"] == "/mnt/patients.csv"
    assert told["SCANS_DATABASE_URI"] == "/mnt/scans"
    assert told["REG_DATABASE_URI"] == "postgresql://db"
    assert made.run.environment == {"PATH": "/usr/bin", "DOCKER_HOST": "unix:///d"}


def test_values_of_a_container_are_no_arguments(tmp_path: Path) -> None:
    """Everybody on the machine can read arguments; and no value can be a line of its own."""
    asked = {"query": "select 1\nPATH=/evil"}
    wanted = (
        Wanted(database(uri="postgresql://u:password@db"), "postgresql://u:password@db", asked),
    )
    made = make_container(make_start(tmp_path, wanted, container=True), Docker(), "0a1b", OWN)
    assert not any("password" in word for word in made.run.argv)
    assert "PATH=/evil" not in made.env_text.splitlines()
