"""What all commands of a federation take: where the stack is, JSON or not, and the registrar."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepgrid.cli.context import App, json_option, pass_app
from stepgrid.cli.operating import operator_options

if TYPE_CHECKING:
    from stepgrid.federation_registrar import FederationRegistrar


def opens_federation(command: Callable[..., int]) -> Callable[..., int]:
    """The command gets the registrar first, and `as_json`; the registrar is closed at its end."""

    @operator_options
    @json_option
    @pass_app
    @wraps(command)
    def opened(
        app: App,
        /,
        *,
        stack: str | None,
        region: str | None,
        project_dir: Path,
        **options: Any,
    ) -> int:
        registrar: FederationRegistrar = app.open_federation(stack, region, project_dir)
        click.get_current_context().call_on_close(registrar.close)
        return command(registrar, **options)

    result: Callable[..., int] = opened
    return result


def now() -> float:
    """Epoch seconds, by the clock of the app."""
    app = click.get_current_context().find_object(App)
    assert app is not None
    return app.now()
