"""What a session has to wait for: rates, servers, and the cores of one machine.

This is the one module that builds on simpy; a process is a generator of simpy's events. Each
resource keeps a meter: how often it served, how long it was busy, how long it made others wait.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import inf, isinf
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, Any]
Clock = simpy.Environment

#: CPU work is done in slices so short, so that those who share a core take turns.
SLICE_SECONDS = 0.005


@dataclass(slots=True)
class Meter:
    """What one resource did. Times are simulated seconds, summed over all who used it."""

    name: str
    served: float = 0.0
    busy_seconds: float = 0.0
    waited_seconds: float = 0.0
    longest_wait_seconds: float = 0.0
    refused: int = 0  #: times that somebody was sent away, to come again later

    def record(self, waited: float, busy: float = 0.0, amount: float = 1.0) -> None:
        self.served += amount
        self.busy_seconds += busy
        self.waited_seconds += waited
        self.longest_wait_seconds = max(self.longest_wait_seconds, waited)


class Rate:
    """So many per second, and `burst` at once after a pause: a token bucket."""

    def __init__(self, clock: Clock, name: str, per_second: float, burst: float = 1.0) -> None:
        self.meter = Meter(name)
        self._clock = clock
        self.per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._filled_at = clock.now

    def wait(self, amount: float = 1.0) -> Process:
        """Take tokens in order of asking, as soon as there are enough."""
        self._fill()
        self._tokens -= amount
        seconds = max(0.0, -self._tokens / self.per_second)
        self.meter.record(seconds, amount / self.per_second, amount)
        if seconds:
            yield self._clock.timeout(seconds)

    def take(self, amount: float = 1.0) -> bool:
        """Take tokens now or be refused."""
        self._fill()
        if self._tokens < amount - 1e-9:
            self.meter.refused += 1
            return False
        self._tokens -= amount
        self.meter.record(0.0, amount / self.per_second, amount)
        return True

    def _fill(self) -> None:
        if isinf(self.per_second):
            self._tokens = inf
        else:
            passed = self._clock.now - self._filled_at
            self._tokens = min(self._burst, self._tokens + passed * self.per_second)
        self._filled_at = self._clock.now


class Servers:
    """Some equal servers and one queue; `inf` of them are never waited for."""

    def __init__(self, clock: Clock, name: str, count: float) -> None:
        self.meter = Meter(name)
        self.count = count
        self._clock = clock
        self._resource = None if isinf(count) else simpy.Resource(clock, int(count))
        self._since: dict[Any, float] = {}

    def enter(self) -> Process:
        """Wait for a server; answers the place, which `leave` gives back."""
        asked_at = self._clock.now
        place: Any = object()
        if self._resource is not None:
            place = self._resource.request()
            yield place
        self.meter.record(self._clock.now - asked_at)
        self._since[place] = self._clock.now
        return place

    def leave(self, place: Any) -> None:
        self.meter.busy_seconds += self._clock.now - self._since.pop(place)
        if self._resource is not None:
            self._resource.release(place)

    def serve(self, seconds: float) -> Process:
        """Hold a server for so long."""
        place = yield from self.enter()
        yield self._clock.timeout(seconds)
        self.leave(place)


class Machine:
    """CPU work of client, workers and emulator, on cores that they share or each has alone.

    Who works for long takes turns with others. The emulator is one interpreter: it does one thing
    at a time, and needs a core for it as the others do.
    """

    def __init__(self, clock: Clock, cores: float, speed: float = 1.0) -> None:
        self._clock = clock
        self._speed = speed
        self._shared = not isinf(cores)
        self.cores = Servers(clock, "cores", cores)
        self.interpreter = Servers(clock, "emulator", 1)

    def work(self, seconds: float) -> Process:
        """Of a process of its own; CPU seconds of a core that nobody else uses."""
        seconds /= self._speed
        if not self._shared:
            if seconds > 0:
                yield self._clock.timeout(seconds)
            return
        while seconds > 1e-12:
            part = min(seconds, SLICE_SECONDS)
            yield from self.cores.serve(part)
            seconds -= part

    def emulate(self, seconds: float) -> Process:
        """Of the emulator."""
        seconds /= self._speed
        while seconds > 1e-12:
            part = min(seconds, SLICE_SECONDS)
            place = yield from self.interpreter.enter()
            yield from self.cores.serve(part)
            self.interpreter.leave(place)
            seconds -= part
