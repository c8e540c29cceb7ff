"""Progress of a session as a bar, in terminals and notebooks. It knows no requests."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from stepgrid_core.contract import SessionDescription

#: Called with every description that a wait gets.
Report = Callable[[SessionDescription], None]
#: True: a bar. False: none. None: a bar where somebody can see it. A function: called instead.
Progress: TypeAlias = bool | Report | None


@contextmanager
def open_report(progress: Progress, tasks: int) -> Iterator[Report | None]:
    """The function to call with each description; None where nothing is to be shown."""
    if callable(progress):
        yield progress
    elif progress or (progress is None and is_watched()):
        with _open_bar(tasks) as report:
            yield report
    else:
        yield None


def is_watched() -> bool:
    """Is there a person to see a bar: is stderr a terminal, or this a notebook?"""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


@contextmanager
def _open_bar(tasks: int) -> Iterator[Report]:
    # tqdm looks at the terminal or notebook when it is imported: only when a bar is wanted.
    from tqdm.auto import tqdm  # noqa: PLC0415

    with tqdm(total=tasks, unit="task", dynamic_ncols=True) as bar:

        def report(description: SessionDescription) -> None:
            counts = description.counts
            bar.set_description(description.state.value, refresh=False)
            bar.set_postfix(_postfix(description), refresh=False)
            bar.update(counts.finished + counts.failed + counts.cancelled - bar.n)

        yield report


def _postfix(description: SessionDescription) -> dict[str, int]:
    counts = description.counts
    shown = {
        "processing": counts.processing,
        "retrying": counts.retrying,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
    }
    return {name: number for name, number in shown.items() if number}
