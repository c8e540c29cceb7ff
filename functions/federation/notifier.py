"""The notifier: an event of the bus in, entries in the outboxes of connected clients out.

A repeat is dropped connection by connection, so that a delivery which broke off half way is simply
made again. See stepgrid_core.federation.notices.
"""

import os
from functools import cache
from typing import Any

from stepgrid_core.federation.events import FederationEvent
from stepgrid_core.federation.notices import deliver
from stepgrid_core.ports import Clock, SocketTable
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import aws_sockets, system_clock


def handle(event: dict[str, Any], sockets: SocketTable, clock: Clock) -> dict[str, Any]:
    """Answers how many connections were told."""
    told = FederationEvent.read(event["detail"])
    count = deliver(sockets, told, clock.now())
    logger.info("notices delivered", event_id=told.event_id, kind=told.kind, told=count)
    return {"told": count}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return handle(event, _aws_sockets(), system_clock())


@cache
def _aws_sockets() -> SocketTable:
    return aws_sockets(os.environ["STEPGRID_TABLE"])
