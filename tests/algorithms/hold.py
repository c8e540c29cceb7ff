"""An algorithm that a test holds: it tells that it has begun, and waits for its answer.

Its argument is a folder. `begun` there gets a line with the ids of its two processes each time it
is started; `answer` is a FIFO, from which it takes the line that becomes its result. Its child is
in a session of its own, and does not end.
"""

import json
import os
import subprocess
from pathlib import Path

asked = json.loads(Path(os.environ["INPUT_FILE"]).read_text())
folder = Path(asked["kwargs"]["folder"])
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with (folder / "begun").open("a") as begun:
    begun.write(f"{os.getpid()} {child.pid}\n")
with (folder / "answer").open() as answer:
    Path(os.environ["OUTPUT_FILE"]).write_text(answer.readline())
