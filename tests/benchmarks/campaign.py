"""Runs the plan: round after round, contender after contender, and keeps a record of each try.

Whatever a contender does, the others go on, and what was measured before is kept.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.client_process import ClientFailed, ClientProcess
from tests.benchmarks.plan import (
    START,
    Measure,
    Profile,
    forecast_seconds,
    is_wanted,
    order_of_round,
)
from tests.benchmarks.records import Outcome, Record

START_PATIENCE_SECONDS = 300.0
#: The end of a contender, which is recorded only where it leaves processes behind.
STOP = "stop"


@dataclass
class Runner:
    """Measures contenders by a profile."""

    profile: Profile
    workers: int
    #: contender -> the Python that runs its process
    pythons: Mapping[str, str]
    #: folder of a log file for each contender
    logs: Path
    #: gets each record as soon as it is there
    on_record: Callable[[Record], None]
    records: list[Record] = field(default_factory=list)
    #: contender -> package -> version
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self) -> None:
        """All rounds."""
        for number in range(1, self.profile.rounds + 1):
            for contender in order_of_round(list(self.pythons), number):
                if self._is_present(contender) and self._wanted(contender):
                    self._run_round(contender, number)

    def _is_present(self, contender: str) -> bool:
        return not any(
            record.contender == contender
            and record.measure == START
            and record.outcome is Outcome.NOT_INSTALLED
            for record in self.records
        )

    def _wanted(self, contender: str) -> list[Measure]:
        return [
            measure
            for measure in self.profile.measures
            if is_wanted(measure, contender, self.records, self.profile)
        ]

    def _run_round(self, contender: str, number: int) -> None:
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
            self._run_in(Path(folder), contender, number)

    def _run_in(self, folder: Path, contender: str, number: int) -> None:
        log = self.logs / f"{contender}.log"
        client = ClientProcess(contender, self.pythons[contender], self.workers, folder, log)
        try:
            if self._start(client, contender, number):
                # Each is decided on when its turn comes: the one before may tell more.
                for measure in self._wanted(contender):
                    if not self._try(client, contender, number, measure):
                        break
        finally:
            left = client.stop()
        if left:
            self._keep(contender, STOP, number, Outcome.FAILED, {}, f"left behind: {left}")

    def _start(self, client: ClientProcess, contender: str, number: int) -> bool:
        try:
            answer = client.await_start(START_PATIENCE_SECONDS)
        except ClientFailed as failure:
            answer = {"outcome": Outcome.FAILED, "note": str(failure)}
        if "figures" in answer:
            self.versions[contender] = answer["figures"].pop("versions")
        self._keep_answer(contender, START, number, answer)
        return "figures" in answer

    def _try(self, client: ClientProcess, contender: str, number: int, measure: Measure) -> bool:
        """True if the client can go on."""
        forecast = forecast_seconds(measure, contender, self.records, self.workers)
        if forecast is not None and forecast > self.profile.cap_of(measure):
            note = f"would take about {forecast:.0f} s"
            self._keep(contender, measure.key, number, Outcome.TOO_SLOW, {}, note)
            return True
        try:
            answer = client.ask(measure.command, self.profile.patience_with(measure))
            client.check_doors()
        except ClientFailed as failure:
            self._keep(contender, measure.key, number, Outcome.FAILED, {}, str(failure))
            return False
        self._keep_answer(contender, measure.key, number, answer)
        return True

    def _keep_answer(
        self, contender: str, measure: str, number: int, answer: Mapping[str, Any]
    ) -> None:
        outcome = Outcome(answer["outcome"])
        figures, note = answer.get("figures", {}), answer.get("note", "")
        self._keep(contender, measure, number, outcome, figures, note)

    def _keep(
        self,
        contender: str,
        measure: str,
        number: int,
        outcome: Outcome,
        figures: Mapping[str, Any],
        note: str,
    ) -> None:
        record = Record(contender, measure, number, outcome, figures, note)
        self.records.append(record)
        self.on_record(record)
