"""American options: the engines that price them, by name."""

from collections.abc import Mapping
from typing import Any, Final

import QuantLib as ql  # noqa: N813
from fields import Field, whole_number
from pricing_engines import (
    MONTE_CARLO_FIELDS,
    SAMPLES,
    STEPS,
    PricingEngine,
    binomial_engine,
    engine_without_parameters,
    finite_difference_engine,
    monte_carlo_arguments,
)
from trades import Trade
from vanilla_options import quantlib_date, value_option


def longstaff_schwartz_engine(process: Any, parameters: Mapping[str, Any], _years: float) -> Any:
    """Return QuantLib's least-squares Monte Carlo engine (Longstaff and Schwartz, 2001).

    By default 50 exercise dates, as in the paper, and 8,192 paths after 2,048 calibration paths.
    """
    return ql.MCAmericanEngine(
        process,
        parameters["random_source"],
        timeSteps=parameters["timeSteps"],
        polynomOrder=parameters["polynomOrder"],
        nCalibrationSamples=parameters["nCalibrationSamples"],
        **monte_carlo_arguments(parameters, default_samples=8_192),
    )


LONGSTAFF_SCHWARTZ_FIELDS: Final = MONTE_CARLO_FIELDS | {
    "timeSteps": Field(STEPS, default=50),
    "polynomOrder": Field(whole_number(1, 10), default=3),
    "nCalibrationSamples": Field(SAMPLES, default=2_048),
}

DEFAULT_ENGINE: Final = "FdBlackScholesVanillaEngine"

ENGINES: Final = {
    "BaroneAdesiWhaleyApproximationEngine": engine_without_parameters(
        ql.BaroneAdesiWhaleyApproximationEngine
    ),
    "BjerksundStenslandApproximationEngine": engine_without_parameters(
        ql.BjerksundStenslandApproximationEngine
    ),
    "FdBlackScholesVanillaEngine": finite_difference_engine(),
    "BinomialVanillaEngine": binomial_engine(),
    "MCAmericanEngine": PricingEngine(longstaff_schwartz_engine, LONGSTAFF_SCHWARTZ_FIELDS),
    "QdPlusAmericanEngine": engine_without_parameters(ql.QdPlusAmericanEngine),
    "QdFpAmericanEngine": engine_without_parameters(ql.QdFpAmericanEngine),
}


def price_american_option(trade: Trade) -> float:
    """Return the present value of an American option.

    Raises ValueError when the engine, its parameters or QuantLib refuse the trade.
    """
    exercise = ql.AmericanExercise(
        quantlib_date(trade.evaluation_date), quantlib_date(trade.exercise_date)
    )
    return value_option(trade, exercise, ENGINES, DEFAULT_ENGINE)
