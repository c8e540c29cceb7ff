"""The pricing engine: its parameters and how to build it, and the engines for any exercise.

Engine and parameter names are HTC-Grid's, which are QuantLib's. Knows nothing of trades.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import QuantLib as ql  # noqa: N813
from fields import Field, one_of, positive_number, whole_number

STEPS: Final = whole_number(1, 1_000_000)
POINTS: Final = whole_number(3, 1_000_000)
SAMPLES: Final = whole_number(2, 2**31 - 1)
#: Without 0: QuantLib takes seed 0 from the clock, and a retried task must give the same price.
SEED: Final = whole_number(1, 2**31 - 1)

#: Tree -> engine, named as HTC-Grid names them. The error of EQP falls with the square root of the
#: steps only (0.7 % of a sample call at 800 steps); that of the others falls with the steps.
TREES: Final = {
    "JR": ql.BinomialJRVanillaEngine,
    "CRR": ql.BinomialCRRVanillaEngine,
    "EQP": ql.BinomialEQPVanillaEngine,
    "Trigeorgis": ql.BinomialTrigeorgisVanillaEngine,
    "Tian": ql.BinomialTianVanillaEngine,
    "LR": ql.BinomialLRVanillaEngine,
    "Joshi4": ql.BinomialJ4VanillaEngine,
}
#: Trees that exist for odd numbers of steps only.
ODD_TREES: Final = frozenset({"LR", "Joshi4"})


@dataclass(frozen=True, slots=True)
class PricingEngine:
    """One QuantLib engine as a trade may name it."""

    #: (Black-Scholes-Merton process, parameters, maturity in years) -> QuantLib engine. May raise
    #: ValueError.
    build: Callable[[Any, Mapping[str, Any], float], Any]
    #: The engine parameters a trade may set.
    fields: Mapping[str, Field]


def engine_without_parameters(constructor: Callable[[Any], Any]) -> PricingEngine:
    """Return the engine that QuantLib builds from the process alone."""
    return PricingEngine(lambda process, _parameters, _years: constructor(process), {})


def finite_difference_engine() -> PricingEngine:
    """Return the Crank-Nicolson style (Douglas) finite-difference engine, 400 by 400 by default."""
    return PricingEngine(
        lambda process, parameters, _years: ql.FdBlackScholesVanillaEngine(
            process, parameters["timeSteps"], parameters["gridPoints"]
        ),
        {"timeSteps": Field(STEPS, default=400), "gridPoints": Field(POINTS, default=400)},
    )


def binomial_engine() -> PricingEngine:
    """Return the binomial engine on a named tree, by default Leisen-Reimer with 801 steps."""

    def build(process: Any, parameters: Mapping[str, Any], years: float) -> Any:
        tree = parameters["tree"]
        return TREES[tree](process, lattice_steps(parameters["timeSteps"], tree, years))

    return PricingEngine(
        build,
        {
            "timeSteps": Field(whole_number(2, 1_000_000), default=801),
            "tree": Field(one_of(list(TREES)), default="LR"),
        },
    )


def lattice_steps(steps: int, tree: str, years: float) -> int:
    """Return the least number of steps, from `steps` up, that QuantLib prices rightly.

    Two numbers of steps give wrong values without an error (seen in QuantLib 1.44):
    - an even one on the trees in ODD_TREES: the tree has a step more than the lattice rolls back;
    - one whose last time, steps * (years / steps), rounds to just below the maturity: an American
      option is then never exercised at maturity, and may be worth less than its European twin.
    """
    stride = 2 if tree in ODD_TREES else 1
    if tree in ODD_TREES:
        steps += 1 - steps % 2
    while years / steps * steps < years:
        steps += stride
    return steps


#: Parameters of the Monte Carlo engines. The seed steers the pseudorandom source alone.
MONTE_CARLO_FIELDS: Final = {
    "random_source": Field(one_of(["pseudorandom", "lowdiscrepancy"]), default="pseudorandom"),
    "requiredSamples": Field(SAMPLES, default=None),
    "requiredTolerance": Field(positive_number(1e6), default=None),
    "seed": Field(SEED, default=42),
}


def monte_carlo_arguments(parameters: Mapping[str, Any], default_samples: int) -> dict[str, Any]:
    """Return QuantLib's keyword arguments for how far and from which numbers to sample.

    A trade asks for samples or for a tolerance (the standard error to reach), not for both.
    Raises ValueError for both, and for a tolerance of low-discrepancy numbers, which have none.
    """
    samples, tolerance = parameters["requiredSamples"], parameters["requiredTolerance"]
    pseudorandom = parameters["random_source"] == "pseudorandom"
    if tolerance is not None and (samples is not None or not pseudorandom):
        raise ValueError(
            "engineParameters.requiredTolerance needs random_source pseudorandom "
            "and no requiredSamples"
        )
    target = (
        {"requiredSamples": samples or default_samples}
        if tolerance is None
        else {"requiredTolerance": tolerance}
    )
    return target | ({"seed": parameters["seed"]} if pseudorandom else {})
