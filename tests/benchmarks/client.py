"""The contender's process: starts it, and measures what it is told, one command after the other.

    python -m tests.benchmarks.client NAME WORKERS FOLDER COMMANDS ANSWERS

COMMANDS and ANSWERS are file descriptors of pipes: contenders print on stdout as they like. A
command is a line of JSON, {"measure": ..., arguments}; an answer has an outcome, and figures or a
note that says why there are none. The end of COMMANDS stops the contender.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from tests.benchmarks.contenders import make_contender
from tests.benchmarks.contenders.contender import Contender, NotOffered
from tests.benchmarks.measures import MEASURES, Bench, Figures
from tests.benchmarks.records import Outcome


def main(name: str, workers: int, folder: Path, commands: TextIO, answers: TextIO) -> None:
    """Start, measure, stop; what goes wrong is answered."""

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        contender = make_contender(name)
    except ImportError as error:
        answer(without_figures(Outcome.NOT_INSTALLED, error))
        return
    try:
        contender.start(workers, folder)
        answer({"outcome": Outcome.MEASURED, "figures": describe(contender)})
        bench = Bench(contender)
        for line in commands:
            answer(run_command(bench, json.loads(line)))
            contender.tidy()
    except Exception as error:
        answer(without_figures(Outcome.FAILED, error))
    finally:
        contender.stop()


def describe(contender: Contender) -> Figures:
    """What is to be known of a contender that was started."""
    return {"versions": contender.versions(), "processes": contender.detached_processes()}


def run_command(bench: Bench, command: dict[str, Any]) -> dict[str, Any]:
    """Measure, and answer with the figures or with what went wrong."""
    measure = MEASURES[command.pop("measure")]
    try:
        return {"outcome": Outcome.MEASURED, "figures": measure(bench, **command)}
    except NotOffered as reason:
        return {"outcome": Outcome.NOT_OFFERED, "note": str(reason)}
    except Exception as error:
        traceback.print_exc()
        return without_figures(Outcome.FAILED, error)


def without_figures(outcome: Outcome, error: Exception) -> dict[str, Any]:
    """The answer for an error: its type and message on one short line."""
    return {"outcome": outcome, "note": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


if __name__ == "__main__":
    # Neither is for the processes that the contender starts.
    with os.fdopen(int(sys.argv[4])) as commands, os.fdopen(int(sys.argv[5]), "w") as answers:
        main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), commands, answers)
