"""What a container is told by its environment: by the template, the state machine and bootstrap."""

from pydantic import BaseModel, ConfigDict, Field


class ContainerSettings(BaseModel):
    """Environment variables STEPGRID_<FIELD>."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session_id: str
    ticket: str = Field(repr=False)
    #: the state machine's token, new for each start
    container: str
    #: number of the execution that started it
    dispatch: int
    broker_function: str
    #: chunks that it runs at once, each in a process of its own
    pullers: int
    memory_mib: int
    #: when the bootstrap began, epoch seconds: Fargate bills from about then
    started_at: float
    #: of the template: from SIGTERM to SIGKILL
    stop_timeout_seconds: float = 120.0
    count_requests: bool = False

    @classmethod
    def read(cls, environment: dict[str, str]) -> "ContainerSettings":
        prefix = "STEPGRID_"
        return cls.model_validate(
            {
                name.removeprefix(prefix).lower(): value
                for name, value in environment.items()
                if name.startswith(prefix) and value
            }
        )
