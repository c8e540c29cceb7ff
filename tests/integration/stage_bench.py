"""Staging in on this machine: what stands for the Internet, and a folder to fetch into."""

import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from stepgrid_core.contract import JobInput
from stepgrid_core.jobs import StagingLimits, is_public_address
from stepgrid_core.jobs.addresses import IpAddress
from stepgrid_core.jobs.connection import Dialer
from stepgrid_core.jobs.fetching import Fetcher
from stepgrid_core.jobs.stage_in import StageIn, StageInFailed
from stepgrid_core.jobs.stopping import StopSignal
from stepgrid_core.jobs.workspace import Workspace
from stepgrid_core.memory import MemoryJobDesk
from tests.hostile_urls import NAMES
from tests.integration.jobs_bench import LIMITS, RealClock

LOCAL = ipaddress.ip_address("127.0.0.1")


def resolve(host: str, port: int) -> Sequence[str]:
    """No name leaves this machine."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


def local_or_public(address: IpAddress) -> bool:
    """127.0.0.1 stands for the Internet; all other private addresses stay what they are."""
    return address == LOCAL or is_public_address(address)


class Stage:
    """StageIn in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stop = StopSignal()

    def fetch(
        self,
        *inputs: JobInput,
        desk: MemoryJobDesk | None = None,
        limits: StagingLimits = LIMITS,
        is_allowed: Callable[[IpAddress], bool] = local_or_public,
        resolver: Callable[[str, int], Sequence[str]] = resolve,
        seconds: float = 60.0,
    ) -> dict[str, bytes]:
        """The files that were fetched. Raises StageInFailed."""
        clock = RealClock()
        workspace = Workspace(self.folder, None)
        try:
            fetcher = Fetcher(Dialer(limits, is_allowed, resolver), limits, clock, self.stop)
            stage = StageIn(workspace, fetcher, desk or MemoryJobDesk(), clock, limits)
            stage.fetch_all(inputs, clock.monotonic() + seconds)
            names = [one.destination for one in inputs]
            return {name: (workspace.path / name).read_bytes() for name in names}
        finally:
            self.left = [path.stat().st_size for path in workspace.path.glob("*") if path.is_file()]
            workspace.close()

    def refuse(self, *inputs: JobInput, **options: object) -> str:
        with pytest.raises(StageInFailed, match=r"^Failed to download inputs ") as caught:
            self.fetch(*inputs, **options)  # type: ignore[arg-type]
        assert list(self.folder.iterdir()) == []
        return str(caught.value)
