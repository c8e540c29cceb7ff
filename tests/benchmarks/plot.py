"""The one picture: throughput by session size, and how long short sessions take.

Needs matplotlib, which nothing else here does.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.ticker

from tests.benchmarks.contenders import ENTRIES
from tests.benchmarks.quantiles import quantile
from tests.benchmarks.records import Campaign
from tests.benchmarks.report import Figures

LATENCY_SIZES = (1, 10, 100)
#: Points of a curve; more would only make the file larger.
SHARES = [percent / 100 for percent in range(0, 101, 2)]


def draw(campaign: Campaign, path: Path) -> None:
    """Write the picture as SVG; the same records give the same file."""
    mpl.use("Agg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "stepgrid", "font.size": 9})
    from matplotlib import pyplot as plt

    figures = Figures(campaign)
    colours = dict(zip(ENTRIES, mpl.colormaps["tab10"].colors, strict=False))
    figure, axes = plt.subplots(1, 4, figsize=(13, 4), width_ratios=(3, 2, 2, 2))
    draw_throughput(axes[0], figures, colours)
    for axis, tasks in zip(axes[1:], LATENCY_SIZES, strict=True):
        draw_latency(axis, figures, colours, tasks)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def draw_throughput(axis: Any, figures: Figures, colours: dict[str, Any]) -> None:
    """Lines of tasks a second; process pools are dashed."""
    sizes = figures.sizes("throughput")
    for name in figures.contenders():
        runs = [(size, figures.samples(name, f"throughput {size}")) for size in sizes]
        points = [(size, size / quantile(seconds, 0.5)) for size, seconds in runs if seconds]
        style = "--" if ENTRIES[name].is_pool else "-"
        title = ENTRIES[name].title.split(" (")[0]
        xs, ys = [size for size, _ in points], [rate for _, rate in points]
        axis.plot(xs, ys, style, marker=".", color=colours[name], label=title)
    axis.set(xscale="log", yscale="log", xlabel="tasks in one map call", ylabel="tasks a second")
    axis.set_title("No-op tasks of 1 KB")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)


def draw_latency(axis: Any, figures: Figures, colours: dict[str, Any], tasks: int) -> None:
    """The share of sessions that took at most so long."""
    for name in figures.contenders():
        samples = figures.samples(name, f"latency {tasks}")
        times = [1000 * quantile(samples, share) for share in SHARES] if samples else []
        style = "--" if ENTRIES[name].is_pool else "-"
        axis.plot(times, SHARES[: len(times)], style, color=colours[name])
    axis.set(xscale="log", xlabel="milliseconds", ylabel="share of sessions")
    axis.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axis.set_title(f"Sessions of {tasks} task{'s' * (tasks > 1)}")
    axis.grid(alpha=0.3)
