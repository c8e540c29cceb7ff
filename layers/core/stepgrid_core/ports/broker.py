"""A container's only way to the grid."""

from collections.abc import Mapping
from typing import Any, Protocol


class Broker(Protocol):
    """Answers what the containers of sessions ask; see stepgrid_core.broker for what there is."""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, which may be {"error": {code, message}}. Raises Unavailable for none."""
