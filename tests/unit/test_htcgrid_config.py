"""HTC-Grid's configuration: its keys, its file, and the way to the grid that it names."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from stepgrid import ConfigurationError
from stepgrid.htcgrid import AgentConfig, AWSConnector, load_agent_config
from stepgrid.htcgrid.access import find_endpoint, find_user
from stepgrid.testing import InMemoryGrid

SECRET = "correct horse"

#: What the API reference of HTC-Grid lists, with values of the kinds it names.
DOCUMENTED = {
    "grid_storage_service": "REDIS",
    "s3_bucket": "bucket",
    "redis_url": "redis.example",
    "public_api_gateway_url": "https://abc.execute-api.eu-west-1.amazonaws.com/prod",
    "private_api_gateway_url": "https://private.example/prod",
    "api_gateway_key": "key",
    "user_pool_id": "eu-west-1_pool",
    "cognito_userpool_client_id": "client",
    "username": "alice",
    "password": SECRET,
    "dynamodb_results_pull_interval_sec": 0.5,
    "task_input_passed_via_external_storage": 1,
    "region": "eu-west-1",
}


def test_documented_keys_are_read() -> None:
    """Both constructions take the documented dictionary as it is."""
    config = AgentConfig.read(DOCUMENTED)
    assert (config.region, config.username, config.password) == ("eu-west-1", "alice", SECRET)
    assert config.pull_interval_seconds == 0.5
    AWSConnector(client_config_data=DOCUMENTED)
    AWSConnector().init(DOCUMENTED, username="bob", password=SECRET)


def test_unknown_and_missing_keys_are_no_error() -> None:
    """Clients are given the whole file of a deployment, or a part of it."""
    config = AgentConfig.read({"cluster_name": "x", "metrics_are_enabled": "0", "region": ""})
    assert config == AgentConfig()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("REGION", "eu-west-1"),
        ("api_gateway_url", "https://abc.example/prod"),
    ],
)
def test_other_documents_have_other_keys(key: str, value: str) -> None:
    """The user guide's names are read as those of the reference."""
    assert value in repr(AgentConfig.read({key: value}))


@pytest.mark.parametrize("service", ["S3", "REDIS", "S3+REDIS"])
def test_storage_services_are_accepted(service: str) -> None:
    """Every value of HTC-Grid is; which store it is, the deployment has chosen."""
    assert AgentConfig.read({"grid_storage_service": service}).storage_service == service


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"grid_storage_service": "FSX"}, r"'FSX'; there are S3, REDIS, S3\+REDIS"),
        ({"dynamodb_results_pull_interval_sec": "often"}, "is a number, not 'often'"),
        ({"dynamodb_results_pull_interval_sec": -1}, "give a number from 0 on"),
        ({"dynamodb_results_pull_interval_sec": float("nan")}, "give a number from 0 on"),
        ({"region": 5}, "region is text, not int"),
        ({"password": ["a"]}, "password is text, not list"),
        ("agent_config.json", "a dictionary, not str; read the file first"),
        (None, "a dictionary, not NoneType"),
    ],
)
def test_impossible_values_are_named(data: Any, message: str) -> None:
    """The message names the key."""
    with pytest.raises(ConfigurationError, match=message):
        AWSConnector().init(data)


def test_numbers_may_be_text() -> None:
    """Terraform writes some so."""
    config = AgentConfig.read({"dynamodb_results_pull_interval_sec": "2.5"})
    assert config.pull_interval_seconds == 2.5


def test_a_missing_address_is_an_error_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at construction; the message names the key."""
    monkeypatch.setenv("INTRA_VPC", "1")
    connector = AWSConnector(client_config_data={})
    with pytest.raises(ConfigurationError, match="public_api_gateway_url is missing"):
        connector.authenticate()


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_addresses_are_known_with_and_without_version(ending: str) -> None:
    """The API's version is ours; HTC-Grid's addresses end with the stage."""
    config = AgentConfig(public_url=f"https://public.example/prod{ending}")
    assert find_endpoint(config, intra_vpc=False) == "https://public.example/prod/v1"


def test_inside_the_vpc_the_private_address_counts() -> None:
    """And the public one where there is no other."""
    config = AgentConfig(public_url="https://public.example", private_url="https://inside.example")
    assert find_endpoint(config, intra_vpc=True) == "https://inside.example/v1"
    assert find_endpoint(config, intra_vpc=False) == "https://public.example/v1"
    only_public = AgentConfig(public_url="https://public.example")
    assert find_endpoint(only_public, intra_vpc=True) == "https://public.example/v1"


# --- the file


def test_the_file_is_found_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AGENT_CONFIG_FILE names it; an argument wins."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps({"region": "first"}))
    second.write_text(json.dumps({"region": "second"}))
    monkeypatch.setenv("AGENT_CONFIG_FILE", str(first))
    assert load_agent_config() == {"region": "first"}
    assert load_agent_config(second) == {"region": "second"}


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"password": "correct horse",'])
def test_a_file_that_is_none_is_an_error_without_its_content(
    tmp_path: Path, content: str | None
) -> None:
    """The message names the file and never quotes it."""
    path = tmp_path / "agent_config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"agent_config\.json") as raised:
        load_agent_config(path)
    assert SECRET not in str(raised.value)


# --- secrets


def test_no_password_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a repr nor a log has it."""
    caplog.set_level(logging.DEBUG)
    memory = InMemoryGrid({"echo": lambda event, context: event})
    with memory.client() as grid:
        connector = AWSConnector(DOCUMENTED, grid=grid)
        connector.get_results(connector.send([1]))
        shown = [repr(connector), repr(AgentConfig.read(DOCUMENTED)), caplog.text]
    assert "execute-api.eu-west-1" in shown[0]
    assert not any(SECRET in text for text in shown)


# --- who calls


def test_name_and_password_are_found_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins over the configuration, and that over the environment; each by itself."""
    monkeypatch.setenv("USERNAME", "environment")
    monkeypatch.setenv("PASSWORD", "environment's")
    configured = AgentConfig(username="configured", password="configured's")
    assert find_user(configured, "argument", "argument's") == ("argument", "argument's")
    assert find_user(configured, "", "") == ("configured", "configured's")
    assert find_user(AgentConfig(), "", "") == ("environment", "environment's")
    assert find_user(AgentConfig(), "argument", "") == ("argument", "environment's")


@pytest.mark.parametrize(("username", "missing"), [("", "username"), ("alice", "password")])
def test_a_missing_name_or_password_is_named(
    username: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all the places where it may be."""
    for variable in ("USERNAME", "PASSWORD", "INTRA_VPC"):
        monkeypatch.delenv(variable, raising=False)
    connector = AWSConnector()
    connector.init({"public_api_gateway_url": "https://nobody.example"}, username=username)
    with pytest.raises(ConfigurationError, match=rf"the {missing} is missing.*{missing.upper()}"):
        connector.authenticate()
