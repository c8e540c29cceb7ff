"""The emulator of two kinds, for test_emulator_*: as it is published, and as it is corrected.

The faults are those that stepgrid.local.corrected_ministack mends. When a test of one fails, the
emulator is mended: remove the correction and the test.
"""

import io
import json
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config

from stepgrid.local.emulator import choose_port, emulator_environment
from stepgrid.local.storage import LocalPaths

REGION = "us-east-1"
ALLOW_S3 = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole"}


class Cloud:
    """A ministack of one of two kinds: as it is published, or corrected."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def client(self, service: str, key: str = "test", secret: str = "test"):  # type: ignore[no-untyped-def]
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module", params=["ministack", "stepgrid.local.corrected_ministack"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def cloud(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    paths = LocalPaths(tmp_path_factory.mktemp("emulator"))
    paths.scratch.mkdir(parents=True)
    port = choose_port()
    process = subprocess.Popen(
        [sys.executable, "-m", kind],
        env=emulator_environment(paths, port, "test"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_listens(process, port)
        yield Cloud(port)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"ministack ended with {process.returncode}")


def make_function(
    cloud: Cloud, name: str, source: dict[str, str], runtime: str = "python3.11"
) -> str:
    trust = {**ALLOW_S3, "Statement": [{**TRUST, "Principal": {"Service": "lambda.amazonaws.com"}}]}
    role = cloud.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)
    )
    cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime=runtime,
        Handler="handler.run",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": pack(source)},
    )
    return name


def pack(source: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in source.items():
            # as old as any file: what is packed twice is the same
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()
