"""What the portfolio pricing worker makes of a task: what it refuses, what its trades share."""

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.portfolio_samples import (
    SAMPLE_CALL,
    SAMPLE_PUT,
    Handler,
    Price,
    Trade,
    imported_handler,
    make_trade,
)

# SWIG's types have no __module__, which Python 3.12 and later say at the first import of QuantLib.
pytestmark = pytest.mark.filterwarnings(
    "ignore:builtin type .* has no __module__:DeprecationWarning"
)


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    with imported_handler() as handler:
        yield handler


@pytest.fixture(scope="module")
def price(handler: Handler) -> Price:
    return lambda portfolio: handler({"portfolio": portfolio}, None)["results"]


def without(trade: Trade, name: str) -> Trade:
    parameters = {k: v for k, v in trade["tradeParameters"].items() if k != name}
    return trade | {"tradeParameters": parameters}


CALL = make_trade("European")
BAD_TRADES: list[tuple[str, Any, str]] = [
    ("no object", "trade", r"trade must be an object"),
    ("unknown field", CALL | {"engine": "x"}, r"trade\.engine is not a known field"),
    ("trade type", CALL | {"tradeType": "swap"}, r"trade\.tradeType must be one of option"),
    ("exercise", CALL | {"exercise": "Asian"}, r"trade\.exercise must be one of European, Amer"),
    ("no parameters", {"exercise": "European"}, r"trade\.tradeParameters is missing"),
    ("parameter list", CALL | {"tradeParameters": []}, r"trade\.tradeParameters must be an object"),
    ("engine type", CALL | {"engineName": 7}, r"trade\.engineName must be a text"),
    ("typing error", make_trade("European", volatilty=0.2), r"tradeParameters\.volatilty is not"),
    ("no volatility", without(CALL, "volatility"), r"tradeParameters\.volatility is missing"),
    ("text", make_trade("European", volatility="high"), r"tradeParameters\.volatility must be"),
    ("percentage", make_trade("European", volatility=20), r"tradeParameters\.volatility must be"),
    ("negative", make_trade("European", underlying=-7.0), r"tradeParameters\.underlying must be"),
    ("zero", make_trade("European", payoff=0), r"tradeParameters\.payoff must be a number above"),
    ("NaN", make_trade("European", payoff=math.nan), r"tradeParameters\.payoff must be a number"),
    ("true", make_trade("European", payoff=True), r"tradeParameters\.payoff must be a number"),
    ("huge", make_trade("European", riskFreeRate=10**400), r"tradeParameters\.riskFreeRate must"),
    ("option type", make_trade("European", optionType="Put"), r"tradeParameters\.optionType must"),
    ("no date", make_trade("European", exerciseDate="31 2 1999"), r"\.exerciseDate must be a date"),
    ("far date", make_trade("European", exerciseDate="1 1 2200"), r"\.exerciseDate must be a date"),
    ("expired", make_trade("European", exerciseDate="15 5 1998"), r"must be later than evaluation"),
    ("no evaluation", without(CALL, "evaluationDate"), r"\.evaluationDate is missing: exercise"),
    ("no maturity", without(CALL, "exerciseDate"), r"needs exerciseDate or maturityYears"),
    ("two maturities", make_trade("European", maturityYears=1), r"exerciseDate or maturityYears"),
    (
        "short maturity",
        without(make_trade("European", maturityYears=0), "exerciseDate"),
        r"tradeParameters\.maturityYears must be a number from",
    ),
    (
        "end of the calendar",
        without(make_trade("European", maturityYears=1, evaluationDate="1 1 2150"), "exerciseDate"),
        r"tradeParameters\.evaluationDate must be before 2099",
    ),
    (
        "unknown engine",
        make_trade("American", "AnalyticEuropeanEngine"),
        r"engineName 'AnalyticEuropeanEngine' prices no American option; engines that do: Barone",
    ),
    (
        "parameter of another engine",
        make_trade("European", "IntegralEngine", {"timeSteps": 5}),
        r"engineParameters\.timeSteps is not a known field; known fields: none",
    ),
    (
        "tree",
        make_trade("European", "BinomialVanillaEngine", {"tree": "Oak"}),
        r"engineParameters\.tree must be one of JR, CRR",
    ),
    (
        "steps",
        make_trade("European", "BinomialVanillaEngine", {"timeSteps": 10.5}),
        r"engineParameters\.timeSteps must be a whole number",
    ),
    (
        "seed of the clock",
        make_trade("European", "MCEuropeanEngine", {"seed": 0}),
        r"engineParameters\.seed must be a whole number from 1",
    ),
    (
        "samples and tolerance",
        make_trade(
            "European", "MCEuropeanEngine", {"requiredSamples": 9, "requiredTolerance": 0.1}
        ),
        r"engineParameters\.requiredTolerance needs",
    ),
    (
        "QuantLib's own refusal",
        make_trade("European", "BinomialVanillaEngine", {"timeSteps": 3, "tree": "CRR"})
        | {"tradeParameters": SAMPLE_CALL | {"riskFreeRate": 1.0, "volatility": 0.01}},
        r"engineName BinomialVanillaEngine: QuantLib refused the trade: ",
    ),
]


@pytest.mark.parametrize(
    ("trade", "message"), [row[1:] for row in BAD_TRADES], ids=[row[0] for row in BAD_TRADES]
)
def test_a_bad_trade_is_refused_by_position_and_field(
    price: Price, trade: Any, message: str
) -> None:
    """The error of a bad trade starts with its position and names the field."""
    with pytest.raises(ValueError, match=rf"^portfolio\[1\]: .*{message}"):
        price([CALL, trade])


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, r"^task\.portfolio is missing"),
        ({"portfolio": {}}, r"^task\.portfolio must be a list of trades"),
        ({"portfolio": [], "trades": []}, r"^task\.trades is not a known field"),
        (None, r"^task must be an object"),
    ],
)
def test_a_task_that_is_no_portfolio_is_refused(
    handler: Callable[[Any, Any], Any], event: Any, message: str
) -> None:
    """The error says what a task must hold."""
    with pytest.raises(ValueError, match=message):
        handler(event, None)


MARKET = {name: SAMPLE_PUT[name] for name in ("underlying", "volatility", "riskFreeRate")}


def test_trades_share_the_market_of_the_common_input(
    handler: Callable[[dict[str, Any], Any], Any],
) -> None:
    """A parameter that a trade leaves out is the session's; one that it names is its own."""
    own = {**SAMPLE_PUT, "underlying": 30.0}
    omitted = {name: value for name, value in SAMPLE_PUT.items() if name not in MARKET}
    trades = [{"exercise": "American", "tradeParameters": p} for p in (SAMPLE_PUT, omitted, own)]
    context = SimpleNamespace(common={"tradeParameters": MARKET})
    told, shared, other = handler({"portfolio": trades}, context)["results"]
    assert told == shared != other


def test_a_bad_common_input_is_refused(handler: Callable[[dict[str, Any], Any], Any]) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match=r"common\.market is not a known field"):
        handler({"portfolio": []}, SimpleNamespace(common={"market": {}}))
