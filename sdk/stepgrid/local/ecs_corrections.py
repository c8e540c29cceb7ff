"""Named faults of ministack's ECS, and of Step Functions where it runs ECS tasks, corrected.

Made inside the emulator's process by `corrected_ministack`; one function per fault, with what AWS
does. tests/integration/test_emulator_states.py tells when a fault has been mended upstream.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import ecs, stepfunctions

LOOK_SECONDS = 0.2

#: Of a task: an agent has told that it runs there.
_TAKEN = "_taken_by_agent"

#: The execution whose state runs in this thread.
_execution: ContextVar[Mapping[str, Any] | None] = ContextVar("execution", default=None)


def tell_of_clusters(made: Callable[[], object]) -> None:
    """Call `made` with every new cluster, so that somebody runs its tasks.

    AWS: Fargate runs the containers of a task.
    ministack 1.5.33: hands them to Docker; without it a task is RUNNING for ever, and nothing runs.
    """
    put = ecs._put_cluster

    def put_and_tell(asked: dict[str, Any]) -> Any:
        cluster = put(asked)
        made()
        return cluster

    ecs._put_cluster = put_and_tell


def name_the_account_of_a_service() -> None:
    """Let a role that a service assumes ask for which account it does so.

    AWS: the request bears aws:SourceAccount (ECS developer guide, "Task IAM role": the trust policy
    that guards against confused deputies has it).
    ministack 1.5.33: the root's key stands for every service, and its request has no such key.
    """
    evaluate = iam_evaluator.evaluate_trust_policy

    def evaluate_with_account(trust: Any, caller_arn: str, context: Any = None) -> bool:
        if context is not None and context.principal_type == "Root":
            account = {"aws:sourceaccount": context.principal_account}
            context = replace(context, service_context={**context.service_context, **account})
        return bool(evaluate(trust, caller_arn, context))

    iam_evaluator.evaluate_trust_policy = evaluate_with_account


def end_tasks_as_the_agent_says() -> None:
    """Let SubmitTaskStateChange say when a task runs, and how it ended.

    AWS: the container agent tells so. A task that StopTask stops is STOPPING until its containers
    have ended, which may take as long as their stop timeout, and STOPPED only then.
    ministack 1.5.33: acknowledges it, and changes nothing. StopTask makes a task STOPPED at once,
    with exit code 0 for containers that go on. Here it does so only where no agent has the task.
    """
    mark_stopped = ecs._mark_task_stopped

    def mark_without_code(
        arn: str, task: Any, reason: str, stop_code: str, exit_code: int | None = None
    ) -> Any:
        if stop_code != "UserInitiated":
            return mark_stopped(arn, task, reason, stop_code, exit_code)
        if not task.get(_TAKEN):
            return mark_stopped(arn, task, reason, stop_code, None)
        if task["desiredStatus"] != "STOPPED":
            stopping = {"desiredStatus": "STOPPED", "lastStatus": "STOPPING"}
            task.update(stopping, stopCode=stop_code, stoppedReason=reason)
        return True

    ecs._mark_task_stopped = mark_without_code
    ecs._submit_task_state_change = _submit
    ecs._ACTION_MAP["SubmitTaskStateChange"] = _submit


def _submit(asked: dict[str, Any]) -> Any:
    cluster = ecs._resolve_cluster_name(asked.get("cluster", "default"))
    task = ecs._resolve_task(asked.get("task", ""), cluster)
    if task is None:
        message = "The referenced task was not found."
        return ecs.error_response_json("InvalidParameterException", message, 400)
    if asked.get("status") == "STOPPED":
        _stop_as_told(task, asked)
    elif asked.get("status") == "RUNNING":
        task[_TAKEN] = True
    return ecs.json_response({"acknowledgment": "ACCEPT"})


def _stop_as_told(task: dict[str, Any], asked: Mapping[str, Any]) -> None:
    told = {found["containerName"]: found for found in asked.get("containers") or []}
    if task["lastStatus"] == "STOPPED" and task["stopCode"] != "UserInitiated":
        return
    for container in task["containers"]:
        found = told.get(container["name"], {})
        container["exitCode"] = found.get("exitCode")
        if found.get("reason"):
            container["reason"] = found["reason"]
    started = any("exitCode" in found for found in told.values())
    stop_code = "EssentialContainerExited" if started else "TaskFailedToStart"
    reason = asked.get("reason", "")
    if task["lastStatus"] == "STOPPING":
        stop_code, reason = task["stopCode"], task["stoppedReason"]
        task.update({"desiredStatus": "RUNNING", "lastStatus": "RUNNING", _TAKEN: False})
    ecs._mark_task_stopped(task["taskArn"], task, reason, stop_code)


def wait_for_tasks_of_states() -> None:
    """Let a state that runs a task wait for its end, and fail with it.

    AWS: ecs:runTask.sync waits as long as the task runs. It answers the task, with names in
    PascalCase; it fails with States.TaskFailed, and the task as the cause, if a container ended
    with another code than 0, or the task did not start. A stopped execution stops its task.
    ministack 1.5.33: gives up after 10 minutes with States.Timeout, looks once a second, answers a
    list as DescribeTasks does, and succeeds however the task ended. A stopped execution is not
    looked at.
    """
    execute = stepfunctions._execute_task

    def execute_known(state: Any, given: Any, execution: Any, context: Any) -> Any:
        token = _execution.set(execution)
        try:
            return execute(state, given, execution, context)
        finally:
            _execution.reset(token)

    stepfunctions._execute_task = execute_known
    stepfunctions._poll_ecs_tasks = _await_tasks


def _await_tasks(cluster: str, arns: list[str]) -> Any:
    while True:
        _, _, body = ecs._describe_tasks({"cluster": cluster, "tasks": arns})
        tasks = json.loads(body).get("tasks", [])
        if len(tasks) < len(arns):
            raise stepfunctions._ExecutionError("States.TaskFailed", "the task is not known to ECS")
        if all(task["lastStatus"] == "STOPPED" for task in tasks):
            return _outcome(tasks)
        if not _is_running(_execution.get()):
            for arn in arns:
                reason = "The execution that ran the task has ended"
                ecs._stop_task({"cluster": cluster, "task": arn, "reason": reason})
            raise stepfunctions._ExecutionError("States.TaskFailed", "the execution has ended")
        time.sleep(LOOK_SECONDS)


def _is_running(execution: Mapping[str, Any] | None) -> bool:
    """Whether this execution runs, and the one whose Map it is an item of."""
    if execution is None:
        return True
    run = stepfunctions._map_runs.get(execution.get("mapRunArn", ""))
    parent = stepfunctions._executions.get(run["executionArn"]) if run else None
    return execution["status"] == "RUNNING" and _is_running(parent)


def _outcome(tasks: list[dict[str, Any]]) -> Any:
    answers = [as_states_answer(task) for task in tasks]
    for task, answer in zip(tasks, answers, strict=True):
        if failed(task):
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(answer))
    return answers[0] if len(answers) == 1 else {"Tasks": answers, "Failures": []}


def failed(task: Mapping[str, Any]) -> bool:
    """Whether a stopped task fails its state.

    One that StopTask stopped counts as failed, whatever its containers made of the SIGTERM.
    """
    codes = [container.get("exitCode") for container in task["containers"]]
    return task.get("stopCode") != "EssentialContainerExited" or any(codes)


def as_states_answer(found: Any) -> Any:
    """An answer of ECS as Step Functions gives it: PascalCase, times in milliseconds."""
    if isinstance(found, list):
        return [as_states_answer(item) for item in found]
    if not isinstance(found, dict):
        return found
    return {
        name[:1].upper() + name[1:]: _time_ms(value)
        if name.endswith("At") and isinstance(value, str)
        else as_states_answer(value)
        for name, value in found.items()
    }


def _time_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
