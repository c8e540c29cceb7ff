"""The output lines of whole chunks, decoded many at a time: about a microsecond for each KB.

A line is a dict as contract.ChunkOutput describes it: i, state, attempts, ms, and result or error.
Pure: no requests, no waiting.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from stepgrid_core.codec import decode
from stepgrid_core.contract import ChunkOutput
from stepgrid_core.errors import PayloadCorrupted, TaskError
from stepgrid_core.states import TaskState

from .outcomes import task_error

#: Decoded at once: few enough to stay in the processor's cache, and little beside a chunk.
BLOCK_BYTES = 128 * 1024

Line = dict[str, Any]


class Values(NamedTuple):
    """Results of consecutive tasks; in the place of a missing one is its TaskError."""

    first_task: int
    values: list[Any]
    may_have_errors: bool

    def until_error(self) -> Iterator[Any]:
        """The results up to the first TaskError, which is raised."""
        for value in self.values:
            if isinstance(value, TaskError):
                raise value
            yield value


def read_values(chunk: ChunkOutput, data: bytes, session_id: str) -> Iterator[Values]:
    """The results of a final chunk in order; data: its checked output. Raises as `read_lines`."""
    following, may_have_errors = chunk.first_task, _may_lack_results(chunk)
    for lines in read_lines(chunk, data):
        if may_have_errors:
            values = [_value(line, session_id) for line in lines]
        else:
            values = [line["result"] for line in lines]
        yield Values(following, values, may_have_errors)
        following += len(values)


def _may_lack_results(chunk: ChunkOutput) -> bool:
    return chunk.finished != chunk.tasks


def read_lines(chunk: ChunkOutput, data: bytes) -> Iterator[list[Line]]:
    """A line for each task of a final chunk in order, in blocks; data: its checked output.

    Tasks that ended with their chunk have a line without attempts and ms. Raises PayloadCorrupted
    if the output does not say of every task what the chunk says.
    """
    following, end = chunk.first_task, chunk.first_task + chunk.tasks
    for found in _decode_blocks(chunk, data):
        all_settled = chunk.others is None
        lines = found if all_settled else list(_with_endings(chunk, found, following))
        _check(chunk, lines, following)
        following += len(lines)
        yield lines
    if chunk.others is not None:
        yield list(_endings(chunk, following, end))
    elif following != end:
        raise PayloadCorrupted(f"the output of chunk {chunk.chunk} has no line of task {following}")


def _decode_blocks(chunk: ChunkOutput, data: bytes) -> Iterator[list[Line]]:
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + BLOCK_BYTES) + 1
        end = end or data.find(b"\n", start) + 1 or len(data)
        try:
            yield _decode_lines(data[start:end].rstrip(b"\n"))
        except ValueError as error:
            raise PayloadCorrupted(f"the output of chunk {chunk.chunk} is not JSON") from error
        start = end


def _decode_lines(lines: bytes) -> list[Line]:
    """All at once; where one is nested too deeply for that, each by the decoder that suits it."""
    try:
        # In JSON text a line break can only be one between two lines.
        decoded: list[Line] = decode(b"[%b]" % lines.replace(b"\n", b","))
    except RecursionError:
        decoded = [decode(line) for line in lines.split(b"\n")]
    return decoded


def _check(chunk: ChunkOutput, lines: list[Line], first: int) -> None:
    """Are they of consecutive tasks, and do they have what the chunk says that they have?"""
    indices = [line["i"] for line in lines]
    if indices != list(range(first, first + len(lines))):
        missing = min(set(range(first, first + len(lines))).difference(indices), default=first)
        raise PayloadCorrupted(f"the output of chunk {chunk.chunk} has no line of task {missing}")
    if not _may_lack_results(chunk) and not all("result" in line for line in lines):
        raise PayloadCorrupted(
            f"the output of chunk {chunk.chunk} lacks a result, and its tasks are said to have one"
        )


def _with_endings(chunk: ChunkOutput, lines: Iterable[Line], following: int) -> Iterator[Line]:
    """With the tasks in between that ended with their chunk, also if they were to be retried."""
    for line in lines:
        if line["state"] != TaskState.RETRYING:
            yield from _endings(chunk, following, line["i"])
            yield line
            following = line["i"] + 1


def _endings(chunk: ChunkOutput, first: int, end: int) -> Iterator[Line]:
    for index in range(first, end):
        yield {"i": index, "state": chunk.others, "error": chunk.error}


def _value(line: Line, session_id: str) -> Any:
    if line["state"] == TaskState.FINISHED:
        return line["result"]
    return task_error(session_id, line["i"], TaskState(line["state"]), line["error"])
