"""The runner with real processes: a task fails alone, whatever it does."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepgrid_core.errors import Unavailable
from stepgrid_core.ports import TaskSpan
from stepgrid_core.runner import Runner
from stepgrid_core.runner_replies import TEXT_BYTES
from stepgrid_core.task_lines import ArrivingLines
from tests.integration.runner_bench import (
    MIB,
    RunnerMaker,
    add,
    await_next,
    do,
    read_fault,
    run,
    run_between_neighbours,
)
from tests.task_samples import Ended, each_task, listed, make_spans


class TestResults:
    def test_order(self, make_runner: RunnerMaker) -> None:
        """Outcomes come in the order of the tasks, with the result as JSON text."""
        outcomes = run(make_runner(), *(add(number, 1) for number in range(5)))
        assert [(o.index, o.result) for o in outcomes] == [(i, b"%d" % (i + 1)) for i in range(5)]
        assert all(o.milliseconds >= 0 and o.fault is None for o in outcomes)

    def test_text(self, make_runner: RunnerMaker) -> None:
        """Any JSON value survives the way in and out, as compact UTF-8."""
        value = {"a": [1, 2.5, None, True], "b": "é\n\u2028"}
        (outcome,) = run(make_runner(), do("echo", value=value))
        assert outcome.result == '{"a":[1,2.5,null,true],"b":"é\\n\u2028"}'.encode()

    def test_warm_child(self, make_runner: RunnerMaker) -> None:
        """Two runs of one runner share one process, which is not ours."""
        runner = make_runner()
        runner.start()
        (first,), (second,) = run(runner, do("pid")), run(runner, do("pid"))
        assert first.result == second.result != str(os.getpid()).encode()

    def test_many_small_tasks(self, make_runner: RunnerMaker) -> None:
        """A batch of 5,000 tasks completes."""
        outcomes = run(make_runner(), *(add(number, 0) for number in range(5000)))
        assert [o.result for o in outcomes] == [b"%d" % number for number in range(5000)]

    def test_large_inputs_and_results(self, make_runner: RunnerMaker) -> None:
        """Inputs and results far larger than a pipe do not wait for each other."""
        line = do("echo", value="x" * 3_000_000)
        outcomes = run(make_runner(), *[line] * 6)
        assert [len(o.result or b"") for o in outcomes] == [3_000_002] * 6

    def test_slow_reader(self, make_runner: RunnerMaker) -> None:
        """A task that ended in time is no timeout, however late its result is fetched."""
        spans = make_spans(add(1, 1), do("big", size=3_000_000), add(1, 1))
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run(spans, 0.5)
        first = await_next(outcomes)
        subprocess.run(["sleep", "0.8"], check=True)  # busy for longer than the timeout
        assert [o.fault for o in [first, *each_task(outcomes)]] == [None] * 3

    def test_empty_batch(self, make_runner: RunnerMaker) -> None:
        """A batch without tasks has no outcomes."""
        assert run(make_runner()) == []

    def test_context(self, make_runner: RunnerMaker) -> None:
        """The handler's context looks like that of a Lambda function, and knows the task."""
        (outcome,) = run(make_runner(), do("context"), timeout_seconds=50)
        context = json.loads(outcome.result or b"")
        assert 0 < context.pop("left") <= 50_000
        assert context == {
            "function_name": "pricer",
            "memory_limit_in_mb": 512,
            "aws_request_id": "ses_0",
            "task_id": "ses_0",
            "attempt": 1,
        }

    def test_signals(self, make_runner: RunnerMaker) -> None:
        """The child starts with Python's usual signal handling and nothing blocked."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            (outcome,) = run(make_runner(), do("signals"))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        assert outcome.result == b"[true,true,0]"


class TestFailures:
    def test_exception(self, make_runner: RunnerMaker) -> None:
        """An exception fails its task with class, message and the user's own frames."""
        bad = run_between_neighbours(make_runner(), do("raise", text="no market"))
        assert read_fault(bad) == ("user_tasks.PricingError", "no market", True)
        assert bad.fault
        assert "user_tasks.py" in bad.fault.traceback
        assert bad.fault.traceback.endswith("PricingError: no market\n")
        assert "runner_child" not in bad.fault.traceback

    def test_long_message(self, make_runner: RunnerMaker) -> None:
        """Messages and tracebacks are bounded and keep both their ends."""
        bad = run_between_neighbours(make_runner(), do("raise", text="<" + "é" * 50_000 + ">"))
        assert bad.fault
        assert len(bad.fault.message.encode()) <= 1024
        assert len(bad.fault.traceback.encode()) <= 16 * 1024
        assert (bad.fault.message[0], bad.fault.message[-1]) == ("<", ">")

    def test_unprintable_exception(self, make_runner: RunnerMaker) -> None:
        """An exception whose message can't be read still fails its task alone."""
        bad = run_between_neighbours(make_runner(), do("unprintable"))
        assert read_fault(bad)[:2] == (
            "user_tasks.Unprintable",
            "(its message can't be read: RuntimeError)",
        )

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (3, "The task called sys.exit with code 3."),
            (None, "The task called sys.exit with code 0."),
            ("no data", "The task called sys.exit with code 1: no data"),
        ],
    )
    def test_exit(self, make_runner: RunnerMaker, code: object, message: str) -> None:
        """sys.exit ends the task, and the child goes on."""
        bad = run_between_neighbours(make_runner(), do("exit", code=code))
        assert read_fault(bad) == ("TaskExited", message, True)

    def test_interrupt(self, make_runner: RunnerMaker) -> None:
        """KeyboardInterrupt is a failed task as well."""
        bad = run_between_neighbours(make_runner(), do("interrupt"))
        assert read_fault(bad)[0] == "KeyboardInterrupt"

    @pytest.mark.parametrize("code", [0, 7])
    def test_hard_exit(self, make_runner: RunnerMaker, code: int) -> None:
        """os._exit loses the child and fails the task that called it, with the code."""
        bad = run_between_neighbours(make_runner(), do("hard_exit", code=code))
        message = f"The task ended its process with exit code {code}."
        assert read_fault(bad) == ("TaskExited", message, True)

    def test_segmentation_fault(self, make_runner: RunnerMaker) -> None:
        """A crash names its signal and, in the traceback, the user's line."""
        bad = run_between_neighbours(make_runner(), do("segfault"))
        message = "The task's process was killed by signal 11 (SIGSEGV)."
        assert read_fault(bad) == ("TaskCrashed", message, True)
        assert bad.fault
        assert "user_tasks.py" in bad.fault.traceback
        assert "runner_child" not in bad.fault.traceback

    def test_kill(self, make_runner: RunnerMaker) -> None:
        """A process that was killed was probably out of memory, and the message says so."""
        runner = make_runner(memory_limit_bytes=512 * MIB)
        bad = run_between_neighbours(runner, do("kill", signal=int(signal.SIGKILL)))
        assert read_fault(bad)[:2] == (
            "TaskCrashed",
            "The task's process was killed by signal 9 (SIGKILL), probably out of memory "
            "(the limit is 512 MiB).",
        )

    def test_exit_behind_a_fork(self, make_runner: RunnerMaker) -> None:
        """A child's death is seen although a process it left holds its end of the pipe."""
        bad = run_between_neighbours(make_runner(), do("fork_in_c_and_exit", code=9))
        assert read_fault(bad)[:2] == (
            "TaskExited",
            "The task ended its process with exit code 9.",
        )

    @pytest.mark.parametrize("action", ["hang", "hang_with_gil"])
    def test_timeout(self, make_runner: RunnerMaker, action: str) -> None:
        """A task that runs past its timeout is killed, also where no Python code can run."""
        bad = run_between_neighbours(make_runner(), do(action, seconds=300), timeout_seconds=0.5)
        message = "The task ran longer than its timeout of 0.5 s and was killed."
        assert read_fault(bad) == ("TaskTimeout", message, True)
        assert bad.milliseconds >= 500

    def test_recursion(self, make_runner: RunnerMaker) -> None:
        """Endless recursion is an exception like any other."""
        assert read_fault(run_between_neighbours(make_runner(), do("dig")))[0] == "RecursionError"

    def test_all_kinds_in_one_batch(self, make_runner: RunnerMaker) -> None:
        """Each of many bad tasks in a row fails for its own reason."""
        lines = [do("hard_exit", code=1), do("segfault"), do("hang"), do("nan"), add(1, 1)]
        outcomes = run(make_runner(), *lines, *lines, timeout_seconds=0.5)
        types = [o.fault.type if o.fault else "finished" for o in outcomes]
        kinds = ["TaskExited", "TaskCrashed", "TaskTimeout", "ResultNotSerializable", "finished"]
        assert types == kinds * 2


#: Ways to end the child in the middle of a batch.
DEATHS = {
    "exit": do("hard_exit", code=1),
    "segfault": do("segfault"),
    "kill": do("kill", signal=int(signal.SIGKILL)),
    "timeout": do("hang"),
}


class TestDeathInABatch:
    @pytest.mark.parametrize("death", DEATHS)
    def test_neighbours_run_once(
        self, make_runner: RunnerMaker, tmp_path: Path, death: str
    ) -> None:
        """Results of tasks that ended before the death are kept, however short a time before."""
        journal, dying = tmp_path / "journal", [0, 1, 2, 150, 299]
        lines = [do("append", path=str(journal), text=f"{number}\n") for number in range(300)]
        for place in dying:
            lines[place] = DEATHS[death]
        outcomes = run(make_runner(), *lines, timeout_seconds=0.5)
        assert [o.index for o in outcomes if o.fault] == dying
        assert [o.index for o in outcomes] == list(range(300))
        started = [int(number) for number in journal.read_text().split()]
        assert started == [number for number in range(300) if number not in dying]

    def test_death_right_after_a_large_result(self, make_runner: RunnerMaker) -> None:
        """A result longer than the memory for replies is whole before the next task starts."""
        size = 3 * TEXT_BYTES
        bad = do("hard_exit", code=1)
        first, second, last = run(make_runner(), do("big", size=size), bad, add(1, 1))
        assert len(first.result or b"") == size + 2
        assert read_fault(second)[0] == "TaskExited"
        assert last.result == b"2"

    def test_every_other_task_dies(self, make_runner: RunnerMaker) -> None:
        """The runner begins again behind each of them."""
        lines = [line for number in range(5) for line in (add(number, 0), do("hard_exit", code=9))]
        outcomes = run(make_runner(), *lines)
        assert [o.result for o in outcomes[::2]] == [b"%d" % number for number in range(5)]
        assert {read_fault(o)[0] for o in outcomes[1::2]} == {"TaskExited"}

    def test_result_before_a_long_task(self, make_runner: RunnerMaker) -> None:
        """What has ended is told while the next task runs."""
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run(make_spans(*[add(1, 1)] * 3, do("hang")), 60)
        told = 0
        while told < 3:
            told += len(list(each_task([next(outcomes)])))
        outcomes.close()


class TestArrival:
    def test_tasks_run_before_all_lines_are_there(self, make_runner: RunnerMaker) -> None:
        """The child starts with the first lines while the last are on their way."""
        ended: list[Ended] = []

        def arrive() -> Iterator[bytes]:
            yield add(1, 1) + b"\n"
            while not ended:
                yield b""
            yield add(2, 2) + b"\n"

        run_arriving(make_runner(), 2, arrive(), ended)
        assert [o.result for o in ended] == [b"2", b"4"]

    def test_broken_lines(self, make_runner: RunnerMaker) -> None:
        """When the rest can't be had the run raises, and the runner is good for the next one."""

        def arrive() -> Iterator[bytes]:
            yield add(1, 1) + b"\n"
            raise Unavailable("the connection broke")

        runner = make_runner()
        with pytest.raises(Unavailable):
            run_arriving(runner, 2, arrive(), [])
        assert run(runner, add(1, 2))[0].result == b"3"

    def test_death_while_lines_arrive(self, make_runner: RunnerMaker) -> None:
        """The next child gets those that the dead one had not answered, and the rest."""
        ended: list[Ended] = []

        def arrive() -> Iterator[bytes]:
            yield add(1, 1) + b"\n" + do("hard_exit", code=1) + b"\n" + add(2, 2)[:5]
            while len(ended) < 2:
                yield b""
            yield add(2, 2)[5:] + b"\n"

        run_arriving(make_runner(), 3, arrive(), ended)
        assert [o.result for o in ended] == [b"2", None, b"4"]

    def test_spans(self, make_runner: RunnerMaker) -> None:
        """Tasks that don't follow each other, or start for another time, are told so."""
        lines = listed(*[do("context")] * 4, first=10)
        spans = [TaskSpan("ses", 10, 1, 2, lines), TaskSpan("ses", 12, 2, 1, lines)]
        runner = make_runner()
        runner.permit(3600)
        found = [json.loads(o.result or b"") for o in each_task(runner.run(spans, 60))]
        assert [(c["task_id"], c["attempt"]) for c in found] == [
            ("ses_10", 2),
            ("ses_12", 1),
            ("ses_13", 1),
        ]


def run_arriving(runner: Runner, count: int, blocks: Iterator[bytes], ended: list[Ended]) -> None:
    """Run tasks whose lines come in these blocks; `ended` grows as they end."""
    runner.permit(3600)
    span = TaskSpan("ses", 0, count, 1, ArrivingLines(0, count, blocks))
    for outcome in runner.run([span], 60):
        ended += each_task([outcome])


if sys.platform == "linux":  # macOS does not enforce RLIMIT_DATA

    class TestMemory:
        def test_limit(self, make_runner: RunnerMaker) -> None:
            """A task over the memory limit fails with a message that names the limit."""
            runner = make_runner(memory_limit_bytes=128 * MIB)
            bad = run_between_neighbours(runner, do("fill", size_mib=200))
            message = "The task ran out of memory (the limit is 128 MiB)."
            assert read_fault(bad) == ("TaskOutOfMemory", message, True)

        def test_result_over_the_limit(self, make_runner: RunnerMaker) -> None:
            """A result that fits in memory once, but not as text, fails its task alone."""
            runner = make_runner(memory_limit_bytes=128 * MIB)
            bad = run_between_neighbours(runner, do("big", size=70 * MIB))
            assert read_fault(bad)[0] == "TaskOutOfMemory"

        def test_input_over_the_limit(self, make_runner: RunnerMaker) -> None:
            """An input that does not fit in memory fails its task, and the next child goes on."""
            runner = make_runner(memory_limit_bytes=64 * MIB)
            bad = run_between_neighbours(runner, do("echo", value="x" * (80 * MIB)))
            assert read_fault(bad)[0] == "TaskOutOfMemory"

        def test_within_the_limit(self, make_runner: RunnerMaker) -> None:
            """A task within the memory limit finishes."""
            runner = make_runner(memory_limit_bytes=128 * MIB)
            assert run(runner, do("fill", size_mib=64))[0].result == str(64 * MIB).encode()


class TestRefusals:
    @pytest.mark.parametrize(
        ("action", "message"),
        [
            ("set", "result['values'][1] is of type set, which is not JSON."),
            (
                "nan",
                "result['price'] is nan, which is not JSON: "
                "return a finite number, a string or None.",
            ),
            ("tuple_key", "result has a key of type tuple, which is not JSON."),
        ],
    )
    def test_not_json(self, make_runner: RunnerMaker, action: str, message: str) -> None:
        """A result that is not JSON fails for good, and the message says where it is not."""
        bad = run_between_neighbours(make_runner(), do(action))
        assert read_fault(bad) == ("ResultNotSerializable", message, False)

    def test_surrogate(self, make_runner: RunnerMaker) -> None:
        """Text that is not Unicode would break its readers: it is refused."""
        bad = run_between_neighbours(make_runner(), do("surrogate"))
        assert read_fault(bad)[0] == "ResultNotSerializable"

    def test_deep_result(self, make_runner: RunnerMaker) -> None:
        """A result nested deeper than the interpreter can follow is refused."""
        bad = run_between_neighbours(make_runner(), do("nest", depth=100_000))
        assert read_fault(bad)[0] == "ResultNotSerializable"
        assert "nested too deeply" in read_fault(bad)[1]

    def test_large_result(self, make_runner: RunnerMaker) -> None:
        """A result over the limit fails for good, with both sizes."""
        bad = run_between_neighbours(make_runner(), do("big", size=10_000_000))
        message = "The result has 10000002 bytes, the limit is 6291456 bytes."
        assert read_fault(bad) == ("ResultTooLarge", message, False)

    @pytest.mark.parametrize("line", [b"", b"{", b"NaN", b"\xff", b"[" * 100_000])
    def test_input(self, make_runner: RunnerMaker, line: bytes) -> None:
        """An input that is not JSON fails for good."""
        error_type, message, retryable = read_fault(run_between_neighbours(make_runner(), line))
        assert (error_type, retryable) == ("InputError", False)
        assert message.startswith("The task's input is not JSON: ")


class TestProcess:
    def test_stdin(self, make_runner: RunnerMaker) -> None:
        """Standard input is empty."""
        assert run(make_runner(), do("stdin"))[0].result == b'""'

    def test_descriptors(self, make_runner: RunnerMaker) -> None:
        """A process that a task starts inherits none of the protocol's descriptors."""
        (outcome,) = run(make_runner(), do("open_files", command=["ls", "/dev/fd"]))
        assert json.loads(outcome.result or b"") == ["0", "1", "2", "3"]  # ls itself opens one

    def test_fork(self, make_runner: RunnerMaker) -> None:
        """A fork that comes back from the handler does not answer in the child's place."""
        outcomes = run(make_runner(), do("fork"), add(1, 2))
        assert [o.result for o in outcomes] == [b'"from the child"', b"3"]
