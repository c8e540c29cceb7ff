"""What a job prints, on its way into the log: the ends of STDOUT.txt and STDERR.txt, line by line.

The job writes into the files itself, so nothing here holds it up; a flood fills its disk, not our
memory. Of each file only the beginning is passed on (`runner_prints.TASK_PRINT_BYTES`); the file
has the rest.
"""

import os

from ..runner_prints import TASK_PRINT_BYTES, PrintedLine, PrintingTask, PrintSink, Stream

_READ_BYTES = 256 * 1024


class PrintTail:
    """One of the two files, from the start of the job to its end."""

    def __init__(self, file_fd: int, stream: Stream, task: PrintingTask, sink: PrintSink) -> None:
        self._fd = file_fd
        self._stream = stream
        self._task = task
        self._sink = sink
        self._place = 0  #: bytes of the file that were read
        self._room = TASK_PRINT_BYTES
        self._kept = b""  #: a line that has not ended
        self._number = 0

    def read(self) -> bool:
        """Pass on the lines that have ended; False if nothing more is there, or wanted."""
        if self._place > os.fstat(self._fd).st_size:  # the job has begun its file anew
            self._place = 0
        data = os.pread(self._fd, min(_READ_BYTES, self._room), self._place)
        self._place += len(data)
        self._room -= len(data)
        *lines, self._kept = (self._kept + data).split(b"\n")
        for line in lines:
            self._pass(line)
        return bool(data)

    def finish(self) -> None:
        """The job has ended: pass on all that is left."""
        while self.read():
            pass
        if self._kept:
            self._pass(self._kept)
            self._kept = b""
        if left := max(os.fstat(self._fd).st_size - self._place, 0):
            note = f"({left} bytes more were printed: the log has the first {TASK_PRINT_BYTES}, "
            self._pass(f"{note}{self._stream.upper()}.txt has all)".encode())

    def _pass(self, line: bytes) -> None:
        text = line.removesuffix(b"\r").decode(errors="replace")
        self._sink(PrintedLine(self._task, self._stream, self._number, text))
        self._number += 1
