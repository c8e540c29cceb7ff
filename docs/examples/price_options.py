"""Price options on the grid that `Grid()` finds: what `make demo` runs.

1. The 20 American puts of Longstaff and Schwartz (2001), Table 1, against the published values.
2. A book of 5,000 trades, its European ones checked against the closed form.
"""

import sys
import time
from collections.abc import Sequence

from stepgrid import Grid, Session
from stepgrid.demo.books import Trade, black_scholes, longstaff_schwartz_table, random_book

TOLERANCE = 0.01
BOOK_TRADES = 5_000
TRADES_PER_TASK = 5
#: finite differences on the engines' grids are this close, as a share of the strike
CLOSED_FORM_TOLERANCE = 2e-4


def price_published(grid: Grid) -> bool:
    """Each put is a task of its own; prints computed against published."""
    cases = longstaff_schwartz_table()
    tasks = [{"portfolio": [trade]} for trade, _ in cases]
    session = grid.submit("portfolio-pricing", tasks, name="Longstaff-Schwartz, Table 1")
    values = [result["results"][0] for result in session.results()]
    print("     S   volatility  years   computed  published  difference")
    close = 0
    for (trade, published), value in zip(cases, values, strict=True):
        terms = trade["tradeParameters"]
        close += abs(value - published) <= TOLERANCE
        print(
            f"  {terms['underlying']:4.0f}   {terms['volatility']:10.2f}"
            f"  {terms['maturityYears']:5g}   {value:8.3f}  {published:9.3f}"
            f"  {value - published:+10.4f}"
        )
    print(f"{close} of {len(cases)} within {TOLERANCE}\n")
    return close == len(cases)


def price_book(grid: Grid) -> bool:
    """Five trades a task; prints how long it took and where the execution can be seen."""
    book = random_book(BOOK_TRADES, seed=2001)
    tasks = [
        {"portfolio": book[first : first + TRADES_PER_TASK]}
        for first in range(0, len(book), TRADES_PER_TASK)
    ]
    started = time.perf_counter()
    session = grid.submit(
        "portfolio-pricing", tasks, name=f"book of {BOOK_TRADES} trades", task_seconds=0.01
    )
    session.wait(progress=True)
    values = [value for result in session.results() for value in result["results"]]
    seconds = time.perf_counter() - started
    good = check_europeans(book, values)
    print(
        f"{len(book)} trades in {len(tasks)} tasks took {seconds:.1f} s: "
        f"{len(tasks) / seconds:.0f} tasks/s, {len(book) / seconds:.0f} trades/s"
    )
    show_execution(grid, session)
    return good


def check_europeans(book: Sequence[Trade], values: Sequence[float]) -> bool:
    """The worst difference from the closed form, as a share of the strike."""
    differences = [
        abs(value - black_scholes(trade)) / trade["tradeParameters"]["payoff"]
        for trade, value in zip(book, values, strict=True)
        if trade["exercise"] == "European"
    ]
    worst = max(differences)
    good = sum(difference <= CLOSED_FORM_TOLERANCE for difference in differences)
    print(
        f"{good} of {len(differences)} European trades equal the closed form "
        f"(worst difference {worst:.1e} of the strike)"
    )
    return good == len(differences)


def show_execution(grid: Grid, session: Session) -> None:
    """How to look at the state machine's execution of a session."""
    endpoint = grid.config.aws_endpoint_url if grid.config else None
    print("its execution:")
    print(
        f"  aws stepfunctions describe-execution --execution-arn {session.status().execution}",
        end="",
    )
    print(f" --endpoint-url {endpoint}" if endpoint else "")


def main() -> int:
    with Grid() as grid:
        print(f"{grid}\n")
        good = [price_published(grid), price_book(grid)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
