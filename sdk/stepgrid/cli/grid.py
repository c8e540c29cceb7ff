"""Commands about the grid itself: health, connect."""

from __future__ import annotations

from pathlib import Path

import click

from stepgrid.cli.context import (
    App,
    json_option,
    open_grid,
    pass_app,
    print_fields,
    print_json,
    print_model,
)
from stepgrid.cli.exit_codes import ExitCode


@click.command(short_help="Ask whether the grid answers.")
@json_option
@pass_app
def health(app: App, as_json: bool) -> int:
    """Ask whether the grid answers, and which version it is.

    \b
    Example:
      stepgrid health || stepgrid local up
    """
    answer = open_grid(app).health()
    if as_json:
        print_model(answer)
    else:
        print_fields(
            [
                ("status", answer.status),
                ("version", answer.version),
                ("contract", answer.contract_version),
            ]
        )
    return ExitCode.OK


@click.command(short_help="Remember a grid deployed on AWS.")
@click.option("--stack", required=True, help="Name of the deployed CloudFormation stack.")
@click.option("--region", help="Of the stack.  [default: that of your AWS configuration]")
@click.option(
    "--profile-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Where to write the profile.  [default: ~/.stepgrid/profile.json]",
)
@json_option
@pass_app
def connect(
    app: App, *, stack: str, region: str | None, profile_file: Path | None, as_json: bool
) -> int:
    """Find a deployed grid by its stack's outputs, and remember it in a profile.

    Your AWS credentials read the outputs now and sign requests later; the profile holds no keys.
    A profile in .stepgrid/ of the current folder or one above it, as `stepgrid local up` writes
    it, goes before the one in your home folder; STEPGRID_PROFILE=PATH goes before both.

    \b
    Examples:
      stepgrid connect --stack stepgrid --region eu-west-1
      stepgrid connect --stack stepgrid-prod --profile-file ~/prod.json
    """
    config, path = app.connect(stack, region, profile_file)
    found = {"endpoint": config.endpoint, "region": config.region or "", "profile": str(path)}
    if as_json:
        print_json(found)
    else:
        print_fields(found.items())
    return ExitCode.OK
