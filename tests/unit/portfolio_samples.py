"""The pricing worker as Lambda imports it, and HTC-Grid's sample options."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parents[2] / "functions/workers/portfolio_pricing"

Trade = dict[str, Any]
Price = Callable[[list[Trade]], list[float]]
Handler = Callable[[Any, Any], Any]

DATES = {"evaluationDate": "15 5 1998", "exerciseDate": "17 5 1999"}
#: The two options of HTC-Grid's sample portfolio.
SAMPLE_CALL = DATES | {
    "payoff": 8.0,
    "underlying": 7.0,
    "dividendYield": 0.05,
    "volatility": 0.10,
    "riskFreeRate": 0.05,
}
SAMPLE_PUT = DATES | {
    "payoff": 40.0,
    "underlying": 36.0,
    "dividendYield": 0.0,
    "volatility": 0.20,
    "riskFreeRate": 0.06,
}
GRID = {"timeSteps": 801, "gridPoints": 800}
PSEUDORANDOM = {
    "random_source": "pseudorandom",
    "timeSteps": 1,
    "requiredTolerance": 0.02,
    "seed": 42,
}
LOW_DISCREPANCY = {"random_source": "lowdiscrepancy", "timeSteps": 1, "requiredSamples": 32768}


def tree(name: str) -> dict[str, Any]:
    return {"timeSteps": 801, "tree": name}


def make_trade(
    exercise: str, engine: str | None = None, engine_parameters: Any = None, **parameters: Any
) -> Trade:
    """Return HTC-Grid's sample option of that exercise with some fields changed."""
    sample = SAMPLE_CALL if exercise == "European" else SAMPLE_PUT
    trade: Trade = {
        "tradeType": "option",
        "exercise": exercise,
        "engineParameters": engine_parameters or {},
        "tradeParameters": sample | parameters,
    }
    return trade if engine is None else trade | {"engineName": engine}


@contextmanager
def imported_handler() -> Iterator[Handler]:
    """The worker's entry point, imported as Lambda does: from its own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(WORKER))
        yield importlib.import_module("portfolio_pricing_engine").lambda_handler
    # The modules have plain names; the next worker's tests may use the same ones.
    for module in WORKER.glob("*.py"):
        sys.modules.pop(module.stem, None)
