"""The code of the seed's documentation against the deployed grid: which of it runs, and as what.

Login and create run as they are written. Polling and websocket can't, anywhere: their indentation
is mended, and where they take a response for its JSON. Nodes are played on the wire, because those
of vantage6 can't read the seed's input, which is no base64.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .child_process import ChildProcess
from .hospitals import COUNTS, HOSPITALS, Hospitals

SEED = Path(__file__).with_name("seed")


def block(name: str) -> str:
    return (SEED / f"{name}.txt").read_text()


class Reader:
    """Somebody who tries the blocks."""

    def __init__(self, hospitals: Hospitals) -> None:
        self.process = ChildProcess("seed_blocks.py", log=hospitals.folder / "seed_blocks.py.log")
        self.process.hear()
        url = f"{hospitals.proxy.origin}{hospitals.path}"
        self.set(url=url, api_path="", username="ada", password=hospitals.passwords["ada"])

    def set(self, **names: Any) -> None:
        self.process.tell(set=names)

    def start(self, code: str) -> None:
        self.process.tell(block=code)

    def run(self, code: str) -> dict[str, Any]:
        self.start(code)
        return self.process.hear(lambda line: "names" in line)


@pytest.fixture
def reader(hospitals: Hospitals) -> Iterator[Reader]:
    reader = Reader(hospitals)
    yield reader
    reader.process.stop()


@pytest.fixture
def task_id(hospitals: Hospitals, reader: Reader) -> int:
    """Of the task that the seed's code creates."""
    reader.run(block("login"))
    assert reader.run(block("create"))["status"] == 201
    created = hospitals.proxy.exchanges[-1]
    assert (created.method, created.path) == ("POST", f"{hospitals.path}/task")
    return newest_task(hospitals)["id"]


def newest_task(hospitals: Hospitals) -> dict[str, Any]:
    token = hospitals.user_token("ada")
    listed = hospitals.ask("GET", "/task", token=token, collaboration_id=COUNTS).json()
    newest: dict[str, Any] = listed[0]
    return newest


def finish(hospitals: Hospitals, task_id: int) -> list[int]:
    """At all three hospitals; the ids of the runs."""
    return [
        hospitals.finish_run(name, "counts", task_id, f"result of {name}") for name in HOSPITALS
    ]


def test_login_and_create_run_as_they_are_written(hospitals: Hospitals, reader: Reader) -> None:
    """But for url, username and password; the task goes to all three, as it names none."""
    names = reader.run(block("login"))["names"]
    assert names["access_token"].count(".") == 2
    assert names["refresh_token"]
    assert reader.run(block("create"))["status"] == 201
    task = newest_task(hospitals)
    assert (task["name"], task["collaboration"]["id"]) == ("human readable", COUNTS)
    assert (task["status"], task["complete"]) == ("pending", False)
    run_ids = finish(hospitals, task["id"])
    token = names["access_token"]
    results = hospitals.ask("GET", f"/task/{task['id']}/result", token=token).json()
    assert {each["id"]: each["result"] for each in results} == {
        run: f"result of {name}" for run, name in zip(run_ids, HOSPITALS, strict=True)
    }


def test_polling_ends_when_the_task_is_complete(
    hospitals: Hospitals, reader: Reader, task_id: int
) -> None:
    code = block("polling").expandtabs(4).replace("\n  sleep", "\n    sleep")
    code = code.replace("\n)", "\n).json()").replace("\n    )", "\n    ).json()")
    reader.start(code.replace('task.get("id")', 'task.json().get("id")'))
    polled = f"{hospitals.path}/task/{task_id}"
    hospitals.proxy.wait_for(lambda exchange: exchange.path == polled)
    finish(hospitals, task_id)
    names = reader.process.hear(lambda line: "names" in line)["names"]
    assert (names["task_id"], names["task"]["complete"]) == (task_id, True)


def test_the_websocket_tells_when_a_result_is_there(
    hospitals: Hospitals, reader: Reader, task_id: int
) -> None:
    """socketIO-client 0.7.2, in the room that the code joins."""
    reader.set(collaboration_id=COUNTS)
    reader.start(block("websocket").expandtabs(4))
    joined = f"joined room collaboration_{COUNTS}".encode()
    seen = len(hospitals.proxy.exchanges)
    hospitals.proxy.wait_for(lambda exchange: joined in exchange.answered, since=seen)
    first, *_ = finish(hospitals, task_id)
    told = reader.process.hear(
        lambda line: line.get("result", {}).get("id") == first and line["result"]["finished_at"]
    )
    assert told["update"] == {"result_id": first, "run_id": first}
    assert told["result"]["result"] == f"result of {HOSPITALS[0]}"
