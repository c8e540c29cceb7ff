"""Outputs by request, in parts: where no URL may lead to them.

Who has a URL can read by it until it expires, whatever happens meanwhile. The outputs of federated
tasks are for members of a collaboration, and for as long as they are members: so each part is asked
for by a signed request, and access looked at anew.
"""

import base64

from .contract import OutputPart
from .description import own_session
from .errors import InvalidRequest, NotFound
from .names import shard_of
from .outputs import read_output
from .records import Session, Shard
from .wiring import Grid

#: In base64 within JSON this is 4 MiB; an answer of a function has 6 MB at most (Lambda quotas).
PART_BYTES = 3 * 1024 * 1024


def read_part(grid: Grid, owner: str, session_id: str, chunk: str, offset: int) -> OutputPart:
    """Bytes of a chunk's output from `offset` on.

    Raises NotFound as for every session, for a chunk it has not, and for one without an output;
    InvalidRequest for an output that has a URL, and for an offset behind its end.
    """
    session = own_session(grid, owner, session_id)
    if session.federation is None:
        raise InvalidRequest(
            f"outputs of session {session_id} are read by the URLs of GET .../results"
        )
    shard, slot = _find(grid, session, chunk)
    data = read_output(grid, session, shard, slot)
    if not data:
        raise NotFound(f"chunk {chunk} of session {session_id} has no output yet")
    if offset >= len(data):
        raise InvalidRequest(f"offset: {offset} is not in this output, which has {len(data)} bytes")
    part = data[offset : offset + PART_BYTES]
    end = offset + len(part)
    return OutputPart(
        session_id=session_id,
        chunk=shard.number_of(slot),
        data=base64.b64encode(part).decode(),
        size=len(data),
        next_offset=end if end < len(data) else None,
    )


def _find(grid: Grid, session: Session, chunk: str) -> tuple[Shard, int]:
    is_number = chunk.isascii() and chunk.isdigit() and len(chunk) < 9
    if is_number and int(chunk) < session.chunks:
        number, slot = shard_of(int(chunk))
        shard = grid.table.read_shard(session.session_id, number)
        if shard is not None:
            return shard, slot
    raise NotFound(f"session {session.session_id} has no chunk {chunk[:16]!r}; ask again")
