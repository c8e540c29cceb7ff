"""Nodes of three organizations at work: real node processes, a real algorithm, the deployed API.

Answers are exact, whatever dies: what an algorithm was asked is done once, and told once.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from stepgrid import Grid, TaskState
from stepgrid.federated_session import FederatedSession
from stepgrid.local import LocalCloud
from tests.system.gate import Gate
from tests.system.hospitals import Hospitals
from tests.system.node_process import SECONDS, STEPGRID, is_alive, wait_until
from tests.system.premises import AVERAGE_IMAGE, COUNT_IMAGE, HOLD_IMAGE, Premises

NORTH, EAST, SOUTH = ORGANIZATIONS = ("North clinic", "East clinic", "South clinic")
PLAIN, SEALED = "ages", "sealed ages"
ROWS = {NORTH: (31.4, 15.9, 26.5), EAST: (35.8,), SOUTH: (97.9, 32.3, 84.6, 26.4)}
DOCUMENT = {
    "organizations": [{"name": name} for name in ORGANIZATIONS],
    "collaborations": [
        {"name": PLAIN, "organizations": list(ORGANIZATIONS), "nodes": "all"},
        {"name": SEALED, "encrypted": True, "organizations": list(ORGANIZATIONS), "nodes": "all"},
    ],
    "users": [
        {
            "username": "averager",
            "organization": NORTH,
            "subject": "arn:aws:iam::000000000000:user/averager",
            "roles": ["Researcher"],
        }
    ],
}

Furnish = Callable[[str], list[Premises]]


def run_stepgrid(folder: Path, *arguments: str) -> str:
    """A command of the operator; what it printed."""
    done = subprocess.run(
        [STEPGRID, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def researcher(make_grid: Callable[[str], Grid]) -> Grid:
    return make_grid("averager")


@pytest.fixture(scope="module")
def furnish(
    cloud: LocalCloud, built_hospitals: Hospitals, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Furnish]:
    """The premises of a collaboration; at the end all nodes that work are told to end.

    built_hospitals: has the first ids.
    """
    folder = tmp_path_factory.mktemp("premises")
    (folder / "federation.yaml").write_text(yaml.safe_dump(DOCUMENT))
    project = cloud.paths.project_dir
    apply = ("federation", "apply", str(folder / "federation.yaml"))
    run_stepgrid(project, *apply, "--keys-dir", str(folder / "keys"))
    endpoint = urlsplit(cloud.status().endpoint or "")
    assert endpoint.hostname is not None
    assert endpoint.port is not None
    gates, everywhere = [], []

    def make(collaboration: str) -> list[Premises]:
        made = []
        for name in ORGANIZATIONS:
            gate = Gate(str(endpoint.hostname), int(endpoint.port or 0))
            gates.append(gate)
            premises = Premises(folder / f"{name}, {collaboration}", gate)
            more = {"api_key_file": str(folder / "keys" / f"{name} - {collaboration} Node.key")}
            if collaboration == SEALED:
                more["private_key"] = str(folder / f"{name}.pem")
                run_stepgrid(folder, "node", "new-key", "--out", more["private_key"])
            premises.furnish(endpoint.path.removesuffix("/v1"), ROWS[name], **more)
            made.append(premises)
        everywhere.extend(made)
        return made

    yield make
    codes = [each.node.stop() for each in everywhere if each.node.is_working]
    for gate in gates:
        gate.shut()
    assert set(codes) <= {0}


@pytest.fixture(scope="module")
def furnished(furnish: Furnish) -> list[Premises]:
    return furnish(PLAIN)


@pytest.fixture
def clinics(furnished: list[Premises]) -> list[Premises]:
    """North, east and south, each with its node at work."""
    for each in furnished:
        each.node.start()
    return furnished


class Held:
    """A task for the north whose algorithm a test holds; see tests/algorithms/hold.py."""

    def __init__(self, researcher: Grid, folder: Path) -> None:
        self._folder = folder
        os.mkfifo(folder / "answer")
        # Open at both ends, so that nobody waits for the other.
        self._fifo = os.open(folder / "answer", os.O_RDWR)
        self.session = researcher.federation.submit(
            HOLD_IMAGE,
            "hold",
            collaboration=PLAIN,
            organizations=[NORTH],
            kwargs={"folder": str(folder)},
        )

    @property
    def run_id(self) -> int:
        return self.session.task_id * 1000

    @property
    def begun(self) -> list[list[int]]:
        """For each time that it began, the ids of its processes."""
        path = self._folder / "begun"
        lines = path.read_text().splitlines() if path.exists() else []
        return [[int(id) for id in line.split()] for line in lines]

    def await_begin(self, times: int = 1) -> list[int]:
        """Until it is in the middle of its work, for so many times in all; its processes."""
        wait_until(lambda: len(self.begun) >= times, self.session.status)
        return self.begun[times - 1]

    def answer(self, text: str) -> None:
        os.write(self._fifo, json.dumps(text).encode() + b"\n")

    def close(self) -> None:
        self.session.cancel()
        os.close(self._fifo)


@pytest.fixture
def held(clinics: list[Premises], researcher: Grid, tmp_path: Path) -> Iterator[Held]:
    made = Held(researcher, tmp_path)
    yield made
    made.close()


def await_deaths(pids: list[int]) -> None:
    wait_until(lambda: not any(map(is_alive, pids)), lambda: pids)


def average(researcher: Grid, collaboration: str, **key: Any) -> tuple[FederatedSession, Any]:
    session = researcher.federation.submit(
        AVERAGE_IMAGE,
        "central_average",
        collaboration=collaboration,
        organizations=[EAST],
        kwargs={"column": "age"},
        **key,
    )
    (answer,) = session.results(timeout=SECONDS)
    return session, answer


def results_in_sight(researcher: Grid, task_id: int) -> list[str]:
    """What the grid keeps and answers."""
    ask = researcher.connection.api.ask_federation
    return [each["result"] for each in ask("GET", "/result", {"task_id": str(task_id)})["data"]]


def subtask(researcher: Grid, session: FederatedSession) -> Any:
    """That the algorithm of a task has made."""
    ask = researcher.connection.api.ask_federation
    (found,) = ask("GET", "/task", {"parent_id": str(session.task_id)})["data"]
    return found


def is_pooled_average(answer: Any) -> bool:
    pooled = [row for rows in ROWS.values() for row in rows]
    return bool(abs(answer["average"] - math.fsum(pooled) / len(pooled)) < 1e-12)


def test_the_average_is_that_of_all_rows(clinics: list[Premises], researcher: Grid) -> None:
    """One node's algorithm asks all three, its own too, and no row leaves its node."""
    session, answer = average(researcher, PLAIN)
    assert is_pooled_average(answer)
    child = subtask(researcher, session)
    assert (child["job_id"], child["status"]) == (session.task_id, "completed")
    assert len(results_in_sight(researcher, child["id"])) == 3


def test_a_sealed_average_is_the_same(furnish: Furnish, researcher: Grid) -> None:
    """The grid sees ciphertext alone, of the question, of the parts and of the answer."""
    places = furnish(SEALED)
    for each in places:
        each.node.start()
    for each in places:
        each.node.await_line("gave the server the public key of organization")
        each.node.await_line("online as node")
    key = places[0].folder.parent / f"{NORTH}.pem"
    session, answer = average(researcher, SEALED, private_key=key)
    assert is_pooled_average(answer)
    seen = results_in_sight(researcher, session.task_id)
    seen += results_in_sight(researcher, subtask(researcher, session)["id"])
    assert [text.count("$") for text in seen] == [2, 2, 2, 2]
    assert [each.node.stop() for each in places] == [0, 0, 0]


def test_a_node_that_is_away_is_waited_for(clinics: list[Premises], researcher: Grid) -> None:
    """The others' results are there meanwhile."""
    away = clinics[2]
    assert away.node.stop() == 0
    session = researcher.federation.submit(COUNT_IMAGE, "count", collaboration=PLAIN)
    ended = session.as_completed(SECONDS)
    assert {next(ended).result() for _ in range(2)} == {4, 2}
    waiting = session.organizations.index(SOUTH)
    assert session.task(waiting).state is TaskState.PENDING
    away.node.start()
    assert session.by_organization(timeout=SECONDS)[SOUTH] == 5


def test_a_node_that_is_killed_does_its_run_once_more(
    clinics: list[Premises], held: Held, researcher: Grid
) -> None:
    """Its algorithm dies with it, and one result is seen: of the second attempt."""
    north = clinics[0]
    first = held.await_begin()
    north.node.kill()
    await_deaths(first)
    north.node.start()
    second = held.await_begin(times=2)
    held.answer("of the second")
    assert held.session.results(timeout=SECONDS) == ["of the second"]
    await_deaths(second)
    assert len(held.begun) == 2
    assert held.session.task(0).attempts == 2
    assert len(results_in_sight(researcher, held.session.task_id)) == 1


def test_a_result_waits_for_the_line(clinics: list[Premises], held: Held) -> None:
    """The algorithm ends while its node has no way to the grid; it is not run again."""
    north = clinics[0]
    held.await_begin()
    lost, back = north.node.log.count("server lost"), north.node.log.count("server is back")
    north.gate.shut()
    north.node.await_line("server lost", lost + 1)
    held.answer("kept")
    north.node.await_line(f"run {held.run_id} ended: completed")
    assert held.session.status().counts.finished == 0
    north.gate.open()
    assert held.session.results(timeout=SECONDS) == ["kept"]
    north.node.await_line(f"run {held.run_id} sent: completed")
    assert north.node.log.count("server is back") == back + 1
    assert len(held.begun) == 1


def test_a_cancelled_run_leaves_no_process(clinics: list[Premises], held: Held) -> None:
    """And no word of it: the node takes the next one."""
    processes = held.await_begin()
    held.session.cancel()
    await_deaths(processes)
    clinics[0].node.await_line(f"run {held.run_id} stopped")
    assert f"run {held.run_id} ended" not in clinics[0].node.log


def test_a_node_that_is_told_to_end_leaves_no_process(clinics: list[Premises], held: Held) -> None:
    """SIGTERM in the middle of a run: exit code 0, and the log tells what became of it."""
    north = clinics[0]
    processes = held.await_begin()
    assert north.node.stop() == 0
    assert not any(map(is_alive, processes))
    told = [line for line in north.node.log.splitlines() if f"run {held.run_id} " in line]
    assert [line.partition(f"run {held.run_id} ")[2].split(":")[0] for line in told] == [
        "taken",
        "stopped",
    ]
