"""FunctionRunner and the words of its faults, on a virtual clock."""

import json
from collections.abc import Callable

import pytest

from stepgrid_core.errors import AccessDenied, NotFound, ServiceError, StepgridError, Unavailable
from stepgrid_core.function_failures import describe_failure
from stepgrid_core.function_runner import (
    LAST_PAUSE_SECONDS,
    START_SECONDS,
    FunctionRunner,
    pause_seconds,
    read_reply,
)
from stepgrid_core.memory import Behaviour, MemoryFunctionCaller, VirtualClock
from stepgrid_core.ports import FunctionReply
from stepgrid_core.registration import PAYLOAD_LIMIT_BYTES
from tests.task_samples import Ended, each_task, make_spans

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:pricer"


class Bench:
    """A runner with a permit of an hour, whose function behaves as told."""

    def __init__(self, behaviour: Behaviour | None, permit_seconds: float = 3_600.0) -> None:
        self.clock = VirtualClock()
        self.caller = MemoryFunctionCaller(self.clock, {ARN: behaviour} if behaviour else {})
        self.runner = FunctionRunner(ARN, self.caller, self.clock, jitter=lambda: 1.0)
        self.runner.permit(permit_seconds)

    def run(self, *lines: bytes, timeout_seconds: float = 10.0) -> list[Ended]:
        return list(each_task(self.runner.run(make_spans(*lines), timeout_seconds)))

    def fault(self, line: bytes = b"{}", timeout_seconds: float = 10.0) -> tuple[str, str, bool]:
        (outcome,) = self.run(line, timeout_seconds=timeout_seconds)
        assert outcome.fault is not None
        assert outcome.result is None
        return outcome.fault.type, outcome.fault.message, outcome.fault.retryable


def echo(payload: bytes) -> tuple[float, FunctionReply]:
    return 0.25, FunctionReply(payload)


def raising(error: StepgridError) -> Behaviour:
    def behave(_: bytes) -> tuple[float, FunctionReply]:
        raise error

    return behave


def script(*steps: StepgridError | bytes) -> Behaviour:
    """Each call takes the next step."""
    left = list(steps)

    def behave(_: bytes) -> tuple[float, FunctionReply]:
        step = left.pop(0)
        if isinstance(step, bytes):
            return 0.0, FunctionReply(step)
        raise step

    return behave


class TestCalls:
    def test_each_task_is_one_call_with_its_own_text(self) -> None:
        """Results come in order, with the time that each call took."""
        bench = Bench(echo)
        outcomes = bench.run(b'{"x":1}', b'"two"', b"null")
        assert [outcome.result for outcome in outcomes] == [b'{"x":1}', b'"two"', b"null"]
        assert [outcome.index for outcome in outcomes] == [0, 1, 2]
        assert [round(outcome.milliseconds) for outcome in outcomes] == [250] * 3
        assert bench.caller.begun == [b'{"x":1}', b'"two"', b"null"]

    def test_nothing_is_called_before_it_is_asked_for(self) -> None:
        """A generator that was never advanced has called nothing."""
        bench = Bench(echo)
        bench.runner.run(make_spans(b"{}"), 10.0).close()
        assert bench.caller.begun == []

    def test_closing_starts_no_further_task(self) -> None:
        """What was not called yet never is."""
        bench = Bench(echo)
        outcomes = bench.runner.run(make_spans(*[b"{}"] * 3), 10.0)
        while next(outcomes) is None:
            pass
        outcomes.close()
        assert len(bench.caller.begun) == 1

    def test_while_a_call_lasts_the_caller_is_asked_often(self) -> None:
        """So that a chunk which is taken away is noticed during a long task."""
        bench = Bench(lambda _: (2.0, FunctionReply(b"1")))
        steps = list(bench.runner.run(make_spans(b"{}"), 10.0))
        assert steps.count(None) >= 30


class TestPermits:
    def test_no_call_begins_without_a_permit(self) -> None:
        """A new runner has none; with one it goes on."""
        bench = Bench(echo, permit_seconds=0.0)
        outcomes = bench.runner.run(make_spans(b"{}"), 10.0)
        assert [next(outcomes) for _ in range(50)] == [None] * 50
        assert bench.caller.begun == []
        bench.runner.permit(5.0)
        assert [o.result for o in each_task(outcomes)] == [b"{}"]

    def test_no_call_begins_at_the_very_end_of_a_permit(self) -> None:
        """It would arrive after it."""
        bench = Bench(echo, permit_seconds=START_SECONDS / 2)
        outcomes = bench.runner.run(make_spans(b"{}"), 10.0)
        assert next(outcomes) is None
        assert bench.caller.begun == []

    def test_a_call_outlasts_its_permit(self) -> None:
        """Only its start needs one."""
        bench = Bench(lambda _: (5.0, FunctionReply(b"1")), permit_seconds=1.0)
        assert [o.result for o in bench.run(b"{}")] == [b"1"]


class TestFaults:
    def test_after_a_throttled_call_the_run_pauses_and_ends(self) -> None:
        """Without an outcome: whoever holds the chunk knows whether there is time to go on."""
        bench = Bench(script(Unavailable("throttled"), b"1", b"2"))
        began_at = bench.clock.now()
        assert bench.run(b"{}", b"{}") == []
        assert bench.clock.now() - began_at == pytest.approx(0.5, abs=0.01)
        assert len(bench.caller.begun) == 1
        assert [outcome.result for outcome in bench.run(b"{}", b"{}")] == [b"1", b"2"]

    def test_pauses_grow_until_a_call_is_taken(self) -> None:
        """Twice as long after each throttled call in a row; then from the beginning."""
        throttled = Unavailable("throttled")
        bench = Bench(script(throttled, throttled, throttled, b"1", throttled))
        pauses = []
        for _ in range(5):
            began_at = bench.clock.now()
            bench.run(b"{}")
            pauses.append(round(bench.clock.now() - began_at, 1))
        assert pauses == [0.5, 1.0, 2.0, 0.0, 0.5]

    def test_pauses_have_full_jitter(self) -> None:
        """Relays that were throttled together do not come back together."""
        assert [pause_seconds(n, 1.0) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
        assert pause_seconds(3, 0.25) == 0.5
        assert pause_seconds(10_000, 1.0) == LAST_PAUSE_SECONDS

    def test_over_its_timeout_a_task_is_given_up(self) -> None:
        """After exactly that long; the next task goes on."""
        slow = Bench(lambda event: (60.0 if event == b"1" else 0.0, FunctionReply(b"7")))
        first, second = slow.run(b"1", b"2", timeout_seconds=3.0)
        assert first.fault is not None
        assert (first.fault.type, first.fault.retryable) == ("TaskTimeout", True)
        assert "within the task's timeout of 3 s" in first.fault.message
        assert round(first.milliseconds) == 3_000
        assert second.result == b"7"

    def test_a_deleted_function_fails_its_tasks_for_good(self) -> None:
        """Another attempt would find it gone again."""
        assert Bench(None).fault() == (
            "NotFound",
            f"{ARN} could not be called: there is no such function",
            False,
        )

    def test_a_function_that_may_not_be_called_may_be_allowed_again(self) -> None:
        """A tag takes some seconds to be seen everywhere."""
        assert Bench(raising(AccessDenied("no tag"))).fault() == ("AccessDenied", "no tag", True)

    def test_a_broken_connection_is_an_attempt(self) -> None:
        """The function may have run, so the task is not called again behind the ledger's back."""
        bench = Bench(raising(ServiceError("the connection broke")))
        assert bench.fault() == ("WorkerLost", "the connection broke", True)
        assert len(bench.caller.begun) == 1

    def test_a_missing_function_is_told_from_a_throttled_one(self) -> None:
        """One call of each."""
        bench = Bench(script(NotFound("gone"), b"1"))
        first, second = bench.run(b"{}", b"{}")
        assert first.fault is not None
        assert second.result == b"1"

    def test_a_task_too_large_for_lambda_is_not_sent(self) -> None:
        """6 MB is what a synchronous call takes."""
        bench = Bench(echo)
        kind, message, retryable = bench.fault(b" " * (PAYLOAD_LIMIT_BYTES + 1))
        assert (kind, retryable, bench.caller.begun) == ("InputError", False, [])
        assert "6291457 bytes" in message
        (outcome,) = bench.run(b"1".rjust(PAYLOAD_LIMIT_BYTES))
        assert outcome.result == b"1"


class TestReplies:
    @pytest.mark.parametrize(
        ("payload", "result"),
        [
            (b"1.50", b"1.50"),
            (b'{\r\n  "a": [1,\n 2]\n}\n', b'{    "a": [1,  2] }'),
            (b"", b"null"),
            (b'"\xc3\xa9"', b'"\xc3\xa9"'),
        ],
    )
    def test_a_result_is_one_line_of_the_same_json(self, payload: bytes, result: bytes) -> None:
        """Numbers keep their digits; nothing said is null."""
        assert read_reply(FunctionReply(payload)) == result

    @pytest.mark.parametrize(
        "payload", [b"NaN", b"<html>", b"{", b'"\xff"', b"1 2", b"[" * 100_000]
    )
    def test_what_is_not_json_fails_the_task(self, payload: bytes) -> None:
        """No other attempt is made: the function would say it again."""
        fault = read_reply(FunctionReply(payload))
        assert not isinstance(fault, bytes)
        assert (fault.type, fault.retryable) == ("ResultNotSerializable", False)

    def test_a_result_over_the_limit_fails_the_task(self) -> None:
        """Lambda's own limit, for whoever does not keep it."""
        fault = read_reply(FunctionReply(b'"' + b"x" * PAYLOAD_LIMIT_BYTES + b'"'))
        assert not isinstance(fault, bytes)
        assert (fault.type, fault.retryable) == ("ResultTooLarge", False)


def said(**error: object) -> bytes:
    return json.dumps(error).encode()


class TestFailures:
    @pytest.mark.parametrize(
        ("payload", "kind", "message"),
        [
            (said(errorType="RangeError", errorMessage="no flows"), "RangeError", "no flows"),
            (
                said(errorType="Sandbox.Timedout", errorMessage="after 3.00 seconds"),
                "TaskTimeout",
                "after 3.00 seconds",
            ),
            (
                said(errorMessage="2026 id Task timed out after 3.00 seconds"),
                "TaskTimeout",
                "2026 id Task timed out after 3.00 seconds",
            ),
            (said(errorType="Runtime.ExitError", errorMessage="exit 1"), "TaskExited", "exit 1"),
            (
                said(errorType="Runtime.ExitError", errorMessage="signal: killed"),
                "TaskCrashed",
                "signal: killed",
            ),
            (
                said(errorType="Runtime.OutOfMemory", errorMessage="gone"),
                "TaskOutOfMemory",
                "gone",
            ),
            (said(errorMessage="no type"), "FunctionError", "no type"),
            (b"not json", "FunctionError", "not json"),
            (b"[1]", "FunctionError", "[1]"),
            (b"", "FunctionError", "the function failed and said nothing"),
        ],
    )
    def test_errors_keep_their_type_and_message(
        self, payload: bytes, kind: str, message: str
    ) -> None:
        """The user's own as they are, Lambda's in the words of every other worker."""
        fault = describe_failure(payload)
        assert (fault.type, fault.message, fault.retryable) == (kind, message, True)

    def test_an_answer_too_large_for_lambda_is_not_asked_for_again(self) -> None:
        """The function's answer would be as large."""
        fault = describe_failure(said(errorType="Function.ResponseSizeTooLarge", errorMessage="!"))
        assert (fault.type, fault.retryable) == ("ResultTooLarge", False)

    @pytest.mark.parametrize("name", ["stackTrace", "trace"])
    def test_the_remote_trace_is_kept(self, name: str) -> None:
        """One frame on each line, under the names that runtimes use."""
        fault = describe_failure(said(errorMessage="x", **{name: ["at a\n", "at b"]}))
        assert fault.traceback == "at a\nat b"

    def test_long_errors_are_cut(self) -> None:
        """A row of a list and a log line stay readable."""
        long = "x" * 100_000
        fault = describe_failure(said(errorType=long, errorMessage=long, stackTrace=[long]))
        assert max(len(fault.type), len(fault.message)) <= 1_100
        assert len(fault.traceback) <= 17_000


def test_a_caller_sees_behaviours_as_functions() -> None:
    """The memory caller calls a behaviour once for each call, not for each look at it."""
    calls: list[bytes] = []

    def counted(payload: bytes) -> tuple[float, FunctionReply]:
        calls.append(payload)
        return 1.0, FunctionReply(b"1")

    behaviour: Callable[[bytes], tuple[float, FunctionReply]] = counted
    Bench(behaviour).run(b"{}")
    assert calls == [b"{}"]
