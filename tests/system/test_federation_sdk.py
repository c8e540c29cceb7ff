"""grid.federation against the deployed grid: as a user with a password, and as an IAM user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stepgrid import AccessDenied, Grid, TaskError
from stepgrid.federation import Federation

from .hospitals import (
    ASCLEPIUS,
    COUNTS,
    HEART,
    HOSPITALS,
    PANACEA,
    TRIAL,
    Hospitals,
    kill_of,
    of_run,
)

IMAGE = "harbor.example.org/algorithms/federated-average:1.0"


@dataclass(frozen=True)
class Researcher:
    name: str
    organization: str
    grid: Grid
    key: Path

    @property
    def federation(self) -> Federation:
        return self.grid.federation


@pytest.fixture(scope="module", params=[("ada", "Asclepius"), ("nightly", "Panacea")])
def researcher(request: pytest.FixtureRequest, hospitals: Hospitals) -> Iterator[Researcher]:
    """ada logs in with a password; nightly signs with keys of IAM."""
    name, organization = request.param
    grid = hospitals.grid(name)
    return Researcher(name, organization, grid, hospitals.key_file(organization))


def test_whoami(researcher: Researcher) -> None:
    member = researcher.federation.whoami()
    assert (member.username, member.organization.name) == (researcher.name, researcher.organization)
    assert member.organization.id in (ASCLEPIUS, PANACEA)


def test_collaborations_and_nodes(researcher: Researcher) -> None:
    """Those of one's own organization, with their members and nodes."""
    found = {each.id: each for each in researcher.federation.collaborations()}
    assert (found[HEART].encrypted, found[COUNTS].encrypted) == (True, False)
    assert [each.name for each in found[COUNTS].organizations] == list(HOSPITALS)
    assert (TRIAL in found) is (researcher.organization == "Asclepius")
    assert [each.online for each in researcher.federation.nodes("heart")] == [True] * 3


@pytest.mark.parametrize("collaboration", ["counts", "heart"])
def test_results_by_organization(researcher: Researcher, collaboration: str) -> None:
    """The same of a collaboration that is encrypted, with the organization's key."""
    session = researcher.federation.submit(
        IMAGE,
        "partial",
        collaboration=collaboration,
        kwargs={"column": "age"},
        private_key=researcher.key,
    )
    answers = {name: {"at": name, "kwargs": {"column": "age"}} for name in HOSPITALS}
    assert session.by_organization() == answers
    assert session.results() == list(answers.values())
    again = researcher.federation.session(session.task_id, private_key=researcher.key)
    runs = {run.organization: run.result() for run in again.as_completed()}
    assert runs == answers
    assert researcher.grid.session(session.id).status().state == "finished"


def test_a_run_that_crashed_raises(researcher: Researcher) -> None:
    session = researcher.federation.submit(
        IMAGE, "crash", collaboration="counts", organizations=["Hygieia"]
    )
    with pytest.raises(TaskError, match="crashed"):
        session.results()
    (error,) = session.results(return_exceptions=True)
    assert isinstance(error, TaskError)


def test_a_session_that_is_cancelled_ends_at_the_node(
    researcher: Researcher, hospitals: Hospitals
) -> None:
    session = researcher.federation.submit(
        IMAGE, "hold", collaboration="counts", organizations=["Hygieia"]
    )
    run_id = session.task_id * 1000
    node = hospitals.nodes["Hygieia"]
    node.hear(of_run("began", run_id))
    assert session.cancel().total_cancelled_tasks == 1
    node.hear(kill_of(run_id))


def test_others_are_no_members(hospitals: Hospitals) -> None:
    """Whom IAM lets in is nobody in the federation until its document names it."""
    with pytest.raises(AccessDenied):
        hospitals.grid("passerby").federation.whoami()
