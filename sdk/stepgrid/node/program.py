"""The node's loop: what to begin, what to stop, what to hold, until it is told to end.

    main thread       opens, waits, winds up
    sync thread       the long poll; begins and stops runs
    a thread per run  see runs
    proxy threads     see proxy

A server that is lost costs time, never a result: what has ended is in the journal.
"""

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stepgrid.node import wire
from stepgrid.node.journal import Entry
from stepgrid.node.pace import Pace
from stepgrid.node.runs import Held, Workshop, deliver, fail, work
from stepgrid.node.server import LAST_PAUSE_SECONDS, Refusal, Stopped
from stepgrid.node.wire import Handout, Identity
from stepgrid_core.errors import StepgridError, Unavailable

logger = logging.getLogger("stepgrid.node")

#: While no room is left there is no long poll, so that the end of a run is noticed at once.
FULL_LOOK_SECONDS = 5.0
#: How long the end of the node waits for results to be sent; they are in the journal anyway.
SEND_SECONDS = 20.0
#: With those that wait for subtasks.
MOST_RUNS = 64
_STOP_SECONDS = 40.0
_SWEEP_SECONDS = 3_600.0
_REFUSED_SECONDS = 7 * 86_400.0


def describe(identity: Identity) -> str:
    words = "encrypted" if identity.encrypted else "not encrypted"
    return (
        f"node {identity.name!r} of organization {identity.organization!r} "
        f"in collaboration {identity.collaboration!r} ({words})"
    )


class Node:
    """One process at work. Made by `opening.open_node`."""

    def __init__(self, shop: Workshop, identity: Identity, stopping: threading.Event) -> None:
        self.identity = identity
        self._shop = shop
        self._instance = secrets.token_hex(16)
        self._stopping = stopping
        self._changed = threading.Condition()
        self._held: dict[int, Held] = {}
        self._ending = False
        self._fatal: Exception | None = None
        self._over = threading.Event()
        self._swept_at = 0.0
        config = shop.config
        now = time.monotonic()
        self._pace = Pace(config.idle_after_seconds, config.idle_pause_seconds, now)
        self._loop = threading.Thread(target=self._sync_for_ever, name="node-sync", daemon=True)

    def work(self) -> None:
        """Until an exception, as of a signal. Raises what ends the node: KeyRefused, OSError."""
        self._shop.tell(f"online as {describe(self.identity)}")
        self._resume()
        self._loop.start()
        self._over.wait()
        if self._fatal is not None:
            raise self._fatal

    def wind_up(self) -> None:
        """Let algorithms end for their grace, stop them, and send what has ended."""
        self._ending = True
        self._wait_until(self._is_idle, self._shop.config.stop_grace_seconds)
        self._stop([held for held in self._all() if held.works])
        self._wait_until(lambda: not self._held, SEND_SECONDS)
        for held in self._all():
            self._shop.tell(f"run {held.run_id} will be sent at the next start")
        self._say_goodbye()
        self.close()

    def _say_goodbye(self) -> None:
        """So that the long poll, which the server still holds, takes nothing for a dead process."""
        try:
            wire.leave(self._shop.server, self.identity.node_id, self._instance)
        except StepgridError as error:
            self._shop.tell(f"the server was not told that the node ends: {error}")

    def close(self) -> None:
        """Stop everything, without a word."""
        self._ending = True
        self._stop([held for held in self._all() if held.works])
        self._stopping.set()

    def _resume(self) -> None:
        """What an earlier process left: endings are sent, the rest is run again from its start."""
        journal = self._shop.journal
        for entry in journal.entries():
            if entry.ending is None:
                journal.forget(entry.run_id)
                self._shop.folders.drop_run(entry.run_id)
            elif not entry.refused:
                self._send(entry)

    # -- the sync thread

    def _sync_for_ever(self) -> None:
        with self._watched():
            while not self._stopping.is_set():
                self._sweep()
                self._sync()

    def _sync(self) -> None:
        """Raises KeyRefused, Stopped."""
        room = self._room()
        pause_seconds = self._pause_seconds()
        wait_seconds = wire.WAIT_SECONDS if room and not pause_seconds else 0
        holding = {held.run_id: held.claim for held in self._all() if not held.gone.is_set()}
        try:
            news = wire.sync(
                self._shop.server,
                self.identity.node_id,
                instance=self._instance,
                holding=holding,
                capacity=room,
                wait_seconds=wait_seconds,
            )
        except (Refusal, Unavailable) as error:
            self._shop.tell(f"no answer to go by: {error}")
            self._stopping.wait(random.random() * LAST_PAUSE_SECONDS)  # noqa: S311 - no secret
            return
        self._stop([held for held in self._all() if held.run_id in news.stop])
        for handout in news.runs:
            self._begin(handout)
        if not room:
            self._wait_until(lambda: self._room() > 0, FULL_LOOK_SECONDS)
        elif pause_seconds and not self._all():
            self._stopping.wait(pause_seconds)

    def _pause_seconds(self) -> float:
        """None while something is held: its lease may be shorter than a pause."""
        now = time.monotonic()
        if self._all():
            self._pace.note_work(now)
            return 0.0
        return self._pace.pause(now)

    def _room(self) -> int:
        """Who waits for subtasks takes none: a subtask of its own may need it."""
        if self._ending:
            return 0
        working = [held for held in self._all() if held.works]
        busy = sum(not held.coordinates for held in working)
        return max(0, min(self._shop.config.capacity - busy, MOST_RUNS - len(working)))

    def _begin(self, handout: Handout) -> None:
        if self._ending or handout.run_id in self._held:
            return  # it comes again with the next answer, if it is meant so
        known = self._shop.journal.find(handout.run_id)
        if known is not None and known.ending is not None:
            self._shop.tell(f"run {handout.run_id} had ended before: its result is sent again")
            self._send(self._shop.journal.end(handout.run_id, handout.claim, known.ending))
            return
        self._shop.journal.take(handout.run_id, handout.claim)
        self._shop.tell(f"run {handout.run_id} taken: task {handout.task_id}, {handout.image!r}")
        held = Held(handout.run_id, handout.claim, handout.job_id, changed=self._changed)
        self._hold(held, lambda: self._work(held, handout))

    def _send(self, entry: Entry) -> None:
        held = Held(entry.run_id, entry.claim)
        self._hold(held, lambda: deliver(self._shop, entry, self._stopping))

    def _stop(self, doomed: list[Held]) -> None:
        """And wait until nothing of them is alive."""
        for held in doomed:
            held.gone.set()
        for held in doomed:
            if held.thread is not None and held.works:
                held.thread.join(_STOP_SECONDS)
                self._shop.tell(f"run {held.run_id} stopped")

    def _sweep(self) -> None:
        now = time.time()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        held = self._all()
        jobs = {each.job_id for each in held if each.job_id is not None}
        self._shop.folders.sweep(now, {each.run_id for each in held}, jobs)
        self._shop.journal.drop_refused(now - _REFUSED_SECONDS)

    # -- the threads of runs

    def _hold(self, held: Held, do: Callable[[], None]) -> None:
        held.thread = threading.Thread(
            target=self._guarded, args=(held, do), name=f"run-{held.run_id}", daemon=True
        )
        with self._changed:
            self._held[held.run_id] = held
        held.thread.start()

    def _work(self, held: Held, handout: Handout) -> None:
        try:
            entry = work(self._shop, held, handout)
        except StepgridError:
            raise
        except Exception:
            logger.exception("run %d: an error that was not expected", held.run_id)
            entry = fail(
                self._shop, held, "the node met an error that it did not expect: see its log"
            )
        if entry is None:
            return
        assert entry.ending is not None
        self._shop.tell(f"run {held.run_id} ended: {entry.ending.status}")
        held.note_end()
        deliver(self._shop, entry, self._stopping)

    def _guarded(self, held: Held, do: Callable[[], None]) -> None:
        try:
            with self._watched():
                do()
        finally:
            with self._changed:
                del self._held[held.run_id]
                self._changed.notify_all()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """A thread that died unseen would hold its run for ever: the node ends with it."""
        try:
            yield
        except Stopped:
            pass
        except (StepgridError, OSError) as error:
            self._give_up(error)
        except Exception as error:
            logger.exception("an error that was not expected")
            self._give_up(error)

    # -- what they share

    def _all(self) -> list[Held]:
        with self._changed:
            return list(self._held.values())

    def _is_idle(self) -> bool:
        return not any(held.works for held in self._held.values())

    def _wait_until(self, is_so: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(is_so, seconds)

    def _give_up(self, error: Exception) -> None:
        self._fatal = error
        self._over.set()
