"""Sessions in containers on the deployed grid: the same results, whoever is killed meanwhile."""

import json
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from stepgrid import AccessDenied, ContainerOptions, Grid, Job, JobState, Session
from stepgrid.demo.books import random_book
from stepgrid.local import LocalCloud
from stepgrid_core.names import output_key
from tests.system.containers import agents_of, containers_of, wait_until, worker_lines

TWO_BY_TWO = ContainerOptions(count=2, vcpu=2)


def submit_naps(grid: Grid, trace: Path, tasks: int, milliseconds: int) -> Session:
    """Tasks that note their start and sleep, in two containers of two pullers."""
    trace.touch()
    nap = {"append_time": str(trace), "worker_arguments": [str(milliseconds), "1", "1"]}
    return grid.submit(
        "mock-compute", [nap] * tasks, backend="fargate", chunk_size=2, container=TWO_BY_TWO
    )


def starts(trace: Path) -> int:
    return trace.read_bytes().count(b"\n")


def test_containers_price_as_functions_do(grid: Grid, cloud: LocalCloud) -> None:
    """Two containers with two pullers each share 40 tasks, and give the numbers of Lambda."""
    tasks = [{"portfolio": [trade]} for trade in random_book(40, seed=5)]
    on_lambda = grid.submit("portfolio-pricing", tasks, backend="lambda")
    on_fargate = grid.submit(
        "portfolio-pricing", tasks, backend="fargate", chunk_size=2, container=TWO_BY_TWO
    )
    assert on_fargate.results() == on_lambda.results()
    status = on_fargate.status()
    assert (status.backend, len(status.containers)) == ("fargate", 2)
    done = wait_until(
        lambda: len(found := worker_lines(cloud, on_fargate.id, "puller done")) == 4 and found
    )
    assert sum(line["chunks"] for line in done) == status.chunks == 20


def test_killed_containers_and_agents_lose_nothing(
    grid: Grid, cloud: LocalCloud, tmp_path: Path
) -> None:
    """A container and then the agent killed by SIGKILL: each of 40 tasks has one result."""
    trace = tmp_path / "starts"
    session = submit_naps(grid, trace, 40, 200)
    wait_until(lambda: starts(trace) >= 6)
    victim = wait_until(lambda: containers_of(session.id))[0]
    victim.kill()
    wait_until(lambda: starts(trace) >= 16)
    (agent,) = agents_of(cloud)
    agent.kill()
    assert session.results() == [200] * 40
    counts = session.status().counts
    assert (counts.finished, sum(counts.model_dump().values())) == (40, 40)
    assert starts(trace) > 40, "no kill hit work in progress"
    assert len(session.status().containers) > 2
    psutil.wait_procs([victim, agent], timeout=10)


def test_a_stopped_container_hands_its_work_on(
    grid: Grid, cloud: LocalCloud, tmp_path: Path
) -> None:
    """What runs when ECS stops a task may end; the rest is done by another, and nothing twice."""
    trace = tmp_path / "starts"
    session = submit_naps(grid, trace, 40, 200)
    wait_until(lambda: starts(trace) >= 6)
    ecs = cloud.client("ecs")
    for arn in ecs.list_tasks(cluster="stepgrid-local")["taskArns"]:
        ecs.stop_task(cluster="stepgrid-local", task=arn, reason="spot interruption")
    assert session.results() == [200] * 40
    assert starts(trace) == 40


def test_long_tasks_go_to_containers_by_themselves(grid: Grid) -> None:
    """A task of up to 20 minutes runs on Fargate; the plan says why, and what it costs."""
    nap = [{"worker_arguments": ["10", "1", "1"]}]
    planned = grid.plan("mock-compute", 1, task_timeout_seconds=1200)
    session = grid.submit("mock-compute", nap, task_timeout_seconds=1200)
    plan = session.plan()
    assert session.results() == [10]
    assert planned.backend == plan.backend == session.status().backend == "fargate"
    assert "1,200 s" in plan.reason
    assert "840 s" in plan.reason
    assert plan.estimate.dollars > 0
    assert plan.estimate.seconds > 0


@pytest.fixture(scope="module")
def finished(make_grid: Any) -> tuple[Session, Session]:
    """A session in containers, and one of somebody else with results of its own."""
    options: dict[str, Any] = {"backend": "fargate", "chunk_size": 1}
    own = make_grid("quant").submit("echo", ["own"], **options)
    foreign = make_grid("rival").submit("echo", ["foreign"], **options)
    assert (own.results(), foreign.results()) == (["own"], ["foreign"])
    return own, foreign


class Intruder:
    """Somebody who got out of user code and has all that a container of `own` has."""

    def __init__(self, cloud: LocalCloud, own_id: str) -> None:
        outputs = cloud.status().outputs
        self.url = cloud.status().aws_endpoint_url
        self.table, self.bucket = outputs["TableName"], outputs["PayloadBucket"]
        self._cloud, self._own_id = cloud, own_id
        self.task_role = self._session(self._assume_task_role())
        lent = self.ask("lend")
        self.lent = self._session(
            {
                "AccessKeyId": lent["access_key_id"],
                "SecretAccessKey": lent["secret_access_key"],
                "SessionToken": lent["session_token"],
            }
        )

    def _assume_task_role(self) -> dict[str, str]:
        definition = self._cloud.client("ecs").describe_task_definition(
            taskDefinition="stepgrid-local-worker"
        )
        role = definition["taskDefinition"]["taskRoleArn"]
        answer = self._cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="intruder")
        keys: dict[str, str] = answer["Credentials"]
        return keys

    def _session(self, keys: dict[str, str]) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name="us-east-1",
        )

    def client(self, session: boto3.Session, service: str) -> Any:
        return session.client(service, endpoint_url=self.url)

    def ticket(self, session_id: str) -> str:
        item = self._cloud.client("dynamodb").get_item(
            TableName=self.table, Key={"pk": {"S": f"S#{session_id}"}, "sk": {"S": "SESSION"}}
        )["Item"]
        return str(json.loads(item["data"]["S"])["ticket"])

    def ask(self, action: str, **more: Any) -> dict[str, Any]:
        """The broker, with the task role and the ticket of the own session."""
        question = {
            "action": action,
            "session_id": self._own_id,
            "ticket": self.ticket(self._own_id),
            "container": "12345678-intruder",
            **more,
        }
        reply = self.client(self.task_role, "lambda").invoke(
            FunctionName="stepgrid-local-broker", Payload=json.dumps(question)
        )
        answer: dict[str, Any] = json.loads(reply["Payload"].read())
        return answer


@pytest.fixture(scope="module")
def intruder(cloud: LocalCloud, finished: tuple[Session, Session]) -> Intruder:
    return Intruder(cloud, finished[0].id)


def is_denied(call: Any, **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403")
    return False


def test_a_container_reads_its_own_payloads_alone(
    intruder: Intruder, finished: tuple[Session, Session]
) -> None:
    """What it is lent opens the results of its session, no other's, and no list of them."""
    own, foreign = finished
    s3 = intruder.client(intruder.lent, "s3")
    where = {"Bucket": intruder.bucket}
    body = s3.get_object(**where, Key=output_key(own.id, 0, 1, 0))["Body"].read()
    assert b"own" in body
    for key in (output_key(foreign.id, 0, 1, 0), f"inputs/{'0' * 24}/x.jsonl", "files/x", "jobs/x"):
        assert is_denied(s3.get_object, **where, Key=key)
        assert is_denied(s3.put_object, **where, Key=key, Body=b"")
    assert is_denied(s3.list_objects_v2, **where)
    task_role = intruder.client(intruder.task_role, "s3")
    assert is_denied(task_role.get_object, **where, Key=output_key(own.id, 0, 1, 0))


def test_a_job_reaches_no_other_job(cloud: LocalCloud, make_grid: Any) -> None:
    """It adds to its own outputs; those of another job, even of its owner's, it can't even read."""
    jobs = [make_grid(user).jobs.submit("echo secret") for user in ("quant", "quant", "rival")]
    for job in jobs:
        assert job.wait(timeout=60).state is JobState.COMPLETED
    own, *others = [stdout_key(job) for job in jobs]
    intruder = Intruder(cloud, jobs[0].id)
    for role in (intruder.lent, intruder.task_role):
        s3 = intruder.client(role, "s3")
        for key in others:
            where = {"Bucket": intruder.bucket, "Key": key}
            assert is_denied(s3.get_object, **where)
            assert is_denied(s3.put_object, **where, Body=b"forged")
    more = {"Bucket": intruder.bucket, "Key": f"{own}.more"}
    intruder.client(intruder.lent, "s3").put_object(**more, Body=b"mine")
    assert is_denied(intruder.client(intruder.task_role, "s3").put_object, **more, Body=b"")


def stdout_key(job: Job) -> str:
    """Where it is in the bucket."""
    (url,) = [output.url for output in job.outputs() if output.name == "STDOUT.txt"]
    return "jobs/" + url.partition("?")[0].partition("/jobs/")[2]


@pytest.mark.parametrize("role", ["task_role", "lent"])
def test_a_container_can_not_touch_the_table(
    intruder: Intruder, finished: tuple[Session, Session], role: str
) -> None:
    """Neither rows of others nor those of its own session."""
    table = intruder.client(getattr(intruder, role), "dynamodb")
    for session in finished:
        key = {"pk": {"S": f"S#{session.id}"}, "sk": {"S": "SESSION"}}
        assert is_denied(table.get_item, TableName=intruder.table, Key=key)
        assert is_denied(table.delete_item, TableName=intruder.table, Key=key)
    assert is_denied(table.scan, TableName=intruder.table)


@pytest.mark.parametrize("role", ["task_role", "lent"])
def test_a_container_can_not_call_the_api(intruder: Intruder, cloud: LocalCloud, role: str) -> None:
    """Nor start executions, tasks or other functions, nor assume what is lent to others."""
    keys = getattr(intruder, role)
    lambdas = intruder.client(keys, "lambda")
    for function in ("api", "recorder", "sweeper", "worker-echo"):
        name = f"stepgrid-local-{function}"
        assert is_denied(lambdas.invoke, FunctionName=name, Payload=b"{}")
    states = intruder.client(keys, "stepfunctions")
    machine = cloud.status().outputs["SessionMachineArn"]
    assert is_denied(states.start_execution, stateMachineArn=machine, input="{}")
    assert is_denied(intruder.client(keys, "ecs").list_tasks, cluster="stepgrid-local")
    caller = Grid(cloud.status().endpoint, region="us-east-1", session=keys)
    with caller, pytest.raises(AccessDenied):
        list(caller.sessions())


def test_the_broker_answers_for_one_session(
    intruder: Intruder, finished: tuple[Session, Session]
) -> None:
    """A ticket opens its own session; another's id is answered like one that does not exist."""
    _, foreign = finished
    assert intruder.ask("open")["over"] is True
    unknown = intruder.ask("open", session_id="00000000-0000-0000-0000-000000000000")
    assert intruder.ask("open", session_id=foreign.id) == unknown
    assert unknown["error"]["code"] == "not_found"
