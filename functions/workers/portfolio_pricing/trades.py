"""The trade: one vanilla option as a portfolio describes it, checked before anything is priced.

The format is HTC-Grid's, so its portfolios run as they are. Knows nothing of QuantLib.

    {"tradeType": "option", "exercise": "American",
     "engineName": "BinomialVanillaEngine",                              optional
     "engineParameters": {"timeSteps": 801, "tree": "LR"},               optional
     "tradeParameters": {
       "optionType": "put",                   optional: European call, American put (as HTC-Grid)
       "payoff": 40.0,                        the strike
       "underlying": 36.0, "volatility": 0.2, "riskFreeRate": 0.06,
       "dividendYield": 0.0,                  optional: 0
       "evaluationDate": "15 5 1998", "exerciseDate": "17 5 1999"}}      or "maturityYears": 1

Rates and volatility are per year, continuously compounded, on an Actual/365 (Fixed) day count.
`maturityYears` stands for a whole number of days, 365 a year, after the evaluation date.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from fields import Field, number_between, one_of, positive_number, read_object, read_record

#: The evaluation date of trades that name none. It is fixed, so a price never depends on today.
DEFAULT_EVALUATION_DATE: Final = date(1998, 5, 15)
#: QuantLib's calendar ends with this year; it starts in 1901.
LAST_YEAR: Final = 2199
MAXIMUM_MATURITY_YEARS: Final = 100
#: A rate of 6 or a volatility of 20 is a percentage by mistake. Far beyond these limits QuantLib's
#: engines answer nonsense or never end.
MAXIMUM_RATE: Final = 1.0
MAXIMUM_VOLATILITY: Final = 10.0
MAXIMUM_AMOUNT: Final = 1e12
DEFAULT_OPTION_TYPES: Final = {"European": "call", "American": "put"}


@dataclass(frozen=True, slots=True)
class Trade:
    """One vanilla option on one underlying, and how to price it."""

    exercise: str  #: "European" or "American"
    option_type: str  #: "call" or "put"
    strike: float
    underlying: float
    volatility: float
    risk_free_rate: float
    dividend_yield: float
    evaluation_date: date
    exercise_date: date  #: the last day of exercise; later than evaluation_date
    engine_name: str | None  #: None: the default engine of the exercise
    engine_parameters: Mapping[str, Any]


def read_text(value: object) -> str:
    """Return a text. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def read_date(value: object) -> date:
    """Return the date that HTC-Grid writes as "day month year". Raises ValueError."""
    try:
        day, month, year = map(int, str(value).split())
        parsed = date(year, month, day)
    except (OverflowError, ValueError):
        parsed = date.min
    if not 1901 <= parsed.year <= LAST_YEAR:
        raise ValueError(f'must be a date from 1901 to {LAST_YEAR} like "17 5 1999"')
    return parsed


def read_maturity(value: object) -> timedelta:
    """Return the whole days of a maturity in years, 365 days a year. Raises ValueError."""
    years = number_between(1 / 365, MAXIMUM_MATURITY_YEARS)(value)
    return timedelta(days=round(years * 365))


TRADE_FIELDS: Final = {
    "tradeType": Field(one_of(["option"]), default="option"),
    "exercise": Field(one_of(list(DEFAULT_OPTION_TYPES))),
    "engineName": Field(read_text, default=None),
    "engineParameters": Field(read_object, default={}),
    "tradeParameters": Field(read_object),
}

PARAMETER_FIELDS: Final = {
    "optionType": Field(one_of(["call", "put"]), default=None),
    "payoff": Field(positive_number(MAXIMUM_AMOUNT)),
    "underlying": Field(positive_number(MAXIMUM_AMOUNT)),
    "volatility": Field(positive_number(MAXIMUM_VOLATILITY)),
    "riskFreeRate": Field(number_between(-MAXIMUM_RATE, MAXIMUM_RATE)),
    "dividendYield": Field(number_between(-MAXIMUM_RATE, MAXIMUM_RATE), default=0.0),
    "evaluationDate": Field(read_date, default=None),
    "exerciseDate": Field(read_date, default=None),
    "maturityYears": Field(read_maturity, default=None),
}


def parse_trade(given: object, shared: Mapping[str, Any]) -> Trade:
    """Return the trade that the JSON value `given` describes; `shared` are parameters it may omit.

    Raises ValueError naming the field that is missing, unknown or refused.
    """
    trade = read_record(given, TRADE_FIELDS, "trade")
    parameters = read_record(
        {**shared, **trade["tradeParameters"]}, PARAMETER_FIELDS, "tradeParameters"
    )
    evaluation_date, exercise_date = option_dates(parameters)
    return Trade(
        exercise=trade["exercise"],
        option_type=parameters["optionType"] or DEFAULT_OPTION_TYPES[trade["exercise"]],
        strike=parameters["payoff"],
        underlying=parameters["underlying"],
        volatility=parameters["volatility"],
        risk_free_rate=parameters["riskFreeRate"],
        dividend_yield=parameters["dividendYield"],
        evaluation_date=evaluation_date,
        exercise_date=exercise_date,
        engine_name=trade["engineName"],
        engine_parameters=trade["engineParameters"],
    )


def option_dates(parameters: Mapping[str, Any]) -> tuple[date, date]:
    """Return the evaluation date and the last exercise date.

    An exercise date needs its evaluation date: counted from the default one, an option of today
    would live for decades. Raises ValueError when the dates are missing, double or out of order.
    """
    given, exercise, maturity = (
        parameters[name] for name in ("evaluationDate", "exerciseDate", "maturityYears")
    )
    if (exercise is None) == (maturity is None):
        raise ValueError("tradeParameters needs exerciseDate or maturityYears, not both")
    if maturity is None:
        return _dates_in_order(given, exercise)
    evaluation = given or DEFAULT_EVALUATION_DATE
    if evaluation.year + MAXIMUM_MATURITY_YEARS > LAST_YEAR:
        raise ValueError(
            f"tradeParameters.evaluationDate must be before {LAST_YEAR - MAXIMUM_MATURITY_YEARS} "
            f"when maturityYears is given, got {evaluation}"
        )
    return evaluation, evaluation + maturity


def _dates_in_order(evaluation: date | None, exercise: date) -> tuple[date, date]:
    if evaluation is None:
        raise ValueError("tradeParameters.evaluationDate is missing: exerciseDate needs it")
    if exercise <= evaluation:
        raise ValueError(
            "tradeParameters.exerciseDate must be later than evaluationDate: "
            f"{exercise} is not after {evaluation}"
        )
    return evaluation, exercise
