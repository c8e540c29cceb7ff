"""The options of commands for operators, which work on the deployed stack and not on its API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def operator_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the stack is that is changed: region, stack, project_dir."""
    for option in (
        click.option("--region", help="Of the stack.  [default: that of your AWS configuration]"),
        click.option("--stack", help="Name of the stack on AWS.  [default: the connected grid's]"),
        click.option(
            "--project",
            "project_dir",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default=Path(),
            metavar="DIR",
            help="Of the local cloud.  [default: the current folder]",
        ),
    ):
        command = option(command)
    return command
