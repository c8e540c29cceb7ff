"""vantage6's UserClient, unmodified, whose methods a test calls from another process.

{"call": "task.create", "args": [...], "kwargs": {...}} --> {"answer": ...} or {"error": [...]}
"""

import sys
from operator import attrgetter

from speech import lines, say
from vantage6.client import UserClient

host, path = sys.argv[1:]
client = UserClient(host, None, path)
say(ready=True)
for line in lines():
    try:
        found = attrgetter(line["call"])(client)
        answer = found(*line["args"], **line["kwargs"]) if callable(found) else found
        say(answer=answer)
    except Exception as error:
        say(error=[type(error).__name__, str(error)])
