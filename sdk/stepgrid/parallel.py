"""Several transfers at once, answers in order, and never more than a few in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

from stepgrid_core.errors import ConfigurationError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def map_ahead(
    pool: ThreadPoolExecutor,
    call: Callable[[Item], Answer],
    items: Iterable[Item | None],
    window: int,
    *,
    weigh: Callable[[Item], int] = lambda item: 0,
    most: int = 0,
) -> Iterator[Answer]:
    """Call for each item, up to `window` of them ahead of the consumer; answers in order.

    An item that is None says that the next one will take a while: whatever is under way is
    answered before it is asked for. weigh, most: no more than one is ahead if together they weigh
    more than `most`. Ends early, and drops what has not begun, at the first error.
    """
    running: deque[tuple[Future[Answer], int]] = deque()
    weight = 0
    try:
        for item in items:
            if item is not None:
                running.append((start(pool, call, item), weigh(item)))
                weight += running[-1][1]
            while running and (item is None or len(running) >= window or weight > most):
                future, its_weight = running.popleft()
                weight -= its_weight
                yield _answer(future)
        while running:
            yield _answer(running.popleft()[0])
    finally:
        for future, _ in running:
            future.cancel()


def _answer(future: Future[Answer]) -> Answer:
    """Its result. Raises ConfigurationError where the pool was closed before it could begin."""
    try:
        return future.result()
    except CancelledError:
        if not future.cancelled():
            raise
        raise ConfigurationError("the Grid was closed meanwhile; make another one") from None


def start(pool: ThreadPoolExecutor, call: Callable[[Item], Answer], item: Item) -> Future[Answer]:
    """Call in a thread, or here and now where the pool takes nothing any more.

    Python closes all pools when the main thread ends, and a GridExecutor's own thread goes on until
    its futures are done. A Grid that was closed has closed its pool as well.
    """
    try:
        return pool.submit(call, item)
    except RuntimeError:
        future: Future[Answer] = Future()
        try:
            future.set_result(call(item))
        except Exception as error:  # raised where the answer is asked for, as with a thread
            future.set_exception(error)
        return future
