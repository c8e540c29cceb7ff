"""What a worker does with one chunk: claim it, run its tasks, commit what came out.

    claim --> read input --> resume --+--> run a batch --> record --+--> commit --> latch
                                      `------- retry, checkpoint ---'

The claim is a swap of the chunk's row; every later write is refused once somebody else has swapped
it (a cancel, a takeover). While tasks run, the row is looked at every `watch_seconds`; a task may
only start within twice that of a look that found the claim intact.

After an environment has died, the next attempt is careful: it runs one task at a time and marks
each in the row before it starts, so that the task which kills its environment is found.

This package knows user code only as a TaskRunner, and AWS not at all.
"""

from .bench import Bench
from .claim import Claim
from .lifetime import GUARD_SECONDS
from .run import run_chunk, run_claim

__all__ = ["GUARD_SECONDS", "Bench", "Claim", "run_chunk", "run_claim"]
