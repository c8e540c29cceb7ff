"""The premises of an organization: its data, its node, and its line to the grid."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.system.gate import Gate
from tests.system.node_process import NodeProcess

PROJECT = Path(__file__).parents[2]
AVERAGE_IMAGE, HOLD_IMAGE, COUNT_IMAGE = "test/federated-average:1", "test/hold:1", "test/count:1"
_ALGORITHMS = (
    {
        "image": AVERAGE_IMAGE,
        "python": "federated_average",
        # where vantage6's tools are: they pin what else is beside them (Makefile)
        "python_path": str(PROJECT / ".venv-vantage6" / "bin" / "python"),
        "search_path": [str(PROJECT / "tests" / "algorithms")],
    },
    {
        "image": HOLD_IMAGE,
        "executable": [sys.executable, "-I", str(PROJECT / "tests" / "algorithms" / "hold.py")],
        "plain_environment": True,
    },
    {
        "image": COUNT_IMAGE,
        "executable": ["/bin/sh", "-c", 'wc -l < "$DEFAULT_DATABASE_URI" > "$OUTPUT_FILE"'],
        "plain_environment": True,
    },
)


class Premises:
    """Of one organization in one collaboration."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        folder.mkdir()
        self.folder = folder
        self.gate = gate
        self.node = NodeProcess(folder)

    def furnish(self, path: str, rows: Sequence[float], **more: Any) -> None:
        """Write what the node needs. path: of the grid's stage behind the gate."""
        lines = map(str, ("age", *rows))
        (self.folder / "patients.csv").write_text("\n".join(lines) + "\n")
        values = {
            "server_url": f"{self.gate.origin}{path}",
            "data_dir": "data",
            "databases": [{"label": "default", "uri": "patients.csv", "type": "csv"}],
            "algorithms": list(_ALGORITHMS),
            **more,
        }
        (self.folder / "node.yaml").write_text(yaml.safe_dump(values))
