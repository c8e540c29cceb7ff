"""Submitting to a grid where only the session counts."""

from stepgrid_core.contract import SubmitRequest
from stepgrid_core.records import Session
from stepgrid_core.submission import submit as submit_request
from stepgrid_core.wiring import Grid


def submit(grid: Grid, owner: str, request: SubmitRequest) -> Session:
    """The session that the request made or found."""
    return submit_request(grid, owner, request).session
