"""The benchmark of the grid and its peers: `make bench`, or python -m tests.benchmarks.

The full profile writes docs/performance.md, .json and .svg; the quick one writes the same files
under .stepgrid/benchmarks/. Logs of the contenders lie there, too.
"""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from tests.benchmarks import plan
from tests.benchmarks.campaign import Runner
from tests.benchmarks.contenders import ENTRIES
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.records import Campaign, Record, write_campaign
from tests.benchmarks.report import progress_text, replace_report, write_report

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs/performance.md"
SCRATCH = PROJECT / ".stepgrid/benchmarks"
PROFILES = {"full": plan.full_profile, "quick": plan.quick_profile}


@click.command()
@click.option("--profile", "name", type=click.Choice(list(PROFILES)), default="full")
@click.option("--workers", default=4, show_default=True)
@click.option(
    "--stepgrid-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=sys.executable,
    help="The Python that has stepgrid[local]; peers run in the one that runs this.",
)
@click.argument("contenders", nargs=-1, type=click.Choice(list(ENTRIES)))
def main(name: str, workers: int, stepgrid_python: Path, contenders: Sequence[str]) -> None:
    """Measure these CONTENDERS, all by default, and write the report."""
    profile = PROFILES[name](workers)
    target = DOCUMENT if name == "full" else SCRATCH / DOCUMENT.name
    logs = SCRATCH / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    pythons = dict.fromkeys(contenders or ENTRIES, sys.executable)
    if "stepgrid" in pythons:
        # Not resolved: what makes a virtual environment's Python is the place of its link.
        pythons["stepgrid"] = str(stepgrid_python.absolute())
    click.echo(f"profile {name}: {', '.join(pythons)}; logs in {logs}")
    campaign = measure(profile, workers, pythons, logs, target.with_suffix(".json"))
    publish(campaign, target)
    click.echo(f"\n{write_report(campaign)}\n\nwritten: {target}")


def measure(
    profile: plan.Profile, workers: int, pythons: dict[str, str], logs: Path, results: Path
) -> Campaign:
    """Run all rounds; the results so far are always on disk. An interrupt ends it early."""
    machine = describe_machine(workers)
    started = time.monotonic()

    def report(record: Record) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        click.echo(f"{minutes:3d}:{seconds:02d}  {progress_text(record)}")
        write_campaign(so_far(), results)

    runner = Runner(profile, workers, pythons, logs, report)

    def so_far() -> Campaign:
        took = time.monotonic() - started
        return Campaign(profile.name, machine, runner.versions, tuple(runner.records), took)

    # Whoever ends it by a signal gets the contenders stopped and the report written, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        runner.run()
    except KeyboardInterrupt:
        click.echo("interrupted: the report has what was measured until now")
    return so_far()


def publish(campaign: Campaign, target: Path) -> None:
    """Write JSON, report and picture beside one another; without matplotlib there is no picture."""
    write_campaign(campaign, target.with_suffix(".json"))
    document = replace_report(DOCUMENT.read_text(encoding="utf-8"), write_report(campaign))
    target.write_text(document, encoding="utf-8")
    draw = find_draw()
    if draw is not None:
        draw(campaign, target.with_suffix(".svg"))


def find_draw() -> Callable[[Campaign, Path], None] | None:
    """The function that draws, or None where matplotlib is missing."""
    try:
        from tests.benchmarks.plot import draw
    except ImportError as error:
        click.echo(f"no picture: {error}")
        return None
    return draw


if __name__ == "__main__":
    main()
