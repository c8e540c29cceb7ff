"""JobRecord: how far a job has come, as its container tells it."""

from dataclasses import asdict, dataclass
from typing import Any

from ..states import JobState

#: `error_code` of a job that was killed, as Cloud Kotta has them; otherwise it is the exit code.
WALLTIME_EXCEEDED, KILLED_BY_REQUEST = 1001, 1002


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file that a job left behind, as it is stored."""

    name: str  #: relative to the job's folder
    size: int  #: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One start of a job. Times are epoch seconds; None: it has not come so far."""

    attempt: int
    state: JobState
    staging_inputs_at: float | None = None
    processing_at: float | None = None
    staging_outputs_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None  #: of the process; negative: the signal that ended it
    error: str | None = None
    error_code: int | None = None
    outputs: tuple[JobFile, ...] = ()
    missing: tuple[str, ...] = ()  #: names and patterns that the job said and did not leave

    def as_dict(self) -> dict[str, Any]:
        """In values that JSON knows; `read` makes it again, of this version or a newer one."""
        return asdict(self)

    @classmethod
    def read(cls, values: dict[str, Any]) -> "JobRecord":
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        typed = {
            "state": JobState(values["state"]),
            "outputs": tuple(JobFile(**file) for file in values.get("outputs", ())),
            "missing": tuple(values.get("missing", ())),
        }
        return cls(**{**known, **typed})
