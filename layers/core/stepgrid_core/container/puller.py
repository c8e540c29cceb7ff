"""One puller: claims a chunk, runs it, and asks for the next, until there is none.

It is to a container what `worker` is to a function: it puts the parts together and runs chunks. It
knows the grid by the broker, and user code as a TaskRunner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from ..compute_plane import Bench, Claim, run_claim
from ..errors import Unavailable
from ..invocation import Invocation, SessionFacts
from ..ports import TaskRunner
from ..records import Shard, puller_token
from ..telemetry import logger
from .broker_rows import BrokerRows, Desk
from .stopping import Stopping

#: A broker that does not answer is asked again after so long, so often; then the puller gives up.
PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


@dataclass(frozen=True, slots=True)
class Puller:
    """What one process of a container works with."""

    number: int
    container: str
    facts: SessionFacts
    desk: Desk
    rows: BrokerRows
    bench: Bench  #: its rows are those above
    stopping: Stopping

    def pull(self, make_runner: Callable[[], TaskRunner]) -> int:
        """Run chunks until there are none, or it is to stop; answers how many.

        The runner is made for the first one. Raises Unavailable if the broker stays silent.
        """
        chunks, after = 0, 0
        runner: TaskRunner | None = None
        while not self.stopping.asked:
            claimed = self.claim(after)
            if claimed is None:
                break
            runner = runner or make_runner()
            self.run(claimed, runner)
            chunks, after = chunks + 1, claimed[1].shard.number
        return chunks

    def run(self, claimed: tuple[Invocation, Claim], runner: TaskRunner) -> str:
        """Run a chunk as far as there is time; see run_claim for the answer."""
        invocation, claim = claimed
        logger.append_keys(session_id=self.facts.session_id, chunk=invocation.chunk)
        self.rows.hold(claim.shard, claim.slot)
        outcome = run_claim(self.bench, invocation, claim, runner, self.stopping.time_left)
        logger.info("chunk run", outcome=outcome)
        return outcome

    def claim(self, after: int = 0) -> tuple[Invocation, Claim] | None:
        """A chunk that is now this puller's; None if there is none to have."""
        seen_at = self.bench.clock.monotonic()
        # Asked again, the same question finds the claim whose answer was lost.
        question = {"puller": self.number, "after": after, "nonce": token_hex(3)}
        answer = ask_patiently(self.desk, self.stopping, "claim", **question)
        if answer is None or answer["chunk"] is None:
            return None
        shard, slot = Shard.read(answer["shard"]), answer["slot"]
        token = puller_token(self.container, self.number)
        invocation = Invocation(self.facts, answer["chunk"], token)
        return invocation, Claim(self.bench, shard, slot, seen_at)


def ask_patiently(
    desk: Desk, stopping: Stopping, action: str, **question: Any
) -> dict[str, Any] | None:
    """The answer, or None if the container is to stop. Raises Unavailable if there is none."""
    for pause_seconds in PAUSES_SECONDS:
        try:
            return desk.ask(action, **question)
        except Unavailable as error:
            logger.warning("broker did not answer", action=action, reason=str(error))
        stopping.pause(pause_seconds)
        if stopping.asked:
            return None
    return desk.ask(action, **question)
