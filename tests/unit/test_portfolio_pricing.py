"""The portfolio pricing worker and the demo books: prices against published and closed values."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepgrid.demo.books import black_scholes, longstaff_schwartz_table, random_book
from tests.unit.portfolio_samples import (
    DATES,
    GRID,
    LOW_DISCREPANCY,
    PSEUDORANDOM,
    SAMPLE_CALL,
    SAMPLE_PUT,
    Handler,
    Price,
    Trade,
    imported_handler,
    make_trade,
    tree,
)

# SWIG's types have no __module__, which Python 3.12 and later say at the first import of QuantLib.
pytestmark = pytest.mark.filterwarnings(
    "ignore:builtin type .* has no __module__:DeprecationWarning"
)

#: The engines of HTC-Grid's sample portfolio, with the values HTC-Grid states for them.
SAMPLE_PORTFOLIO: list[tuple[str, str, dict[str, Any], float]] = [
    ("European", "AnalyticEuropeanEngine", {}, 0.030334),
    ("European", "AnalyticHestonEngine", {}, 0.030334),
    ("European", "COSHestonEngine", {}, 0.030334),
    ("European", "IntegralEngine", {}, 0.030334),
    ("European", "FdBlackScholesVanillaEngine", GRID, 0.030334),
    ("European", "BinomialVanillaEngine", tree("JR"), 0.030287),
    ("European", "BinomialVanillaEngine", tree("CRR"), 0.030342),
    ("European", "BinomialVanillaEngine", tree("EQP"), 0.030392),
    ("European", "BinomialVanillaEngine", tree("Trigeorgis"), 0.030342),
    ("European", "BinomialVanillaEngine", tree("Tian"), 0.030303),
    ("European", "BinomialVanillaEngine", tree("LR"), 0.030334),
    ("European", "BinomialVanillaEngine", tree("Joshi4"), 0.030334),
    ("European", "MCEuropeanEngine", PSEUDORANDOM, 0.033163),
    ("European", "MCEuropeanEngine", LOW_DISCREPANCY, 0.030293),
    ("American", "BaroneAdesiWhaleyApproximationEngine", {}, 4.462235),
    ("American", "BjerksundStenslandApproximationEngine", {}, 4.455663),
    ("American", "FdBlackScholesVanillaEngine", GRID, 4.488701),
    ("American", "BinomialVanillaEngine", tree("JR"), 4.489087),
    ("American", "BinomialVanillaEngine", tree("CRR"), 4.489040),
    ("American", "BinomialVanillaEngine", tree("EQP"), 4.482594),
    ("American", "BinomialVanillaEngine", tree("Trigeorgis"), 4.489087),
    ("American", "BinomialVanillaEngine", tree("Tian"), 4.489066),
    ("American", "BinomialVanillaEngine", tree("LR"), 4.488663),
    ("American", "BinomialVanillaEngine", tree("Joshi4"), 4.488663),
]


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    with imported_handler() as handler:
        yield handler


@pytest.fixture(scope="module")
def price(handler: Handler) -> Price:
    return lambda portfolio: handler({"portfolio": portfolio}, None)["results"]


def test_htc_grids_sample_portfolio_gives_htc_grids_values(price: Price) -> None:
    """HTC-Grid's 24 sample trades run as they are and give the values HTC-Grid states."""
    portfolio = [make_trade(exercise, *engine) for exercise, *engine, _ in SAMPLE_PORTFOLIO]
    expected = [row[-1] for row in SAMPLE_PORTFOLIO]
    assert price(portfolio) == pytest.approx(expected, abs=2e-6)


def test_american_puts_agree_with_longstaff_and_schwartz(price: Price) -> None:
    """The default engine gives the 20 published finite-difference values within 0.01."""
    table = longstaff_schwartz_table()
    assert len(table) == 20
    published = [value for _, value in table]
    assert price([trade for trade, _ in table]) == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize(
    ("engine", "tolerance"),
    [
        ("AnalyticEuropeanEngine", 1e-12),
        ("AnalyticHestonEngine", 1e-4),
        ("COSHestonEngine", 1e-4),
        ("IntegralEngine", 1e-5),
        ("FdBlackScholesVanillaEngine", 1e-3),
        ("BinomialVanillaEngine", 1e-5),
        ("MCEuropeanEngine", 0.15),
        (None, 1e-12),
    ],
)
@pytest.mark.parametrize("option_type", ["call", "put"])
def test_european_engines_agree_with_the_closed_formula(
    price: Price, engine: str | None, tolerance: float, option_type: str
) -> None:
    """Every European engine comes to the Black-Scholes-Merton value of an option worth about 8."""
    trade = make_trade(
        "European",
        engine,
        optionType=option_type,
        payoff=100.0,
        underlying=102.0,
        volatility=0.20,
        dividendYield=0.03,
    )
    assert price([trade]) == pytest.approx([black_scholes(trade)], abs=tolerance)


@pytest.mark.parametrize(
    ("engine", "tolerance"),
    [
        ("BaroneAdesiWhaleyApproximationEngine", 0.05),
        ("BjerksundStenslandApproximationEngine", 0.05),
        ("BinomialVanillaEngine", 0.005),
        ("MCAmericanEngine", 0.15),
        ("QdPlusAmericanEngine", 0.03),
        ("QdFpAmericanEngine", 0.005),
        (None, 0.005),
    ],
)
def test_american_engines_agree_with_each_other(
    price: Price, engine: str | None, tolerance: float
) -> None:
    """Every American engine comes to the fine-grid value of HTC-Grid's sample put, 4.4887."""
    assert price([make_trade("American", engine)]) == pytest.approx([4.4887], abs=tolerance)


AMOUNTS = st.floats(10, 200)
RATES = st.floats(-0.02, 0.10)


@settings(max_examples=100)
@given(
    payoff=AMOUNTS,
    underlying=AMOUNTS,
    volatility=st.floats(0.01, 1.5),
    rate=RATES,
    dividend_yield=RATES,
    days=st.integers(1, 3650),
)
def test_put_call_parity(
    price: Price,
    payoff: float,
    underlying: float,
    volatility: float,
    rate: float,
    dividend_yield: float,
    days: int,
) -> None:
    """A European call less its put is the discounted forward less the discounted strike."""
    years = days / 365
    parameters = {
        "payoff": payoff,
        "underlying": underlying,
        "volatility": volatility,
        "riskFreeRate": rate,
        "dividendYield": dividend_yield,
        "maturityYears": years,
    }
    call, put = price(
        [
            {"exercise": "European", "tradeParameters": parameters | {"optionType": option_type}}
            for option_type in ("call", "put")
        ]
    )
    forward = underlying * math.exp(-dividend_yield * years) - payoff * math.exp(-rate * years)
    assert call - put == pytest.approx(forward, abs=1e-9 * (underlying + payoff))


def test_a_random_book_agrees_with_the_closed_formula(price: Price) -> None:
    """The European trades of a random book come to the closed value within 0.02 % of the strike."""
    book = [trade for trade in random_book(300, seed=7) if trade["exercise"] == "European"]
    strikes = [trade["tradeParameters"]["payoff"] for trade in book]
    errors = [
        abs(value - black_scholes(trade)) / strike
        for value, trade, strike in zip(price(book), book, strikes, strict=True)
    ]
    assert max(errors) < 0.0002


def test_an_american_option_is_worth_at_least_its_european_twin(price: Price) -> None:
    """Early exercise never takes value away, whatever engine a random book names."""
    book = [trade for trade in random_book(200, seed=11) if trade["exercise"] == "American"]
    twins = [{**trade, "exercise": "European", "engineName": None} for trade in book]
    for value, trade, twin in zip(price(book), book, twins, strict=True):
        assert value >= black_scholes(twin) - 0.0002 * trade["tradeParameters"]["payoff"]


def tree_trade(exercise: str, tree_name: str, steps: int, days: int) -> Trade:
    """Return a call on HTC-Grid's sample stock, which pays no dividend."""
    parameters = {k: v for k, v in SAMPLE_PUT.items() if k not in DATES}
    return {
        "exercise": exercise,
        "engineName": "BinomialVanillaEngine",
        "engineParameters": {"timeSteps": steps, "tree": tree_name},
        "tradeParameters": parameters | {"optionType": "call", "maturityYears": days / 365},
    }


@pytest.mark.parametrize("tree_name", ["JR", "CRR", "EQP", "Trigeorgis", "Tian", "LR", "Joshi4"])
@pytest.mark.parametrize("days", [645, 306, 365])
def test_a_tree_prices_an_american_call_as_its_european_twin(
    price: Price, tree_name: str, days: int
) -> None:
    """Without dividends both are worth the same, also where the steps end before the maturity.

    The last of 201 equal steps through 645 or 306 days is a rounding error early: there QuantLib
    itself never pays the American option at maturity.
    """
    american, european = price(
        [tree_trade(exercise, tree_name, 201, days) for exercise in ("American", "European")]
    )
    assert american == pytest.approx(european, abs=1e-9)


@pytest.mark.parametrize("tree_name", ["LR", "Joshi4"])
@pytest.mark.parametrize("steps", [200, 201])
def test_an_odd_tree_is_right_for_an_even_number_of_steps(
    price: Price, tree_name: str, steps: int
) -> None:
    """An even number of steps on the Leisen-Reimer and Joshi trees is as exact as an odd one."""
    trade = tree_trade("European", tree_name, steps, days=365)
    assert price([trade]) == pytest.approx([black_scholes(trade)], abs=1e-4)


def test_the_same_seed_gives_the_same_book() -> None:
    """A book depends on count and seed alone, and mixes exercises and option types."""
    book = random_book(200, seed=3)
    assert book == random_book(200, seed=3)
    assert book != random_book(200, seed=4)
    kinds = {(trade["exercise"], trade["tradeParameters"]["optionType"]) for trade in book}
    assert len(kinds) == 4


def test_the_first_trades_of_a_longer_book_are_the_shorter_book() -> None:
    """A book can grow without changing the trades it had."""
    assert random_book(50, seed=3)[:20] == random_book(20, seed=3)


def test_books_refuse_what_they_cannot_do() -> None:
    """A negative count, and a closed formula for American options, are refused."""
    with pytest.raises(ValueError, match="count must be 0 or more, got -1"):
        random_book(-1, seed=3)
    with pytest.raises(ValueError, match="only for European"):
        black_scholes(make_trade("American"))


def test_monte_carlo_repeats_its_value(price: Price) -> None:
    """A retried Monte Carlo trade gives the same value, also when it names no seed."""
    few = {"requiredSamples": 512}
    trades = [
        make_trade("European", "MCEuropeanEngine", few),
        make_trade("American", "MCAmericanEngine", few),
    ]
    assert price(trades) == price(trades)


def test_results_keep_the_order_of_the_trades(price: Price) -> None:
    """Results come in the order of the trades, and a price doesn't depend on its neighbours."""
    book = random_book(20, seed=5)
    alone = [price([trade])[0] for trade in book]
    assert price(book[::-1]) == alone[::-1]


def test_an_empty_portfolio_has_no_results(price: Price) -> None:
    """No trades, no results, no error."""
    assert price([]) == []


def test_dates_and_years_give_the_same_maturity(price: Price) -> None:
    """367 days written as years give the price of the sample's dates."""
    dated = make_trade("European")
    parameters = {k: v for k, v in SAMPLE_CALL.items() if k not in DATES} | {
        "maturityYears": 367 / 365
    }
    assert price([dated]) == price([dated | {"tradeParameters": parameters}])
