"""Books: lists of option trades for the portfolio pricing worker, with values to check them by.

Plain data in the worker's format, which is HTC-Grid's. Needs no QuantLib and talks to no grid.
"""

import math
import random
from datetime import date
from typing import Any, Final, TypeAlias

#: One trade, as the portfolio pricing worker reads it.
Trade: TypeAlias = dict[str, Any]

#: Longstaff and Schwartz, "Valuing American Options by Simulation" (2001), Table 1, the finite
#: difference column: underlying -> values for (volatility, years) in the order of _CASES.
_PUBLISHED_VALUES: Final = {
    36.0: (4.478, 4.840, 7.101, 8.508),
    38.0: (3.250, 3.745, 6.148, 7.670),
    40.0: (2.314, 2.885, 5.312, 6.920),
    42.0: (1.617, 2.212, 4.582, 6.248),
    44.0: (1.110, 1.690, 3.948, 5.647),
}
_CASES: Final = ((0.20, 1), (0.20, 2), (0.40, 1), (0.40, 2))

#: Exercise -> engines a random book draws from: close to exact, and about 2 ms a trade or less.
_FAST_ENGINES: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "European": (
        ("AnalyticEuropeanEngine", {}),
        ("IntegralEngine", {}),
        ("BinomialVanillaEngine", {"timeSteps": 201, "tree": "LR"}),
        ("FdBlackScholesVanillaEngine", {"timeSteps": 100, "gridPoints": 200}),
    ),
    "American": (
        ("QdFpAmericanEngine", {}),
        ("BinomialVanillaEngine", {"timeSteps": 201, "tree": "LR"}),
        ("FdBlackScholesVanillaEngine", {"timeSteps": 100, "gridPoints": 200}),
    ),
}


def longstaff_schwartz_table() -> list[tuple[Trade, float]]:
    """Return the 20 American puts of Longstaff and Schwartz (2001), Table 1, with their values.

    Strike 40, riskless rate 0.06, no dividend. The value is the paper's finite-difference value, to
    three decimals. The trades name no engine: they are priced by the worker's default for American
    options, which is finite differences too.
    """
    return [
        (_published_put(underlying, volatility, years), value)
        for underlying, values in _PUBLISHED_VALUES.items()
        for (volatility, years), value in zip(_CASES, values, strict=True)
    ]


def _published_put(underlying: float, volatility: float, years: int) -> Trade:
    return {
        "tradeType": "option",
        "exercise": "American",
        "tradeParameters": {
            "optionType": "put",
            "payoff": 40.0,
            "underlying": underlying,
            "volatility": volatility,
            "riskFreeRate": 0.06,
            "dividendYield": 0.0,
            "maturityYears": years,
        },
    }


def random_book(count: int, seed: int) -> list[Trade]:
    """Return `count` European and American puts and calls; the same seed gives the same book.

    Each trade prices in about 1 ms on average. Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    # Reproducible numbers are the point; nothing here is a secret.
    source = random.Random(seed)  # noqa: S311
    return [_random_trade(source) for _ in range(count)]


def _random_trade(source: random.Random) -> Trade:
    exercise = source.choice(("European", "American"))
    engine, engine_parameters = source.choice(_FAST_ENGINES[exercise])
    strike = round(source.uniform(20.0, 200.0), 2)
    return {
        "tradeType": "option",
        "exercise": exercise,
        "engineName": engine,
        "engineParameters": dict(engine_parameters),
        "tradeParameters": {
            "optionType": source.choice(("call", "put")),
            "payoff": strike,
            "underlying": round(strike * source.uniform(0.8, 1.25), 2),
            "volatility": round(source.uniform(0.10, 0.50), 4),
            "riskFreeRate": round(source.uniform(0.01, 0.07), 4),
            "dividendYield": round(source.uniform(0.0, 0.04), 4),
            "maturityYears": source.randint(30, 3 * 365) / 365,
        },
    }


def black_scholes(trade: Trade) -> float:
    """Return the Black-Scholes-Merton value of a European trade, from the closed formula.

    It takes maturity and option type as the worker does: Actual/365 (Fixed), a call by default.
    Raises ValueError for a trade that isn't European.
    """
    if trade["exercise"] != "European":
        raise ValueError(f"no closed formula for exercise {trade['exercise']!r}, only for European")
    parameters = trade["tradeParameters"]
    years = _maturity_days(parameters) / 365
    dividend_yield: float = parameters.get("dividendYield", 0.0)
    underlying: float = parameters["underlying"] * math.exp(-dividend_yield * years)
    strike: float = parameters["payoff"] * math.exp(-parameters["riskFreeRate"] * years)
    deviation: float = parameters["volatility"] * math.sqrt(years)
    d1 = math.log(underlying / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    sign = -1.0 if parameters.get("optionType", "call") == "put" else 1.0
    return sign * (
        underlying * _normal_probability(sign * d1) - strike * _normal_probability(sign * d2)
    )


def _normal_probability(x: float) -> float:
    """Return the standard normal distribution function at x."""
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _maturity_days(parameters: dict[str, Any]) -> int:
    if "maturityYears" in parameters:
        years: float = parameters["maturityYears"]
        return round(years * 365)
    return (_date(parameters["exerciseDate"]) - _date(parameters["evaluationDate"])).days


def _date(text: str) -> date:
    """Return the date that HTC-Grid writes as "day month year"."""
    day, month, year = map(int, text.split())
    return date(year, month, day)
