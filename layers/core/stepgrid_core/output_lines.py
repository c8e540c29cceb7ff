"""The lines of a chunk's output as they are written: see data_plane for the rest.

The child process writes those of its results itself, so this module imports nothing.
"""


def begin_line(index: int, state: str, attempts: int, milliseconds: float) -> bytes:
    """An output line up to its result or error."""
    return b'{"i":%d,"state":"%b","attempts":%d,"ms":%.3f' % (
        index,
        state.encode(),
        attempts,
        milliseconds,
    )


def finished_line(index: int, attempts: int, milliseconds: float, result: bytes) -> bytes:
    """The line of a task with a result, which is JSON text and is not parsed again."""
    return b'%b,"result":%b}\n' % (begin_line(index, "finished", attempts, milliseconds), result)
