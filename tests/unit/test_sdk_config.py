"""Where the SDK finds its grid, and with whose credentials."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from stepgrid import Config, ConfigurationError, Grid
from stepgrid.config import connect, find_config, is_trusted, read_profile, write_profile
from stepgrid.credentials import Given, find_signer

ENDPOINT = "http://127.0.0.1:4566/_aws/execute-api/abc/dev/v1"
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which boto3 finds nothing and asks nobody."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def profile(folder: Path, endpoint: str = ENDPOINT, **more: Any) -> Path:
    path = folder / ".stepgrid" / "profile.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"endpoint": endpoint, "region": "eu-west-1", **more}))
    return path


def find(tmp_path: Path, *arguments: str, **environment: str) -> Config:
    return find_config(
        *arguments,
        environment=environment,
        folder=tmp_path / "project" / "notebooks",
        home=tmp_path / "home",
    )


def test_nothing_found_says_what_to_do(tmp_path: Path) -> None:
    """Without any configuration the error names the two commands that make one."""
    with pytest.raises(ConfigurationError, match=r"stepgrid local up.*stepgrid connect --stack"):
        find(tmp_path)


def test_profile_of_a_parent_folder_is_found(tmp_path: Path) -> None:
    """A notebook in a subfolder of the project uses the project's grid."""
    profile(tmp_path / "project", access_key_id="AKIA", secret_access_key=SECRET)
    profile(tmp_path / "home", "https://elsewhere.example/v1")
    assert find(tmp_path) == Config(ENDPOINT, "eu-west-1", "AKIA", SECRET)


def test_profile_of_the_home_folder_is_the_last(tmp_path: Path) -> None:
    """Where no project has one, the home folder's counts."""
    profile(tmp_path / "home", aws_profile="work", stack_name="grid")
    expected = Config(ENDPOINT, "eu-west-1", aws_profile="work", stack_name="grid")
    assert find(tmp_path) == expected


def test_environment_wins_over_files(tmp_path: Path) -> None:
    """STEPGRID_ENDPOINT is not called with the keys of a profile that was found by itself."""
    profile(tmp_path / "project", access_key_id="AKIA", secret_access_key=SECRET)
    endpoint = "https://abc.execute-api.eu-central-1.amazonaws.com/dev/v1"
    found = find(tmp_path, STEPGRID_ENDPOINT=endpoint)
    assert found == Config(endpoint, "eu-central-1")


def test_argument_wins_over_environment(tmp_path: Path) -> None:
    """Grid(endpoint, region) means what it says."""
    found = find(
        tmp_path, "https://a/v1/", "us-west-2", STEPGRID_ENDPOINT="https://b", STEPGRID_REGION="x"
    )
    assert found == Config("https://a/v1", "us-west-2")


def test_named_profile_is_used_with_what_else_is_named(tmp_path: Path) -> None:
    """STEPGRID_PROFILE gives the keys; STEPGRID_REGION beside it gives the region."""
    path = profile(tmp_path / "other", access_key_id="AKIA", secret_access_key=SECRET)
    found = find(tmp_path, STEPGRID_PROFILE=str(path), STEPGRID_REGION="us-west-2")
    assert found == Config(ENDPOINT, "us-west-2", "AKIA", SECRET)


def test_foreign_profile_is_not_trusted() -> None:
    """A profile that another user left in a folder above is not followed; root's is."""
    assert not is_trusted(owner=1001, user=1000)
    assert not is_trusted(owner=1001, user=0)
    assert is_trusted(owner=1000, user=1000)
    assert is_trusted(owner=0, user=1000)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"endpoint": 1}', '{"endpoint": "127.0.0.1"}', "\xff"]
)
def test_broken_profile_is_named(tmp_path: Path, content: str) -> None:
    """A profile that can't be one gives a ConfigurationError with its path."""
    path = tmp_path / "profile.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        read_profile(path)


def test_unknown_entries_of_a_profile_are_ignored(tmp_path: Path) -> None:
    """A profile of a newer version can be read."""
    assert read_profile(profile(tmp_path, hologram="yes")) == Config(ENDPOINT, "eu-west-1")


def test_secrets_are_not_shown() -> None:
    """The repr of a Config, and of a Grid made of it, has no secret in it."""
    config = Config(ENDPOINT, "eu-west-1", "AKIA", SECRET)
    with Grid(config=config) as grid:
        assert SECRET not in repr(config) + repr(grid)
        assert ENDPOINT in repr(grid)


def test_half_a_key_is_refused() -> None:
    """An access key without its secret is a mistake, not a wish for other credentials."""
    with pytest.raises(ConfigurationError, match="belong together"):
        Config(ENDPOINT, "eu-west-1", access_key_id="AKIA")


def test_written_profile_is_private_and_read_back(tmp_path: Path) -> None:
    """write_profile replaces what is there, for this user's eyes only, and leaves nothing else."""
    path = profile(tmp_path, "https://old.example/v1")
    path.chmod(0o644)
    config = Config(ENDPOINT, "eu-west-1", "AKIA", SECRET, stack_name="grid")
    assert write_profile(config, path) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["profile.json"]
    assert read_profile(path) == config


def test_connect_reads_the_outputs_of_the_stack() -> None:
    """A deployed grid is found by the name of its stack."""
    session = boto3.Session("AKIA", SECRET, region_name="eu-west-1")
    client = session.client("cloudformation")
    outputs = {
        "ApiUrl": "https://abc.execute-api.eu-west-1.amazonaws.com/dev/v1",
        "Region": "eu-west-1",
    }
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", stack(outputs), {"StackName": "grid"})
        found = connect("grid", boto3_session=StubSession(client))
    assert found == Config(outputs["ApiUrl"], "eu-west-1", aws_profile="work", stack_name="grid")


def test_connect_to_a_stack_that_is_none() -> None:
    """An unknown stack, and one of something else, are told apart from a grid."""
    client = boto3.Session("AKIA", SECRET, region_name="eu-west-1").client("cloudformation")
    with Stubber(client) as stub:
        stub.add_client_error("describe_stacks", "ValidationError", "grid does not exist")
        with pytest.raises(ConfigurationError, match="can't read stack 'grid'"):
            connect("grid", boto3_session=StubSession(client))
        stub.add_response("describe_stacks", stack({"Url": "x"}))
        with pytest.raises(ConfigurationError, match="no output ApiUrl"):
            connect("grid", boto3_session=StubSession(client))


class StubSession:
    """As much of a boto3 session as `connect` uses."""

    profile_name = "work"

    def __init__(self, client: Any) -> None:
        self._client = client

    def client(self, service: str, region_name: str | None = None) -> Any:
        return self._client


def stack(outputs: dict[str, str]) -> dict[str, Any]:
    return {
        "Stacks": [
            {
                "StackName": "grid",
                "CreationTime": "2026-01-01T00:00:00Z",
                "StackStatus": "CREATE_COMPLETE",
                "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()],
            }
        ]
    }


def test_keys_of_the_config_sign() -> None:
    """A profile with keys needs nothing else."""
    signer = find_signer(Config(ENDPOINT, "eu-west-1", "AKIA", SECRET))
    assert signer.credentials.get_frozen_credentials().access_key == "AKIA"
    assert signer.region == "eu-west-1"


def test_boto3_session_wins_over_the_keys() -> None:
    """Grid(session=...) signs as that session, wherever the endpoint comes from."""
    session = boto3.Session("OTHER", "secret", "token", region_name="us-west-2")
    signer = find_signer(Config(ENDPOINT, None, "AKIA", SECRET), Given(boto3_session=session))
    frozen = signer.credentials.get_frozen_credentials()
    assert (frozen.access_key, frozen.token, signer.region) == ("OTHER", "token", "us-west-2")


@pytest.mark.usefixtures("no_aws")
def test_no_credentials_says_what_to_do() -> None:
    """Without credentials the error comes when the Grid is made, and says how to get some."""
    with pytest.raises(ConfigurationError, match="aws configure"):
        Grid(ENDPOINT, region="eu-west-1")


@pytest.mark.usefixtures("no_aws")
def test_unknown_aws_profile_is_a_configuration_error() -> None:
    """A profile name that the AWS configuration does not have."""
    with pytest.raises(ConfigurationError, match="nowhere"):
        Grid(config=Config(ENDPOINT, "eu-west-1", aws_profile="nowhere"))


@pytest.mark.usefixtures("no_aws")
def test_unknown_region_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature needs a region: it is asked for, not guessed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(ConfigurationError, match="STEPGRID_REGION"):
        Grid(ENDPOINT)


def test_config_and_endpoint_contradict() -> None:
    """Two answers to the same question are refused."""
    with pytest.raises(ConfigurationError, match="either"):
        Grid(ENDPOINT, config=Config(ENDPOINT, "eu-west-1"))
