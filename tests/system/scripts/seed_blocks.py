"""Blocks of code from a documentation, one after another in one module, as a reader tries them.

{"set": {...}} gives names values; {"block": "..."} is run, and answered by the names that are JSON.
"""

import json

import requests
from speech import lines, say


class Client:
    """The client that the documentation's last block has, and never makes."""

    def get_results(self, id):
        url = f"{names['url']}{names['api_path']}/result/{id['result_id']}"
        result = requests.get(url, headers=names["headers"]).json()
        say(update=id, result=result)
        return [result]


def is_json(value):
    try:
        return json.dumps(value)
    except TypeError:
        return False


names = {"client": Client()}
say(ready=True)
for line in lines():
    names.update(line.get("set", {}))
    if "block" in line:
        exec(line["block"], names)
        kept = {name: value for name, value in names.items() if name[0] != "_"}
        task = getattr(kept.get("task"), "status_code", None)
        say(names={name: value for name, value in kept.items() if is_json(value)}, status=task)
