"""docs/federation.md, from nothing to a first task: its commands and its program, as they stand.

Only names are others: the local cloud is not this test's alone.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from stepgrid.local import LocalCloud
from tests.system.hospitals import Hospitals
from tests.system.node_process import SECONDS, STEPGRID, NodeProcess
from tests.system.premises import PROJECT

OTHER_NAMES = {
    "Asclepius": "Imhotep",
    "Hygieia": "Salus",
    "Panacea": "Iaso",
    "counts": "tallies",
    "heart": "lungs",
    "ada": "lovelace",
    "galen": "avicenna",
    "nightly": "weekly",
}
PASSWORD = "Rather-long-and-2-be-typed"
AGES = (31, 64, 48)


def read_document(path: str) -> str:
    text = (PROJECT / path).read_text()
    for name, other in OTHER_NAMES.items():
        text = re.sub(rf"\b{name}\b", other, text)
    return text


def first_block(text: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Operator:
    """Whoever reads the page, in the project's folder."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.folder = cloud.paths.project_dir
        self.endpoint = urlsplit((cloud.status().endpoint or "").removesuffix("/v1"))
        self.node: NodeProcess | None = None
        for name in ("federation.yaml", "node.yaml"):
            copy = self.folder / "docs" / "examples" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(read_document(f"docs/examples/{name}"))

    def follow(self, words: list[str]) -> None:
        if words[:3] == ["stepgrid", "node", "start"]:
            self.node = NodeProcess(self.folder)
            self.node.start(*words[3:])
            return
        stdin = f"{PASSWORD}\n{PASSWORD}\n" if "--permanent" in words else ""
        self.run(words, stdin)
        if words[0] == "cp" and words[-1] == "node.yaml":
            self.edit_node_file()

    def run(self, words: list[str], stdin: str = "") -> str:
        argv = [str(STEPGRID) if word == "stepgrid" else word for word in words]
        done = subprocess.run(
            argv,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # without a terminal, passwords are read from stdin
            timeout=SECONDS,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def edit_node_file(self) -> None:
        """As the page says: server_url, databases, algorithms, policies, docker."""
        path = self.folder / "node.yaml"
        values = yaml.safe_load(path.read_text())
        packages = [each for each in values["algorithms"] if "python" in each]
        for each in packages:
            each["search_path"] = [str(PROJECT / "tests" / "algorithms")]
        (self.folder / "venv").symlink_to(PROJECT / ".venv-vantage6")
        (self.folder / "patients.csv").write_text("\n".join(map(str, ("age", *AGES))) + "\n")
        changed = {
            "server_url": self.endpoint.geturl(),
            "databases": [each for each in values["databases"] if each["type"] == "csv"],
            "algorithms": packages,
        }
        unchanged = {name: values[name] for name in values if name not in ("policies", "docker")}
        path.write_text(yaml.safe_dump(unchanged | changed))

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run(["stepgrid", "federation", "show", "--json"]))
        return shown


def named(records: list[dict[str, Any]], name: str) -> int:
    (id,) = (each["id"] for each in records if each["name"] == name)
    return int(id)


def ada_s_program(text: str, operator: Operator) -> str:
    """With this cloud's address and ids in it."""
    address, shown = operator.endpoint, operator.shown()
    collaboration = named(shown["collaborations"], OTHER_NAMES["counts"])
    organization = named(shown["organizations"], OTHER_NAMES["Asclepius"])
    changes = {
        '"https://x.execute-api.eu-west-1.amazonaws.com"': f'"http://{address.netloc}"',
        '"/dev/api"': f'"{address.path}/api"',
        "her password": PASSWORD,
        "collaboration=1,": f"collaboration={collaboration},",
        "organizations=[1],": f"organizations=[{organization}],",
    }
    program = first_block(text, "python")
    for old, new in changes.items():
        assert program.count(old) == 1, old
        program = program.replace(old, new)
    return program


@pytest.fixture
def operator(cloud: LocalCloud, built_hospitals: Hospitals) -> Any:
    """built_hospitals: has the first ids."""
    made = Operator(cloud)
    yield made
    if made.node is not None:
        assert made.node.stop() == 0


def test_the_page_leads_to_a_first_task(operator: Operator, tmp_path: Path) -> None:
    text = read_document("docs/federation.md")
    section = text.partition("## From nothing to a first task\n")[2]
    for line in first_block(section, "").splitlines():
        operator.follow(shlex.split(line, comments=True))
    done = subprocess.run(
        [PROJECT / ".venv-vantage6" / "bin" / "python", "-c", ada_s_program(section, operator)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    answer = json.dumps({"sum": float(sum(AGES)), "count": len(AGES)})
    assert answer in done.stdout
