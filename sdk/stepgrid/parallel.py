"""Several transfers at once, answers in order, and never more than a few in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def map_ahead(
    pool: ThreadPoolExecutor,
    call: Callable[[Item], Answer],
    items: Iterable[Item | None],
    window: int,
) -> Iterator[Answer]:
    """Call for each item, up to `window` of them ahead of the consumer; answers in order.

    An item that is None says that the next one will take a while: whatever is under way is
    answered before it is asked for. Ends early, and drops what has not begun, at the first error.
    """
    running: deque[Future[Answer]] = deque()
    try:
        for item in items:
            if item is not None:
                running.append(pool.submit(call, item))
            while running and (item is None or len(running) >= window):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
