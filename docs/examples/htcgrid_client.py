"""A client as HTC-Grid's API reference describes it: it knows nothing of stepgrid.

    AGENT_CONFIG_FILE=.stepgrid/agent_config.json python docs/examples/htcgrid_client.py

The worker is HTC-Grid's mock computation, which sleeps for the milliseconds of its first argument
and returns them. `--init` constructs the connector as HTC-Grid's own example clients do.
"""

import json
import os
import sys
from typing import Any

from api.connector import AWSConnector


def connect(config: dict[str, Any], by_init: bool) -> AWSConnector:
    """A connector that has logged in, constructed in one of the two ways."""
    if by_init:
        connector = AWSConnector()
        username, password = os.environ.get("USERNAME", ""), os.environ.get("PASSWORD", "")
        connector.init(config, username=username, password=password)
    else:
        connector = AWSConnector(client_config_data=config)
    connector.authenticate()
    return connector


def compute(connector: AWSConnector) -> None:
    """Send tasks, wait for them, and take their outputs."""
    milliseconds = [30, 10, 20]
    submitted = connector.send([{"worker_arguments": [str(ms), "1", "1"]} for ms in milliseconds])
    print("session", submitted["session_id"], "of", len(submitted["task_ids"]), "tasks")

    results = connector.get_results(submitted, timeout_sec=60)
    for task_id, output in zip(results["finished"], results["finished_OUTPUT"], strict=True):
        print("finished", task_id, output)
    assert results["finished"] == submitted["task_ids"]
    assert results["finished_OUTPUT"] == [str(ms) for ms in milliseconds]
    assert results["metadata"] == {"tasks_in_response": 3}


def cancel(connector: AWSConnector) -> None:
    """Send a task that takes long, and cancel it."""
    submitted = connector.send([{"worker_arguments": ["60000", "1", "1"]}])
    session_id = submitted["session_id"]
    counts = connector.cancel_sessions([session_id])[session_id]
    print("cancelled", counts)
    assert counts["total_cancelled_tasks"] == 1

    results = connector.get_results(submitted, timeout_sec=60)
    assert results["cancelled"] == submitted["task_ids"]
    assert results["finished"] == results["failed"] == []


def main(by_init: bool) -> None:
    with open(os.environ["AGENT_CONFIG_FILE"], encoding="utf-8") as file:
        config = json.load(file)
    connector = connect(config, by_init)
    compute(connector)
    cancel(connector)


if __name__ == "__main__":
    main(by_init="--init" in sys.argv[1:])
