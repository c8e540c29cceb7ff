"""Chunk rows to begin a test with."""

import pytest

from stepgrid_core.records import Chunk, Output, claim
from stepgrid_core.states import TERMINAL_CHUNKS, ChunkState

NOW = 1_000.0
LEASE_UNTIL = 2_000
OUTPUT = Output(attempt=1, part=0, size=10, digest="digest")
FRESH = Chunk(tasks=10)
#: As after a first claim with token "mine".
HELD = Chunk(10, ChunkState.RUNNING, attempt=1, token="mine", lease_until=LEASE_UNTIL)

terminal = pytest.mark.parametrize("state", sorted(TERMINAL_CHUNKS))


def take(chunk: Chunk, token: str = "mine", now: float = NOW) -> Chunk | None:
    return claim(chunk, token, "", now, now + 900)
