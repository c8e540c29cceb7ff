"""The records as tables in Markdown."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.contenders import ENTRIES
from tests.benchmarks.machine import sentence
from tests.benchmarks.plan import START
from tests.benchmarks.quantiles import Spread, quantile, spread
from tests.benchmarks.records import Campaign, Outcome, Record, measured

BEGIN = "<!-- begin of what `make bench` writes -->"
END = "<!-- end of what `make bench` writes -->"
NONE = "-"
MIB = 2**20


@dataclass(frozen=True)
class Figures:
    """The records of one campaign, to be asked for one contender's measure."""

    campaign: Campaign

    def values(self, contender: str, measure: str, name: str = "seconds") -> list[float]:
        """A figure of each run."""
        runs = measured(self.campaign.records, contender, measure)
        return [run.figures[name] for run in runs]

    def samples(self, contender: str, measure: str) -> list[float]:
        """All samples of all runs."""
        runs = measured(self.campaign.records, contender, measure)
        return [sample for run in runs for sample in run.figures["samples"]]

    def gap(self, contender: str, measure: str) -> str:
        """What stands where there is no figure."""
        notes = [
            record.outcome
            for record in self.campaign.records
            if record.contender == contender
            and record.measure in {measure, START}
            and record.outcome is not Outcome.MEASURED
        ]
        return str(notes[-1]) if notes else NONE

    def contenders(self) -> list[str]:
        """Those that were tried, in the order of the list."""
        tried = {record.contender for record in self.campaign.records}
        return [name for name in ENTRIES if name in tried]

    def sizes(self, kind: str) -> list[int]:
        """The numbers of tasks that a measure was made with."""
        keys = {record.measure for record in self.campaign.records}
        return sorted({int(key.split()[1]) for key in keys if key.split()[0] == kind})


Cell = Callable[[str], str]


def write_report(campaign: Campaign) -> str:
    """All tables, each with what it shows."""
    figures = Figures(campaign)
    parts = [
        f"Profile `{campaign.profile}`, {campaign.took_seconds / 60:.0f} minutes. "
        f"Machine: {sentence(campaign.machine)}. Every single run: [JSON](performance.json).",
        "![Throughput by session size; the share of sessions by their time](performance.svg)",
        *throughput(figures),
        *latency(figures),
        *efficiency(figures),
        *memory(figures),
        *cold_start_and_cancel(figures),
        *chunked(figures),
        *remarks(figures),
    ]
    return "\n\n".join(parts)


def replace_report(document: str, report: str) -> str:
    """The document with the report between its marks. Raises ValueError when it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{report}\n\n{END}{after}"


def throughput(figures: Figures) -> Iterator[str]:
    """No-op tasks a second by session size."""
    sizes = figures.sizes("throughput")
    yield (
        "### No-op tasks a second, one plain map call\n\n"
        "1 KB in and out, every result checked; from the call to the last result in hand. Median, "
        "in brackets the lowest and highest of all calls; stepgrid's lowest are those that met "
        "workers which had to be started first. `too slow`: a run would exceed the time cap."
    )

    def rate(tasks: int) -> Cell:
        key = f"throughput {tasks}"
        return lambda name: spread_cell(
            [tasks / seconds for seconds in figures.samples(name, key)],
            whole,
            figures.gap(name, key),
        )

    columns: list[tuple[str, Cell]] = [("100 tasks", rate_of_hundred(figures))]
    columns += [(f"{tasks:,}", rate(tasks)) for tasks in sizes]
    columns.append(("CPU a task", lambda name: cpu_cell(figures, name, sizes)))
    yield table(figures, columns)
    yield "CPU: of all processes together, in the largest session that the contender did."


def rate_of_hundred(figures: Figures) -> Cell:
    """The small session is measured by the latency scenario."""
    return lambda name: spread_cell(
        [100 / quantile(samples, 0.5)] if (samples := figures.samples(name, "latency 100")) else [],
        whole,
        figures.gap(name, "latency 100"),
    )


def cpu_cell(figures: Figures, name: str, sizes: Sequence[int]) -> str:
    """Microseconds of CPU time for a task."""
    for tasks in reversed(sizes):
        key = f"throughput {tasks}"
        used = figures.values(name, key, "cpu_seconds")
        if used:
            done = tasks * len(figures.samples(name, key))
            return f"{sum(used) / done * 1e6:,.0f} µs"
    return NONE


def latency(figures: Figures) -> Iterator[str]:
    """Sessions of 1, 10, 100 tasks."""
    yield (
        "### Milliseconds of a short session, warm\n\n"
        "Sessions without work, one after the other; p50 / p99 (number of sessions)."
    )

    def cell(tasks: int) -> Cell:
        def show(name: str) -> str:
            samples = figures.samples(name, f"latency {tasks}")
            if not samples:
                return figures.gap(name, f"latency {tasks}")
            p50, p99 = (milliseconds(quantile(samples, share)) for share in (0.5, 0.99))
            return f"{p50} / {p99} ({len(samples)})"

        return show

    sizes = figures.sizes("latency")
    yield table(figures, [(f"{tasks} task{'s' * (tasks > 1)}", cell(tasks)) for tasks in sizes])


def efficiency(figures: Figures) -> Iterator[str]:
    """Ideal time over measured time."""
    keys = {r.measure for r in figures.campaign.records if r.measure.startswith("efficiency")}
    workers = int(figures.campaign.machine["workers"])
    yield (
        "### Efficiency\n\n"
        f"Tasks that sleep, on {workers} workers: ideal time over measured time, the system "
        "choosing how it cuts the work, after a tenth as many such tasks to warm up (from which "
        "stepgrid's planner learns their time). Median, in brackets the lowest and highest run."
    )

    def cell(key: str) -> Cell:
        _, tasks, time, _ = key.split()
        ideal = int(tasks) * int(time) / 1000 / workers
        return lambda name: spread_cell(
            [100 * ideal / seconds for seconds in figures.values(name, key)],
            lambda share: f"{share:.1f} %",
            figures.gap(name, key),
        )

    ordered = sorted(keys, key=lambda key: int(key.split()[2]))
    headings = [f"{int(key.split()[1]):,} x {key.split()[2]} ms" for key in ordered]
    yield table(figures, [(head, cell(key)) for head, key in zip(headings, ordered, strict=True)])


def memory(figures: Figures) -> Iterator[str]:
    """Of the client and of everything."""
    yield (
        "### Memory, MiB\n\n"
        "Proportional share (PSS) of the client process, and of all processes together: before the "
        "call and at most in it, tasks and results of one plain map call included."
    )

    def cell(key: str, who: str) -> Cell:
        def show(name: str) -> str:
            idle = figures.values(name, key, f"{who}_idle_bytes")
            peak = figures.values(name, key, f"{who}_peak_bytes")
            if not idle:
                return figures.gap(name, key)
            return f"{quantile(idle, 0.5) / MIB:,.0f} → {quantile(peak, 0.5) / MIB:,.0f}"

        return show

    columns = [
        (f"{who}, {tasks:,} tasks", cell(f"memory {tasks}", name))
        for tasks in figures.sizes("memory")
        for who, name in (("client", "client"), ("everything", "all"))
    ]
    yield table(figures, columns)


def cold_start_and_cancel(figures: Figures) -> Iterator[str]:
    """What is rare, in seconds."""
    keys = [f"cancel {tasks}" for tasks in figures.sizes("cancel")]
    yield (
        "### Seconds to start and to cancel\n\n"
        "Start: from nothing to a system that takes tasks; for stepgrid the emulator's start and "
        "the deployment of the template, which on AWS happens once. First task: on a system that "
        "has just started. Cancel: of queued tasks, until the call has answered, and until the "
        "next task is answered."
    )

    def cell(key: str, figure: str = "seconds") -> Cell:
        return lambda name: spread_cell(
            figures.values(name, key, figure), seconds_text, figures.gap(name, key)
        )

    columns = [("start", cell(START)), ("first task", cell("first_task"))]
    for key in keys:
        tasks = int(key.split()[1])
        columns.append((f"cancel {tasks:,}: answer", cell(key, "answered_seconds")))
        columns.append(("next task", cell(key)))
    yield table(figures, columns)


def chunked(figures: Figures) -> Iterator[str]:
    """What peers do when their users batch."""
    keys = [f"chunked {tasks}" for tasks in figures.sizes("chunked")]
    if not keys:
        return
    yield (
        "### For orientation: tasks a second when users cut their chunks by hand\n\n"
        "The same no-op tasks, passed as lists of 1,000. stepgrid's planner does this by itself."
    )

    def cell(key: str) -> Cell:
        tasks = int(key.split()[1])
        return lambda name: spread_cell(
            [tasks / seconds for seconds in figures.values(name, key)],
            whole,
            figures.gap(name, key),
        )

    yield table(figures, [(f"{int(key.split()[1]):,} tasks", cell(key)) for key in keys])


def remarks(figures: Figures) -> Iterator[str]:
    """Why there are gaps, how each was called, and which versions."""
    gaps = [gap_line(figures, name) for name in figures.contenders()]
    if any(gaps):
        yield "### Gaps\n\n" + "\n".join(filter(None, gaps))
    rows = [
        f"| {ENTRIES[name].title} | `{ENTRIES[name].call}` | {versions_text(figures, name)} |"
        for name in figures.contenders()
    ]
    yield "### Calls and versions\n\n| | call | versions |\n|---|---|---|\n" + "\n".join(rows)


def gap_line(figures: Figures, name: str) -> str:
    """What a contender did not do, and why."""
    reasons = [
        f"{record.measure}: {record.outcome} ({record.note})"
        for record in figures.campaign.records
        if record.contender == name and record.outcome is not Outcome.MEASURED
    ]
    return f"- {ENTRIES[name].title}: {'; '.join(dict.fromkeys(reasons))}" if reasons else ""


def versions_text(figures: Figures, name: str) -> str:
    """Package and version, for each."""
    known = figures.campaign.versions.get(name, {})
    return ", ".join(f"{package} {version}" for package, version in known.items()) or NONE


def table(figures: Figures, columns: Iterable[tuple[str, Cell]]) -> str:
    """A row for each contender; process pools come last, in italics."""
    columns = list(columns)
    head = "| | " + " | ".join(heading for heading, _ in columns) + " |"
    rule = "|---|" + "---:|" * len(columns)
    rows = [row(name, columns) for name in figures.contenders()]
    return "\n".join([head, rule, *rows])


def row(name: str, columns: Sequence[tuple[str, Cell]]) -> str:
    """One contender's line."""
    entry = ENTRIES[name]
    title = f"*{entry.title}*" if entry.is_pool else entry.title
    return f"| {title} | " + " | ".join(cell(name) for _, cell in columns) + " |"


def spread_cell(samples: Sequence[float], show: Callable[[float], str], gap: str) -> str:
    """Median and range; where nothing was measured, the gap."""
    if not samples:
        return gap
    return spread_text(spread(samples), show)


def spread_text(found: Spread, show: Callable[[float], str]) -> str:
    """`5 (4 to 7)`; a single run has no range."""
    if found.runs == 1:
        return show(found.median)
    return f"{show(found.median)} ({show(found.low)} to {show(found.high)})"


def whole(number: float) -> str:
    """Without digits after the point, and three that count: 12,345 is 12,300."""
    digits = len(str(int(number)))
    return f"{round(number, min(0, 3 - digits)):,.0f}"


def milliseconds(seconds: float) -> str:
    """With a digit after the point where it is short."""
    value = seconds * 1000
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def seconds_text(seconds: float) -> str:
    """With as many digits as mean something."""
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}"


def progress_text(record: Record) -> str:
    """One line for who waits."""
    title = f"round {record.round}  {record.contender:<9} {record.measure:<22}"
    if record.outcome is not Outcome.MEASURED:
        return f"{title} {record.outcome}: {record.note}"
    return f"{title} {result_text(record)}"


def result_text(record: Record) -> str:
    """The figure that matters most of a record."""
    figures: Any = record.figures
    kind, _, tasks = record.measure.partition(" ")
    samples = figures.get("samples") or [figures["seconds"]]
    if kind == "latency":
        return f"p50 {milliseconds(quantile(samples, 0.5))} ms of {len(samples)}"
    if kind in {"throughput", "chunked", "memory"}:
        return f"{whole(int(tasks) / quantile(samples, 0.5))} tasks/s of {len(samples)}"
    return f"{seconds_text(figures['seconds'])} s"
