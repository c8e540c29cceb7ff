"""What was measured, as it is kept in the JSON file: a record of each time a measure was tried."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """How a try ended. The note of a record says why there are no figures."""

    MEASURED = "measured"
    #: by its speed so far the contender would need longer than the cap
    TOO_SLOW = "too slow"
    #: the contender has no such thing
    NOT_OFFERED = "not offered"
    #: the contender's packages are not here
    NOT_INSTALLED = "not installed"
    #: wrong results, an error, a time-out
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """One try of one contender at one measure."""

    contender: str
    measure: str
    round: int
    outcome: Outcome
    #: what was measured: seconds, samples, bytes; see the report
    figures: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Campaign:
    """All records of one run of the benchmark, and where they were made."""

    #: name of the profile, `full` or `quick`
    profile: str
    machine: Mapping[str, Any]
    #: contender -> package -> version
    versions: Mapping[str, Mapping[str, str]]
    records: tuple[Record, ...]
    #: seconds from the first to the last measure
    took_seconds: float


def write_campaign(campaign: Campaign, path: Path) -> None:
    """Write it as JSON with a line for each record, in one step."""
    head = asdict(campaign)
    rows = [json.dumps(_short(record)) for record in head.pop("records")]
    text = (
        json.dumps(head, indent=1)[:-2] + ',\n "records": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    )
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def read_campaign(path: Path) -> Campaign:
    """Read what `write_campaign` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    records = tuple(
        Record(**(value | {"outcome": Outcome(value["outcome"])})) for value in values["records"]
    )
    return Campaign(**(values | {"records": records}))


def measured(records: Iterable[Record], contender: str, measure: str) -> list[Record]:
    """The tries of a contender at a measure that have figures."""
    return [
        record
        for record in records
        if (record.contender, record.measure, record.outcome)
        == (contender, measure, Outcome.MEASURED)
    ]


def _short(value: Any) -> Any:
    """The same, with numbers of at most six digits after the point."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value
