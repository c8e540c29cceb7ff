"""ministack with its named faults corrected: `python -m stepgrid.local.corrected_ministack`.

The corrections that must be made inside the emulator's process; those of what it is given are in
`corrections`, those of API Gateway in `api_corrections`, of ECS in `ecs_corrections`, and that
of layers in `layer_corrections`. One function per fault, with what AWS does; nothing else of its
inside is touched. It also keeps the container agent, which runs ECS tasks.
tests/integration/test_local_corrections.py tells when a fault has been mended upstream.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from typing import Any

from ministack import app
from ministack.core import iam_actions, lambda_runtime
from ministack.services import cloudwatch_logs, cognito, lambda_svc, stepfunctions

from stepgrid.local.agent_keeper import start_keeper
from stepgrid.local.api_corrections import read_escaped_media_types, tell_where_clients_asked
from stepgrid.local.ecs_corrections import (
    end_tasks_as_the_agent_says,
    name_the_account_of_a_service,
    tell_of_clusters,
    wait_for_tasks_of_states,
)
from stepgrid.local.layer_corrections import unpack_layers_once

#: Seconds that every execution waits before its first state.
START_SLEEP = 0.15
#: The end of what a function of the emulator does for an invocation, and what it does here before.
SEND_ANSWER = "        _real_stdout.flush()\n\nrun()"
END_OF_LOG = "\x1eend of the log"
MARK_END = f"        print({END_OF_LOG!r}, file=sys.__stderr__, flush=True)\n"
DEATH_LOOK_SECONDS = 0.05


def take_loopback_for_secure() -> None:
    """Let policies that demand TLS be met by loopback.

    AWS: endpoints speak TLS, so a bucket policy with aws:SecureTransport lets signed calls pass.
    ministack 1.5.33: speaks plain HTTP, and the same policy denies every call to the bucket.
    """
    pin = app.pin_request_origin

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_as_secure


def follow_max_concurrency_path() -> None:
    """Let a Map take its concurrency from its input.

    AWS: MaxConcurrencyPath names the number in the state's input (Map state, both modes).
    ministack 1.5.33: ignores it and runs 64 iterations at once.
    """
    run_map_items = stepfunctions._run_map_items

    def run_with_path(state: dict[str, Any], given: Any, execution: Any, context: Any) -> Any:
        path = state.get("MaxConcurrencyPath")
        if path is not None:
            effective = stepfunctions._apply_input_path(state, given, context)
            most = stepfunctions._resolve_path_or_ctx(path, effective, context)
            state = {**state, "MaxConcurrency": most}
        return run_map_items(state, given, execution, context)

    stepfunctions._run_map_items = run_with_path


def start_executions_at_once() -> None:
    """Let an execution begin with its first state.

    AWS: an execution runs from the moment it is started; the first transition follows within
    milliseconds.
    ministack 1.5.33: sleeps 150 ms before the first state of each, a constant in its code.
    """
    code = stepfunctions._run_execution.__code__
    constants = tuple(0 if constant == START_SLEEP else constant for constant in code.co_consts)
    stepfunctions._run_execution.__code__ = code.replace(co_consts=constants)


def page_filtered_log_events() -> None:
    """Let a search of logs go on behind its first page.

    AWS: FilterLogEvents answers a nextToken while there is more.
    ministack 1.5.33: answers at most `limit` events and never says that there are others; it takes
    any token.
    """
    filter_log_events = cloudwatch_logs._filter_log_events

    def filter_a_page(data: dict[str, Any]) -> Any:
        token = str(data.get("nextToken", "0:0"))
        since, _, skipped = token.partition(":")
        if not (since.isdecimal() and skipped.isdecimal()):
            message = "The specified nextToken is invalid."
            return cloudwatch_logs.error_response_json("InvalidParameterException", message, 400)
        skip, limit = int(skipped), min(data.get("limit", 10_000), 10_000)
        asked = {**data, "limit": skip + limit + 1}
        asked["startTime"] = max(int(since), data.get("startTime", 0))
        status, headers, body = filter_log_events(asked)
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        events = answer["events"]
        answer["events"] = events[skip : skip + limit]
        if len(events) > skip + limit:
            last = events[skip + limit - 1]["timestamp"]
            same = sum(event["timestamp"] == last for event in events[: skip + limit])
            answer["nextToken"] = f"{last}:{same}"
        return status, headers, json.dumps(answer).encode()

    cloudwatch_logs._filter_log_events = filter_a_page


def name_handler_errors() -> None:
    """Let the error of a handler say its class and its trace.

    AWS: the payload of a failed invocation has errorType, the exception's class, and stackTrace
    (Python) or trace (Node.js).
    ministack 1.5.33: calls every exception Runtime.HandlerError; class and trace are in its log.
    """
    execute = lambda_svc._execute_function_warm

    def execute_and_tell(function: Any, event: Any, request_id: str) -> Any:
        result = execute(function, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict):
            result["body"] = tell_error(body, str(result.get("log", "")))
        return result

    lambda_svc._execute_function_warm = execute_and_tell


def tell_error(body: dict[str, Any], log: str) -> dict[str, Any]:
    """The payload of a failed invocation, with what the log adds; that ends with the trace."""
    message = str(body.get("errorMessage", ""))
    if body.get("errorType") != "Runtime.HandlerError" or not message:
        return body
    found = list(re.finditer(rf"^([A-Za-z_][\w.]*): {re.escape(message)}$", log, re.MULTILINE))
    if not found:
        return body
    error_type = found[-1][1].rpartition(".")[2]
    trace = log[max(log.rfind("Traceback (most recent", 0, found[-1].start()), 0) :]
    if "Traceback (most recent" not in trace:
        trace = log[found[-1].start() :]
    return {**body, "errorType": error_type, "stackTrace": trace.splitlines()}


def answer_when_the_handler_returns() -> None:
    """Let an invocation in Python take no longer than its handler.

    AWS: the answer leaves when the handler has returned; the log goes its own way (Runtime API,
    Telemetry API).
    ministack 1.5.33: then waits until the function has written nothing for 5 ms, and 50 ms if it
    logs nothing. Here the function marks the end of its log, and nobody waits longer.
    """
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    if script.count(SEND_ANSWER) != 1:
        raise RuntimeError("functions of this version of ministack answer in another way")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(SEND_ANSWER, MARK_END + SEND_ANSWER)
    drain = lambda_runtime.Worker._drain_stderr_bounded

    def drain_to_mark(worker: Any, **waits: float) -> str:
        in_python = str(worker.config.get("Runtime")).startswith("python")
        return "\n".join(_lines_before_mark(worker)) if in_python else str(drain(worker, **waits))

    lambda_runtime.Worker._drain_stderr_bounded = drain_to_mark


def _lines_before_mark(worker: Any) -> list[str]:
    """What an invocation wrote; a function that died in it has left no mark."""
    lines: list[str] = []
    while not lines or not lines[-1].endswith(END_OF_LOG):
        try:
            lines.append(worker._stderr_queue.get(timeout=DEATH_LOOK_SECONDS))
        except queue.Empty:
            if worker._proc is None or worker._proc.poll() is not None:
                return lines
    last = lines.pop().removesuffix(END_OF_LOG)
    return [*lines, last] if last else lines


def end_refresh_tokens() -> None:
    """Let a refresh token end when its life is over.

    AWS: after RefreshTokenValidity a refresh is refused (NotAuthorizedException).
    ministack 1.5.33: writes the end into the token, and never looks at it.
    """
    find_user = cognito._refresh_auth_user

    def find_user_in_time(pool: Any, pool_id: Any, client_id: Any, token: Any) -> Any:
        user, error = find_user(pool, pool_id, client_id, token)
        if error is None and cognito._token_claims(token).get("exp", 0) <= time.time():
            return None, cognito.error_response_json(
                "NotAuthorizedException", "Refresh Token has expired", 400
            )
        return user, error

    cognito._refresh_auth_user = find_user_in_time


def check_tokens_at_their_user_pool() -> None:
    """Give no AWS keys for the token of a user who was removed or signed out.

    AWS: with ServerSideTokenCheck the identity pool asks the user pool (NotAuthorizedException).
    ministack 1.5.33: keeps the setting, and takes every token that has not ended.
    """
    find_error = cognito._identity_logins_error

    def find_error_at_user_pool(pool: Any, identity_id: Any, logins: Any) -> Any:
        error = find_error(pool, identity_id, logins)
        checked = {
            provider["ProviderName"]
            for provider in pool.get("CognitoIdentityProviders") or []
            if str(provider.get("ServerSideTokenCheck")).lower() == "true"
        }
        if error is not None or not checked:
            return error
        tokens = [token for provider, token in logins.items() if provider in checked]
        if all(map(_token_holds, tokens)):
            return None
        return cognito.error_response_json("NotAuthorizedException", "Token is not valid", 400)

    cognito._identity_logins_error = find_error_at_user_pool


def _token_holds(token: str) -> bool:
    """Whether its user is there and it was not revoked."""
    claims = cognito._token_claims(token)
    pool = cognito._user_pools.get(str(claims.get("iss", "")).rpartition("/")[2]) or {}
    user = cognito._user_from_token(token, pool) if pool else None
    revoked = claims.get("origin_jti") in cognito._revoked_tokens
    return bool(user and user.get("Enabled", True) and not revoked)


def take_targets_for_their_rule() -> None:
    """Let a policy on a rule cover the rule's targets.

    AWS: events:PutTargets and events:RemoveTargets are authorized on the rule's ARN (service
    authorization reference of EventBridge).
    ministack 1.5.33: looks for the rule under another field's name, and asks for the bus instead.
    """
    extract = iam_actions.extract_resource_arn

    def extract_with_rule(
        service: str, method: str, path: str, headers: Any, body: Any, *rest: Any
    ) -> Any:
        found = extract(service, method, path, headers, body, *rest)
        target = str(headers.get("x-amz-target", ""))
        if service != "events" or not target.endswith((".PutTargets", ".RemoveTargets")):
            return found
        asked = json.loads(body)
        bus = str(asked.get("EventBusName", "default")).rpartition("/")[2]
        return f"{found.partition(':event-bus/')[0]}:rule/{bus}/{asked['Rule']}"

    iam_actions.extract_resource_arn = extract_with_rule


def take_batches_for_their_action() -> None:
    """Let the right to delete messages cover a batch of them.

    AWS: DeleteMessageBatch needs sqs:DeleteMessage; there is no action for the batch (service
    authorization reference of SQS).
    ministack 1.5.33: asks for sqs:DeleteMessageBatch.
    """
    extract = iam_actions.extract_iam_action

    def extract_single(*request: Any, **more: Any) -> Any:
        found = extract(*request, **more)
        return "sqs:DeleteMessage" if found == "sqs:DeleteMessageBatch" else found

    iam_actions.extract_iam_action = extract_single


def take_layers_for_their_versions() -> None:
    """Let the right to a layer version cover asking for it by its ARN.

    AWS: GetLayerVersionByArn needs lambda:GetLayerVersion on that version (service authorization
    reference of Lambda).
    ministack 1.5.33: asks for lambda:ListLayers on everything.
    """
    extract_action = iam_actions.extract_iam_action
    extract_resource = iam_actions.extract_resource_arn

    def extract_version_action(*request: Any, **more: Any) -> Any:
        asked = _layer_version_of(*request)
        return "lambda:GetLayerVersion" if asked else extract_action(*request, **more)

    def extract_version(*request: Any, **more: Any) -> Any:
        return _layer_version_of(*request) or extract_resource(*request, **more)

    iam_actions.extract_iam_action = extract_version_action
    iam_actions.extract_resource_arn = extract_version


def _layer_version_of(service: str, method: str, path: str, *rest: Any) -> str | None:
    """The ARN that GetLayerVersionByArn was asked for; None for every other request."""
    query = next((part for part in rest if isinstance(part, dict) and "find" in part), {})
    if service != "lambda" or not path.rstrip("/").endswith("/layers"):
        return None
    arn = query.get("Arn")
    return str(arn[0] if isinstance(arn, list) else arn) if arn else None


def main() -> None:
    take_loopback_for_secure()
    follow_max_concurrency_path()
    start_executions_at_once()
    page_filtered_log_events()
    name_handler_errors()
    answer_when_the_handler_returns()
    end_refresh_tokens()
    check_tokens_at_their_user_pool()
    take_targets_for_their_rule()
    take_batches_for_their_action()
    take_layers_for_their_versions()
    unpack_layers_once()
    read_escaped_media_types()
    tell_where_clients_asked()
    name_the_account_of_a_service()
    end_tasks_as_the_agent_says()
    wait_for_tasks_of_states()
    cluster_made = threading.Event()
    tell_of_clusters(cluster_made.set)
    start_keeper(cluster_made, os.environ)
    app.main()


if __name__ == "__main__":
    main()
