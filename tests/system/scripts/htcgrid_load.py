"""One of several client processes at once: sessions through HTC-Grid's connector, all checked.

    htcgrid_load.py CLIENT SESSIONS TASKS

All sessions are sent before the first result is asked for. Every task has an argument of its own
place, and its output must equal it. Prints how long it took, and how many were checked.
"""

import json
import os
import sys
import time

from api.connector import AWSConnector


def arguments(client: int, session: int, tasks: int) -> list[str]:
    """Milliseconds to sleep: in another order for each session of each client."""
    return [str((7 * client + 3 * session + task) % 20) for task in range(tasks)]


def main(client: int, sessions: int, tasks: int) -> None:
    with open(os.environ["AGENT_CONFIG_FILE"], encoding="utf-8") as file:
        connector = AWSConnector(client_config_data=json.load(file))
    connector.authenticate()
    started = time.monotonic()
    wanted = [arguments(client, session, tasks) for session in range(sessions)]
    submitted = [
        connector.send([{"worker_arguments": [text, "1", "1"]} for text in texts])
        for texts in wanted
    ]
    sent = time.monotonic()
    checked = 0
    for submission, texts in zip(submitted, wanted, strict=True):
        results = connector.get_results(submission)
        assert results["finished"] == submission["task_ids"], results
        assert results["finished_OUTPUT"] == texts, results
        checked += len(texts)
    ended = time.monotonic()
    print(f"client {client}: sent in {sent - started:.1f} s, all ended {ended - sent:.1f} s later")
    print(f"checked {checked} outputs")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
