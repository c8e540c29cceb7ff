"""Jobs as Cloud Kotta's clients read them, by those clients' own rules of reading."""

import json
import re
from typing import Any
from urllib.parse import urlparse

import pytest

from stepgrid_core.contract import JobDescription
from stepgrid_core.kotta_status import describe_list, describe_status, link, stamp
from stepgrid_core.ports import Caller
from stepgrid_core.states import JobState

from .kotta_world import ANN, JOB_ID, SEED_JOB, output

#: What clients of the old library know.
OLD_STATES = {
    "pending",
    "staging_inputs",
    "cancelled",
    "completed",
    "failed",
    "processing",
    "staging_outputs",
}
URL = "https://s3.us-east-1.amazonaws.com/bucket/results/1/foo.txt?X-Amz-Expires=1500&b=2"


def pairs(job: JobDescription, *outputs: Any, caller: Caller = ANN) -> list[tuple[str, Any]]:
    """Through JSON, as the clients get it."""
    answer = json.loads(json.dumps(describe_status(job, list(outputs), caller)))
    assert answer["status"] == job.state
    assert list(answer["items"]) == [str(index) for index in range(len(answer["items"]))]
    items = [list(item.items()) for item in answer["items"].values()]
    assert all(len(item) == 1 for item in items)
    return [item[0] for item in items]


def changed(**fields: Any) -> JobDescription:
    return JobDescription.model_validate(SEED_JOB.model_dump() | fields)


def test_the_order_of_the_manual() -> None:
    """Each item has one key; what is not known yet is not there."""
    assert [key for key, _ in pairs(SEED_JOB, output("foo.txt", None))] == [
        "queue",
        "submit_stamp",
        "submit_time",
        "status",
        "user_email",
        "z_processing_dur",
        "walltime",
        "jobtype",
        "z_stageout_dur",
        "username",
        "job_id",
        "executable",
        "z_stagein_dur",
        "complete_time",
        "start_time",
        "outputs",
    ]
    young = changed(state="pending", started_at=None, completed_at=None, stages={})
    assert dict(pairs(young, caller=Caller("o", "bob"))) == {
        "queue": "Test",
        "submit_stamp": "2016-03-11 18:27:24",
        "submit_time": "2016-03-11 18:27:24",
        "status": "pending",
        "user_email": "",
        "walltime": 300,
        "jobtype": "script",
        "username": "bob",
        "job_id": JOB_ID,
        "executable": "/bin/echo test.sh",
    }


def test_outputs_in_the_order_of_the_manual() -> None:
    """What was declared, the script, STDOUT, STDERR, in whatever order they come."""
    names = ["test.sh", "b.txt", "STDERR.txt", "STDOUT.txt", "a.txt"]
    told = [v for k, v in pairs(SEED_JOB, *(output(n, None) for n in names)) if k == "outputs"]
    order = ("b.txt", "a.txt", "test.sh", "STDOUT.txt", "STDERR.txt")
    assert told == [f"<i>{name}</i>" for name in order]


@pytest.mark.parametrize("state", JobState)
def test_outputs_are_told_at_the_end(state: JobState) -> None:
    """Of whatever ended; and there is no state that the old library does not know."""
    told = dict(pairs(changed(state=state), output("foo.txt", URL)))
    assert ("outputs" in told) is (state in ("completed", "failed", "cancelled"))
    assert state in OLD_STATES


def test_a_failure_and_a_cancel() -> None:
    """With the old codes, and the old reason."""
    failed = dict(pairs(changed(state="failed", error="exit code 3", error_code=3)))
    assert (failed["ERROR"], failed["ERROR_CODE"]) == ("exit code 3", 3)
    assert "reason" not in failed
    cancelled = dict(pairs(changed(state="cancelled", error_code=1002)))
    assert cancelled["reason"] == "User request cancel"


def test_name_args_and_the_first_input() -> None:
    """Only the first input, as a link to where it came from."""
    job = changed(name="Hello", args=["-n", "two words"], inputs=["http://h/d/a.txt?x=1&y=2", "b"])
    told = dict(pairs(job))
    assert told["jobname"] == "Hello"
    assert told["args"] == "-n 'two words'"
    assert told["inputs"] == '<a href="http://h/d/a.txt?x=1&y=2">a.txt</a>'


def test_a_list() -> None:
    """Numbered, with the four fields that a row has."""
    assert describe_list([]) == {"status": "Success", "items": {}}
    [row] = describe_list([SEED_JOB])["items"].values()  # type: ignore[attr-defined,list-item]
    assert row == {
        "job_id": JOB_ID,
        "status": "completed",
        "jobtype": "script",
        "submit_stamp": "2016-03-11 18:27:24",
    }
    assert stamp(0.9) == "1970-01-01 00:00:00"


class TestOldReaders:
    """Rules by which the old clients take links apart, as data."""

    @pytest.mark.parametrize("name", ["foo.txt", "test.sh", "STDOUT.txt", "out.pkl"])
    def test_the_old_command_line(self, name: str) -> None:
        """It strips characters, not texts: names that end in other letters come through."""
        available, absent = link(name, URL), link(name, None)
        assert available.startswith("<a href")
        assert available.strip("</a>").split(">")[-1] == name
        assert available.strip("<a href=").split('">')[0].strip('"') == URL
        assert absent.startswith("<i>")
        assert absent.strip("<i>").strip("</i>") == name

    @pytest.mark.parametrize("name", ["foo.txt", "data", "out.pkl", "sub/x.txt"])
    def test_the_old_library(self, name: str) -> None:
        """It cuts at fixed places, and splits once."""
        text = link(name, URL)
        assert text.startswith('<a href="')
        assert text.endswith("</a>")
        assert text[9:][:-4].split('">') == [URL, name]
        # Its own mistake: one character of the end tag is left.
        assert link(name, None)[3:][:-3] == f"{name}<"

    @pytest.mark.parametrize(
        "url",
        [
            URL,
            "https://s3.amazonaws.com/bucket/results/1/foo.txt?X-Amz-Expires=1500&b=2",
            "https://s3-us-west-2.amazonaws.com/bucket/results/1/foo.txt?b=2",
        ],
    )
    def test_addresses_of_outputs(self, url: str) -> None:
        """By path, of a region or of all: the old library finds bucket and key in them."""
        if "s3.amazonaws.com" in url:
            parsed = urlparse(url)
            found = parsed.netloc.replace(".s3.amazonaws.com", "") + parsed.path
            assert found.endswith("/bucket/results/1/foo.txt")
        else:
            assert re.search("https://s3.*amazonaws.com/", url)
            rest = re.sub("https://s3.*amazonaws.com/", "", url)
            assert rest.split("/", 1)[0] == "bucket"
