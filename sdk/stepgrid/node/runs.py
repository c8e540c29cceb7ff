"""One run: from its claim to the word that the server has its result.

    policies -> database, input, token -> algorithm -> ending, in the journal -> server

What happens here happens in the run's own thread. A run that is `gone` (stopped by the server, or
because the node ends) is left without a word.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

from stepgrid.federation_crypto import DecryptionFailed
from stepgrid.node import wire
from stepgrid.node.algorithms.commands import Site, Start
from stepgrid.node.algorithms.environment import DatabaseMissing, Wanted, find_wanted
from stepgrid.node.algorithms.starts import Outcome, Starter
from stepgrid.node.config import Algorithm, NodeConfig
from stepgrid.node.folders import Folders, RunFolder
from stepgrid.node.journal import Ending, Entry, Journal
from stepgrid.node.payloads import Payloads
from stepgrid.node.policies import Names, find_algorithm, why_refused
from stepgrid.node.proxy import Desk, Proxy, Visit
from stepgrid.node.server import LAST_PAUSE_SECONDS, Refusal, Server, Stopped
from stepgrid.node.statuses import (
    COMPLETED,
    FAILED,
    NO_IMAGE,
    NOT_ALLOWED,
    START_FAILED,
)
from stepgrid.node.wire import Handout
from stepgrid_core.errors import ConfigurationError

#: The server will never take such a word of an end.
_NEVER = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


@dataclass(frozen=True, slots=True)
class Workshop:
    """All that runs need; threads share it."""

    config: NodeConfig
    server: Server
    payloads: Payloads
    journal: Journal
    folders: Folders
    starts: Starter
    desk: Desk
    proxy: Proxy
    tell: Callable[[str], None]


@dataclass(slots=True)
class Held:
    """A run in this node's hands."""

    run_id: int
    claim: str
    job_id: int | None = None  #: None: it has ended, and only has to be told
    gone: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    #: It has given work to others, perhaps to this very node, and waits for them.
    coordinates: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def works(self) -> bool:
        return self.job_id is not None

    def note_subtask(self) -> None:
        with self.changed:
            self.coordinates = True
            self.changed.notify_all()

    def note_end(self) -> None:
        with self.changed:
            self.job_id = None
            self.changed.notify_all()


class _Unfit(Exception):
    """The run ends before its algorithm begins."""

    def __init__(self, status: str, log: str) -> None:
        super().__init__(log)
        self.ending = Outcome(status, log)


def work(shop: Workshop, held: Held, handout: Handout) -> Entry | None:
    """Do a run; its ending, which is in the journal by then. None: it is gone.

    Raises KeyRefused, Stopped.
    """
    folder = shop.folders.open_run(handout.run_id)
    started_at: str | None = None
    result: str | None = None
    try:
        prepared = _prepare(shop, handout)
        started_at = now()
        if not wire.tell_started(shop.server, held.run_id, held.claim, started_at):
            held.gone.set()
        outcome = _start(shop, held, handout, prepared, folder)
        if outcome.status == COMPLETED and not held.gone.is_set():
            result = _seal(shop, handout, folder)
    except _Unfit as unfit:
        outcome = unfit.ending
    if held.gone.is_set():
        shop.folders.drop_run(held.run_id)
        shop.journal.forget(held.run_id)
        return None
    ending = Ending(outcome.status, outcome.log, started_at, now(), result)
    entry = shop.journal.end(held.run_id, held.claim, ending)
    shop.folders.close_run(folder)
    return entry


def fail(shop: Workshop, held: Held, log: str) -> Entry:
    """It ends, because the node can't do it."""
    shop.folders.drop_run(held.run_id)
    return shop.journal.end(held.run_id, held.claim, Ending(FAILED, log, None, now()))


@dataclass(frozen=True, slots=True)
class _Prepared:
    algorithm: Algorithm
    wanted: list[Wanted]
    input: bytes
    token: str


def _prepare(shop: Workshop, handout: Handout) -> _Prepared:
    """Raises _Unfit."""
    policies = shop.config.policies
    if (refused := why_refused(policies, handout.task, _names(shop.server))) is not None:
        raise _Unfit(NOT_ALLOWED, refused)
    algorithm = find_algorithm(shop.config.algorithms, handout.image)
    if algorithm is None:
        raise _Unfit(NO_IMAGE, f"no algorithm of this node is for the image {handout.image!r}")
    try:
        wanted = find_wanted(handout.task, shop.config.databases)
        input_ = shop.payloads.open(handout.input)
    except (DatabaseMissing, DecryptionFailed) as error:
        raise _Unfit(FAILED, str(error)) from error
    try:
        token = wire.make_container_token(shop.server, handout.task_id, handout.image)
    except Refusal as refusal:
        raise _Unfit(START_FAILED, str(refusal)) from refusal
    return _Prepared(algorithm, wanted, input_, token)


def _names(server: Server) -> Names:
    def of_organization(id: int) -> str | None:
        try:
            return str(wire.read_organization(server, id)["name"])
        except (KeyError, Refusal):
            return None

    return Names(lambda id: wire.read_username(server, id), of_organization)


def _start(
    shop: Workshop, held: Held, handout: Handout, prepared: _Prepared, folder: RunFolder
) -> Outcome:
    folder.fill(prepared.input, prepared.token)
    site = Site(
        folder.path, shop.folders.open_job(handout.job_id), shop.proxy.host, shop.proxy.port
    )
    start = Start(prepared.algorithm, handout.image, held.run_id, site, prepared.wanted)
    shop.desk.admit(prepared.token, Visit(held.gone, held.note_subtask))
    try:
        return shop.starts.start(start, held.gone)
    finally:
        shop.desk.dismiss(prepared.token)


def _seal(shop: Workshop, handout: Handout, folder: RunFolder) -> str:
    """The output as it travels: for the organization that asked. Raises _Unfit."""
    try:
        data = folder.read_output(wire.MOST_RESULT_CHARACTERS)
    except OSError as error:
        raise _Unfit(FAILED, f"the algorithm's output can't be used: {error}") from error
    asked_by = f"organization {handout.init_org_id}"
    try:
        key = _public_key(shop, handout.init_org_id)
        text = shop.payloads.seal(data, key, asked_by)
    except (ConfigurationError, Refusal) as error:
        raise _Unfit(FAILED, f"the result can't be encrypted: {error}") from error
    if len(text) > wire.MOST_RESULT_CHARACTERS:
        raise _Unfit(
            FAILED,
            f"the result has {len(data)} bytes, which is too many to be sent; "
            "have the algorithm return less",
        )
    return text


def _public_key(shop: Workshop, organization_id: int) -> str:
    if not shop.payloads.encrypted:
        return ""
    return str(wire.read_organization(shop.server, organization_id).get("public_key") or "")


def deliver(shop: Workshop, entry: Entry, stopping: threading.Event) -> None:
    """Tell the server of an end until it has taken it, or never will.

    Raises KeyRefused, Stopped: it stays in the journal.
    """
    said: Entry | None = entry
    while said is not None:
        try:
            _tell(shop, said)
            return
        except Refusal as refusal:
            shop.tell(f"run {entry.run_id}: {refusal}")
            if refusal.status in _NEVER:
                said = _as_failure(shop, said, refusal)
                continue
        stopping.wait(random.random() * LAST_PAUSE_SECONDS)  # noqa: S311 - no secret
        if stopping.is_set():
            raise Stopped("the node ends before the server has taken a result")


def _tell(shop: Workshop, entry: Entry) -> None:
    assert entry.ending is not None
    if wire.tell_ended(shop.server, entry.run_id, entry.claim, entry.ending):
        shop.journal.forget(entry.run_id)
        shop.tell(f"run {entry.run_id} sent: {entry.ending.status}")
    else:
        shop.journal.refuse(entry)
        shop.tell(f"run {entry.run_id}: the server does not want its result any more")


def _as_failure(shop: Workshop, entry: Entry, refusal: Refusal) -> Entry | None:
    """Instead of a result that the server never takes; None if this is one already."""
    ending = entry.ending
    assert ending is not None
    if ending.result is None:
        shop.journal.refuse(entry)
        return None
    log = f"{ending.log}\nthe server refused the result: {refusal.message}"
    failed = Ending(FAILED, log, ending.started_at, ending.finished_at)
    return shop.journal.end(entry.run_id, entry.claim, failed)


def now() -> str:
    return datetime.now(UTC).isoformat()
