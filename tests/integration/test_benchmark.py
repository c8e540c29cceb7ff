"""The benchmark itself, at a tiny size, with the contender that needs no installation."""

import sys
from pathlib import Path

from click.testing import CliRunner

from tests.benchmarks.__main__ import main
from tests.benchmarks.campaign import Runner
from tests.benchmarks.plan import (
    START,
    Measure,
    Profile,
    plan_cancel,
    plan_efficiency,
    plan_latency,
    plan_throughput,
)
from tests.benchmarks.records import Outcome, Record

TINY = Profile(
    "tiny",
    rounds=2,
    cap_seconds=60,
    repeat_seconds=60,
    measures=(
        Measure("first_task"),
        plan_latency(10, repeats=3, limit_seconds=60),
        plan_throughput(20),
        Measure("memory", 20, rounds=1),
        Measure("chunked", 20, rounds=1, arguments={"chunk": 7}),
        plan_efficiency(milliseconds=1, workers=2, ideal_seconds=0.01),
        plan_cancel(20),
    ),
)


def run(tmp_path: Path, profile: Profile, *contenders: str) -> list[Record]:
    heard: list[Record] = []
    runner = Runner(profile, 2, dict.fromkeys(contenders, sys.executable), tmp_path, heard.append)
    runner.run()
    assert heard == runner.records
    return runner.records


def test_every_measure_is_made_in_its_rounds(tmp_path: Path) -> None:
    """Figures of every measure come back, and no process is left behind."""
    records = run(tmp_path, TINY, "pool")
    assert {record.outcome for record in records} == {Outcome.MEASURED}
    tries = [(record.measure, record.round) for record in records]
    expected = [(START, 1), *((measure.key, 1) for measure in TINY.measures)]
    expected += [(START, 2)]
    expected += [(measure.key, 2) for measure in TINY.measures if measure.rounds > 1]
    assert tries == expected
    by_measure = {record.measure: record.figures for record in records}
    assert len(by_measure["latency 10"]["samples"]) == 3
    assert by_measure["memory 20"]["all_peak_bytes"] >= by_measure["memory 20"]["client_peak_bytes"]
    assert {"samples", "cpu_seconds", "took_seconds"} <= set(by_measure["throughput 20"])


def test_a_contender_that_is_not_installed_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its absence is recorded once, with the reason."""
    profile = Profile("tiny", 2, 60, 60, (Measure("first_task"),))
    records = run(tmp_path, profile, "parsl", "pool")
    absent, *others = [record for record in records if record.contender == "parsl"]
    assert (absent.measure, absent.outcome, others) == (START, Outcome.NOT_INSTALLED, [])
    assert "parsl" in absent.note
    assert sum(record.contender == "pool" for record in records) == 4


def test_a_measure_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its error is recorded, and the next measure is made."""
    broken = plan_latency(10, repeats=1, limit_seconds="soon")  # type: ignore[arg-type]
    records = run(tmp_path, Profile("tiny", 1, 60, 60, (broken, Measure("first_task"))), "pool")
    assert [record.outcome for record in records] == [
        Outcome.MEASURED,
        Outcome.FAILED,
        Outcome.MEASURED,
    ]
    assert records[1].note.startswith("TypeError")


def test_an_unknown_contender_is_refused() -> None:
    """Before anything is started, with the names that there are."""
    result = CliRunner().invoke(main, ["pool", "excel"])
    assert result.exit_code == 2
    assert "'dask'" in result.output
