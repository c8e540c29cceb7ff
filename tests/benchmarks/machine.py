"""The machine that the figures are of, and the versions of what runs on it."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil


def describe_machine(workers: int) -> dict[str, str | int | float]:
    """Cores, model, memory, system, Python, date, and how busy it is with other things."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor_model(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "workers": workers,
        "load_before": round(os.getloadavg()[0], 2),
    }


def processor_model() -> str:
    """As the system names it."""
    table = Path("/proc/cpuinfo")
    if not table.exists():
        return platform.processor() or platform.machine()
    return find_model(table.read_text(encoding="utf-8", errors="replace"))


def find_model(cpuinfo: str) -> str:
    """The model in Linux's /proc/cpuinfo, or the architecture: ARM's has none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def sentence(machine: Mapping[str, object]) -> str:
    """The machine in one sentence of the report."""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}, {machine['date']}; "
        f"load before the first run {machine['load_before']}"
    )
