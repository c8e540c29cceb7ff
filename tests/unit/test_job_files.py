"""Which files of jobs an owner may read, and where they are uploaded to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stepgrid_core.container.broker_rows import Desk
from stepgrid_core.container.job_desk import BrokerJobDesk
from stepgrid_core.contract import JobFileUpload
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.job_files import create_file_upload, readable_key
from stepgrid_core.names import (
    file_key,
    job_output_key,
    job_outputs_prefix,
    owner_folder,
    session_id,
)

from .job_world import BUCKET, OTHER, OWNER, JobWorld

SESSION = session_id(OWNER, "t")
FOLDER, OTHER_FOLDER = owner_folder(OWNER), owner_folder(OTHER)
UPLOAD = "0" * 32
FILE = file_key(OWNER, UPLOAD, "data.csv")
OUTPUT = job_output_key(30, OWNER, SESSION, (0, 1), "out/é a+b.txt")


@pytest.mark.parametrize("key", [FILE, OUTPUT, file_key(OWNER, UPLOAD, "a b")])
def test_own_files_may_be_read(key: str) -> None:
    """What the owner uploaded, and what the owner's jobs left."""
    assert readable_key(BUCKET, OWNER, f"s3://{BUCKET}/{key}") == key
    assert readable_key(BUCKET, OTHER, f"s3://{BUCKET}/{key}") is None


@pytest.mark.parametrize(
    "url",
    [
        f"s3://{BUCKET}/{file_key(OTHER, UPLOAD, 'data.csv')}",
        f"s3://{BUCKET}/{job_output_key(30, OTHER, SESSION, (0, 1), 'a')}",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}/../../{OTHER_FOLDER}/{UPLOAD}/data.csv",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}/%2e%2e/%2e%2e/{OTHER_FOLDER}/{UPLOAD}/data.csv",
        f"s3://{BUCKET}/files/{FOLDER}%2f..%2f{OTHER_FOLDER}/{UPLOAD}/data.csv",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}/..%2f..%2f{OTHER_FOLDER}",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}\\..\\data.csv",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}/./data.csv",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}//data.csv",
        f"s3://{BUCKET}//{FILE}",
        f"s3://{BUCKET}/./{FILE}",
        f"s3://{BUCKET}/x/../{FILE}",
        f"s3://{BUCKET}/{FILE}?versionId=1",
        f"s3://{BUCKET}/{FILE}#x",
        f"s3://{BUCKET}/{FILE}\n",
        f"s3://{BUCKET}/{FILE}\0",
        f"s3://{BUCKET}/{FILE}/",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}/",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}",
        f"s3://{BUCKET}/files/{FOLDER}/data.csv",
        f"s3://{BUCKET}/files/{FOLDER.upper()}/{UPLOAD}/data.csv",
        f"s3://{BUCKET}/files/{FOLDER}x/{UPLOAD}/data.csv",
        f"s3://{BUCKET}/Files/{FOLDER}/{UPLOAD}/data.csv",
        f"s3://{BUCKET}/jobs/30/{FOLDER}/{SESSION}/0/1/",
        f"s3://{BUCKET}/jobs/030/{FOLDER}/{SESSION}/0/1/a",
        f"s3://{BUCKET}/jobs/30/{FOLDER}/x/0/1/a",
        f"s3://{BUCKET}/jobs/30/{FOLDER}/{SESSION}/x/1/a",
        f"s3://{BUCKET}/jobs/30/{FOLDER}/{SESSION}/0/x/a",
        f"s3://{BUCKET}/jobs/30/{FOLDER}/{SESSION}/0/a",
        f"s3://{BUCKET}/jobs/{FOLDER}/30/{SESSION}/0/1/a",
        f"s3://{BUCKET}/inputs/{FOLDER}/{UPLOAD}.jsonl",
        f"s3://{BUCKET}/results/{SESSION}/00000/1-0.jsonl",
        f"s3://{BUCKET}/{'x' * 2000}",
        f"s3://{BUCKET}/files/{FOLDER}/{UPLOAD}/{'é' * 600}",
        f"s3://{BUCKET}/",
        f"s3://{BUCKET}",
        f"s3://other/{FILE}",
        f"s3://{BUCKET.upper()}/{FILE}",
        f"s3://{BUCKET}./{FILE}",
        f"s3://x@{BUCKET}/{FILE}",
        f"s3://{BUCKET}:443/{FILE}",
        f"s3:///{FILE}",
        f"s3:///{BUCKET}/{FILE}",
        f"s3:/{BUCKET}/{FILE}",
        f"S3://{BUCKET}/{FILE}",
        f" s3://{BUCKET}/{FILE}",
        f"s3a://{BUCKET}/{FILE}",
        f"https://{BUCKET}/{FILE}",
        f"file://{BUCKET}/{FILE}",
        FILE,
        "",
    ],
)
def test_nothing_else_may_be_read(url: str) -> None:
    """Files of others, other keys, other buckets, and other spellings of all that."""
    assert readable_key(BUCKET, OWNER, url) is None


@pytest.mark.parametrize(
    "url",
    [
        f"s3://other/{FILE}",
        f"s3://{BUCKET}/inputs/x",
        f"s3://{BUCKET}/{file_key(OTHER, UPLOAD, 'data.csv')}",
    ],
)
def test_a_submit_refuses_what_may_not_be_read(url: str) -> None:
    """The error names the URL, and no job is made."""
    world = JobWorld()
    with pytest.raises(InvalidRequest, match="is no file of yours") as refused:
        world.submit(inputs=[{"url": "https://example.org/a"}, {"url": url}])
    assert repr(url) in str(refused.value)
    assert world.ask("GET", "/v1/jobs")[1]["jobs"] == []


@pytest.mark.parametrize(
    "url", ["ftp://host/a", "/etc/passwd", "a", "s3://B/x", f"S3://own/{FILE}"]
)
def test_a_submit_refuses_what_is_no_address(url: str) -> None:
    """Before anything is looked at."""
    world = JobWorld()
    body = {"client_token": "t", "executable": "true", "inputs": [{"url": url, "name": "a"}]}
    status, answered = world.ask("POST", "/v1/jobs", body)
    assert (status, "inputs.0.url" in answered["error"]["message"]) == (400, True)
    assert world.ask("GET", "/v1/jobs")[1]["jobs"] == []


def test_own_files_and_the_web_are_taken() -> None:
    """Whether a file is there is found out when it is fetched."""
    urls = ["https://example.org/a", "http://example.org/b", f"s3://{BUCKET}/{FILE}"]
    assert JobWorld().submit(inputs=[{"url": url} for url in urls])


def test_an_upload_can_be_named_in_a_job() -> None:
    """The answer says how."""
    world = JobWorld()
    status, upload = world.ask("POST", "/v1/uploads", {"file": {"name": "é a.csv"}})
    assert status == 201
    assert len(upload["urls"]) == 1
    key = readable_key(BUCKET, OWNER, upload["s3_url"])
    assert upload["urls"] == [f"memory:{key}"]
    assert world.submit(inputs=[{"url": upload["s3_url"]}])


def test_the_same_bytes_have_the_same_url() -> None:
    """So that a submit can be repeated with its uploads; of another owner it is another one."""
    grid, file = JobWorld().grid, JobFileUpload(name="a", sha256="0" * 64)
    first, again = (create_file_upload(grid, OWNER, file).s3_url for _ in range(2))
    assert first == again
    assert first != create_file_upload(grid, OTHER, file).s3_url
    assert first != create_file_upload(grid, OWNER, JobFileUpload(name="a")).s3_url


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "a\\b", "a%2fb", "a?b", "a#b", "a\nb", "a\0", "x" * 201]
)
def test_names_of_files_have_no_folders(name: str) -> None:
    """Nor anything else that would be read as another key."""
    with pytest.raises(ValidationError):
        JobFileUpload(name=name)


class UnaskedBroker:
    """For desks that only store."""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError(question)


def test_another_start_of_a_job_has_files_of_its_own(tmp_path: Path) -> None:
    """One that was given up and lives on can't write over what its successor left."""
    stored = dict[str, str]()
    prefix = job_outputs_prefix(30, OWNER, SESSION)

    def store(key: str, file: Path) -> None:
        stored[key] = file.read_text()

    desk = BrokerJobDesk(Desk(UnaskedBroker(), {}), prefix, store)
    for attempt, text in ((2, "second"), (1, "first, and late")):
        file = tmp_path / text
        file.write_text(text)
        desk.store_output(0, attempt, "a", file)
    assert stored[job_output_key(30, OWNER, SESSION, (0, 2), "a")] == "second"
    assert all(readable_key(BUCKET, OWNER, f"s3://{BUCKET}/{key}") for key in stored)
