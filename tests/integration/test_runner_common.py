"""The common input of a session, as user code in the child sees it."""

import json
from typing import Any

from stepgrid_core.ports import CommonInput
from stepgrid_core.runner import Runner

from .runner_bench import MIB, RunnerMaker, do, read_fault, run


def common(value: Any, session_id: str = "ses") -> CommonInput:
    return CommonInput(session_id, json.dumps(value).encode())


def ask(runner: Runner, shared: CommonInput | None) -> Any:
    """What a task finds as context.common."""
    (outcome,) = run(runner, do("common"), common=shared)
    assert outcome.result is not None
    return json.loads(outcome.result)


def test_a_task_reads_it(make_runner: RunnerMaker) -> None:
    """As it was given, also when it is much larger than a pipe."""
    runner = make_runner()
    assert ask(runner, common({"EUR": 1.08})) == {"EUR": 1.08}
    large = ["x" * MIB] * 3
    assert ask(runner, common(large, "other")) == large


def test_it_is_decoded_once(make_runner: RunnerMaker) -> None:
    """All tasks of the session get the same object, over batches: it was not sent again."""
    runner = make_runner()
    shared = common({"EUR": 1.08})
    outcomes = [*run(runner, *[do("common_id")] * 3, common=shared)]
    outcomes += run(runner, do("common_id"), common=shared)
    assert len({outcome.result for outcome in outcomes}) == 1


def test_each_session_has_its_own(make_runner: RunnerMaker) -> None:
    """Also one that has none, and one that comes back."""
    runner = make_runner()
    first, second = common([1], "first"), common([2], "second")
    found = [ask(runner, shared) for shared in (first, second, None, first)]
    assert found == [[1], [2], None, [1]]


def test_a_new_child_is_told_again(make_runner: RunnerMaker) -> None:
    """A task that kills its process takes nothing from its neighbours."""
    lines = [do("common"), do("hard_exit", code=1), do("common")]
    first, _, last = run(make_runner(), *lines, common=common([1]))
    assert (first.result, last.result) == (b"[1]", b"[1]")


def test_what_is_not_json_fails_only_who_asks(make_runner: RunnerMaker) -> None:
    """Tasks that do not read it are not hurt."""
    broken = CommonInput("ses", b"{")
    good, bad, again = run(make_runner(), do("now"), do("common"), do("common"), common=broken)
    assert good.fault is None
    for outcome in (bad, again):
        kind, message, _ = read_fault(outcome)
        assert kind == "InputError"
        assert message.startswith("The session's common input is not JSON")


def test_what_does_not_fit_in_memory_fails_the_tasks(make_runner: RunnerMaker) -> None:
    """Each for that reason; and the runner is good for the next session."""
    runner = make_runner(memory_limit_bytes=48 * MIB)
    huge = CommonInput("ses", b"0" * 64 * MIB)
    outcomes = run(runner, do("now"), do("now"), common=huge)
    assert [read_fault(outcome)[0] for outcome in outcomes] == ["TaskOutOfMemory"] * 2
    assert ask(runner, common([1], "other")) == [1]
