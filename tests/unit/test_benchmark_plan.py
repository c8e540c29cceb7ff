"""The benchmark's plan: what is measured, when it is left out, and in which order."""

import pytest

from tests.benchmarks.plan import (
    START,
    Measure,
    Profile,
    extrapolate,
    forecast_seconds,
    full_profile,
    is_wanted,
    order_of_round,
    plan_efficiency,
    plan_latency,
    quick_profile,
)
from tests.benchmarks.records import Outcome, Record

MILLION = Measure("throughput", 1_000_000)
PROFILE = Profile("test", rounds=3, cap_seconds=60, repeat_seconds=30, measures=(MILLION,))


def record(measure: Measure, outcome: Outcome = Outcome.MEASURED, **figures: object) -> Record:
    return Record("dask", measure.key, 1, outcome, figures)


def session(tasks: int, seconds: float) -> Record:
    return record(Measure("throughput", tasks), samples=[seconds])


@pytest.mark.parametrize("make_profile", [full_profile, quick_profile])
def test_measures_have_different_names(make_profile: type) -> None:
    """No record can be taken for one of another measure, or for the start."""
    keys = [measure.key for measure in make_profile(4).measures]
    assert len({*keys, START}) == len(keys) + 1


def test_every_contender_begins_a_round() -> None:
    """The order turns by one each round; nobody is left out."""
    assert [order_of_round("abc", number) for number in (1, 2, 3, 4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_an_efficiency_run_fills_all_workers() -> None:
    """The tasks take the ideal time on the workers, and some are run before."""
    measure = plan_efficiency(milliseconds=100, workers=4, ideal_seconds=10)
    assert measure.command == {
        "measure": "efficiency",
        "tasks": 400,
        "milliseconds": 100,
        "warm_up": 40,
    }
    assert plan_efficiency(1000, 4, 5).arguments["warm_up"] == 4


def test_a_session_is_forecast_by_the_line_through_the_largest_two() -> None:
    """Most of a short session is what every session takes, so its rate says little."""
    points = [(1, 0.05), (1_000, 0.2), (10_000, 0.65)]
    assert extrapolate(points, 100_000) == pytest.approx(5.15)


def test_few_tasks_say_little_of_many() -> None:
    """A system that is slow with a hundred tasks may still be tried with a thousand, a bit more."""
    assert extrapolate([(10, 1.0), (100, 10.0)], 1_000) == pytest.approx(32.5)
    assert extrapolate([(100, 10.0), (1_000, 100.0)], 2_000) == pytest.approx(200)


def test_a_larger_session_that_took_no_longer_costs_nothing_more() -> None:
    """A slope below zero is noise."""
    assert extrapolate([(100, 0.3), (1_000, 0.2)], 10_000) == pytest.approx(0.2)


def test_nothing_is_forecast_from_one_size() -> None:
    """With fewer than two sizes known, a measure is simply tried."""
    assert forecast_seconds(MILLION, "dask", [session(1_000, 1.0)], 4) is None
    both = [session(1_000, 1.0), session(10_000, 10.0)]
    assert forecast_seconds(MILLION, "dask", both, 4) == pytest.approx(1000)
    assert forecast_seconds(MILLION, "ray", both, 4) is None


def test_a_measure_may_have_a_cap_of_its_own() -> None:
    """A run is given up well beyond it."""
    long = Measure("throughput", 100_000, cap_seconds=300)
    assert (PROFILE.cap_of(MILLION), PROFILE.cap_of(long)) == (60, 300)
    assert PROFILE.patience_with(long) > 3 * 300


def test_other_measures_are_forecast_by_their_calls() -> None:
    """Chunks that are cut by hand are calls; tasks that sleep take at least their sleep."""
    known = [session(1_000, 1.0), session(10_000, 10.0)]
    assert forecast_seconds(plan_latency(100, 5, 1.0), "dask", known, 4) == pytest.approx(0.2)
    chunked = Measure("chunked", 100_000, arguments={"chunk": 1000})
    assert forecast_seconds(chunked, "dask", known, 4) == pytest.approx(0.1)
    naps = plan_efficiency(milliseconds=1000, workers=4, ideal_seconds=10)
    assert forecast_seconds(naps, "dask", known, 4) == pytest.approx(11)


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        ([], True),
        ([record(MILLION, took_seconds=12.0)], True),
        ([record(MILLION, took_seconds=31.0)], False),
        ([record(MILLION, took_seconds=1.0)] * 3, False),
        ([record(MILLION, Outcome.TOO_SLOW)], False),
        ([record(MILLION, Outcome.NOT_OFFERED)], False),
        ([record(MILLION, Outcome.FAILED)], True),
        ([record(MILLION, Outcome.FAILED)] * 3, False),
    ],
)
def test_a_measure_is_repeated_while_that_tells_more(tries: list[Record], expected: bool) -> None:
    """Until it has its rounds or its time, and never where the answer is known."""
    assert is_wanted(MILLION, "dask", tries, PROFILE) is expected
    assert is_wanted(MILLION, "ray", tries, PROFILE)
