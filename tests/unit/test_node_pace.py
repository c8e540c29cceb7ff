"""When a node has the server wait for work, and when it only looks in."""

from stepgrid.node.pace import Pace


def test_a_node_that_had_work_lately_has_the_server_wait() -> None:
    pace = Pace(after_seconds=900, pause_seconds=15, worked_at=1_000)
    assert pace.pause(1_000) == pace.pause(1_899) == 0


def test_an_idle_node_looks_in_from_time_to_time() -> None:
    pace = Pace(after_seconds=900, pause_seconds=15, worked_at=1_000)
    assert pace.pause(1_900) == 15
    pace.note_work(2_000)
    assert pace.pause(2_001) == 0


def test_a_node_may_never_be_idle() -> None:
    assert Pace(after_seconds=float("inf"), pause_seconds=15, worked_at=0).pause(1e9) == 0
