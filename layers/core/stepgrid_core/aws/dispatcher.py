"""Dispatcher on Step Functions and Lambda.

A worker is any function whose name is the stack's worker prefix and the worker's name: deploying
one is all that is needed to make it known.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from ..errors import Unavailable
from ..invocation import facts_of
from ..names import execution_name
from ..ports import Dispatch, ExecutionState, Worker
from ..records import Session
from ..settings import Settings
from .translate import code_of, make_client, translated

#: A deployed worker is found at once; a changed or removed one after so many seconds.
CACHE_SECONDS = 60.0


class AwsDispatcher:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
                    input=json.dumps(_execution_input(dispatch)),
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
            if code_of(error) != "ExecutionDoesNotExist":
                raise

    def _is_burst(self, session: Session) -> bool:
        return session.route == "burst" and session.dispatches == 1

    def locate(self, session: Session) -> str:
        machine = self._machine(session.route, session.dispatches)
        name = execution_name(session.session_id, session.dispatches)
        kind = ":express:" if self._is_burst(session) else ":execution:"
        return f"{machine.replace(':stateMachine:', kind)}:{name}"

    def wake(self, worker: str) -> None:
        """An asynchronous call: Lambda queues it, repeats it, and answers at once."""
        with translated(f"queue of worker {worker}"):
            self._lambda.invoke(
                FunctionName=self._settings.recorder_function,
                InvocationType="Event",
                Payload=json.dumps({"action": "admit", "worker": worker}),
            )

    def find_worker(self, name: str) -> Worker | None:
        known = self._known.get(name)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        try:
            with translated(f"worker {name}"):
                answer = self._lambda.get_function_configuration(
                    FunctionName=self._settings.worker_prefix + name
                )
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        worker = self._worker(answer)
        self._known[name] = (time.monotonic() + CACHE_SECONDS, worker)
        return worker

    def list_workers(self) -> list[Worker]:
        prefix = self._settings.worker_prefix
        with translated("workers"):
            pages = list(self._lambda.get_paginator("list_functions").paginate())
        functions = [function for page in pages for function in page["Functions"]]
        found = [self._worker(f) for f in functions if f["FunctionName"].startswith(prefix)]
        return sorted(found, key=lambda worker: worker.name)

    def _worker(self, function: dict[str, Any]) -> Worker:
        return Worker(
            name=function["FunctionName"].removeprefix(self._settings.worker_prefix),
            function=function["FunctionName"],
            timeout_seconds=function["Timeout"],
            memory_mib=function["MemorySize"],
        )


def _execution_input(dispatch: Dispatch) -> dict[str, Any]:
    chunks: list[Any] = list(dispatch.chunks)
    if dispatch.session.route == "burst" and dispatch.number == 1:
        lines: Sequence[str | None] = dispatch.lines or [None] * len(chunks)
        chunks = [
            {"chunk": chunk, "lines": text} for chunk, text in zip(chunks, lines, strict=True)
        ]
    return {
        "session": facts_of(dispatch.session).as_dict(),
        "chunks": chunks,
        "max_concurrency": dispatch.session.concurrency,
    }
