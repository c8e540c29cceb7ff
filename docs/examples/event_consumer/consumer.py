"""Does something once for every session that ends; here it writes a line into its log.

Events come at least once, so each is noted under its `event_id`, and one that is known is dropped.
Whoever does more than write a line makes that safe to repeat, or does it before the note.
"""

import json
import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

#: Put an item unless its key is taken; False if it is.
Remember = Callable[[str, int], bool]
KEPT_SECONDS = 86_400


def handle(event: dict[str, Any], remember: Remember, now: float) -> str | None:
    """What is to be said of a session that ended; None if it was said before."""
    detail = event["detail"]
    if not remember(detail["event_id"], int(now) + KEPT_SECONDS):
        return None
    counts = detail["counts"]
    seconds = detail["timings"]["closed_at"] - detail["timings"]["created_at"]
    name = detail["name"] or detail["session_id"]
    return (
        f"{name}: {detail['kind']} after {seconds:.1f} s, "
        f"{counts['finished']} of {detail['tasks']} tasks have a result"
    )


def handler(event: dict[str, Any], context: object) -> None:
    said = handle(event, _remember, time.time())
    if said is not None:
        print(json.dumps({"message": said, "session_id": event["detail"]["session_id"]}))


def _remember(event_id: str, expires_at: int) -> bool:
    table = _table()
    try:
        table.put_item(
            Item={"event_id": event_id, "expires_at": expires_at},
            ConditionExpression="attribute_not_exists(event_id)",
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return False
    return True


@cache
def _table() -> Any:
    import boto3  # noqa: PLC0415 - in Lambda it is there; the tests of `handle` do without

    return boto3.resource("dynamodb").Table(os.environ["TABLE"])
