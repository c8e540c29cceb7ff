"""The nodes of one organization: vantage6's NodeClient, unmodified, and its sockets.

Arguments: the origin of the server, the path of its API, a private key's file (made if it is not
there), and for each node `api key=collaboration`. What is heard is said; "hold" is an algorithm
that ends when the test releases it, or the run is killed.
"""

import datetime
import json
import queue
import sys
import threading
from pathlib import Path

import socketio
from speech import lines, say
from vantage6.common.client.node_client import NodeClient
from vantage6.common.encryption import RSACryptor

origin, path, key_file, *places = sys.argv[1:]
NAMESPACE = "/tasks"


class Node:
    def __init__(self, api_key, collaboration):
        self.collaboration = collaboration
        self.client = NodeClient(origin, None, path)
        self.client.authenticate(api_key)
        self.encrypted = self.client.is_encrypted_collaboration()
        self.client.setup_encryption(key_file if self.encrypted else None)
        self.todo = queue.Queue()
        self.seen = set()
        self.held = {}
        self.socket = socketio.Client(handle_sigint=False, request_timeout=60)
        self.socket.on("*", self.hear, namespace=NAMESPACE)

    def start(self):
        self.socket.connect(
            origin,
            headers=self.client.headers,
            namespaces=[NAMESPACE],
            socketio_path=path.removesuffix("/api") + "/socket.io",
            wait_timeout=60,
        )
        threading.Thread(target=self.work, daemon=True).start()

    def hear(self, event, data=None):
        say(heard=event, data=data, collaboration=self.collaboration)
        if event == "sync":
            self.todo.put(None)
        if event == "new_task":
            self.todo.put(data["id"])
        if event == "kill_containers":
            for each in data.get("kill_list", ()):
                self.held.get(each["run_id"], threading.Event()).set()

    def work(self):
        while True:
            for run in self.open_runs(self.todo.get()):
                if run["id"] not in self.seen:
                    self.seen.add(run["id"])
                    threading.Thread(target=self.do, args=(run,), daemon=True).start()

    def open_runs(self, task_id):
        try:
            return self.client.run.list(state="open", include_task=True, task_id=task_id)
        except ValueError as error:  # an input that is not as vantage6 writes it
            say(unreadable=task_id, reason=str(error))
            return []

    def do(self, run):
        task = run["task"]
        self.held[run["id"]] = threading.Event()
        self.client.set_task_start_time(run["id"])
        self.tell(run, "active")
        container = self.client.request_token_for_container(task["id"], task["image"])
        message = json.loads(run["input"])
        say(began=run["id"], method=message["method"], container=sorted(container))
        if message["method"] == "hold":
            self.held[run["id"]].wait()
        answer = {"at": self.client.whoami.organization_name, "kwargs": message["kwargs"]}
        status = "crashed" if message["method"] == "crash" else "completed"
        ended = {
            "result": json.dumps(answer).encode(),
            "log": f"log of run {run['id']}",
            "status": status,
            "finished_at": datetime.datetime.now(datetime.UTC).isoformat(),
        }
        self.client.run.patch(run["id"], ended, init_org_id=task["init_org"]["id"])
        self.tell(run, status)
        say(ended=run["id"])

    def tell(self, run, status):
        told = {"run_id": run["id"], "task_id": run["task"]["id"], "status": status}
        self.socket.emit("algorithm_status_change", told, namespace=NAMESPACE)


if not Path(key_file).exists():
    RSACryptor.create_new_rsa_key(Path(key_file))
nodes = [Node(*place.split("=")) for place in places]
for node in nodes:
    node.start()
say(ready=[node.client.whoami.id_ for node in nodes])
for line in lines():
    for node in nodes:
        if line["release"] in node.held:
            node.held[line["release"]].set()
