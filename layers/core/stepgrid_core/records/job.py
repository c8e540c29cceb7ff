"""What is kept of jobs: JobFacts beside their session, JobRecord as their containers tell it."""

from dataclasses import asdict, dataclass
from typing import Any

from ..states import TERMINAL_JOBS, JobState

#: `error_code` of a job that was killed, as Cloud Kotta has them; otherwise it is the exit code.
WALLTIME_EXCEEDED, KILLED_BY_REQUEST = 1001, 1002


_LISTS = ("outputs", "depends_on", "args", "inputs")


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is told of jobs without their spec, which an object holds, and not for so long."""

    executable: str
    walltime_seconds: int
    outputs: tuple[str, ...] = ()  #: names and patterns that were asked for
    script_name: str | None = None
    depends_on: tuple[str, ...] = ()
    args: tuple[str, ...] = ()  #: the first ones, where they are many
    inputs: tuple[str, ...] = ()  #: URLs, likewise

    @classmethod
    def read(cls, values: dict[str, Any]) -> "JobFacts":
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        lists = {name: tuple(values.get(name, ())) for name in _LISTS}
        return cls(**{**known, **lists})


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

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL_JOBS

    def is_replaced_by(self, newer: "JobRecord") -> bool:
        """A report of an earlier start changes nothing, and none of the same one after its end."""
        if newer.attempt == self.attempt:
            return not self.terminal
        return newer.attempt > self.attempt

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
