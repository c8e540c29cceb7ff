"""A write that goes on behind the back of a run, so that the run need not wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")
THREAD_NAME = "stepgrid-behind"


class Behind(Generic[Answer]):
    """One call, in a thread of its own from now on; or made at once, where there are no threads."""

    def __init__(self, call: Callable[[], Answer], in_thread: bool) -> None:
        self._call = call
        self._future: Future[Answer] = Future()
        if in_thread:
            threading.Thread(target=self._run, name=THREAD_NAME, daemon=True).start()
        else:
            self._run()

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> Answer:
        """Wait for the answer, or raise what the call raised."""
        return self._future.result()

    def _run(self) -> None:
        try:
            answer = self._call()
        except BaseException as error:  # raised where the answer is asked for
            self._future.set_exception(error)
        else:
            self._future.set_result(answer)
