"""Cutting tasks into waves of chunks that grow at the start and shrink towards the end. Pure.

    |==|==|==|==|====|====|====|====|===|===|===|===|==|==|==|==|=|=|=|=|
     a probe: small  twice as much    each wave a part of what is left    the least

A *wave* has one chunk for each slot. Chunks are taken by whichever slot is free, so a slot that was
slow takes fewer of the small ones at the end and all slots end together, within one small chunk.
A fixed part of what is left for each wave is known as factoring (Hummel, Schonberg, Flynn 1992): it
needs only as many waves as the logarithm of the tasks, which keeps chunks, and so requests, few.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .layout import Layout


@dataclass(frozen=True, slots=True)
class Shape:
    """How to cut. Numbers of tasks."""

    slots: int  #: chunks that run at once
    least: int  #: in a chunk worth dispatching
    most: int  #: in a chunk
    part: float  #: of what is left, for each wave
    probing: bool = False  #: begin with the least and double it wave by wave
    stride: int = 1  #: chunks can begin at every `stride`-th task only


def cut(tasks: int, shape: Shape, most_chunks: int) -> Layout:
    """The layout of this shape; the least chunk is larger if there were too many otherwise.

    `most` gives way where it can't be kept with so few chunks, or with this stride.
    """
    units = -(-tasks // shape.stride)
    most = max(1, shape.most // shape.stride, -(-units // most_chunks))
    least = min(most, max(1, shape.least // shape.stride))
    sizes = list(_sizes(units, shape, least, most))
    enough = -(-units // most_chunks)  # all chunks but the last have the least
    while len(sizes) > most_chunks and least < enough:
        least = min(2 * least, enough)
        sizes = list(_sizes(units, shape, least, most))
    *whole, last = sizes
    rest = tasks - shape.stride * (units - last)
    return Layout.of([*(shape.stride * size for size in whole), rest])


def _sizes(units: int, shape: Shape, least: int, most: int) -> Iterator[int]:
    """Chunks in units of the stride, wave by wave."""
    left, grown = units, least if shape.probing else most
    while (guided := int(left * shape.part / shape.slots)) > least:
        size = min(guided, grown, most)
        yield from [size] * shape.slots
        left -= size * shape.slots
        grown *= 2
    yield from _last_sizes(left, shape.slots, least, most)


def _last_sizes(left: int, slots: int, least: int, most: int) -> Iterator[int]:
    """Even chunks of at least the least: whole waves of them if it is enough for one."""
    waves = left // (slots * least)
    chunks = max(waves * slots or left // least, -(-left // most), 1)
    size, larger = divmod(left, chunks)
    yield from [size + 1] * larger
    yield from [size] * (chunks - larger)
