"""How a session's tasks are cut into chunks, as a short value that travels with the session.

    3x10,2x100,40       three chunks of 10 tasks, two of 100, and a last one of 40

Pure: which tasks are in a chunk, and which chunk holds a task. Why it is cut so is the business of
`planning`; where a chunk lies in the input, that of the boundaries.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby


@dataclass(frozen=True, slots=True)
class Layout:
    """Chunks in order of their tasks, in runs of equal ones: (chunks, tasks in each).

    Make it by `even`, `of` or `read`: equal layouts have equal runs.
    """

    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, sizes: Iterable[int]) -> "Layout":
        """From the number of tasks in each chunk."""
        return cls(tuple((len(list(run)), size) for size, run in groupby(sizes)))

    @classmethod
    def even(cls, tasks: int, size: int) -> "Layout":
        """Chunks of one size; the last has what is left."""
        whole, rest = divmod(tasks, size)
        return cls(((whole, size),) * (whole > 0) + ((1, rest),) * (rest > 0))

    @classmethod
    def read(cls, text: str) -> "Layout":
        """From the text that `str` gives. Raises ValueError."""
        runs = (run.rpartition("x") for run in text.split(","))
        return cls(tuple((int(chunks or 1), int(size)) for chunks, _, size in runs))

    def __str__(self) -> str:
        return ",".join(f"{n}x{size}" if n > 1 else str(size) for n, size in self.runs)

    @property
    def chunks(self) -> int:
        return sum(chunks for chunks, _ in self.runs)

    @property
    def tasks(self) -> int:
        return sum(chunks * size for chunks, size in self.runs)

    @property
    def largest(self) -> int:
        """Tasks in the largest chunk."""
        return max(size for _, size in self.runs)

    def sizes(self) -> Iterator[int]:
        """The number of tasks in each chunk."""
        return (size for chunks, size in self.runs for _ in range(chunks))

    def first_tasks(self) -> Iterator[int]:
        """The first task of each chunk, and the number of all tasks."""
        return accumulate(self.sizes(), initial=0)

    def tasks_in(self, chunk: int) -> int:
        """Raises IndexError if there is no such chunk."""
        return self._find_chunk(chunk)[1]

    def first_task(self, chunk: int) -> int:
        """Raises IndexError if there is no such chunk."""
        return self._find_chunk(chunk)[0]

    def _find_chunk(self, chunk: int) -> tuple[int, int]:
        """First task and number of tasks."""
        before, first = 0, 0
        for chunks, size in self.runs:
            if before <= chunk < before + chunks:
                return first + (chunk - before) * size, size
            before += chunks
            first += chunks * size
        raise IndexError(f"there is no chunk {chunk} among {before}")

    def chunk_of(self, task: int) -> int:
        """The chunk that holds a task. Raises IndexError if there is no such task."""
        before, first = 0, 0
        for chunks, size in self.runs:
            if first <= task < first + chunks * size:
                return before + (task - first) // size
            before += chunks
            first += chunks * size
        raise IndexError(f"there is no task {task} among {first}")
