"""node.yaml: what it can say, and how its errors are told."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepgrid import ConfigurationError
from stepgrid.node.config import NodeConfig, load_config

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "node.yaml"
LEAST: dict[str, Any] = {
    "server_url": "https://server.test/dev/",
    "api_key": "the-secret-key",
    "data_dir": "data",
    "algorithms": [{"image": "a", "python": "package"}],
}


def read(folder: Path, **values: Any) -> NodeConfig:
    """Of the least that a file needs, with these changes; None takes a field away."""
    given = {name: value for name, value in (LEAST | values).items() if value is not None}
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(given))
    return load_config(path)


def test_the_example_can_be_used(tmp_path: Path) -> None:
    """As it is, beside the files that it names."""
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "api.key").write_text("from-the-file\n")
    (tmp_path / "patients.csv").write_text("age\n")
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    config = load_config(tmp_path / "node.yaml")
    assert config.api_key.get_secret_value() == "from-the-file"
    assert config.base_url == "https://abc.execute-api.eu-west-1.amazonaws.com/dev/api"
    assert config.databases[0].uri == str(tmp_path / "patients.csv")
    assert config.databases[1].env == {"schema": "public"}
    assert config.algorithms[0].python_path == tmp_path / "venv" / "bin" / "python"
    assert config.policies.allowed_organizations == ("2", "Maastro")
    assert config.data_dir == tmp_path / "node-data"


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    """Where it says so of a value, it is what a file without it has."""
    shown = yaml.safe_load(EXAMPLE.read_text())
    config = read(tmp_path)
    for name in ("api_path", "task_dir_retention_hours", "job_dir_retention_hours"):
        assert shown[name] == getattr(config, name)
    assert shown["stop_grace_seconds"] == config.stop_grace_seconds
    assert shown["docker"].items() <= config.docker.model_dump().items()
    assert shown["policies"]["require_algorithm_pull"] == config.policies.require_algorithm_pull


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    config = read(tmp_path)
    assert "the-secret-key" not in repr(config)
    assert config.base_url == "https://server.test/dev/api"
    assert read(tmp_path, api_path="").base_url == "https://server.test/dev"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"server_url": None}, "server_url: Field required"),
        ({"server_url": "http://server.test"}, "server_url: .*https"),
        ({"api_key": None}, "api_key: Field required"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"capacity": 0}, "capacity: .*greater than or equal to 1"),
        ({"algorithms": []}, "algorithms: .*at least 1 item"),
        ({"algorithms": [{"image": "a"}]}, "algorithms.0: .*give one of"),
        (
            {"algorithms": [{"image": "a", "python": "p", "container": True}]},
            "algorithms.0: .*give one of",
        ),
        (
            {"algorithms": [{"image": "a", "container": True, "plain_environment": True}]},
            "plain_environment does not go with container",
        ),
        (
            {"algorithms": [{"image": "a", "python": "p", "python_path": "none"}]},
            "there is no interpreter .*none",
        ),
        (
            {"algorithms": [{"image": "a", "python": "p", "environment": {"A-B": "1"}}]},
            "algorithms.0.environment: .*'A-B' can't be set",
        ),
        (
            {"algorithms": [{"image": "a", "python": "p", "environment": {"PKG_NAME": "x"}}]},
            "'PKG_NAME' can't be set",
        ),
        ({"databases": [{"label": "a b", "uri": "u", "type": "sql"}]}, "databases.0.label"),
        ({"databases": [{"label": "a", "uri": "none.csv", "type": "csv"}]}, "no file none.csv"),
        (
            {"databases": [{"label": x, "uri": "u", "type": "sql"} for x in ("a", "A")]},
            "databases: .*upper and lower case",
        ),
        ({"policies": {"allowed_algorithms": ["("]}}, "allowed_algorithms.0: .*no regular"),
        ({"api_key_file": "a"}, "api_key or api_key_file, not both"),
        ({"api_key": None, "api_key_file": "none"}, "api_key_file can't be read"),
    ],
)
def test_an_error_names_file_and_field(tmp_path: Path, values: Any, told: str) -> None:
    """And does not repeat what the file holds."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        read(tmp_path, **values)
    assert "node.yaml" in str(caught.value)
    assert "the-secret-key" not in str(caught.value)


@pytest.mark.parametrize("text", ["api_key: the-secret-key\n  x: [", "- a", "", "\0"])
def test_what_is_no_yaml_of_fields_is_refused(tmp_path: Path, text: str) -> None:
    """Without its lines, which may hold the key."""
    path = tmp_path / "node.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"node\.yaml") as caught:
        load_config(path)
    assert "the-secret-key" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml can't be read"):
        load_config(tmp_path / "none.yaml")


def test_loopback_needs_no_https(tmp_path: Path) -> None:
    """For a server on this machine, as in tests."""
    assert read(tmp_path, server_url="http://127.0.0.1:8080").base_url.endswith(":8080/api")
