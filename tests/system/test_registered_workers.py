"""Plain functions as workers: the examples of docs/examples/workers, built and run on the grid.

It needs make, g++ and node; a JDK only for what Java's compiler says.
"""

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepgrid import Grid
from stepgrid.local import LocalCloud
from stepgrid.registrar import TAG, GridStack, Registrar
from stepgrid_core.errors import InvalidRequest, TaskFailed, TaskTimeout

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "workers"
#: The compiled examples; Java's only where there is a JDK, for the local cloud can't run it.
BUILT = ("cpp", "node", *(("java",) if shutil.which("javac") else ()))
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "lambda.amazonaws.com"}}]}'
)
OPTION = {"kind": "call", "spot": 100, "strike": 95, "rate": 0.03, "volatility": 0.2, "years": 1}


@dataclass(frozen=True, slots=True)
class Workshop:
    """Builds and deploys examples, as somebody does who knows nothing of stepgrid."""

    cloud: LocalCloud
    folder: Path

    def build(self, example: str) -> bytes:
        """The zip that `make` leaves in the example's folder."""
        folder = self.folder / example
        if not folder.exists():
            shutil.copytree(EXAMPLES / example, folder)
        made = subprocess.run(
            ["make", "-C", str(folder)], capture_output=True, text=True, timeout=120, check=False
        )
        assert made.returncode == 0, made.stderr
        return (folder / "function.zip").read_bytes()

    def deploy(self, name: str, runtime: str, handler: str, code: bytes) -> str:
        """Answers the function's ARN."""
        function = self.cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime=runtime,
            Handler=handler,
            Role=self.role(),
            Timeout=5,  # also ends the call that a test gives up
            MemorySize=256,
            Code={"ZipFile": code},
        )
        return str(function["FunctionArn"])

    def role(self) -> str:
        iam = self.cloud.client("iam")
        if not [role for role in iam.list_roles()["Roles"] if role["RoleName"] == "example"]:
            iam.create_role(RoleName="example", AssumeRolePolicyDocument=TRUST)
        return str(iam.get_role(RoleName="example")["Role"]["Arn"])


@pytest.fixture(scope="module")
def workshop(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(cloud, tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def registrar(cloud: LocalCloud) -> Registrar:
    status = cloud.status()
    return Registrar(GridStack.read(status.stack_name, status.outputs, True), cloud.client)


@pytest.fixture(scope="module")
def functions(workshop: Workshop, registrar: Registrar) -> Iterator[dict[str, str]]:
    """The examples that the local cloud runs, registered: worker -> ARN."""
    deployed = {
        "options-cpp": workshop.deploy("cpp", "provided.al2023", "none", workshop.build("cpp")),
        "bonds-node": workshop.deploy(
            "node", "nodejs22.x", "index.handler", workshop.build("node")
        ),
    }
    for worker, arn in deployed.items():
        registrar.register(worker, arn, concurrency=4)
    yield deployed
    for worker in deployed:
        registrar.unregister(worker)


def option_price(option: dict[str, Any]) -> float:
    """Black and Scholes."""
    spread = option["volatility"] * math.sqrt(option["years"])
    discounted = option["strike"] * math.exp(-option["rate"] * option["years"])
    d1 = math.log(option["spot"] / discounted) / spread + spread / 2
    return option["spot"] * normal_cdf(d1) - discounted * normal_cdf(d1 - spread)


def normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def bond_price(bond: dict[str, Any]) -> float:
    return sum(
        flow["amount"] * math.exp(-bond["rate"] * flow["years"]) for flow in bond["cash_flows"]
    )


OPTIONS = [{**OPTION, "strike": 80 + 2 * n} for n in range(20)]
BONDS = [
    {"rate": 0.01 * n, "cash_flows": [{"years": year, "amount": 5} for year in range(1, 11)]}
    for n in range(20)
]


@pytest.mark.parametrize("example", BUILT)
def test_an_example_builds_with_one_command(workshop: Workshop, example: str) -> None:
    """`make` in its folder leaves a package that Lambda takes."""
    assert workshop.build(example).startswith(b"PK")


@pytest.mark.parametrize(
    ("worker", "tasks", "price"),
    [("options-cpp", OPTIONS, option_price), ("bonds-node", BONDS, bond_price)],
    ids=["C++", "Node.js"],
)
def test_a_plain_function_runs_a_session(
    grid: Grid,
    functions: dict[str, str],
    worker: str,
    tasks: list[dict[str, Any]],
    price: Callable[[dict[str, Any]], float],
) -> None:
    """20 tasks give 20 results, in order and right."""
    assert worker in functions
    results = grid.submit(worker, tasks, chunk_size=5).results()
    assert [result["price"] for result in results] == pytest.approx(
        [price(task) for task in tasks], rel=1e-8
    )


@pytest.mark.parametrize(
    ("worker", "good", "bad", "kind", "message"),
    [
        ("options-cpp", OPTION, {**OPTION, "kind": "swap"}, "BadRequest", "kind must be call"),
        ("bonds-node", BONDS[0], {"rate": 0.1}, "RangeError", "cash_flows must be a list"),
    ],
    ids=["C++", "Node.js"],
)
def test_an_exception_fails_its_task_alone(
    grid: Grid,
    functions: dict[str, str],
    worker: str,
    good: dict[str, Any],
    bad: dict[str, Any],
    kind: str,
    message: str,
) -> None:
    """Its type and message arrive; the neighbours have results, the task had its attempts."""
    session = grid.submit(worker, [good, bad, good], max_attempts=2, chunk_size=3)
    first, error, last = session.results(return_exceptions=True)
    assert first["price"] == last["price"] > 0
    assert type(error) is TaskFailed
    assert error.remote_type == kind
    assert message in error.remote_message
    assert [task.attempts for task in session.tasks()] == [1, 2, 1]


def test_a_function_over_the_tasks_timeout_is_given_up(
    grid: Grid, functions: dict[str, str]
) -> None:
    """The next task of the chunk runs, in another environment of the function."""
    endless = {**OPTION, "paths": 1e12, "seed": 1}
    session = grid.submit(
        "options-cpp", [endless, OPTION], task_timeout_seconds=1, max_attempts=1, chunk_size=2
    )
    error, price = session.results(return_exceptions=True)
    assert isinstance(error, TaskTimeout)
    assert price["price"] == pytest.approx(option_price(OPTION))


def test_a_monte_carlo_estimate_agrees_with_the_formula(
    grid: Grid, functions: dict[str, str]
) -> None:
    """Within four standard errors, for ten seeds."""
    tasks = [{**OPTION, "paths": 20_000, "seed": seed} for seed in range(10)]
    for result in grid.submit("options-cpp", tasks).results():
        assert abs(result["price"] - option_price(OPTION)) < 4 * result["standard_error"]


def test_the_relay_calls_no_function_without_the_tag(
    grid: Grid, functions: dict[str, str], cloud: LocalCloud
) -> None:
    """The table alone makes nothing callable: the relay's own policy refuses."""
    awslambda, arn = cloud.client("lambda"), functions["bonds-node"]
    value = awslambda.list_tags(Resource=arn)["Tags"][TAG]
    awslambda.untag_resource(Resource=arn, TagKeys=[TAG])
    try:
        session = grid.submit("bonds-node", BONDS[:1], max_attempts=1)
        (error,) = session.results(return_exceptions=True)
    finally:
        awslambda.tag_resource(Resource=arn, Tags={TAG: value})
    assert error.remote_type == "AccessDenied"


def test_registered_functions_are_listed(grid: Grid, functions: dict[str, str]) -> None:
    """With kind, runtime and limits."""
    listed = {worker.name: worker for worker in grid.workers()}
    assert functions.keys() < listed.keys()
    worker = listed["options-cpp"]
    assert (worker.kind, worker.runtime, worker.concurrency) == ("function", "provided.al2023", 4)
    assert worker.max_task_timeout_seconds == 5


def test_a_java_function_is_refused_here(workshop: Workshop, registrar: Registrar) -> None:
    """The emulator only pretends to run it, so nobody is to build on its answers."""
    arn = workshop.deploy("java", "java17", "Annuity::handleRequest", workshop.build("node"))
    with pytest.raises(InvalidRequest, match=r"the local cloud can't run .*java17"):
        registrar.register("annuity-java", arn)
