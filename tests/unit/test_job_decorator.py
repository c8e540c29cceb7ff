"""Functions as jobs: the real program runs in a process, in the place of a container."""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stepgrid import ConfigurationError, Grid, InvalidRequest, JobState, TaskFailed
from stepgrid.job_call import OTHER_PYTHON_EXIT_CODE, make_program, zip_package
from stepgrid.job_decorator import JobFuture, job
from stepgrid.testing import InMemoryGrid, JobFailed
from stepgrid_core.contract import JobSpec

from .job_world import OWNER

cloudpickle = pytest.importorskip("cloudpickle")
specs: list[JobSpec] = []


def run_process(spec: JobSpec, index: int, inputs: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """What a container does, with a Python that has neither stepgrid nor cloudpickle."""
    specs.append(spec)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in inputs.items():
            (folder / file).write_bytes(data)
        (folder / str(spec.script_name)).write_text(str(spec.script))
        command = [sys.executable, "-S", *shlex.split(spec.executable)[1:]]
        done = subprocess.run(command, cwd=folder, env={}, capture_output=True, check=False)
        left = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    left |= {"STDOUT.txt": done.stdout, "STDERR.txt": done.stderr}
    if done.returncode:
        raise JobFailed(done.returncode, left)
    return left


@pytest.fixture
def grid() -> Iterator[Grid]:
    specs.clear()
    with InMemoryGrid({}, jobs=run_process).client(OWNER) as grid:
        yield grid


class Unreadable(Exception):
    """Can be pickled, and not read again."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def helper(value: int) -> int:
    """A neighbour of the function, which the container does not have either."""
    return value + 1


def test_a_call_is_a_job(grid: Grid) -> None:
    """Arguments go there, and what the function returns comes back."""

    @job(grid, walltime_seconds=60)
    def add(a: int, b: int = 0) -> dict[str, Any]:
        """Adds."""
        return {"sum": helper(a) + b, "set": {a}}

    assert add(1, b=2) == {"sum": 4, "set": {1}}
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert specs[0].walltime_seconds == 60
    assert [one.name for one in grid.jobs.list()] == ["add"]


def test_what_the_function_raises_is_raised_here(grid: Grid) -> None:
    """With the traceback of the job as a note."""

    @job(grid)
    def fail() -> None:
        raise KeyError("nothing")

    with pytest.raises(KeyError) as raised:
        fail()
    assert raised.value.args == ("nothing",)
    assert "in fail" in raised.value.__notes__[0]


def test_an_exception_that_can_not_be_read_is_told(grid: Grid) -> None:
    """As the error of a task, with type and message."""

    @job(grid)
    def fail() -> None:
        raise Unreadable(1, 2)

    with pytest.raises(TaskFailed, match="Unreadable: 1 and 2") as raised:
        fail()
    assert (raised.value.remote_type, raised.value.remote_message) == ("Unreadable", "1 and 2")


def test_a_result_that_can_not_be_pickled_is_an_error(grid: Grid) -> None:
    """It says what of."""

    @job(grid)
    def fail() -> Any:
        return (number for number in range(3))

    with pytest.raises(TypeError, match="generator"):
        fail()


def test_a_job_without_a_result_has_its_stderr(grid: Grid) -> None:
    """Of a process that ended by itself."""

    @job(grid)
    def fail() -> None:
        import os

        os.write(2, b"killed myself")
        os._exit(5)

    with pytest.raises(TaskFailed, match=r"(?s)exit code 5.*killed myself"):
        fail()


def test_a_call_need_not_be_waited_for(grid: Grid) -> None:
    """What is answered waits when it is asked to."""

    @job(grid, block=False)
    def double(value: int) -> int:
        return 2 * value

    futures = [double(value) for value in range(3)]
    assert all(isinstance(future, JobFuture) for future in futures)
    assert [future.result(timeout=60) for future in futures] == [0, 2, 4]
    assert all(future.done() for future in futures)
    assert futures[0].cancel().state is JobState.COMPLETED


def test_a_cancelled_call_has_no_result() -> None:
    """Which is said."""
    memory = InMemoryGrid({}, jobs=run_process, autorun=False)
    with memory.client(OWNER) as grid:
        future = job(grid, block=False)(helper)(1)
        future.cancel()
        with pytest.raises(TaskFailed, match="cancelled"):
            future.result()


def test_inputs_lie_beside_the_function(grid: Grid, tmp_path: Path) -> None:
    """Files of this machine are there under their names."""
    (tmp_path / "data.txt").write_text("seven")

    @job(grid, inputs=[tmp_path / "data.txt"])
    def read() -> str:
        with open("data.txt") as file:
            return file.read()

    assert read() == "seven"


def test_requirements_are_installed_for_the_job() -> None:
    """By pip, into its folder, as words that can't be options."""
    program = make_program(sys.version_info[:2], ["numpy>=2", "-r evil"])
    assert '["numpy>=2", "-r evil"]' in program
    assert '"--target", "requirements", "--"]' in program
    compile(program, "program", "exec")


def test_another_python_is_told(tmp_path: Path) -> None:
    """Before anything is unpickled."""
    (tmp_path / "p.py").write_text(make_program([3, 6], []))
    done = subprocess.run(
        [sys.executable, "p.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == OTHER_PYTHON_EXIT_CODE
    assert "pickled by Python 3.6" in done.stderr


def test_the_library_is_the_same_each_time() -> None:
    """So that it is the same file."""
    assert zip_package(cloudpickle) == zip_package(cloudpickle)


def test_what_can_not_be_pickled_is_refused(grid: Grid) -> None:
    """Before a job is made."""
    with pytest.raises(InvalidRequest, match="pickled"):
        job(grid)(helper)(number for number in range(3))
    assert list(grid.jobs.list()) == []


def test_requirements_are_a_list(grid: Grid) -> None:
    """A text would be one requirement for each letter."""
    with pytest.raises(InvalidRequest):
        job(grid, requirements="numpy")


def test_only_functions_are_decorated(grid: Grid) -> None:
    """Said at once, not by the first call."""
    with pytest.raises(InvalidRequest, match="for functions"):
        job(grid)("helper")  # type: ignore[arg-type]


def test_without_cloudpickle_it_says_what_to_install(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the decorator is made."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match=r"stepgrid\[jobs\]"):
        job(grid)
