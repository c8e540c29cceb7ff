"""One chunk, as the state machine's child runs it: invoke, claim, read, compute, write, commit.

    token -> invoke --429--> wait (full jitter) -> invoke ...      eight times, then the recorder
                `--> claim -> read -> tasks -> write -> commit -> latch
                        `--table gives up--> recorder -> token ...

As in statemachines/session.asl.yaml and stepgrid_core.compute_plane.
"""

from __future__ import annotations

from dataclasses import dataclass

from .functions import Environment
from .latch import Latch
from .resources import Process
from .services import Services, Throttled

#: Retry of the state machines' RunChunk.
RETRIES = 8
RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 20.0
#: What a loss adds to the way of a chunk: RecordLoss, RunAgain, IssueToken, RunChunk.
LOSS_STATES = 4


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """What there is to do in one chunk."""

    number: int
    tasks: int
    size: int  #: bytes in, and as many out
    user_seconds: float
    inline_input: bool
    inline_output: bool
    watch_seconds: float
    kind: str  #: of its execution: express, standard, or inline in that of the session


class Child:
    """A child execution of the Map, or one iteration of the inline one."""

    def __init__(self, services: Services, work: ChunkWork, latch: Latch) -> None:
        self._services = services
        self._profile = services.profile
        self._work = work
        self._latch = latch
        self._more_transitions = 0  #: than those of a chunk that ends at once

    def run(self) -> Process:
        """From the child's start to its end; the chunk is committed then."""
        started_at = self._services.clock.now
        while not (yield from self._attempt()):
            yield from self._record_loss()
        yield self._services.clock.timeout(self._profile.child_seconds)
        self._bill(self._services.clock.now - started_at)

    def _attempt(self) -> Process:
        """One round of the state machine; answers whether the chunk ended."""
        copy = self._services.functions.choose()
        environment = yield from self._find_environment(copy)
        if environment is None:
            return False
        started_at = self._services.clock.now
        with self._services.functions.busy(environment):
            ended = yield from self._invoke(environment)
        seconds = self._services.clock.now - started_at
        self._services.tally.invocation(seconds, self._profile.worker_memory_mib)
        return ended

    def _find_environment(self, copy: int) -> Process:
        functions, asked_at = self._services.functions, self._services.clock.now
        environment = functions.find(copy)
        for retry in range(RETRIES):
            if environment is not None:
                break
            self._more_transitions += 1
            most = min(RETRY_SECONDS * 2.0**retry, MAX_RETRY_SECONDS)
            yield self._services.clock.timeout(self._services.random.random() * most)
            environment = functions.find(copy)
        functions.meter.record(self._services.clock.now - asked_at)
        return environment

    def _invoke(self, environment: Environment) -> Process:
        profile, services = self._profile, self._services
        yield services.clock.timeout(profile.invoke_seconds)
        yield from services.machine.emulate(profile.emulator_chunk_seconds)
        if environment.cold:
            yield services.clock.timeout(profile.cold_start_seconds)
        try:
            yield from services.write("UpdateItem")
            self._latch.claimed()
            yield from self._compute()
            yield from self._latch.commit(self._work.number)
        except Throttled:
            return False
        return True

    def _compute(self) -> Process:
        """The rest of the input arrives while the first tasks run."""
        services, work, profile = self._services, self._work, self._profile
        if not work.inline_input:
            yield from services.get(work.size)
        began_at = services.clock.now
        transfer = services.clock.timeout(work.size / profile.worker_bytes_per_second)
        yield services.clock.timeout(work.user_seconds)
        yield from services.machine.work(
            work.tasks * profile.worker_task_seconds
            + profile.worker_chunk_seconds
            + work.size * profile.worker_byte_seconds
        )
        if not work.inline_input:
            yield transfer
        services.watch(int((services.clock.now - began_at) / work.watch_seconds))
        if not work.inline_output:
            yield from services.put(work.size)

    def _record_loss(self) -> Process:
        """The recorder gives the chunk back; the state machine asks it until it can."""
        services = self._services
        self._more_transitions += LOSS_STATES
        services.tally.invocation(self._profile.invoke_seconds, self._profile.function_memory_mib)
        yield services.clock.timeout(self._profile.invoke_seconds)
        yield from services.read("GetItem")

    def _bill(self, seconds: float) -> None:
        tally, kind = self._services.tally, self._work.kind
        if kind != "inline":
            tally.child(self._more_transitions if kind == "standard" else None)
        if kind == "express":
            tally.express(seconds)
