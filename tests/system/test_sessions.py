"""Sessions on the deployed grid, through the SDK."""

import json

import pytest

from stepgrid import Grid
from stepgrid.local import LocalCloud
from stepgrid.uploads import upload_parts
from stepgrid_core.errors import Conflict, InvalidRequest, TaskFailed


def naps(count: int, milliseconds: int = 0) -> list[dict[str, list[str]]]:
    return [{"worker_arguments": [str(milliseconds), "1", "1"]} for _ in range(count)]


def sized(count: int) -> list[dict[str, int]]:
    """Tasks whose results differ, so that order can be seen: task i returns i % 97 characters."""
    return [{"return_bytes": index % 97} for index in range(count)]


def test_no_tasks_are_refused_clearly(grid: Grid) -> None:
    """A session of nothing is a mistake of the caller."""
    with pytest.raises(InvalidRequest, match="at least one task"):
        grid.submit("mock-compute", [])


@pytest.mark.parametrize("count", [1, 40, 41, 400, 401])
def test_small_sessions_return_in_order(grid: Grid, count: int) -> None:
    """One task, the most that a burst takes, one more; full chunks, and one task more."""
    session = grid.submit("mock-compute", sized(count), chunk_size=None if count < 50 else 40)
    assert session.results() == ["x" * (index % 97) for index in range(count)]
    assert session.status().counts.finished == count


@pytest.mark.parametrize(("count", "chunks"), [(500, 1), (501, 2)])
def test_one_chunk_exactly_and_one_task_more(grid: Grid, count: int, chunks: int) -> None:
    """The last task of a chunk, and the first of the next, are where they belong."""
    session = grid.submit("mock-compute", sized(count), chunk_size=500)
    assert session.results() == ["x" * (index % 97) for index in range(count)]
    assert session.status().chunks == chunks


def test_10000_tasks_go_through_the_distributed_map(grid: Grid, cloud: LocalCloud) -> None:
    """All results in order; the Map Run counts chunks, and no other machine was used."""
    session = grid.submit("mock-compute", naps(10_000), task_seconds=0.02)
    assert session.results() == [0] * 10_000
    status = session.status()
    assert status.route == "map"
    states = cloud.client("stepfunctions")
    assert status.execution is not None
    runs = states.list_map_runs(executionArn=status.execution)["mapRuns"]
    assert len(runs) == 1
    counts = states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
    assert counts["total"] == status.chunks < 1000


def test_40001_tasks(grid: Grid) -> None:
    """Many shards, and a last chunk that is not full."""
    session = grid.submit("mock-compute", sized(40_001), task_seconds=0.001)
    for index, result in enumerate(session):
        assert result == "x" * (index % 97)
    assert index == 40_000


def test_a_large_input_travels_in_parts(grid: Grid) -> None:
    """40 MB of tasks: a multipart upload, and ranged reads that cut it at the right places."""
    tasks = [{"print": "p" * 20_000, "return_bytes": n % 50} for n in range(2_000)]
    session = grid.submit("mock-compute", tasks, chunk_size=100)
    assert [len(result) for result in session.results()] == [n % 50 for n in range(2_000)]


def uploads_of(cloud: LocalCloud) -> list[str]:
    """Uploads in parts that were begun and have not ended."""
    bucket = cloud.status().outputs["PayloadBucket"]
    listed = cloud.client("s3").list_multipart_uploads(Bucket=bucket)
    return [upload["UploadId"] for upload in listed.get("Uploads", [])]


def test_tasks_that_break_off_leave_nothing(grid: Grid, cloud: LocalCloud) -> None:
    """One is not JSON when 20 MB are on their way: no session, and no parts that are paid for."""
    before = uploads_of(cloud)
    tasks = [{"print": "p" * 20_000}] * 1_000 + [{1, 2}]
    with pytest.raises(InvalidRequest, match="task 1000 is not JSON"):
        grid.submit("mock-compute", tasks, name="broken off")
    assert "broken off" not in {session.name for session in grid.sessions(limit=5)}
    assert uploads_of(cloud) == before


def test_parts_of_another_size_are_refused(grid: Grid, cloud: LocalCloud) -> None:
    """The payload store compares what arrived with what the request says."""
    uploaded = upload_parts(grid.connection, [b"1\n2\n"])
    described = {"upload_id": uploaded.upload_id, "multipart_id": uploaded.multipart_id}
    described |= {"etags": uploaded.etags, "sha256": uploaded.sha256}
    described |= {"tasks": 2, "size": 5, "stride": 1, "offsets": [0, 2]}
    request = {"client_token": "another-size", "worker": "mock-compute", "input": described}
    with pytest.raises(InvalidRequest, match=uploaded.upload_id):
        grid.connection.api.submit(json.dumps(request).encode())
    assert uploaded.multipart_id in uploads_of(cloud)


MIXED = {
    "raise": ({"raise": "no such curve"}, "RuntimeError", 7),
    "exit": ({"exit": 3}, "TaskExited", 3),
    "hang": ({"hang": True}, "TaskTimeout", 2),
    "set": ({"return_set": True}, "ResultNotSerializable", 1),
}


def test_bad_tasks_fail_alone(grid: Grid) -> None:
    """100 tasks, of which 7 raise, 3 exit, 2 hang and 1 returns a set: 87 finish."""
    tasks: list[dict[str, object]] = [{"worker_arguments": ["1", "1", "1"]} for _ in range(100)]
    expected: dict[int, str] = {}
    place = 3
    for task, error, times in MIXED.values():
        for _ in range(times):
            tasks[place], expected[place] = task, error
            place += 7
    session = grid.submit("mock-compute", tasks, task_timeout_seconds=1, max_attempts=2)
    results = session.results(return_exceptions=True)
    failed = {task.index: task for task in session.tasks("failed")}
    assert {index: (task.error or {})["type"] for index, task in failed.items()} == expected
    assert all(results[index] == 1 for index in range(100) if index not in expected)
    assert all(isinstance(results[index], TaskFailed) for index in expected)
    counts = session.status().counts
    assert (counts.finished, counts.failed) == (87, 13)
    assert sum(counts.model_dump().values()) == 100
    with pytest.raises(TaskFailed, match="Traceback"):
        session.results()


def test_crashes_fail_alone(grid: Grid) -> None:
    """os._exit, a segmentation fault and too much memory take no neighbour along."""
    bad = [{"os_exit": 5}, {"segfault": True}, {"allocate_mib": 4000}]
    session = grid.submit("mock-compute", [*naps(10, 1), *bad, *naps(10, 1)], max_attempts=1)
    results = session.results(return_exceptions=True)
    assert results[:10] == results[13:] == [1] * 10
    types = [(task.error or {})["type"] for task in session.tasks("failed")]
    assert types == ["TaskExited", "TaskCrashed", "TaskOutOfMemory"]


def test_an_environment_that_dies_harms_no_neighbour(grid: Grid) -> None:
    """A task that kills its whole environment is found, and the rest of its chunk finishes."""
    tasks: list[dict[str, object]] = [*naps(30)]
    tasks[17] = {"kill_environment": True}
    session = grid.submit("mock-compute", tasks, chunk_size=30, max_attempts=2)
    results = session.results(return_exceptions=True)
    assert [index for index, result in enumerate(results) if result != 0] == [17]
    assert [(task.error or {})["type"] for task in session.tasks("failed")] == ["WorkerLost"]


def test_whatever_a_handler_returns_arrives(grid: Grid) -> None:
    """Numbers, texts, objects, lists and null: each result is the value that was returned."""
    values = [1000, "x", {"b": 1, "a": [1, 2]}, [1, "2", None], None, True, 1.5, "Z\u00fcrich", ""]
    tasks = [{"return_json": json.dumps(value)} for value in values]
    assert grid.submit("mock-compute", tasks).results() == values


def test_dead_letters_say_why(grid: Grid) -> None:
    """Each way to fail has its reason, also that the session's deadline came first."""
    bad = [{"raise": "x"}, {"exit": 3}, {"segfault": True}, {"return_set": True}, {"hang": True}]
    session = grid.submit("mock-compute", bad, timeout_seconds=4, max_attempts=1, chunk_size=1)
    assert session.wait().state == "failed"
    reasons = [letter.reason.value for letter in session.dead_letters()]
    assert reasons == ["exception", "exited", "crashed", "bad_result", "session_timeout"]


def test_prints_do_not_disturb(grid: Grid) -> None:
    """What a task writes to its output, at any level, is not taken for an answer."""
    noise = '{"outcome": "ended"}\n\x00\x01'
    tasks = [{"print": noise, "write_fd_1": noise, "return_bytes": n} for n in range(50)]
    assert [len(result) for result in grid.map("mock-compute", tasks)] == list(range(50))


def test_submit_is_idempotent(grid: Grid) -> None:
    """The same token gives the same session; the same token with other tasks is a conflict."""
    first = grid.submit("mock-compute", naps(3), client_token="once")
    again = grid.submit("mock-compute", naps(3), client_token="once")
    assert first.id == again.id
    with pytest.raises(Conflict, match="once"):
        grid.submit("mock-compute", naps(4), client_token="once")
    assert again.results() == [0, 0, 0]


def test_a_session_is_found_again_and_deleted(grid: Grid) -> None:
    """Another process attaches by id; a deleted session is gone, results and all."""
    session = grid.submit("mock-compute", naps(2), name="to be found")
    session.wait()
    assert any(found.session_id == session.id for found in grid.sessions())
    attached = grid.session(session.id)
    assert attached.results() == [0, 0]
    attached.delete()
    assert all(found.session_id != session.id for found in grid.sessions())


def test_workers_are_listed_with_their_measured_time(grid: Grid) -> None:
    """Workers are found by their names alone; a mean appears with the first session."""
    grid.submit("mock-compute", naps(5, 20)).wait()
    workers = {worker.name: worker for worker in grid.workers()}
    assert set(workers) >= {"echo", "mock-compute", "portfolio-pricing"}  # others add theirs
    assert workers["mock-compute"].task_seconds is not None


@pytest.mark.parametrize("padding", [1, 100_000], ids=["in the request", "uploaded"])
def test_common_input_reaches_every_task(grid: Grid, padding: int) -> None:
    """Market data of the session: each trade is priced with it, whichever way it came."""
    market = {"underlying": 36.0, "volatility": 0.2, "riskFreeRate": 0.06, "maturityYears": 1}
    market |= {"evaluationDate": "15" + " " * padding + "5 1998"}

    def price(*trades: dict[str, float], common: object = None) -> list[object]:
        tasks = [{"portfolio": [{"exercise": "European", "tradeParameters": t}]} for t in trades]
        return grid.submit("portfolio-pricing", tasks, common=common).results()

    strikes = [{"payoff": 40.0}, {"payoff": 38.0}, {"payoff": 40.0, "underlying": 44.0}]
    told = price(*({**market, **strike} for strike in strikes))
    assert price(*strikes, common={"tradeParameters": market}) == told
