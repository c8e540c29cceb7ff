"""What may happen to the row of a run. Pure: a move answers the row to write, or None.

    pending --claim--> running --finish--> ended
       ^                  |`--claim again--> running (the same claim, for longer)
       `---lose, release--'`--lose, once too often--> lost

A run is a chunk of one task. Its claim is the number of the attempt and who made it: nobody else
can show it, and it is good for that attempt alone.
"""

import hashlib
from dataclasses import replace

from ..records import TOKEN_LENGTH, Chunk, Output, Settled, commit, release, renew
from ..states import ChunkState

#: A lease of which so much is gone is made longer; before that whoever asks writes nothing.
RENEW_AFTER = 1 / 3


def token_of(claimant: str) -> str:
    """What a row keeps of a claimant: as it is where it fits, and never a separator of the row."""
    if len(claimant) <= TOKEN_LENGTH and claimant.isascii() and claimant.isalnum():
        return claimant
    return hashlib.sha256(claimant.encode()).hexdigest()[:TOKEN_LENGTH]


def claim_of(row: Chunk) -> str:
    """What the claimant shows from then on."""
    return f"{row.attempt}.{row.token}"


def is_claim_of(claim: str, row: Chunk) -> bool:
    """Does the claim hold the row, whether its lease has run out or not?"""
    return row.state is ChunkState.RUNNING and claim == claim_of(row)


def claim_row(
    row: Chunk, claimant: str, now: float, lease_seconds: float, max_attempts: int
) -> Chunk | None:
    """Take a run that waits, or whose claimant is gone; None if it is over or held by another.

    Who holds it gets the same claim again, also after its lease while nobody else has the run.
    The row may be that of a lost run: its claimants have died too often.
    """
    token = token_of(claimant)
    if row.terminal or row.state is ChunkState.HELD:
        return None
    if row.state is ChunkState.RUNNING:
        if row.token == token:
            return renew_row(row, now, lease_seconds)
        expired = lose_expired(row, now, max_attempts)
        if expired is None or expired.terminal:
            return expired
        row = expired
    return replace(
        row,
        state=ChunkState.RUNNING,
        attempt=row.attempt + 1,
        token=token,
        lease_until=int(now + lease_seconds),
    )


def renew_row(row: Chunk, now: float, lease_seconds: float) -> Chunk:
    """The row with a longer lease, or as it is where that has time."""
    if row.lease_until - now > lease_seconds * (1 - RENEW_AFTER):
        return row
    return renew(row, now + lease_seconds)


def lose_expired(row: Chunk, now: float, max_attempts: int) -> Chunk | None:
    """Take the run away from a claimant that is not heard of; None if its lease holds."""
    if row.state is not ChunkState.RUNNING or row.lease_until > now:
        return None
    losses = row.losses + 1
    state = ChunkState.LOST if losses >= max_attempts else ChunkState.PENDING
    return replace(release(row, state), losses=losses)


def finish_row(row: Chunk, failed: bool, milliseconds: float, output: Output) -> Chunk:
    """The claim's end. The row keeps whose it was, so that a repeated word is known as one."""
    settled = Settled(
        finished=int(not failed),
        failed=int(failed),
        milliseconds=round(milliseconds),
        output=output,
    )
    return replace(commit(row, settled), token=row.token)


def was_finished_by(claim: str, row: Chunk) -> bool:
    return row.state is ChunkState.ENDED and claim == claim_of(row)


def fail_row(row: Chunk, output: Output) -> Chunk | None:
    """End a run that nobody has begun as failed; None if it is not one."""
    if row.state is not ChunkState.PENDING:
        return None
    return finish_row(replace(row, attempt=output.attempt), True, 0, output)
