"""A worker deployed as several identical functions: all of them run its chunks."""

import io
import zipfile
from collections.abc import Iterator

import pytest

from stepgrid import Grid
from stepgrid.local import LocalCloud

CODE = "def lambda_handler(event, context):\n    return context.function_name\n"


def package() -> bytes:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("who.py", CODE)
    return code.getvalue()


@pytest.fixture
def replicas(cloud: LocalCloud) -> Iterator[list[str]]:
    """Two functions like the stack's own workers but for their code; gone afterwards."""
    names = deploy_copies(cloud, "who", 2)
    yield names
    for function in names:
        cloud.client("lambda").delete_function(FunctionName=function)


def deploy_copies(cloud: LocalCloud, name: str, replicas: int) -> list[str]:
    """Answers the names of the functions."""
    functions = cloud.client("lambda")
    prefix = cloud.status().outputs["WorkerPrefix"]
    like = functions.get_function_configuration(FunctionName=f"{prefix}echo")
    variables = like["Environment"]["Variables"]
    replicas_said = {"STEPGRID_HANDLER": "who.lambda_handler", "STEPGRID_REPLICAS": str(replicas)}
    names = [f"{prefix}{name}", *(f"{prefix}{name}_{n}" for n in range(2, replicas + 1))]
    for function in names:
        functions.create_function(
            FunctionName=function,
            Runtime=like["Runtime"],
            Handler=like["Handler"],
            Role=like["Role"],
            Timeout=like["Timeout"],
            MemorySize=like["MemorySize"],
            Layers=[layer["Arn"] for layer in like["Layers"]],
            Environment={"Variables": {**variables, **replicas_said}},
            Code={"ZipFile": package()},
        )
    return names


def test_chunks_are_spread_over_the_replicas(grid: Grid, replicas: list[str]) -> None:
    """By both machines; one name is listed."""
    for count in (30, 60):  # by burst, and through the Map
        assert set(grid.map("who", range(count), chunk_size=1)) == set(replicas)
    assert [worker.name for worker in grid.workers() if worker.name.startswith("who")] == ["who"]
