"""Cloud Kotta's job JSON becomes a JobRequest."""

import time
from typing import Any

import pytest

from stepgrid_core.contract import JobRequest
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.kotta_jobs import read_job

#: The manual's, as it travels.
ECHO = {
    "user_email": "somebody@example.org",
    "executable": "/bin/echo 'Hello World!'",
    "jobname": "Hello World on Kotta",
    "queue": "Test",
    "script_name": "none.sh",
    "script": "",
    "jobtype": "script",
    "output_file_stdout": "STDOUT.txt",
    "output_file_stderr": "STDERR.txt",
    "outputs": "foo.txt",
    "walltime": "5",
}


def read(**changes: str | None) -> JobRequest:
    """ECHO with other fields; None takes one out."""
    form: dict[str, Any] = {**ECHO, **changes}
    return read_job({key: value for key, value in form.items() if value is not None}, "token")


def test_the_manuals_job() -> None:
    """Every field of it, and nothing that was not said."""
    assert read() == JobRequest(
        client_token="token",
        queue="Test",
        name="Hello World on Kotta",
        executable="/bin/echo 'Hello World!'",
        script="",
        script_name="none.sh",
        outputs=["foo.txt"],
        walltime_seconds=300,
    )


def test_args_are_words() -> None:
    """Cut as a shell would, beside an executable that is one as well."""
    assert read(args="-n 'two words' 3").args == ["-n", "two words", "3"]


def test_long_jobs_have_a_shell() -> None:
    """From 301 s on, as it was: the whole line is the shell's, whatever is in it."""
    short, long = read(walltime="5", args="> a"), read(walltime="6", args="> 'a b' | tee c")
    assert (short.shell, short.args) == (False, [">", "a"])
    assert (long.shell, long.args) == (True, [])
    assert long.executable == "/bin/echo 'Hello World!' > 'a b' | tee c"
    assert read(executable="echo it's", walltime="6").shell


def test_inputs_are_a_list_with_commas_and_keys() -> None:
    """In order, each once."""
    request = read(
        inputs="http://a/1, s3://own/2,,", input_url="http://c/3", input_url2="http://a/1"
    )
    assert [one.url for one in request.inputs] == ["http://a/1", "s3://own/2", "http://c/3"]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ("http://a/x.csv,http://b/x.csv", r"two of them are called 'x.csv'; rename one"),
        ("http://a/x%20y,s3://own/x y", r"two of them are called 'x y'"),
        ("http://a/", r"'http://a/' does not end in the name of a file"),
        ("http://a/STDOUT.txt", r"'STDOUT.txt' is what the job prints"),
        ("http://a/~x", r"'~x' begins with ~"),
        ("ftp://a/x", r"'ftp://a/x' is no URL of http, https, s3"),
        ("s3://own/a//x", r"has an empty part"),
    ],
)
def test_inputs_without_a_name_of_their_own_are_refused(inputs: str, reason: str) -> None:
    """A file can't be given another name here, so the reason tells what to change."""
    with pytest.raises(InvalidRequest, match=f"^inputs : .*{reason}"):
        read(inputs=inputs)


def test_an_input_is_not_the_script() -> None:
    """Neither would be there for sure."""
    with pytest.raises(InvalidRequest, match=r"^'none.sh' is the name of two files"):
        read(inputs="http://a/none.sh")


def test_outputs_are_a_list_with_commas_and_keys() -> None:
    """What is always there is not said again: STDOUT, STDERR and the script."""
    request = read(outputs="foo.txt, bar.txt,none.sh", output_x="x.txt", output_file_stdout="o")
    assert request.outputs == ["foo.txt", "bar.txt", "o", "x.txt"]
    assert read(outputs="").outputs == []


def test_line_ends_of_a_script_are_unixs() -> None:
    """A script written on Windows runs."""
    assert read(script="#!/bin/sh\r\necho 1\r\n\r").script == "#!/bin/sh\necho 1\n"


def test_a_job_needs_no_script() -> None:
    """Without a name and a text there is none."""
    assert read(script=None, script_name=None).script is None
    assert read(script="", script_name="").script_name is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"queue": None}, "Queue : [None] is not valid"),
        ({"queue": ""}, "Queue : [None] is not valid"),
        ({"walltime": None}, 'walltime missing; give it in minutes: "walltime" : "5"'),
        ({"walltime": "x"}, "walltime : [x] is not valid; give it in whole minutes"),
        ({"walltime": "0"}, "walltime : [0] is not valid; give it in whole minutes"),
        ({"walltime": "-5"}, "walltime : [-5] is not valid; give it in whole minutes"),
        ({"jobtype": "doc_to_vec"}, "jobtype : [doc_to_vec] is not valid; supported: script"),
        ({"jobtype": None}, "jobtype : [None] is not valid; supported: script"),
        ({"executable": None}, "executable missing"),
        (
            {"executable": "echo it's"},
            "executable and args are no command line: No closing quotation",
        ),
        ({"script": None}, "script missing, though script_name is none.sh"),
        ({"script": "x", "script_name": None}, "script_name missing"),
    ],
)
def test_what_is_refused(changes: dict[str, str | None], reason: str) -> None:
    """In the old words where there were any, otherwise so that one knows what to change."""
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.message == reason


def test_what_the_contract_refuses_is_told_without_the_value() -> None:
    """Where and why: a script may hold a password."""
    with pytest.raises(InvalidRequest, match=r"^script : ") as caught:
        read(script="secret" * 100_000)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"executable": "a" * 3_000_000}, "executable and args have more than"),
        ({"args": "a" * 3_000_000}, "executable and args have more than"),
        ({"inputs": ",".join(f"http://e.org/{n}" for n in range(300_000))}, "inputs : "),
    ],
)
def test_what_is_huge_is_refused_at_once(changes: dict[str, str | None], reason: str) -> None:
    """Before it is read word by word: a form may have megabytes, and a request seconds."""
    began = time.process_time()
    with pytest.raises(InvalidRequest, match=f"^{reason}"):
        read(**changes)
    assert time.process_time() - began < 2


def test_unknown_keys_are_ignored() -> None:
    """As they always were."""
    assert read(access_token="t", refresh_token="r", colour="red") == read()
