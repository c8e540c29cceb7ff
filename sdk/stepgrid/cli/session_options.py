"""The options of sessions and jobs on the command line, where several commands have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click

from stepgrid_core.contract import ContainerOptions, SessionOptions

BACKENDS = get_args(SessionOptions.model_fields["backend"].annotation)
#: option of the command -> field of ContainerOptions
CONTAINER = {"containers": "count"} | {name: name for name in ContainerOptions.model_fields}


def parse_pairs(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    pairs = {}
    for given in values:
        key, equals, value = given.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{given!r} is not KEY=VALUE", context, parameter)
        pairs[key] = value
    return pairs


label_options = (
    click.option("--name", help="Shown in lists; need not be unique."),
    click.option(
        "--tag",
        "tags",
        metavar="KEY=VALUE",
        multiple=True,
        callback=parse_pairs,
        help="May be given again.",
    ),
    click.option("--priority", type=int, help="0 to 9; 9 is the most urgent.  [default: 4]"),
    click.option("--max-attempts", type=int, help="How often a task is started.  [default: 3]"),
)
plan_options = (
    click.option("--timeout-seconds", type=int, help="The session's deadline.  [default: 86400]"),
    click.option("--task-timeout-seconds", type=float, help="For one attempt of one task."),
    click.option("--max-concurrency", type=int, help="Chunks that run at once."),
    click.option("--chunk-size", type=int, help="Tasks that a worker takes at once."),
    click.option("--task-seconds", type=float, help="How long one task takes (a hint)."),
    click.option("--backend", type=click.Choice(BACKENDS), help="What runs it.  [default: auto]"),
    click.option("--containers", type=int, help="On Fargate: so many."),
)
container_options = (
    click.option("--vcpu", type=float, help="Of each container; Fargate has 0.25 to 32."),
    click.option("--memory-mib", type=int, help="Of each container; Fargate has steps."),
    click.option("--storage-gib", type=int, help="Of each container, its own disk."),
    click.option(
        "--spot/--on-demand",
        default=None,
        help="Spare capacity, cheaper and may be taken away; or sure.",
    ),
)


def with_options(
    *options: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options below each other, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as `Grid.submit` takes them; containers' in one of their own."""
    given = {option: value for option, value in options.items() if value not in (None, {}, ())}
    container = {CONTAINER[name]: given.pop(name) for name in CONTAINER if name in given}
    return given | ({"container": container} if container else {})
