"""agent_config.json: what HTC-Grid's client programs read."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepgrid import ConfigurationError
from stepgrid.agent_config import make_agent_config, write_agent_config
from tests.unit.translated_template import read_template

#: What HTC-Grid's AWSConnector.init reads, without a default for any.
REQUIRED = {
    "api_gateway_key",
    "cognito_userpool_client_id",
    "dynamodb_results_pull_interval_sec",
    "grid_storage_service",
    "private_api_gateway_url",
    "public_api_gateway_url",
    "redis_password",
    "redis_url",
    "region",
    "s3_bucket",
    "s3_kms_key_id",
    "task_input_passed_via_external_storage",
    "user_pool_id",
}


def stack_output() -> str:
    """The output as the template has it, its references left in place."""
    value: dict[str, Any] = read_template()["Outputs"]["AgentConfig"]["Value"]
    text: str = value["Fn::Sub"]
    return text


def test_the_stack_tells_all_that_a_client_needs() -> None:
    """The output is JSON, has every key, fits into an output, and knows no password."""
    values = json.loads(stack_output())
    assert set(values) >= REQUIRED | {"identity_pool_id", "stepgrid_worker"}
    assert values["public_api_gateway_url"].endswith("/${Stage}/v1")
    assert not {"username", "password"} & set(values)
    assert len(stack_output()) < 1024


def test_a_user_and_another_address_can_be_filled_in() -> None:
    """On a local cloud the API is elsewhere, and a user is ready."""
    outputs = {"AgentConfig": stack_output()}
    values = make_agent_config(outputs, endpoint="http://x/v1", username="ann", password="p")
    assert values["public_api_gateway_url"] == values["private_api_gateway_url"] == "http://x/v1"
    assert (values["username"], values["password"]) == ("ann", "p")
    assert make_agent_config(outputs)["password"] == ""


def test_an_old_stack_says_what_to_do() -> None:
    """Before this output there was none: deploy again."""
    with pytest.raises(ConfigurationError, match="deploy it again"):
        make_agent_config({})


def test_the_file_is_private(tmp_path: Path) -> None:
    """It may hold a password."""
    path = tmp_path / "new" / "agent_config.json"
    write_agent_config({"password": "p"}, path)
    assert json.loads(path.read_text()) == {"password": "p"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
