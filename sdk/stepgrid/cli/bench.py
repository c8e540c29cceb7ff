"""`stepgrid bench`: figures about the grid, measured or worked out. Each command is a module."""

from __future__ import annotations

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.cost import cost
from stepgrid.cli.simulation import simulate


@click.group(cls=InOrder, short_help="Figures about the grid.", no_args_is_help=False)
def bench() -> None:
    """Figures about the grid, measured or worked out.

    \b
    Examples:
      stepgrid local up --count-requests && stepgrid bench cost
      stepgrid bench simulate --tasks 1000000 --task-seconds 0.1 --concurrency 10000
    """


bench.add_command(cost)
bench.add_command(simulate)
