"""`stepgrid bench simulate`."""

import json
from pathlib import Path

from click.testing import CliRunner

from stepgrid.cli import cli
from stepgrid_core.contract import SessionOptions

PROJECT = Path(__file__).parents[2]


def run(*words: str) -> str:
    result = CliRunner().invoke(cli, ["bench", "simulate", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_says_how_long_and_why() -> None:
    """Times, resources and the bottleneck are printed."""
    text = run("--tasks", "2000", "--task-seconds", "1", "--concurrency", "50")
    assert "last result" in text
    assert "environment starts" in text
    assert "bottleneck: number of workers" in text


def test_equal_seeds_print_equal_text() -> None:
    """What is printed can be repeated by whoever reads it."""
    words = ("--tasks", "500", "--task-seconds", "1", "--law", "lognormal", "--bottlenecks", "0")
    assert run(*words, "--seed", "7") == run(*words, "--seed", "7")
    assert run(*words, "--seed", "7") != run(*words, "--seed", "8")


def test_help_names_what_a_stack_needs() -> None:
    """As many chunks at once are more than the template's defaults: its parameters are told."""
    text = " ".join(run("--help").split())
    parameters = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    for name in ("WorkerConcurrency", "DefaultConcurrency"):
        assert name in text
        assert f"  {name}:\n" in parameters
    assert "max_concurrency" in SessionOptions.model_fields
    assert "max_concurrency" in text


def test_json_for_scripts() -> None:
    """One object with everything that the text says."""
    found = json.loads(run("--tasks", "2000", "--chunk-size", "10", "--copies", "2", "--json"))
    assert found["chunks"] == 200
    assert found["seconds"]["results"] > found["seconds"]["submitted"] > 0
    assert found["requests"]["dynamodb.UpdateItem"] >= 400
    assert {bound["name"] for bound in found["resources"]} >= {"child starts", "client transfers"}
