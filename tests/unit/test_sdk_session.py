"""Results, tasks and the end of sessions as their owner sees them, on the real planes in memory."""

from typing import Any

import pytest

from stepgrid import (
    DeadLetter,
    DeadlineExceeded,
    FailureReason,
    Grid,
    InvalidRequest,
    NotFound,
    PayloadCorrupted,
    SessionState,
    TaskCancelled,
    TaskExited,
    TaskFailed,
    TaskState,
    Unavailable,
)
from stepgrid.dead_letters import read_dead_letter
from stepgrid.downloads import OutputCache
from stepgrid.objects import LinkRefused
from stepgrid.outcomes import Outcome, error_of, read_chunk
from stepgrid_core.contract import ChunkOutput, TaskDescription
from stepgrid_core.errors import TASK_ERRORS, reason_of
from tests.unit.sdk_fakes import World, run_at_each_look, running_session

UNKNOWN = "00000000-0000-5000-8000-000000000000"


# --- results


@pytest.mark.parametrize("count", [1, 40, 41, 1_000, 5_000])
def test_results_are_in_order(count: int) -> None:
    """Result i is that of task i, inline or downloaded, on one page or on many."""
    session = World().grid.submit("square", range(count), chunk_size=max(1, count // 700))
    assert session.results() == [n * n for n in range(count)]
    assert list(session) == [n * n for n in range(count)]


def test_results_are_downloaded_once() -> None:
    """A second reading takes pages and outputs from memory."""
    world = World()
    session = world.grid.submit("square", range(2_000), chunk_size=10)
    first = session.results()
    gets, pages = len(world.objects.gets), len(world.transport.asked("GET", "/results"))
    assert gets == 200
    assert session.results() == first
    assert {task.result() for task in session.as_completed()} == set(first)
    assert len(world.objects.gets) == gets
    assert len(world.transport.asked("GET", "/results")) == pages


def test_what_is_kept_is_bounded() -> None:
    """Outputs are kept while there is room; they stay, so that a second reading finds them."""
    cache = OutputCache(most_bytes=10)
    for chunk in range(3):
        cache.put(chunk, b"1234")
        cache.put(chunk, b"1234")
    assert [cache.get(chunk) for chunk in range(3)] == [b"1234", b"1234", None]
    cache.put(3, b"12")
    assert cache.get(3) == b"12"


def test_a_failed_task_raises_its_error() -> None:
    """The message says which task, what was raised, and where in the worker."""
    session = World().grid.submit("square", [1, "fail", 3], max_attempts=1)
    with pytest.raises(TaskFailed, match="ValueError: no square of that") as raised:
        session.results()
    error = raised.value
    assert error.task_id == f"{session.id}_1"
    assert error.task_id in str(error)
    assert 'raise ValueError("no square of that")' in str(error)
    assert 'raise ValueError("no square of that")' in error.traceback


def test_errors_in_the_place_of_results() -> None:
    """With return_exceptions every task has its place."""
    session = World().grid.submit("square", [1, "fail", 3], max_attempts=1)
    one, error, nine = session.results(return_exceptions=True)
    assert (one, nine) == (1, 9)
    assert isinstance(error, TaskFailed)


@pytest.mark.parametrize("name", sorted(TASK_ERRORS))
def test_error_types_become_classes(name: str) -> None:
    """Each type of the tree that travels is raised as its class; another one as TaskFailed."""
    outcome = Outcome(3, TaskState.FAILED, error={"type": name, "message": "m", "traceback": ""})
    assert type(error_of(outcome, "session")) is TASK_ERRORS[name]
    other = Outcome(3, TaskState.FAILED, error={"type": f"my.{name}", "message": "m"})
    assert type(error_of(other, "session")) is TaskFailed


def test_exit_in_a_task() -> None:
    """A task that ends its process fails alone."""

    def leave(event: Any, context: Any) -> Any:
        if event == 1:
            raise SystemExit(3)
        return event

    results = World(leave).grid.submit("square", [0, 1, 2]).results(return_exceptions=True)
    assert results[0::2] == [0, 2]
    assert isinstance(results[1], TaskExited)


def test_cancelled_tasks_say_so() -> None:
    """What had finished keeps its result; the others are TaskCancelled."""
    _, session, run_chunk = running_session(4, chunk_size=2)
    run_chunk(0)
    assert session.cancel().total_cancelled_tasks == 2
    assert session.cancel().total_cancelled_tasks == 0
    zero, one, *others = session.results(return_exceptions=True)
    assert (zero, one) == (0, 1)
    assert all(isinstance(error, TaskCancelled) for error in others)
    with pytest.raises(TaskCancelled, match="was cancelled"):
        session.results()


def test_results_wait_for_the_end() -> None:
    """results() with a timeout that passes raises, and can be called again."""
    world, session, run_chunk = running_session(2, chunk_size=1)
    run_chunk(0)
    with pytest.raises(DeadlineExceeded):
        session.results(timeout=30)
    run_chunk(1)
    assert session.results() == [0, 1]
    assert world.memory.clock.monotonic() >= 30


def test_expired_urls_are_renewed() -> None:
    """A URL that expired while the results were read is asked for again, but not for ever."""
    world = World()
    session = world.grid.submit("square", range(300), chunk_size=1)
    world.objects.refusals = 1
    assert session.results() == [n * n for n in range(300)]
    world.objects.refusals = 10
    fresh = world.grid.session(session.id)
    with pytest.raises(LinkRefused):
        fresh.results()


def test_changed_outputs_are_found() -> None:
    """An object that is not what was committed is an error, never a result."""
    world = World()

    class Damaging:
        def put(self, url: str, data: bytes) -> str:
            return world.objects.put(url, data)

        def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
            return world.objects.get(url).replace(b'"result":9', b'"result":8')

    grid = Grid(transport=world.transport, objects=Damaging(), clock=world.memory.clock)
    session = grid.submit("square", range(100), chunk_size=2)
    with pytest.raises(PayloadCorrupted, match=r"chunk 1 of session"):
        session.results()


def test_an_output_that_lacks_a_line_is_found() -> None:
    """A chunk that is said to be whole must have a line for each task."""
    chunk = ChunkOutput(chunk=7, first_task=70, tasks=2, final=True, finished=2, failed=0)
    line = b'{"i":70,"state":"finished","attempts":1,"ms":1.000,"result":1}\n'
    with pytest.raises(PayloadCorrupted, match="chunk 7 has no line of task 71"):
        list(read_chunk(chunk, line))


def test_a_task_to_be_tried_again_is_not_settled() -> None:
    """Lines of a checkpoint that say "retrying" are no outcome yet."""
    chunk = ChunkOutput(
        chunk=0, first_task=0, tasks=2, final=False, finished=1, failed=0, others="retrying"
    )
    lines = (
        b'{"i":0,"state":"retrying","attempts":1,"ms":1.000,"error":{}}\n'
        b'{"i":1,"state":"finished","attempts":1,"ms":1.000,"result":1}\n'
    )
    states = [outcome.state for outcome in read_chunk(chunk, lines)]
    assert states == [TaskState.RETRYING, TaskState.FINISHED]


def test_a_retry_is_told_apart_from_tasks_in_work() -> None:
    """A line "retrying" in a chunk that runs: attempts, and no error to raise yet."""
    chunk = ChunkOutput(
        chunk=0, first_task=0, tasks=2, final=False, finished=0, failed=0, others="processing"
    )
    line = b'{"i":1,"state":"retrying","attempts":2,"ms":1.000,"error":{}}\n'
    first, second = read_chunk(chunk, line)
    assert (first.state, second.state) == (TaskState.PROCESSING, TaskState.RETRYING)
    assert (second.attempts, second.final) == (2, False)


def test_a_retry_means_nothing_once_its_chunk_is_over() -> None:
    """The task shares the ending of the others."""
    chunk = ChunkOutput(
        chunk=0, first_task=0, tasks=1, final=True, finished=0, failed=0, others="cancelled"
    )
    line = b'{"i":0,"state":"retrying","attempts":2,"ms":1.000,"error":{}}\n'
    assert [outcome.state for outcome in read_chunk(chunk, line)] == [TaskState.CANCELLED]


# --- one task


def test_a_task_before_and_after() -> None:
    """task(i) is how it is now; result() waits for it, and other chunks may still run."""
    world, session, run_chunk = running_session(4, chunk_size=2)
    task = session.task(3)
    assert (task.state, task.error, task.attempts) == (TaskState.PENDING, None, None)
    with pytest.raises(DeadlineExceeded):
        task.result(timeout=5)
    run_at_each_look(world, iter([run_chunk(1)]))
    assert task.result() == 9
    assert task.state is TaskState.FINISHED
    assert session.task(0).state is TaskState.PENDING


@pytest.mark.parametrize("index", [-1, 3])
def test_no_such_task(index: int) -> None:
    """Only 0 to n-1 are tasks."""
    with pytest.raises(InvalidRequest, match="has tasks 0 to 2"):
        World().grid.submit("square", [1, 2, 3]).task(index)


def test_a_task_far_back_is_found_by_its_page() -> None:
    """Where pages begin is remembered: the second look at a page needs one request."""
    world, session, run_chunk = running_session(1_000, chunk_size=1)
    session.task(999)
    walked = len(world.transport.asked("GET", "/results"))
    run_chunk(998)
    assert session.task(998).result() == 998 * 998
    assert len(world.transport.asked("GET", "/results")) == walked + 1


# --- the rest of it


def test_tasks_are_listed_by_state() -> None:
    """Descriptions of all pages, without results."""
    session = World().grid.submit("square", [1, "fail"] * 700, max_attempts=1)
    failed = list(session.tasks(TaskState.FAILED))
    assert [task.index for task in failed] == list(range(1, 1_400, 2))
    assert failed[0].error == {"type": "ValueError", "message": "no square of that"}
    assert sum(1 for _ in session.tasks()) == 1_400


def test_dead_letters_have_reasons() -> None:
    """The failed tasks, and only they, in order: why, how often tried, and the error."""
    session = World().grid.submit("square", [1, "fail", 2, "fail"], max_attempts=2)
    letters = list(session.dead_letters())
    assert [letter.index for letter in letters] == [1, 3]
    assert letters[0] == DeadLetter(
        task_id=f"{session.id}_1",
        index=1,
        reason=FailureReason.EXCEPTION,
        error_type="ValueError",
        message="no square of that",
        attempts=2,
    )


def test_dead_letters_of_an_older_grid() -> None:
    """Without a reason on the wire, the error tells it."""
    task = TaskDescription(
        task_id="s_0", index=0, state=TaskState.FAILED, error={"type": "TaskTimeout", "message": ""}
    )
    assert read_dead_letter(task).reason is FailureReason.TIMEOUT


def test_every_error_type_has_its_reason() -> None:
    """Each of our own means one reason, each reason but the user's exception has an error."""
    reasons = {reason_of(name) for name in TASK_ERRORS}
    assert reasons == set(FailureReason) - {FailureReason.EXCEPTION}
    assert reason_of("numpy.linalg.LinAlgError") is FailureReason.EXCEPTION


def test_another_process_attaches() -> None:
    """The id is all that is needed."""
    world = World()
    session = world.grid.submit("square", [1, 2])
    attached = world.grid.session(session.id)
    assert attached.worker == "square"
    assert attached.results() == [1, 4]
    assert repr(attached) == f"<Session {session.id} of 2 tasks for square>"


@pytest.mark.parametrize("session_id", [UNKNOWN, "", "..", "a/b", f"{UNKNOWN}?x", UNKNOWN.upper()])
def test_unknown_sessions(session_id: str) -> None:
    """Ids of nobody, and texts that are no ids, are not found."""
    world = World()
    with pytest.raises(NotFound, match="there is no session"):
        world.grid.session(session_id)


def test_deleted_sessions_are_gone() -> None:
    """delete() works once it has ended."""
    session = World().grid.submit("square", [1])
    session.wait()
    session.delete()
    with pytest.raises(NotFound):
        session.status()


def test_sessions_are_listed() -> None:
    """Newest first, over all pages, as many as wanted."""
    world = World()
    ids = []
    for _ in range(120):
        ids.append(world.grid.submit("square", [1]).id)
        world.memory.clock.advance(1)
    assert [item.session_id for item in world.grid.sessions()] == ids[::-1]
    assert [item.session_id for item in world.grid.sessions(limit=3)] == ids[:-4:-1]
    assert list(world.grid.sessions(SessionState.CANCELLED)) == []


def test_many_sessions_are_cancelled() -> None:
    """Any number of ids; unknown ones get zeros; one id in the place of a list is refused."""
    world = World(autorun=False)
    ids = [world.grid.submit("square", [1, 2]).id for _ in range(120)]
    counts = world.grid.cancel([*ids, UNKNOWN])
    assert {counts[name].total_cancelled_tasks for name in ids} == {2}
    assert counts[UNKNOWN].total_cancelled_tasks == 0
    with pytest.raises(InvalidRequest, match="give a list"):
        world.grid.cancel(ids[0])


def test_map_is_in_order_and_raises_in_place() -> None:
    """Results come in order; the error of a task comes where its result would be."""
    grid = World().grid
    assert list(grid.map("square", range(100))) == [n * n for n in range(100)]
    results = grid.map("square", [1, "fail", 3], max_attempts=1)
    assert next(results) == 1
    with pytest.raises(TaskFailed):
        next(results)
    results = grid.map("square", [1, "fail", 3], max_attempts=1, return_exceptions=True)
    assert isinstance(list(results)[1], TaskFailed)


def test_map_submits_at_once() -> None:
    """The session is there before the first result is asked for; bad options raise at the call."""
    world = World()
    world.grid.map("square", [1])
    assert len(world.transport.asked("POST", "/sessions")) == 1
    with pytest.raises(InvalidRequest):
        world.grid.map("square", [1], max_attempt=1)


def test_workers_and_health() -> None:
    """What the grid says of itself."""
    with World().grid as grid:
        assert [worker.name for worker in grid.workers()] == ["square"]
        assert grid.health().status == "ok"


def test_answers_of_another_kind() -> None:
    """JSON that is not the contract's: the error says what may be wrong."""

    class Strange:
        def request(self, *arguments: Any, **more: Any) -> dict[str, Any]:
            return {"hello": "world"}

    grid = Grid(transport=Strange(), objects=World().objects)
    with pytest.raises(Unavailable, match="is the endpoint a grid's"):
        grid.workers()
