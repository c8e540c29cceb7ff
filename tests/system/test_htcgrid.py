"""HTC-Grid's clients on the deployed grid: scripts as their users have them, as own processes.

The scripts import `api.connector` and know nothing of stepgrid.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import botocore
import botocore.config
import pytest

from stepgrid.htcgrid import AWSConnector, HTCGridClient
from stepgrid.local import LocalCloud

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "docs/examples/htcgrid_client.py"
LOAD = Path(__file__).parent / "scripts/htcgrid_load.py"
#: What HTC-Grid's API reference documents, and not a key more.
DOCUMENTED_KEYS = (
    "grid_storage_service",
    "s3_bucket",
    "redis_url",
    "public_api_gateway_url",
    "private_api_gateway_url",
    "api_gateway_key",
    "user_pool_id",
    "cognito_userpool_client_id",
    "username",
    "password",
    "dynamodb_results_pull_interval_sec",
    "task_input_passed_via_external_storage",
    "region",
)
CLIENTS, TASKS = 4, 20
#: Of each client. 50 is what HTC-Grid's users run; STEPGRID_LOAD_SESSIONS=50 does so here.
SESSIONS = int(os.environ.get("STEPGRID_LOAD_SESSIONS", "3"))


@pytest.fixture(scope="module")
def agent_config(cloud: LocalCloud) -> dict[str, Any]:
    """The file that `stepgrid local up` wrote, with a user who can log in."""
    config: dict[str, Any] = json.loads(cloud.paths.agent_config.read_text(encoding="utf-8"))
    return config


def start(script: Path, config: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """A script in a process of its own: no AWS credentials, and no grid to find but `config`."""
    unwanted = ("AWS_", "STEPGRID_", "INTRA_VPC", "USERNAME", "PASSWORD", "HOME")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    environment = {"AGENT_CONFIG_FILE": str(config), "HOME": str(config.parent), **more}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(script), *arguments],
        cwd=config.parent,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What the script printed and logged, if it ended well."""
    printed, logged = process.communicate()
    assert process.returncode == 0, printed + logged
    return printed + logged


@pytest.mark.parametrize("service", ["S3", "REDIS"])
def test_a_script_by_the_reference_runs(
    service: str, agent_config: dict[str, Any], tmp_path: Path
) -> None:
    """client_config_data with the documented keys alone: send, results in order, cancel."""
    documented = {key: agent_config[key] for key in DOCUMENTED_KEYS}
    config = tmp_path / "client.json"
    config.write_text(json.dumps(documented | {"grid_storage_service": service}))
    printed = finish(start(EXAMPLE, config))
    assert printed.count("finished") == 3
    assert "'total_cancelled_tasks': 1" in printed


def test_a_script_by_the_example_clients_runs(cloud: LocalCloud, tmp_path: Path) -> None:
    """AWSConnector(), then init with the whole file, and name and password of the environment."""
    values = json.loads(cloud.paths.agent_config.read_text(encoding="utf-8"))
    user = {"USERNAME": values.pop("username"), "PASSWORD": values.pop("password")}
    config = tmp_path / "agent_config.json"
    config.write_text(json.dumps(values))
    printed = finish(start(EXAMPLE, config, "--init", **user))
    assert printed.count("finished") == 3
    assert user["PASSWORD"] not in printed


def test_several_clients_at_once_get_their_own_outputs(cloud: LocalCloud) -> None:
    """Four processes, each with sessions of 20 tasks: every output equals its argument."""
    config = cloud.paths.agent_config
    clients = [
        start(LOAD, config, str(client), str(SESSIONS), str(TASKS)) for client in range(CLIENTS)
    ]
    for printed in [finish(client) for client in clients]:
        assert f"checked {SESSIONS * TASKS} outputs" in printed


def test_inside_the_vpc_the_ambient_credentials_sign(
    cloud: LocalCloud, agent_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """INTRA_VPC=1 needs no name and no password."""
    keys = cloud.create_user("inside")
    monkeypatch.setenv("INTRA_VPC", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_access_key)
    anonymous = {
        key: agent_config[key] for key in DOCUMENTED_KEYS if key not in ("username", "password")
    }
    with AWSConnector(client_config_data=anonymous) as connector:
        connector.authenticate()
        sent = connector.send([{"worker_arguments": ["0", "1", "1"]}])
        assert connector.get_results(sent, timeout_sec=60)["finished_OUTPUT"] == ["0"]


def test_a_program_may_bring_its_cognito_client(
    cloud: LocalCloud, agent_config: dict[str, Any]
) -> None:
    """init's cognitoidp_client logs in, and a renewed login goes on working."""
    anonymous = boto3.client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=cloud.status().aws_endpoint_url,
        config=botocore.config.Config(signature_version=botocore.UNSIGNED),
    )
    operations: list[str] = []
    anonymous.meta.events.register("before-call", lambda model, **_: operations.append(model.name))
    with AWSConnector() as connector:
        connector.init(agent_config, cognitoidp_client=anonymous)
        connector.authenticate()
        assert operations == ["InitiateAuth", "RespondToAuthChallenge"]
        connector.refresh()
        sent = connector.send([{"worker_arguments": ["0", "1", "1"]}])
        assert connector.get_results(sent, timeout_sec=60)["finished_OUTPUT"] == ["0"]


def test_large_outputs_come_by_the_same_way(agent_config: dict[str, Any]) -> None:
    """Outputs too large for the table are JSON texts all the same, in order."""
    with AWSConnector(client_config_data=agent_config) as connector:
        sizes = [50_000, 1, 60_000]
        sent = connector.send([{"return_bytes": size} for size in sizes])
        outputs = connector.get_results(sent, timeout_sec=60)["finished_OUTPUT"]
        assert outputs == [json.dumps("x" * size) for size in sizes]


def test_the_client_of_the_user_guide(cloud: LocalCloud) -> None:
    """HTCGridClient from the same file: results are values, a failure has its error."""
    with HTCGridClient(config_file=cloud.paths.agent_config) as client:
        payloads: list[Any] = [{"return_bytes": 2}, {"raise": "as asked"}]
        tasks = [{"runtime": "python", "payload": item, "retry_count": 0} for item in payloads]
        session_id = client.submit_session(tasks)
        good, bad = client.get_session_results(session_id, timeout=60)
        assert good == "xx"
        assert "RuntimeError: as asked" in bad["error"]
        assert client.get_session_status(session_id)["completed_tasks"] == 2
