"""The portfolio pricing worker: European and American options, priced with QuantLib.

It runs HTC-Grid's portfolios as they are; module `trades` has the format. One difference: HTC-Grid
puts an error text among the results, this worker refuses the task, because a client that adds up
the results must not meet a text.

Each task has its process to itself, so QuantLib's global evaluation date is safe here. The worker
knows nothing of the grid.
"""

from collections.abc import Callable
from typing import Any, Final

from american_options import price_american_option
from european_options import price_european_option
from fields import Field, read_record
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


def price_trade(given: object, position: int) -> float:
    """Return the present value of the trade at `position` (from 0) in its portfolio.

    Raises ValueError naming the position and the field.
    """
    try:
        trade = parse_trade(given)
        return PRICERS[trade.exercise](trade)
    except ValueError as error:
        raise ValueError(f"portfolio[{position}]: {error}") from error


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, list[float]]:
    """Price the trades of `event["portfolio"]`; return `{"results": [value, ...]}` in their order.

    Raises ValueError naming the position and the field of the first bad trade.
    """
    portfolio = read_record(event, EVENT_FIELDS, "task")["portfolio"]
    return {"results": [price_trade(given, position) for position, given in enumerate(portfolio)]}
