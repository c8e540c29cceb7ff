"""The tasks of HTCGridClient: what of them goes to the worker, and what asks for a way to run.

    {"runtime": "quantlib", "payload": {...}, "timeout": 300, "memory": 1024,
     "retry_count": 3, "priority": "high"}

The worker's function gets the payload as its event. The rest holds for the whole session, because
a session has one worker and one set of options: tasks that differ in it are refused, not guessed
at. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from stepgrid_core.contract import WorkerDescription
from stepgrid_core.errors import InvalidRequest

from ..options import Options
from .jobs import read_attempts

SETTINGS = ("runtime", "timeout", "memory", "retry_count", "priority")
#: HTC-Grid's words for the grid's numbers, 0 to 9; its default, 4, is "normal".
PRIORITIES = {"lowest": 0, "low": 2, "normal": 4, "medium": 4, "high": 7, "highest": 9}
#: A runtime that only says which language the worker is written in does not say which worker.
LANGUAGES = frozenset({"python", "python3", "java", "c++", "cpp", "node", "nodejs"})


@dataclass(frozen=True, slots=True)
class Batch:
    """The tasks of one submit, taken apart."""

    #: as they come; InvalidRequest for a task that has none, or other settings than the first
    payloads: Iterator[Any]
    #: what all of them ask for, by the names in SETTINGS; those that none has are left out
    settings: dict[str, Any]


def read_tasks(tasks: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]) -> Batch:
    """Take tasks apart; defaults: settings of those that don't say otherwise.

    Raises InvalidRequest that names the task: no payload, an unknown key, or no task at all; for
    those after the first, when it is their turn.
    """
    if isinstance(tasks, str | bytes | Mapping) or not isinstance(tasks, Iterable):
        raise InvalidRequest(f"tasks is a {type(tasks).__name__}; give a list of tasks")
    rest = iter(tasks)
    try:
        first = next(rest)
    except StopIteration:
        raise InvalidRequest("a session needs at least one task") from None
    settings = _settings(0, first, defaults)
    return Batch(_payloads(chain([first], rest), defaults, settings), settings)


def _payloads(
    tasks: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any], agreed: Mapping[str, Any]
) -> Iterator[Any]:
    for index, task in enumerate(tasks):
        settings = _settings(index, task, defaults)
        if settings != agreed:
            raise InvalidRequest(_difference(index, settings, agreed))
        yield task["payload"]


def _settings(index: int, task: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    _check(index, task)
    return {**_said(defaults), **_said(task)}


def read_options(settings: Mapping[str, Any]) -> Options:
    """The session's options. Raises InvalidRequest."""
    options: Options = {}
    if "timeout" in settings:
        options["task_timeout_seconds"] = settings["timeout"]
    if "retry_count" in settings:
        options["max_attempts"] = read_attempts(settings["retry_count"])
    if "priority" in settings:
        options["priority"] = read_priority(settings["priority"])
    return options


def read_priority(priority: Any) -> int:
    """The grid's number for a word, or the number itself. Raises InvalidRequest."""
    number = PRIORITIES.get(priority.lower(), -1) if isinstance(priority, str) else priority
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 9:
        raise InvalidRequest(
            f"priority is {priority!r}; give one of {', '.join(PRIORITIES)}, or 0 to 9"
        )
    return number


def pick_worker(
    runtime: str | None, workers: Sequence[WorkerDescription], default: str | None
) -> WorkerDescription:
    """The worker of the runtime's name; the default where there is none, or only a language.

    Raises InvalidRequest, which lists the workers.
    """
    by_name = {worker.name: worker for worker in workers}
    if runtime is not None and runtime not in by_name and str(runtime).lower() in LANGUAGES:
        runtime = None
    name = runtime or default
    if name in by_name:
        return by_name[name]
    what = f"runtime {runtime!r} is no worker of this grid" if name else "no worker is chosen"
    raise InvalidRequest(
        f"{what}; there are {', '.join(sorted(by_name))}: name one as the tasks' runtime, or as "
        "stepgrid_worker in the configuration"
    )


def check_memory(memory: Any, worker: WorkerDescription) -> None:
    """A Lambda function's memory is its own, not its task's. Raises InvalidRequest for more."""
    if memory is None:
        return
    if not isinstance(memory, int) or isinstance(memory, bool) or memory < 1:
        raise InvalidRequest(f"memory is {memory!r}; give a whole number of MB")
    if memory > worker.memory_mib:
        raise InvalidRequest(
            f"a task asks for {memory} MB of memory, and worker {worker.name!r} has "
            f"{worker.memory_mib}; give the worker more (MemorySize in template.yaml), or choose "
            "another"
        )


def _check(index: int, task: Any) -> None:
    if not isinstance(task, Mapping) or "payload" not in task:
        raise InvalidRequest(
            f"task {index} has no payload; a task is "
            '{"payload": ..., and what it needs of ' + ", ".join(SETTINGS) + "}"
        )
    unknown = [str(key) for key in task if key not in ("payload", *SETTINGS)]
    if unknown:
        raise InvalidRequest(
            f"task {index} has {unknown[0]!r}, which is not known; what the worker is to get "
            f"belongs into its payload, and beside that there are {', '.join(SETTINGS)}"
        )


def _said(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in SETTINGS if settings.get(name) is not None}


def _difference(index: int, settings: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    name = next(name for name in SETTINGS if settings.get(name) != first.get(name))
    return (
        f"task {index} has {name} {settings.get(name)!r}, and task 0 has {first.get(name)!r}: a "
        "session runs all its tasks alike; submit those that differ as another session"
    )
