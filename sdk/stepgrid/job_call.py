"""What a job of a function does in its container, as a program, and the files it is given.

    call.pkl          the function and its arguments, by cloudpickle
    cloudpickle.zip   the caller's own copy of it, so that the container needs none
    stepgrid_call.py  the program: unpickles, calls, pickles what came of it into out.pkl

The program stands alone: it imports nothing of stepgrid, which the container need not have.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

CALL, LIBRARY, PROGRAM, RESULT = "call.pkl", "cloudpickle.zip", "stepgrid_call.py", "out.pkl"
#: The container's Python is another one than that which pickled.
OTHER_PYTHON_EXIT_CODE = 97

_PROGRAM = '''\
import subprocess, sys, traceback

PYTHON, REQUIREMENTS = {python}, {requirements}

if list(sys.version_info[:2]) != PYTHON:
    sys.stderr.write(
        "stepgrid: the function was pickled by Python %d.%d, and this container has %d.%d: "
        "what one pickles the other can't read; call it from Python %d.%d\\n"
        % (*PYTHON, *sys.version_info[:2], *sys.version_info[:2])
    )
    sys.exit({other_python})
if REQUIREMENTS:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", "requirements", "--"]
    subprocess.run(pip + REQUIREMENTS, check=True)
    sys.path.insert(0, "requirements")
sys.path.insert(0, "{library}")
import cloudpickle


def _pickled(error):
    """Not every exception can be pickled, or read again."""
    try:
        text = cloudpickle.dumps(error)
        cloudpickle.loads(text)
        return text
    except Exception:
        return None


def _called():
    try:
        with open("{call}", "rb") as file:
            function, arguments, named = cloudpickle.load(file)
        return ("result", cloudpickle.dumps(function(*arguments, **named)))
    except Exception as error:
        name, said = type(error).__name__, str(error)
        return ("error", (_pickled(error), name, said, traceback.format_exc()))


outcome = _called()
with open("{result}", "wb") as file:
    cloudpickle.dump(outcome, file)
'''


def make_program(python: Sequence[int], requirements: Sequence[str]) -> str:
    """python: major and minor version of the Python that pickles."""
    return _PROGRAM.format(
        python=json.dumps(list(python)),
        requirements=json.dumps(list(requirements)),
        other_python=OTHER_PYTHON_EXIT_CODE,
        library=LIBRARY,
        call=CALL,
        result=RESULT,
    )


def zip_package(package: ModuleType) -> bytes:
    """A package of pure Python as a zip that can be imported; the same bytes each time."""
    folder = Path(str(package.__file__)).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.py")):
            name = f"{folder.name}/{file.relative_to(folder).as_posix()}"
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), file.read_bytes())
    return buffer.getvalue()
