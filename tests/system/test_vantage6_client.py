"""vantage6's own client and nodes, unmodified, on the deployed grid: what researchers do."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from .hospitals import (
    ASCLEPIUS,
    COUNTS,
    HEART,
    HOSPITALS,
    HYGIEIA,
    PANACEA,
    Client,
    Hospitals,
    RefusedCall,
    kill_of,
    of_run,
)

ALL = [ASCLEPIUS, HYGIEIA, PANACEA]
IMAGE = "harbor.example.org/algorithms/federated-average:1.0"


@pytest.fixture(scope="module")
def ada_anywhere(hospitals: Hospitals) -> Client:
    """A researcher of Asclepius, logged in by vantage6's client."""
    return hospitals.client("ada")


@pytest.fixture
def ada(ada_anywhere: Client) -> Client:
    """As she works in a collaboration that is not encrypted."""
    ada_anywhere("setup_encryption", None)
    return ada_anywhere


@pytest.fixture
def ada_with_key(ada_anywhere: Client, hospitals: Hospitals) -> Client:
    """As she works in the encrypted one."""
    ada_anywhere("setup_encryption", str(hospitals.key_file("Asclepius")))
    return ada_anywhere


def create(
    client: Client, method: str, collaboration: int = COUNTS, name: str = "", **kwargs: Any
) -> dict[str, Any]:
    """A task for all three."""
    task: dict[str, Any] = client(
        "task.create",
        collaboration=collaboration,
        organizations=ALL,
        name=name or method,
        image=IMAGE,
        description="",
        input_={"method": method, "args": [], "kwargs": kwargs},
        databases=[{"label": "default"}],
    )
    assert "id" in task, task
    return task


def answers(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(each["result"]) for each in results["data"]]


def run_ids(task: dict[str, Any]) -> list[int]:
    return [task["id"] * 1000 + index for index in range(3)]


def expected(**kwargs: Any) -> list[dict[str, Any]]:
    return [{"at": name, "kwargs": kwargs} for name in HOSPITALS]


def test_who_one_is(ada: Client) -> None:
    kind, _, name, organization, organization_id = ada("whoami")
    assert (kind, name) == ("user", "Ada")
    assert (organization_id, organization) == (ASCLEPIUS, "Asclepius")


def test_a_wrong_password_is_refused(hospitals: Hospitals) -> None:
    client = Client(hospitals.start("vantage6_client.py", hospitals.path + "/api"))
    with pytest.raises(RefusedCall, match="AuthenticationException"):
        client("authenticate", "ada", "wrong")


def test_collaborations_and_organizations_are_listed(ada: Client) -> None:
    """Her own collaborations, which are not all there are."""
    listed = ada("collaboration.list")["data"]
    assert {each["name"]: each["encrypted"] for each in listed} == {
        "heart": True,
        "counts": False,
        "trial": False,
    }
    members = ada("organization.list", collaboration=COUNTS)["data"]
    assert [each["name"] for each in members] == list(HOSPITALS)
    nodes = ada("node.list", collaboration=COUNTS)["data"]
    assert {each["organization"]["id"] for each in nodes} == set(ALL)
    assert {each["status"] for each in nodes} == {"online"}


def test_a_task_is_run_by_three_nodes(ada: Client) -> None:
    """Created, waited for, its results and its runs read; and listed."""
    name = uuid.uuid4().hex
    task = create(ada, "partial", name=name, column="age")
    assert sorted(answers(ada("wait_for_results", task["id"])), key=str) == expected(column="age")
    assert len(ada("result.from_task", task["id"])["data"]) == 3
    runs = ada("run.from_task", task["id"])["data"]
    assert {each["id"]: each["status"] for each in runs} == dict.fromkeys(
        run_ids(task), "completed"
    )
    assert {each["log"] for each in runs} == {f"log of run {id}" for id in run_ids(task)}
    assert {json.loads(each["input"])["method"] for each in runs} == {"partial"}
    assert all(each["started_at"] and each["finished_at"] for each in runs)
    assert ada("task.get", task["id"])["status"] == "completed"
    assert ada("task.get", task["id"], include_results=True)["results"]
    (listed,) = ada("task.list", name=name)["data"]
    assert (listed["id"], listed["databases"][0]["label"]) == (task["id"], "default")
    (run_id, *_) = run_ids(task)
    assert json.loads(ada("result.get", run_id))["at"] == "Asclepius"


def test_a_refreshed_token_is_as_good(ada: Client) -> None:
    """And the client goes by the URL that it was told."""
    ada("refresh_token")
    assert ada("organization.get", HYGIEIA)["name"] == "Hygieia"


def test_a_task_that_is_killed_ends_at_the_nodes(ada: Client, hospitals: Hospitals) -> None:
    """Each node hears it while the algorithm runs, and the task is over at once."""
    task = create(ada, "hold")
    for name, run_id in zip(HOSPITALS, run_ids(task), strict=True):
        hospitals.nodes[name].hear(of_run("began", run_id))
    ada("task.kill", task["id"])
    assert ada("task.get", task["id"])["status"] == "killed by user"
    for name in HOSPITALS:
        killed = hospitals.nodes[name].hear(kill_of(task["id"] * 1000))
        assert [each["task_id"] for each in killed["data"]["kill_list"]] == [task["id"]] * 3
    runs = ada("run.from_task", task["id"])["data"]
    assert {each["status"] for each in runs} == {"killed by user"}


def test_a_crash_is_a_task_that_failed(ada: Client) -> None:
    task = create(ada, "crash")
    ada("wait_for_results", task["id"])
    assert ada("task.get", task["id"])["status"] in ("crashed", "failed")
    runs = ada("run.from_task", task["id"])["data"]
    assert "crashed" in {each["status"] for each in runs}


def test_a_repeated_request_creates_one_task(ada: Client, hospitals: Hospitals) -> None:
    """The connection breaks before the answer; the client sends the same again by itself."""
    name = uuid.uuid4().hex
    hospitals.proxy.lose_next_answer("POST", "/api/task")
    task = create(ada, "partial", name=name)
    posts = [
        each
        for each in hospitals.proxy.exchanges
        if each.method == "POST" and each.path.endswith("/api/task") and name.encode() in each.asked
    ]
    assert [each.status for each in posts] == [201, 201]
    assert [each["id"] for each in ada("task.list", name=name)["data"]] == [task["id"]]
    assert sorted(answers(ada("wait_for_results", task["id"])), key=str) == expected()


@pytest.mark.parametrize("size", [10, 50_000], ids=["in the table", "in the bucket"])
def test_without_encryption_the_grid_has_what_is_sent(
    ada: Client, hospitals: Hospitals, size: int
) -> None:
    """So that the next tests would notice."""
    assert is_known(hospitals, exchange(ada, COUNTS, size))


class TestEncrypted:
    @pytest.mark.parametrize("size", [10, 50_000], ids=["in the table", "in the bucket"])
    def test_only_ciphertext_reaches_the_grid(
        self, ada_with_key: Client, hospitals: Hospitals, size: int
    ) -> None:
        """Nodes and client read what they send each other; the table and the bucket do not."""
        secret = exchange(ada_with_key, HEART, size)
        assert not is_known(hospitals, secret)

    def test_an_input_that_can_be_read_is_refused(self, ada: Client, hospitals: Hospitals) -> None:
        """So that nobody sends one by mistake."""
        organizations = [{"id": HYGIEIA, "input": base64.b64encode(b"{}").decode()}]
        body = {
            "collaboration_id": HEART,
            "name": "readable",
            "image": IMAGE,
            "organizations": organizations,
        }
        answered = hospitals.ask("POST", "/api/task", body, ada("token"))
        assert answered.status_code == 400
        assert "requires encryption" in answered.json()["msg"]


def exchange(client: Client, collaboration: int, size: int) -> str:
    """Have three nodes tell what they were told, which is answered."""
    secret = f"needle {uuid.uuid4().hex}"
    task = create(client, "partial", collaboration, column=secret, padding="x" * size)
    results = answers(client("wait_for_results", task["id"]))
    assert sorted(each["at"] for each in results) == list(HOSPITALS)
    assert {each["kwargs"]["column"] for each in results} == {secret}
    runs = client("run.from_task", task["id"])["data"]
    assert {json.loads(each["input"])["kwargs"]["column"] for each in runs[-1:]} == {secret}
    return secret


def is_known(hospitals: Hospitals, secret: str) -> bool:
    """Does anything that is kept, or went over the wire, hold it?"""
    places = (_table(hospitals), _bucket(hospitals), _travelled(hospitals))
    return any(form in place for place in places for form in _forms(secret.encode()))


def _forms(secret: bytes) -> list[bytes]:
    """As it is, and as it would be within base64, wherever it begins there."""
    coded = [base64.b64encode(b"x" * shift + secret)[4:-4] for shift in range(3)]
    return [secret, *coded]


def _table(hospitals: Hospitals) -> bytes:
    cloud = hospitals.cloud
    pages = cloud.client("dynamodb").get_paginator("scan")
    table = cloud.status().outputs["TableName"]
    return b"".join(_text(page["Items"]) for page in pages.paginate(TableName=table))


def _text(items: Any) -> bytes:
    return repr(items).encode()


def _bucket(hospitals: Hospitals) -> bytes:
    s3, bucket = hospitals.cloud.client("s3"), hospitals.cloud.status().outputs["PayloadBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="federation/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    return b"".join(s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys)


def _travelled(hospitals: Hospitals) -> bytes:
    return b"".join(each.asked + each.answered for each in hospitals.proxy.exchanges)
