"""The benchmark's report: statistics, tables, and the file that keeps the records."""

from pathlib import Path

import pytest

from tests.benchmarks.family import is_loopback
from tests.benchmarks.machine import find_model
from tests.benchmarks.quantiles import quantile, spread
from tests.benchmarks.records import Campaign, Outcome, Record, read_campaign, write_campaign
from tests.benchmarks.report import (
    BEGIN,
    END,
    milliseconds,
    progress_text,
    replace_report,
    seconds_text,
    whole,
    write_report,
)

MACHINE = {
    "date": "2026-11-24 12:00 UTC",
    "processor": "Test CPU",
    "cores": 4,
    "memory_gib": 24,
    "system": "Linux",
    "python": "3.11.7",
    "workers": 4,
    "load_before": 0.1,
}
RECORDS = (
    Record("stepgrid", "start", 1, Outcome.MEASURED, {"seconds": 21.5}),
    Record("stepgrid", "latency 100", 1, Outcome.MEASURED, {"samples": [0.1, 0.2, 0.3]}),
    Record(
        "stepgrid",
        "throughput 1000",
        1,
        Outcome.MEASURED,
        {"samples": [0.1, 0.1, 0.2], "cpu_seconds": 0.24},
    ),
    Record(
        "stepgrid", "throughput 1000", 2, Outcome.MEASURED, {"samples": [0.2], "cpu_seconds": 0.16}
    ),
    Record("stepgrid", "efficiency 400 100 ms", 1, Outcome.MEASURED, {"seconds": 12.5}),
    Record("dask", "throughput 1000", 1, Outcome.TOO_SLOW, {}, "would take about 70 s"),
    Record("ray", "start", 1, Outcome.NOT_INSTALLED, {}, "ImportError: no ray"),
)
CAMPAIGN = Campaign("full", MACHINE, {"stepgrid": {"stepgrid": "0.1.0"}}, RECORDS, 60.0)


def row(report: str, section: str, title: str) -> str:
    """The line of a contender in a table."""
    table = report.split(f"### {section}")[1].split("###", maxsplit=1)[0]
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {title}")]
    return line


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.25, 2), (0.5, 3), (0.99, 4.96), (1, 5)])
def test_quantiles_lie_between_neighbours(share: float, expected: float) -> None:
    """The order of the samples does not matter."""
    assert quantile([5, 1, 4, 2, 3], share) == pytest.approx(expected)


def test_no_samples_have_no_quantile() -> None:
    """Nothing is made up where nothing was measured."""
    with pytest.raises(ValueError, match="no samples"):
        quantile([], 0.5)


def test_a_spread_is_the_middle_and_the_range() -> None:
    """Of few runs the extremes are told, no deviation."""
    found = spread([3.0, 1.0, 2.0])
    assert (found.low, found.median, found.high, found.runs) == (1.0, 2.0, 3.0, 3)


def test_a_table_has_median_and_range() -> None:
    """Rates of the runs, from lowest to highest; a median session of 100 tasks; CPU time a task."""
    line = row(write_report(CAMPAIGN), "No-op tasks", "stepgrid")
    assert line == "| stepgrid (local cloud) | 500 | 7,500 (5,000 to 10,000) | 100 µs |"


def test_efficiency_is_ideal_time_over_measured_time() -> None:
    """400 tasks of 100 ms on 4 workers take 10 s at best."""
    assert row(write_report(CAMPAIGN), "Efficiency", "stepgrid").endswith("| 80.0 % |")


def test_gaps_say_why() -> None:
    """A contender without figures is in the tables, with the reason."""
    report = write_report(CAMPAIGN)
    assert "| too slow |" in row(report, "No-op tasks", "Dask")
    assert "| not installed |" in row(report, "No-op tasks", "Ray")
    assert "would take about 70 s" in report.split("### Gaps")[1]
    assert "ImportError: no ray" in report.split("### Gaps")[1]


def test_the_machine_is_named() -> None:
    """Figures without their machine are worth nothing."""
    assert "4 cores of Test CPU" in write_report(CAMPAIGN)


def test_only_the_report_in_a_document_is_replaced() -> None:
    """What people wrote around it stays, however often it is replaced."""
    document = f"# Head\n\n{BEGIN}\nold\n{END}\n\nTail\n"
    once = replace_report(document, "new")
    assert once == f"# Head\n\n{BEGIN}\n\nnew\n\n{END}\n\nTail\n"
    assert replace_report(once, "new") == once


def test_a_document_without_its_marks_is_refused() -> None:
    """Nothing is written over by mistake."""
    with pytest.raises(ValueError, match="lacks the lines"):
        replace_report("# Head\n", "new")


def test_records_survive_their_file(tmp_path: Path) -> None:
    """What is written is what is read."""
    write_campaign(CAMPAIGN, tmp_path / "performance.json")
    assert read_campaign(tmp_path / "performance.json") == CAMPAIGN


def test_progress_shows_the_figure_or_the_reason() -> None:
    """Who waits sees at once how it goes."""
    lines = [" ".join(progress_text(record).split()) for record in RECORDS]
    assert lines[1] == "round 1 stepgrid latency 100 p50 200 ms of 3"
    assert lines[2] == "round 1 stepgrid throughput 1000 10,000 tasks/s of 3"
    assert lines[5] == "round 1 dask throughput 1000 too slow: would take about 70 s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (whole(30_123.4), "30,100"),
        (whole(512.3), "512"),
        (whole(7.4), "7"),
        (milliseconds(0.0042), "4.2"),
        (milliseconds(0.0312), "31"),
        (seconds_text(0.123), "0.12"),
        (seconds_text(23.4), "23"),
    ],
)
def test_no_more_digits_than_mean_something(text: str, expected: str) -> None:
    """Three of a rate, two of a time."""
    assert text == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.2", False),
    ],
)
def test_loopback_is_known_in_all_its_words(address: str, expected: bool) -> None:
    """Whoever listens elsewhere is found out."""
    assert is_loopback(address) is expected


def test_the_processor_is_named_as_the_system_does() -> None:
    """Where Linux does not know a model, the architecture stands for it."""
    assert find_model("processor: 0\nmodel name\t: Test CPU\n") == "Test CPU"
    assert find_model("processor: 0\n") != ""
