"""The bootstrap of a container, as the template has it: a real process, a stand-in for Lambda.

The stand-in answers the two requests that the bootstrap makes of Lambda, and hands out the packages
that the answers name. In the layer is a package by the name of the core, which tells what it sees.
"""

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.translated_template import properties, read_template

FUNCTION = "grid-worker-echo"
LAYER = "arn:aws:lambda:eu-central-1:123456789012:layer:grid-core:7"
#: Prints what a container would see, and ends with a code of its own.
CORE = """
import json, os, shutil, sys
import mine

print(json.dumps({
    "environment": dict(os.environ),
    "arguments": sys.argv[1:],
    "folder": os.getcwd(),
    "mine": mine.NAME,
    "modes": {name: os.stat(name).st_mode & 0o777 for name in ("mine.py", "tool.sh")},
    "tool": shutil.which("layer-tool"),
    "pid": os.getpid(),
}))
sys.exit(7)
"""


def packed(files: dict[str, tuple[str, int]]) -> bytes:
    """A ZIP as `sam build` makes it: names, texts and modes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("folder/"), "")
        for name, (text, mode) in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, text)
    return stream.getvalue()


PACKAGES = {
    "/code.zip": packed({"mine.py": ("NAME = 'echo'", 0o644), "tool.sh": ("#!/bin/sh", 0o755)}),
    "/layer.zip": packed(
        {
            "python/stepgrid_core/__init__.py": ("", 0o644),
            "python/stepgrid_core/container/__init__.py": ("", 0o644),
            "python/stepgrid_core/container/__main__.py": (CORE, 0o644),
            "bin/layer-tool": ("#!/bin/sh", 0o755),
        }
    ),
}


class Lambda(ThreadingHTTPServer):
    """GetFunction, GetLayerVersionByArn, and the packages that they name."""

    daemon_threads = True

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), LambdaHandler)
        self.variables = variables

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> bytes | None:
        if path in PACKAGES:
            return PACKAGES[path]
        answers = {
            f"/2015-03-31/functions/{FUNCTION}": {
                "Code": {"Location": f"{self.url}/code.zip"},
                "Configuration": {
                    "Layers": [{"Arn": LAYER}],
                    "Environment": {"Variables": self.variables},
                },
            },
            f"/2018-10-31/layers?find=LayerVersion&Arn={LAYER.replace(':', '%3A')}": {
                "Content": {"Location": f"{self.url}/layer.zip"}
            },
        }
        return json.dumps(answers[path]).encode() if path in answers else None


class LambdaHandler(BaseHTTPRequestHandler):
    server: Lambda

    def do_GET(self) -> None:
        body = self.server.answer(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"{}")

    def log_message(self, *_: Any) -> None:
        """A test's output is its own."""


@pytest.fixture
def service() -> Iterator[Lambda]:
    variables = {
        "STEPGRID_HANDLER": "mine.handle",
        "STEPGRID_REDIS_URL": "rediss://:secret@cache",
        "STEPGRID_SESSION_ID": "of the function",
        "MINE": "1",
    }
    with Lambda(variables) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def command() -> list[str]:
    (container,) = properties(read_template(), "TaskDefinition")["ContainerDefinitions"]
    entry_point, said = container["EntryPoint"], container["Command"]
    assert entry_point == ["python3", "-c"]
    return [sys.executable, *entry_point[1:], *said]


def run(service: Lambda, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    kept.pop("PYTHONPATH", None)
    given = {
        "AWS_ENDPOINT_URL": service.url,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "STEPGRID_FUNCTION": FUNCTION,
        "STEPGRID_SESSION_ID": "of the container",
        "TMPDIR": str(folder),
    }
    return subprocess.run(
        command(),
        env={**kept, **given, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def seen(service: Lambda, tmp_path: Path) -> dict[str, Any]:
    ended = run(service, tmp_path)
    assert (ended.returncode, ended.stderr) == (7, "")
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_a_container_becomes_what_its_function_is(seen: dict[str, Any], tmp_path: Path) -> None:
    """Package and layers are unpacked, modes kept, and the library runs in the package's folder."""
    environment = seen["environment"]
    assert seen["mine"] == "echo"
    assert seen["modes"] == {"mine.py": 0o644, "tool.sh": 0o755}
    assert Path(seen["tool"]).is_relative_to(tmp_path)
    assert seen["folder"] == environment["LAMBDA_TASK_ROOT"]
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == seen["folder"]


def test_the_environment_is_the_functions_and_then_its_own(seen: dict[str, Any]) -> None:
    """What the state machine said goes before what the function says."""
    environment = seen["environment"]
    assert environment["MINE"] == "1"
    assert environment["STEPGRID_HANDLER"] == "mine.handle"
    assert environment["STEPGRID_SESSION_ID"] == "of the container"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == FUNCTION
    assert float(environment["STEPGRID_STARTED_AT"]) > 0


def test_a_container_does_not_get_the_caches_password(seen: dict[str, Any]) -> None:
    """It is in no network where the cache is, and must not read what others have put there."""
    assert "secret@" not in json.dumps(seen["environment"])


def test_the_bootstrap_is_replaced_by_the_library(service: Lambda, tmp_path: Path) -> None:
    """No process stands between ECS and the library, which gets the signals and gives the code."""
    with subprocess.Popen(
        ["sh", "-c", 'echo $$; exec "$0" "$@"', *command()],
        env={
            **{n: v for n, v in os.environ.items() if n in ("PATH", "LD_LIBRARY_PATH")},
            "AWS_ENDPOINT_URL": service.url,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "STEPGRID_FUNCTION": FUNCTION,
            "TMPDIR": str(tmp_path),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert json.loads(process.stdout.readline())["pid"] == pid


@pytest.mark.parametrize("function", ["grid-worker-gone", "grid-worker-echo/../x"])
def test_a_package_that_is_not_there_ends_the_container(
    service: Lambda, tmp_path: Path, function: str
) -> None:
    """It has failed, and the log says by what."""
    ended = run(service, tmp_path, STEPGRID_FUNCTION=function)
    assert ended.returncode == 1
    assert "Error" in ended.stderr


def test_the_bootstrap_needs_nothing_but_python_and_boto3() -> None:
    """Both are in the image; the rest comes with the package."""
    (*_, text) = command()
    compile(text, "bootstrap", "exec")
    modules = {
        name.strip().partition(".")[0]
        for line in text.splitlines()
        if line.startswith("import ")
        for name in line.removeprefix("import ").split(",")
    }
    assert modules <= {*sys.stdlib_module_names, "boto3"}
