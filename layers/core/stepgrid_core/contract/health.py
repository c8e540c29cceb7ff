"""Whether the grid is there, and which."""

from typing import Literal

from .model import Response


class Health(Response):
    """The grid answers, and which version it is."""

    status: Literal["ok"] = "ok"
    version: str
    contract_version: str
