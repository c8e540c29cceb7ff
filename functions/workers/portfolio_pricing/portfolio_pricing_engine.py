"""The portfolio pricing worker: European and American options, priced with QuantLib.

It runs HTC-Grid's portfolios as they are; module `trades` has the format. One difference: HTC-Grid
puts an error text among the results, this worker refuses the task, because a client that adds up
the results must not meet a text. What many trades share may travel once, as the session's common
input: `{"tradeParameters": {"riskFreeRate": 0.06}}` holds for each trade that does not say
otherwise.

Each task has its process to itself, so QuantLib's global evaluation date is safe here. The worker
knows nothing of the grid.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from american_options import price_american_option
from european_options import price_european_option
from fields import Field, read_object, read_record
from trades import Trade, parse_trade

PRICERS: Final[dict[str, Callable[[Trade], float]]] = {
    "European": price_european_option,
    "American": price_american_option,
}


def read_portfolio(value: object) -> list[Any]:
    """Return the list of trades. Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError("must be a list of trades")
    return value


EVENT_FIELDS: Final = {"portfolio": Field(read_portfolio)}
COMMON_FIELDS: Final = {"tradeParameters": Field(read_object)}


def shared_parameters(context: object) -> Mapping[str, Any]:
    """Return what the session's common input says of all trades; nothing without one.

    Raises ValueError naming the field that is wrong.
    """
    common = getattr(context, "common", None)
    if common is None:
        return {}
    parameters: Mapping[str, Any]
    parameters = read_record(common, COMMON_FIELDS, "common")["tradeParameters"]
    return parameters


def price_trade(given: object, position: int, shared: Mapping[str, Any]) -> float:
    """Return the present value of the trade at `position` (from 0) in its portfolio.

    Raises ValueError naming the position and the field.
    """
    try:
        trade = parse_trade(given, shared)
        return PRICERS[trade.exercise](trade)
    except ValueError as error:
        raise ValueError(f"portfolio[{position}]: {error}") from error


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, list[float]]:
    """Price the trades of `event["portfolio"]`; return `{"results": [value, ...]}` in their order.

    Raises ValueError naming the position and the field of the first bad trade.
    """
    portfolio = read_record(event, EVENT_FIELDS, "task")["portfolio"]
    shared = shared_parameters(context)
    return {"results": [price_trade(given, n, shared) for n, given in enumerate(portfolio)]}
