"""Functions and logs of the emulator: its faults that are mended, see emulator_bench."""

import base64
import json
import time

import pytest

from tests.integration.emulator_bench import Cloud, make_function, pack


def test_a_search_of_logs_goes_on_behind_its_first_page(kind: str, cloud: Cloud) -> None:
    """AWS answers a nextToken while there is more; the emulator forgets what is left."""
    logs = cloud.client("logs")
    stream = {"logGroupName": "group", "logStreamName": "stream"}
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(**stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + n // 3, "message": f"{n}"} for n in range(10)]
    logs.put_log_events(**stream, logEvents=events)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="group", PaginationConfig={"PageSize": 4}
    )
    found = [event["message"] for page in pages for event in page["events"]]
    assert found == [f"{n}" for n in range(4 if kind == "ministack" else 10)]


@pytest.mark.parametrize(
    ("runtime", "source"),
    [
        (
            "python3.11",
            {"handler.py": 'class Odd(ValueError): ...\ndef run(event, _): raise Odd("no curve")'},
        ),
        (
            "nodejs22.x",
            {
                "handler.js": "class Odd extends Error { name = 'Odd' }\n"
                "exports.run = async () => { throw new Odd('no curve') }"
            },
        ),
    ],
)
def test_the_error_of_a_handler(
    kind: str, cloud: Cloud, runtime: str, source: dict[str, str]
) -> None:
    """AWS names the exception's class and says where it was raised; the emulator does neither."""
    functions = cloud.client("lambda")
    name = make_function(cloud, runtime.replace(".", "-"), source, runtime)
    answer = functions.invoke(FunctionName=name, Payload=b"{}")
    error = json.loads(answer["Payload"].read())
    assert error["errorMessage"] == "no curve"
    assert error["errorType"] == ("Runtime.HandlerError" if kind == "ministack" else "Odd")
    assert ("Odd" in "".join(error.get("stackTrace", []))) == (kind != "ministack")


def test_an_answer_waits_for_no_log(kind: str, cloud: Cloud) -> None:
    """AWS answers when the handler returns; the emulator waits 50 ms for a line of its log."""
    silent = make_function(cloud, "silent", {"handler.py": "def run(event, _): return event"})
    functions = cloud.client("lambda")

    def seconds() -> float:
        begun = time.monotonic()
        functions.invoke(FunctionName=silent, Payload=b"{}")
        return time.monotonic() - begun

    assert (min(seconds() for _ in range(10)) >= 0.05) == (kind == "ministack")


def test_the_log_of_an_invocation_is_whole(cloud: Cloud) -> None:
    """AWS gives the last lines of the log with the answer, those of the same invocation alone."""
    text = "def run(event, _): print(event['first'], event['last'], sep='\\n', end=event['end'])"
    name = make_function(cloud, "talking", {"handler.py": text})
    functions = cloud.client("lambda")
    for number, end in enumerate(["\n", "\n\n", "\n"]):
        event = {"first": f"first {number}", "last": f"last {number}", "end": end}
        answer = functions.invoke(
            FunctionName=name, Payload=json.dumps(event).encode(), LogType="Tail"
        )
        log = base64.b64decode(answer["LogResult"]).decode().splitlines()
        told = [line for line in log if line.startswith(("first", "last"))]
        assert told == [f"first {number}", f"last {number}"]


def test_environments_have_a_layer_in_common(kind: str, cloud: Cloud) -> None:
    """AWS mounts a layer; the emulator unpacks it for each environment. A version is its own."""
    functions = cloud.client("lambda")
    text = "import os, told\ndef run(event, _): return [os.path.realpath(told.__file__), told.WORD]"
    answers = []
    for name, word in (("one", "old"), ("two", "old"), ("three", "new")):
        function = make_function(cloud, f"layered-{name}", {"handler.py": text})
        content = {"ZipFile": pack({"python/told.py": f"WORD = {word!r}"})}
        layer = functions.publish_layer_version(LayerName=word, Content=content)
        functions.update_function_configuration(
            FunctionName=function, Layers=[layer["LayerVersionArn"]]
        )
        answer = functions.invoke(FunctionName=function, Payload=b"{}")
        answers.append(json.loads(answer["Payload"].read()))
    assert [word for _, word in answers] == ["old", "old", "new"]
    assert len({path for path, _ in answers}) == (3 if kind == "ministack" else 2)
