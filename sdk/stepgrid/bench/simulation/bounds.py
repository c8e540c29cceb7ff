"""The least time that each resource alone would need for a session: closed forms.

No simulation can be faster than any of them. The largest one names the resource that a session
would wait for if everything else were free. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isinf, sqrt

from .plans import SessionPlan
from .profiles import Profile
from .scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Bound:
    """`seconds` from the call to the last result, were there nothing but this resource."""

    resource: str
    seconds: float


def bounds(
    scenario: Scenario, profile: Profile, plan: SessionPlan, user_seconds: float
) -> list[Bound]:
    """`user_seconds`: of the user's code in all tasks."""
    chunks, size = len(plan.sizes), scenario.input_bytes
    objects = 0 if plan.inline_outputs else chunks
    worker_seconds = user_seconds + chunks * _least_chunk_seconds(profile)
    return [
        Bound("worker slots", worker_seconds / _at_once(profile, plan)),
        Bound("environment starts", ramp_seconds(scenario, profile, user_seconds)),
        Bound("child starts", _child_starts(profile, plan, chunks)),
        Bound("partition writes", _excess(2 * chunks, profile.partition_writes_per_second)),
        Bound("S3 writes", _excess(objects, profile.prefix_puts_per_second)),
        Bound("S3 reads", _excess(objects, profile.prefix_gets_per_second)),
        Bound("client transfers", objects * profile.get_seconds / profile.transfers_at_once),
        Bound("client upload", 0 if plan.inline else size / profile.client_bytes_per_second),
        Bound("client download", size / profile.client_bytes_per_second if objects else 0),
        Bound(
            "client CPU",
            scenario.tasks * (profile.client_pack_seconds + profile.client_decode_seconds),
        ),
    ]


def ramp_seconds(scenario: Scenario, profile: Profile, work_seconds: float) -> float:
    """How long environments need for the work when their number grows by a rate.

    `burst` are there at once, `rate` more come each second: after t seconds they have worked
    burst t + rate t^2 / 2. How many may run at once is left out: that is another bound.
    """
    copies = scenario.copies
    burst = copies * profile.environments_at_once + scenario.warm
    rate = copies * profile.environments_per_second
    if isinf(burst) or isinf(rate):
        return 0.0
    return (sqrt(burst**2 + 2 * rate * work_seconds) - burst) / rate


def _least_chunk_seconds(profile: Profile) -> float:
    return profile.invoke_seconds + 2 * profile.table_seconds


def _at_once(profile: Profile, plan: SessionPlan) -> float:
    most = profile.inline_at_once if plan.route == "burst" else profile.map_at_once
    return min(plan.concurrency, most)


def _child_starts(profile: Profile, plan: SessionPlan, chunks: int) -> float:
    if plan.route == "burst":
        return 0.0
    rate = (
        profile.express_starts_per_second
        if plan.children == "express"
        else profile.standard_starts_per_second
    )
    return (chunks - 1) / rate


def _excess(amount: float, per_second: float) -> float:
    """A bucket holds what one second brings."""
    return 0.0 if per_second == inf else max(0.0, amount - per_second) / per_second
