"""Valuation of a vanilla option: market data, process, engine, present value.

The one place that turns a Trade into QuantLib objects. Knows no engine by name.
"""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import QuantLib as ql  # noqa: N813
from fields import read_record
from pricing_engines import PricingEngine
from trades import Trade

DAY_COUNT: Final = ql.Actual365Fixed()
OPTION_TYPES: Final = {"call": ql.Option.Call, "put": ql.Option.Put}


def value_option(
    trade: Trade,
    exercise: Any,
    engines: Mapping[str, PricingEngine],
    default_engine: str,
) -> float:
    """Return the present value of `trade` for one unit of the underlying.

    exercise: QuantLib's exercise. engines: engine name -> engine, for this kind of exercise.

    Raises ValueError for an engine that isn't in `engines`, for its parameters, and when QuantLib
    refuses the trade or has no finite value for it. Sets QuantLib's global evaluation date.
    """
    name = trade.engine_name or default_engine
    if name not in engines:
        raise ValueError(
            f"engineName {name!r} prices no {trade.exercise} option; "
            f"engines that do: {', '.join(engines)}"
        )
    engine = engines[name]
    parameters = read_record(trade.engine_parameters, engine.fields, "engineParameters")
    try:
        value = _present_value(trade, exercise, engine, parameters)
    except (MemoryError, RuntimeError) as error:
        raise ValueError(f"engineName {name}: QuantLib refused the trade: {error}") from error
    # JSON has no word for NaN or infinity.
    if not math.isfinite(value):
        raise ValueError(f"engineName {name}: no finite value for the tradeParameters: {value}")
    return value


def _present_value(
    trade: Trade, exercise: Any, engine: PricingEngine, parameters: Mapping[str, Any]
) -> float:
    ql.Settings.instance().evaluationDate = quantlib_date(trade.evaluation_date)
    payoff = ql.PlainVanillaPayoff(OPTION_TYPES[trade.option_type], trade.strike)
    option = ql.VanillaOption(payoff, exercise)
    years = (trade.exercise_date - trade.evaluation_date).days / 365
    option.setPricingEngine(engine.build(black_scholes_merton_process(trade), parameters, years))
    return float(option.NPV())


def black_scholes_merton_process(trade: Trade) -> Any:
    """Return the process of an underlying with flat rates, dividend yield and volatility."""
    today = quantlib_date(trade.evaluation_date)

    def flat_curve(rate: float) -> Any:
        return ql.YieldTermStructureHandle(ql.FlatForward(today, rate, DAY_COUNT))

    volatility = ql.BlackConstantVol(today, ql.NullCalendar(), trade.volatility, DAY_COUNT)
    return ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(trade.underlying)),
        flat_curve(trade.dividend_yield),
        flat_curve(trade.risk_free_rate),
        ql.BlackVolTermStructureHandle(volatility),
    )


def quantlib_date(day: date) -> Any:
    """Return `day` as QuantLib's date."""
    return ql.Date(day.day, day.month, day.year)
