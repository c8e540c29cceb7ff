"""Dispatcher on Step Functions and Lambda.

A package worker is any function whose name is the stack's worker prefix and the worker's name:
deploying one is all that is needed to make it known. Any other name may be that of a registered
function; where both exist the package wins.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from ..container_sizes import choose_size, default_size
from ..contract import ContainerOptions
from ..errors import Unavailable
from ..invocation import facts_of
from ..names import execution_name
from ..ports import Dispatch, ExecutionState, Worker, WorkerRegistry, registered_worker
from ..records import ContainerSize, Session
from ..settings import Settings
from .translate import code_of, make_client, translated

#: A deployed worker is found at once; a changed or removed one after so many seconds.
CACHE_SECONDS = 60.0
#: It was never started, or it has ended by itself: for some Step Functions, an error.
_NOTHING_TO_STOP = ("ExecutionDoesNotExist", "ValidationException")


class AwsDispatcher:
    def __init__(self, settings: Settings, registry: WorkerRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._states = make_client("stepfunctions")
        self._lambda = make_client("lambda")
        self._known: dict[str, tuple[float, Worker]] = {}

    def start(self, dispatch: Dispatch) -> None:
        session = dispatch.session
        try:
            with translated(f"execution of session {session.session_id}"):
                self._states.start_execution(
                    stateMachineArn=self._machine(session.route, dispatch.number),
                    name=execution_name(session.session_id, dispatch.number),
                    # At most 256 KiB of UTF-8, so nothing is escaped that need not be.
                    input=json.dumps(execution_input(dispatch), ensure_ascii=False),
                )
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise

    def _machine(self, route: str, number: int) -> str:
        """Only the first try of a burst is one; what is left of it goes through the Map."""
        burst = route == "burst" and number == 1
        return self._settings.burst_machine_arn if burst else self._settings.session_machine_arn

    def look(self, session: Session) -> ExecutionState:
        if self._is_burst(session):
            return ExecutionState.UNKNOWN
        try:
            with translated(f"execution of session {session.session_id}"):
                answer = self._states.describe_execution(executionArn=self.locate(session))
        except ClientError as error:
            if code_of(error) != "ExecutionDoesNotExist":
                raise
            return ExecutionState.ABSENT
        running = answer["status"] in ("RUNNING", "PENDING_REDRIVE")
        return ExecutionState.RUNNING if running else ExecutionState.ENDED

    def stop(self, session: Session) -> None:
        if self._is_burst(session):
            return  # an EXPRESS execution can't be stopped; its chunks are over already
        try:
            with translated(f"execution of session {session.session_id}"):
                self._states.stop_execution(
                    executionArn=self.locate(session), error="stepgrid.Cancelled"
                )
        except Unavailable:
            return
        except ClientError as error:
            if code_of(error) not in _NOTHING_TO_STOP:
                raise

    def _is_burst(self, session: Session) -> bool:
        return session.route == "burst" and session.dispatches == 1

    def locate(self, session: Session) -> str:
        machine = self._machine(session.route, session.dispatches)
        name = execution_name(session.session_id, session.dispatches)
        kind = ":express:" if self._is_burst(session) else ":execution:"
        return f"{machine.replace(':stateMachine:', kind)}:{name}"

    def wake(self, worker: str) -> None:
        self._tell_recorder(f"queue of worker {worker}", action="admit", worker=worker)

    def release(self, session_id: str) -> None:
        what = f"dependents of session {session_id}"
        self._tell_recorder(what, action="release", session_id=session_id)

    def _tell_recorder(self, what: str, **event: str) -> None:
        """An asynchronous call: Lambda queues it, repeats it, and answers at once."""
        with translated(what):
            self._lambda.invoke(
                FunctionName=self._settings.recorder_function,
                InvocationType="Event",
                Payload=json.dumps(event),
            )

    def find_worker(self, name: str) -> Worker | None:
        known = self._known.get(name)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        worker = self._find_package(name) or self._find_registered(name)
        if worker is not None:
            self._known[name] = (time.monotonic() + CACHE_SECONDS, worker)
        return worker

    def _find_package(self, name: str) -> Worker | None:
        try:
            with translated(f"worker {name}"):
                answer = self._lambda.get_function_configuration(
                    FunctionName=self._settings.worker_prefix + name
                )
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        return self._package(answer)

    def _find_registered(self, name: str) -> Worker | None:
        if not self._settings.relay_function:
            return None
        registration = self._registry.read(name)
        if registration is None:
            return None
        return registered_worker(registration, self._settings.relay_function)

    def list_workers(self) -> list[Worker]:
        with translated("workers"):
            pages = list(self._lambda.get_paginator("list_functions").paginate())
        functions = [function for page in pages for function in page["Functions"]]
        packages = [self._package(f) for f in functions if self._is_package(f["FunctionName"])]
        names = {worker.name for worker in packages}
        others = [worker for worker in self._registered() if worker.name not in names]
        return sorted([*packages, *others], key=lambda worker: worker.name)

    def _registered(self) -> list[Worker]:
        relay = self._settings.relay_function
        if not relay:
            return []
        return [registered_worker(one, relay) for one in self._registry.list_registered()]

    def _is_package(self, function: str) -> bool:
        """Replicas of a worker are none of their own."""
        prefix = self._settings.worker_prefix
        return function.startswith(prefix) and "_" not in function.removeprefix(prefix)

    def _package(self, function: dict[str, Any]) -> Worker:
        name = function["FunctionName"].removeprefix(self._settings.worker_prefix)
        return Worker(
            name=name,
            function=function["FunctionName"],
            timeout_seconds=function["Timeout"],
            memory_mib=function["MemorySize"],
            runtime=function.get("Runtime", ""),
            replicas=_replicas(function),
            architecture=_architecture(function),
            container=_container(function) if self._settings.fargate else None,
            on_lambda=_said(function, "STEPGRID_BACKENDS") != "fargate",
        )


def _said(function: dict[str, Any], name: str, default: str = "") -> str:
    """What its environment says: whoever deploys it sets that."""
    return str(function.get("Environment", {}).get("Variables", {}).get(name, default))


def _architecture(function: dict[str, Any]) -> str:
    return str(next(iter(function.get("Architectures") or ["x86_64"])))


def _container(function: dict[str, Any]) -> ContainerSize | None:
    """A package in Python can run in a container; how large one is, it may say itself."""
    if not str(function.get("Runtime", "")).startswith("python"):
        return None
    size = default_size(_architecture(function))
    said = _said(function, "STEPGRID_CONTAINER")
    return choose_size(size, ContainerOptions.model_validate_json(said)) if said else size


def _replicas(function: dict[str, Any]) -> int:
    said = _said(function, "STEPGRID_REPLICAS", "1")
    return max(1, int(said)) if said.isascii() and said.isdigit() else 1


def execution_input(dispatch: Dispatch) -> dict[str, Any]:
    """What the execution is given: the session's facts, and the items of its Map."""
    chunks: list[Any] = list(dispatch.chunks)
    if dispatch.session.route == "burst" and dispatch.number == 1:
        lines: Sequence[str | None] = dispatch.lines or [None] * len(chunks)
        chunks = [
            {"chunk": chunk, "lines": text} for chunk, text in zip(chunks, lines, strict=True)
        ]
    session = dispatch.session
    if session.container is not None:
        # Containers are started, and take chunks as they ask for them: their numbers mean nothing.
        chunks = list(range(session.containers_for(len(chunks))))
    return {
        "session": facts_of(session).as_dict(),
        "chunks": chunks,
        "max_concurrency": len(chunks) if session.container else session.concurrency,
    }
