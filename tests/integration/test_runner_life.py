"""The runner with real processes: how its child starts, waits and ends; nothing outlives it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from stepgrid_core.runner import (
    RunnerStartError,
    RunnerStopped,
)
from tests.integration.runner_bench import (
    MIB,
    USER_MODULE,
    RunnerMaker,
    add,
    await_end_of_file,
    await_next,
    do,
    read_fault,
    run,
)
from tests.task_samples import each_task, make_spans

STOPPED_BEFORE_THE_BELL = """
import os, signal, sys, time

def stop(frame, event, arg):
    if event == "call" and frame.f_code.co_name == "ring_if_due":
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGSTOP)

def handle(event, context):
    if event == "stop":
        sys.setprofile(stop)
    while event.startswith("/") and not os.path.exists(event):
        time.sleep(0.001)
    return [os.getpid(), event]
"""


def test_a_bell_that_is_late(make_runner: RunnerMaker, tmp_path: Path) -> None:
    """A child that loses its processor before it rings: its results are no other tasks' results."""
    runner = make_runner(STOPPED_BEFORE_THE_BELL)
    pid, _ = json.loads(run(runner, b'"first"')[0].result or b"")
    go_on = tmp_path / "go_on"
    results: list[bytes | None] = []
    for event, let_go_on in (("stop", lambda: None), (str(go_on), go_on.touch)):
        pauses = 0
        for outcome in runner.run(make_spans(json.dumps(event).encode()), 60):
            results += [ended.result for ended in each_task([outcome])]
            pauses += outcome is None
            if pauses >= 5:
                os.kill(pid, signal.SIGCONT)
                let_go_on()
        os.kill(pid, signal.SIGCONT)
    assert [json.loads(result or b"") for result in results] == [[pid, "stop"], [pid, str(go_on)]]


PRINTS_UNTIL_TOLD = """
import os, time

def handle(path, context):
    for _ in range(1000):
        if not path or os.path.exists(path):
            return True
        print("step")
        time.sleep(0.01)
    return False
"""


def test_prints_hold_no_results_back(make_runner: RunnerMaker, tmp_path: Path) -> None:
    """A task that prints all the time runs on while those before it are told."""
    runner = make_runner(PRINTS_UNTIL_TOLD, on_print=lambda line: None)
    runner.permit(3600)
    told = tmp_path / "told"
    ended: list[bytes | None] = []
    for outcome in runner.run(make_spans(*[b'""'] * 20, json.dumps(str(told)).encode()), 60):
        ended += [each.result for each in each_task([outcome])]
        if len(ended) == 20:
            told.touch()
    assert ended == [b"true"] * 21


class TestImports:
    def test_error(self, make_runner: RunnerMaker) -> None:
        """When the handler's module raises, every task fails with its error, for good."""
        outcomes = run(make_runner("import quantlib_missing"), add(1, 2), add(3, 4))
        message = "No module named 'quantlib_missing'"
        expected = ("ModuleNotFoundError", message, False)
        assert [read_fault(o) for o in outcomes] == [expected] * 2
        assert outcomes[0].fault
        assert 'user_tasks.py", line 1' in outcomes[0].fault.traceback
        assert "importlib" not in outcomes[0].fault.traceback

    def test_retry(self, make_runner: RunnerMaker, tmp_path: Path) -> None:
        """A later run imports the handler afresh."""
        runner = make_runner("raise ValueError('not yet')")
        assert read_fault(run(runner, add(1, 2))[0])[0] == "ValueError"
        (tmp_path / "user_tasks.py").write_text(USER_MODULE)
        assert run(runner, add(1, 2))[0].result == b"3"

    @pytest.mark.parametrize("handler", ["handle", "user_tasks.ACTIONS", "user_tasks.missing"])
    def test_wrong_name(self, make_runner: RunnerMaker, handler: str) -> None:
        """A handler that is not a function of a module fails every task, for good."""
        error_type, message, retryable = read_fault(run(make_runner(handler=handler), b"1")[0])
        assert error_type in {"TypeError", "AttributeError"}
        assert handler.rpartition(".")[2] in message
        assert not retryable

    def test_exit(self, make_runner: RunnerMaker) -> None:
        """A module that calls sys.exit fails every task, for good."""
        outcome = run(make_runner("import sys; sys.exit(4)"), b"1")[0]
        assert (read_fault(outcome)[0], read_fault(outcome)[2]) == ("TaskExited", False)

    @pytest.mark.parametrize(
        ("source", "error_type", "reason"),
        [
            ("import os; os._exit(5)", "TaskExited", "exit code 5"),
            ("import ctypes; ctypes.string_at(0)", "TaskCrashed", "SIGSEGV"),
        ],
    )
    def test_crash(
        self, make_runner: RunnerMaker, source: str, error_type: str, reason: str
    ) -> None:
        """A module that takes its process down fails the batch; the runner does not try forever."""
        outcomes = run(make_runner(source), *[b"1"] * 3)
        assert [read_fault(o)[0] for o in outcomes] == [error_type] * 3
        message = read_fault(outcomes[0])[1]
        assert message.startswith("While user_tasks.handle was imported: ")
        assert reason in message

    def test_hang(self, make_runner: RunnerMaker) -> None:
        """A module whose import does not end fails the batch after the start timeout."""
        source = "import threading; threading.Event().wait()"
        outcomes = run(make_runner(source, start_timeout_seconds=0.5), b"1", b"2")
        message = "The import of user_tasks.handle took longer than 0.5 s."
        assert [read_fault(o)[:2] for o in outcomes] == [("TaskTimeout", message)] * 2

    def test_death_between_tasks(self, make_runner: RunnerMaker) -> None:
        """A child that keeps dying before a task starts fails the batch instead of looping."""
        runner = make_runner("import os\ndef handle(event, context): ...\n" + DEATH_WHILE_IDLE)
        outcomes = list(
            each_task(runner.run(make_spans(b"1", b"2"), 60))
        )  # without a permit: nothing may start
        assert [read_fault(o)[0] for o in outcomes] == ["TaskCrashed"] * 2
        assert "died 3 times in a row" in read_fault(outcomes[0])[1]


#: Dies as soon as the main thread waits for its permit, so after it said that it is ready.
DEATH_WHILE_IDLE = """
import sys, threading
def names(frame):
    while frame:
        yield frame.f_code.co_name
        frame = frame.f_back
def die():
    main = threading.main_thread().ident
    while "_await_permit" not in names(sys._current_frames()[main]):
        threading.Event().wait(0.001)
    os._exit(1)
threading.Thread(target=die).start()
"""


class TestPermit:
    def test_none(self, make_runner: RunnerMaker, tmp_path: Path) -> None:
        """Without a permit nothing starts and the run says None; with one, it goes on."""
        imported = tmp_path / "imported"
        runner = make_runner(f"{USER_MODULE}\nopen({str(imported)!r}, 'w').close()")
        outcomes = runner.run(make_spans(do("now")), 60)
        while not imported.exists():
            assert next(outcomes) is None
        assert [next(outcomes) for _ in range(20)] == [None] * 20
        permitted_at = time.monotonic()
        runner.permit(60)
        assert float(await_next(outcomes).result or b"0") > permitted_at

    def test_end_within_a_batch(self, make_runner: RunnerMaker) -> None:
        """A task that runs when the permit ends runs on; the next one waits for a new permit."""
        runner = make_runner()
        run(runner, do("now"))
        ends_at = time.monotonic() + 0.3
        lines = [do("wait_until", moment=ends_at + 0.1), do("now")]
        runner.permit(ends_at - time.monotonic())
        outcomes = runner.run(make_spans(*lines), 60)
        assert await_next(outcomes).fault is None
        permitted_at = time.monotonic()
        runner.permit(60)
        assert float(await_next(outcomes).result or b"0") > permitted_at

    def test_new_child(self, make_runner: RunnerMaker) -> None:
        """A permit that has ended has ended for the next child too."""
        runner = make_runner()
        assert read_fault(run(runner, do("hard_exit", code=1))[0])[0] == "TaskExited"
        runner.permit(0)
        outcomes = runner.run(make_spans(do("now")), 60)
        assert [next(outcomes) for _ in range(20)] == [None] * 20
        outcomes.close()


class TestEnds:
    def test_stop(self, make_runner: RunnerMaker) -> None:
        """stop() from another thread ends the run; complete outcomes are not lost."""
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run(make_spans(add(1, 2), do("hang")), 60)
        assert await_next(outcomes).result == b"3"
        threading.Timer(0.1, runner.stop).start()
        with pytest.raises(RunnerStopped):
            await_next(outcomes)
        with pytest.raises(RunnerStopped):
            run(runner, add(1, 2))

    def test_stop_while_importing(self, make_runner: RunnerMaker) -> None:
        """stop() ends a run that still waits for the handler's import."""
        runner = make_runner("import threading; threading.Event().wait()")
        threading.Timer(0.2, runner.stop).start()
        with pytest.raises(RunnerStopped):
            run(runner, b"1")

    def test_early_close(self, make_runner: RunnerMaker) -> None:
        """After a run that was closed early, the next one gets its own results."""
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run(make_spans(*[do("now")] * 100, do("hang")), 60)
        while next(outcomes) is None:
            pass
        outcomes.close()
        assert run(runner, add(40, 2))[0].result == b"42"

    def test_close(self, make_runner: RunnerMaker, tmp_path: Path) -> None:
        """close() lets an idle child run its exit handlers, and may be repeated."""
        done = tmp_path / "done"
        source = f"import atexit\natexit.register(open, {str(done)!r}, 'w')\n"
        runner = make_runner(source + "def handle(event, context): ...")
        run(runner, b"1")
        runner.close()
        runner.close()
        assert done.exists()

    def test_no_descriptor_is_left(self, make_runner: RunnerMaker) -> None:
        """A runner that lost children and was closed leaves no descriptor open."""
        before = count_descriptors()
        runner = make_runner()
        run(runner, do("hard_exit", code=1), do("segfault"), add(1, 1))
        runner.close()
        assert count_descriptors() == before

    def test_no_process(self, make_runner: RunnerMaker) -> None:
        """When the system refuses a process, the run raises, and leaves no descriptor open."""
        runner = make_runner(environment={"TOO_LONG": "x" * 16 * MIB})
        before = count_descriptors()
        with pytest.raises(RunnerStartError, match=r"user_tasks\.handle"):
            run(runner, add(1, 2))
        assert count_descriptors() == before

    @pytest.mark.parametrize("end", ["crash", "timeout", "stop", "close"])
    def test_process_group(self, make_runner: RunnerMaker, tmp_path: Path, end: str) -> None:
        """When the child ends, however, processes that its tasks left behind die with it."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        runner = make_runner()
        assert run(runner, do("leave_process", fifo=str(fifo)))[0].fault is None
        with pytest.raises(BlockingIOError):  # not at end of file: the process lives
            os.read(fd, 1)
        match end:
            case "crash":
                run(runner, do("hard_exit", code=1))
            case "timeout":
                run(runner, do("hang"), timeout_seconds=0.2)
            case "stop":
                runner.stop()
            case "close":
                runner.close()
        await_end_of_file(fd)
        os.close(fd)


def count_descriptors() -> int:
    count = 0
    for fd in range(256):
        with contextlib.suppress(OSError):
            os.fstat(fd)
            count += 1
    return count


SUPERVISOR = """
import sys, threading
from stepgrid_core.ports import TaskSpan
from stepgrid_core.runner import Runner, RunnerSettings
from stepgrid_core.task_lines import ArrivingLines

settings = RunnerSettings(
    handler="user_tasks.handle", search_path=(sys.argv[1],), environment={"PATH": "/usr/bin:/bin"},
    memory_limit_bytes=None, result_limit_bytes=1000, function_name="f", memory_mib=128)
runner = Runner(settings)
thread = threading.Thread(target=runner.start)
thread.start()
thread.join()  # the thread that started the child has ended: the child must live on
lines = b'{"do": "pid"}\\n' + sys.argv[2].encode() + b"\\n"
spans = [TaskSpan("s", 0, 2, 1, ArrivingLines(0, 2, iter([lines])))]
runner.permit(60)
for outcome in filter(None, runner.run(spans, 60)):
    print(outcome.lines.decode(), end="", flush=True)
"""

HANGS = ["hang", "hang_with_gil"] if sys.platform == "linux" else ["hang"]


@pytest.mark.parametrize("action", HANGS)
def test_supervisor_killed(make_runner: RunnerMaker, tmp_path: Path, action: str) -> None:
    """The child dies with its supervisor, even by SIGKILL, but not with the thread that made it."""
    make_runner()  # writes the user's module
    alive_fd, child_alive_fd = os.pipe()  # the child inherits the write end as descriptor 2
    line = do(action, seconds=300).decode()
    supervisor = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(tmp_path), line],
        stdout=subprocess.PIPE,
        stderr=child_alive_fd,
    )
    os.close(child_alive_fd)
    assert supervisor.stdout
    with supervisor.stdout:
        assert json.loads(supervisor.stdout.readline())["result"] != supervisor.pid
        assert os.read(alive_fd, 100) == b"hanging\n"
        supervisor.kill()
        supervisor.wait()
    await_end_of_file(alive_fd)
    os.close(alive_fd)
