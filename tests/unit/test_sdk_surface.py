"""What `import stepgrid` promises."""

import subprocess
import sys
from typing import get_args, get_type_hints

import pandas
import pyarrow

import stepgrid
from stepgrid.options import Options
from stepgrid_core import errors
from stepgrid_core.contract import SessionOptions

#: Libraries of an extra, which are imported where they are needed.
TABLES = {"pandas": pandas, "pyarrow": pyarrow}


def test_exported_names_are_sorted_and_there() -> None:
    """Everything in __all__ exists, in order; every public name of the package is in __all__."""
    assert stepgrid.__all__ == sorted(stepgrid.__all__)
    modules = {name for name in vars(stepgrid) if f"stepgrid.{name}" in sys.modules}
    public = {name for name in vars(stepgrid) if not name.startswith("_")} - modules
    assert public | {"__version__"} == set(stepgrid.__all__)


def test_all_errors_are_exported() -> None:
    """Whatever stepgrid raises can be caught by a name from the top."""
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.StepgridError)
    }
    assert raised <= set(stepgrid.__all__)


def test_what_methods_answer_is_exported() -> None:
    """A program can name the type of whatever Grid and Session hand out."""
    for kind in (stepgrid.Grid, stepgrid.Session):
        for name, member in vars(kind).items():
            if not name.startswith("_") and callable(member):
                answered = get_type_hints(member, localns=TABLES).get("return")
                for part in (answered, *get_args(answered)):
                    if getattr(part, "__module__", "").startswith("stepgrid"):
                        assert part.__name__ in stepgrid.__all__, f"{kind.__name__}.{name}"


def test_public_names_are_documented() -> None:
    """Each public class, and each public method of Grid, Session, Task and GridExecutor, says
    what it does."""
    for name in stepgrid.__all__:
        assert name == "__version__" or getattr(stepgrid, name).__doc__
    for kind in (stepgrid.Grid, stepgrid.Session, stepgrid.GridExecutor):
        for name, member in vars(kind).items():
            if not name.startswith("_") and callable(member):
                assert member.__doc__, f"{kind.__name__}.{name}"


def test_import_is_light() -> None:
    """`import stepgrid` loads neither boto3 nor tqdm: a grid in memory needs no AWS."""
    code = "import stepgrid, sys; print('boto3' in sys.modules, 'tqdm' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"False False\n"


def test_typed_options_are_those_of_the_contract() -> None:
    """What editors offer as an option of a session is what the grid takes, of the same types."""
    fields = get_type_hints(SessionOptions)
    assert get_type_hints(Options) == {name: fields[name] for name in SessionOptions.model_fields}
