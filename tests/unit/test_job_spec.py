"""What the contract takes as a job, and how it refuses the rest."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from stepgrid_core.contract import JobInput, JobRequest, JobSpec
from tests.hostile_names import HOSTILE_NAMES, HOSTILE_PATTERNS

GOOD: dict[str, Any] = {"executable": "/bin/echo 'Hello World!'"}


def refuse(**fields: Any) -> str:
    """What is said of the one field that is wrong."""
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate({**GOOD, **fields})
    (error,) = caught.value.errors()
    assert len(error["msg"]) < 700
    return ".".join(str(part) for part in error["loc"]) + ": " + error["msg"]


def test_the_job_of_the_first_document() -> None:
    """An empty script with a name is one."""
    spec = JobSpec(**GOOD, script="", script_name="none.sh", outputs=["foo.txt"])
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_full_one() -> None:
    """And it is read again from its JSON."""
    request = JobRequest(
        client_token="t-1",
        executable="run.sh",
        script="#!/bin/sh\n",
        script_name="bin/run.sh",
        inputs=[
            JobInput(url="s3://bucket/a.csv"),
            JobInput(url="https://example.com:8443/b?x=1", name="in/b", sha256="0" * 64),
        ],
        outputs=["a", "out/*.csv", "STDOUT.txt"],
        environment={"A_1": "x", "_b": ""},
        walltime_seconds=300,
    )
    assert [one.destination for one in request.inputs] == ["a.csv", "in/b"]
    assert JobRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("line", ["echo it's", "cat <<. # it's", "true # '"])
def test_a_shell_reads_its_line_itself(line: str) -> None:
    """What is no list of words may be a command, or an error that the shell tells."""
    assert JobSpec(executable=line, shell=True).executable == line
    assert "No closing quotation" in refuse(executable=line)


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, *HOSTILE_PATTERNS], ids=ascii)
def test_hostile_outputs(name: str) -> None:
    assert refuse(outputs=["good.txt", name]).startswith("outputs.1: ")


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "STDOUT.txt", "STDERR.txt"], ids=ascii)
def test_hostile_destinations(name: str) -> None:
    url = "https://example.com/a"
    assert refuse(inputs=[{"url": url, "name": name}]).startswith("inputs.0.name: ")
    assert refuse(script="", script_name=name).startswith("script_name: ")


def test_surrogates_in_json() -> None:
    """They can be sent as escapes."""
    text = json.dumps({**GOOD, "outputs": ["a\ud800"]})
    with pytest.raises(ValidationError):
        JobSpec.model_validate_json(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"script": "x"}, "script and script_name go together"),
        ({"script_name": "x"}, "script and script_name go together"),
        ({"executable": ""}, "executable: String should have at least 1 character"),
        ({"executable": "  "}, "executable has no word"),
        ({"executable": "  ", "shell": True}, "executable has no word"),
        ({"executable": "echo 'a"}, "executable 'echo 'a': No closing quotation"),
        ({"executable": "a\0b"}, "has a NUL character"),
        ({"executable": "a\ud800"}, "executable: "),
        ({"args": ["a\0"]}, "args.0: Value error, 'a\\x00' has a NUL character"),
        ({"environment": {"A": "b\0"}}, "has a NUL character"),
        ({"environment": {"": "b"}}, "can't be a variable"),
        ({"environment": {"1A": "b"}}, "can't be a variable"),
        ({"environment": {"A=B": "b"}}, "can't be a variable"),
        ({"environment": {"A\n": "b"}}, "can't be a variable"),
        ({"environment": {"\u00c4": "b"}}, "can't be a variable"),
        ({"environment": {"A" * 129: "b"}}, "can't be a variable"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "b"}}, "are the grid's"),
        ({"environment": {"aws_profile": "b"}}, "are the grid's"),
        ({"environment": {"STEPGRID_JOB_ID": "b"}}, "are the grid's"),
        ({"environment": {"LD_PRELOAD": "b"}}, "are the grid's"),
        ({"walltime_seconds": 0}, "walltime_seconds: "),
        ({"walltime_seconds": "5"}, "walltime_seconds: "),
        ({"inputs": [{"url": "ftp://example.com/a"}]}, "is no URL of http, https, s3"),
        ({"inputs": [{"url": "https://example.com"}]}, "does not end in the name of a file"),
        ({"inputs": [{"url": "s3://bkt/a", "sha256": "xyz"}]}, "inputs.0.sha256: "),
        ({"inputs": [{"url": "s3://bkt/a"}, {"url": "s3://bkt/b/a"}]}, "is the name of two files"),
        (
            {"script": "", "script_name": "a", "inputs": [{"url": "s3://bkt/a"}]},
            "'a' is the name of two files",
        ),
        (
            {"script": "", "script_name": "a/b", "inputs": [{"url": "s3://bkt/a"}]},
            "'a' is both a file and a folder",
        ),
        ({"unknown": 1}, "unknown: Extra inputs are not permitted"),
    ],
)
def test_refused(fields: dict[str, Any], message: str) -> None:
    assert message in refuse(**fields)
