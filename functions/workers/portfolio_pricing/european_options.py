"""European options: the engines that price them, by name."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import QuantLib as ql  # noqa: N813
from fields import Field, number_between, positive_number
from pricing_engines import (
    MONTE_CARLO_FIELDS,
    STEPS,
    PricingEngine,
    binomial_engine,
    engine_without_parameters,
    finite_difference_engine,
    monte_carlo_arguments,
)
from trades import Trade
from vanilla_options import quantlib_date, value_option

#: The variance process of the Heston engines. The defaults, together with a start and a mean at
#: the trade's own variance, leave it almost still, which gives the Black-Scholes value; for the
#: volatility 0.10 they are HTC-Grid's fixed values.
HESTON_FIELDS: Final = {
    "v0": Field(positive_number(100), default=None),
    "kappa": Field(positive_number(1000), default=1.0),
    "theta": Field(positive_number(100), default=None),
    "sigma": Field(positive_number(100), default=0.0001),
    "rho": Field(number_between(-1, 1), default=0.0),
}


def heston_model(process: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the Heston model on the curves of a Black-Scholes-Merton process."""
    variance = process.blackVolatility().blackVol(1.0, process.x0()) ** 2
    return ql.HestonModel(
        ql.HestonProcess(
            process.riskFreeRate(),
            process.dividendYield(),
            process.stateVariable(),
            parameters["v0"] or variance,
            parameters["kappa"],
            parameters["theta"] or variance,
            parameters["sigma"],
            parameters["rho"],
        )
    )


def heston_engine(constructor: Callable[[Any], Any]) -> PricingEngine:
    """Return the engine that QuantLib builds from a Heston model."""
    return PricingEngine(
        lambda process, parameters, _years: constructor(heston_model(process, parameters)),
        HESTON_FIELDS,
    )


def monte_carlo_engine(process: Any, parameters: Mapping[str, Any], _years: float) -> Any:
    """Return QuantLib's Monte Carlo engine, 65,536 samples of one step by default."""
    return ql.MCEuropeanEngine(
        process,
        parameters["random_source"],
        timeSteps=parameters["timeSteps"],
        **monte_carlo_arguments(parameters, default_samples=65_536),
    )


DEFAULT_ENGINE: Final = "AnalyticEuropeanEngine"

ENGINES: Final = {
    "AnalyticEuropeanEngine": engine_without_parameters(ql.AnalyticEuropeanEngine),
    "AnalyticHestonEngine": heston_engine(ql.AnalyticHestonEngine),
    "COSHestonEngine": heston_engine(ql.COSHestonEngine),
    "IntegralEngine": engine_without_parameters(ql.IntegralEngine),
    "FdBlackScholesVanillaEngine": finite_difference_engine(),
    "BinomialVanillaEngine": binomial_engine(),
    "MCEuropeanEngine": PricingEngine(
        monte_carlo_engine, MONTE_CARLO_FIELDS | {"timeSteps": Field(STEPS, default=1)}
    ),
}


def price_european_option(trade: Trade) -> float:
    """Return the present value of a European option.

    Raises ValueError when the engine, its parameters or QuantLib refuse the trade.
    """
    exercise = ql.EuropeanExercise(quantlib_date(trade.exercise_date))
    return value_option(trade, exercise, ENGINES, DEFAULT_ENGINE)
