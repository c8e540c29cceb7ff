"""What a function is told by its environment, as a typed value. Read once, in wiring."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from .queues import read_queues


class Settings(BaseModel):
    """Names of the stack's resources and its quotas; environment variables STEPGRID_<FIELD>."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    table: str
    bucket: str
    event_bus: str
    worker_prefix: str
    #: runs the chunks of registered functions; where it is not named there are none
    relay_function: str = ""
    #: only the api function reads it
    worker_log_group: str = ""
    session_machine_arn: str = ""
    burst_machine_arn: str = ""
    stage: str = "local"
    #: whether each invocation writes a line of what it sent to AWS: see request_tally
    count_requests: bool = False
    #: worker of clients that name none; empty where they have to, if there are several
    default_worker: str = ""
    #: which events go to the bus: "terminal" leaves out accepted, started and progressed
    session_events: Literal["all", "terminal"] = "all"
    #: of the queues and rules of subscriptions; the id follows
    subscription_prefix: str = ""
    #: quota: subscriptions of one owner. All owners together share 300 rules (EventBridge quotas)
    max_subscriptions: int = Field(20, ge=1, le=300)
    #: what users log in with; empty where a grid has no login
    user_pool_id: str = ""
    user_pool_client_id: str = ""
    identity_pool_id: str = ""
    #: the app client by which a federation's users log in; only the federation function can use it
    federation_client_id: str = ""
    #: the key that signs the tokens of nodes and containers
    signing_key: str = ""
    #: of the payload cache, with its password if it has one; empty: there is none
    redis_url: SecretStr = SecretStr("")
    #: whom to be there by IAM, and the cache's name; empty: the URL says all
    redis_user: str = ""
    redis_cache: str = ""
    #: objects of up to this size are kept in the cache, and for so long
    cache_object_bytes: int = Field(64 * 1024, ge=0, le=1024 * 1024)
    cache_seconds: int = Field(3600, ge=1)
    #: AWS_ENDPOINT_URL: where the other AWS services are, if not where AWS has them
    aws_endpoint_url: str | None = None
    #: results and state are kept this long after a session was submitted
    retention_days: int = Field(14, ge=1)
    #: quota: days that outputs of jobs are kept, whatever a job asks for
    max_output_days: int = Field(365, ge=1)
    #: quota: tasks in one session
    max_tasks: int = Field(1_000_000, ge=1)
    #: chunks of one session that run at once, unless it asks for another number
    default_concurrency: int = Field(400, ge=1, le=10_000)
    #: chunks that run at once on one worker, over all sessions; 0: no budget
    worker_concurrency: int = Field(800, ge=0)
    #: quotas of one owner: open sessions, tasks in them, chunks at once on one worker; 0: none
    owner_sessions: int = Field(0, ge=0)
    owner_tasks: int = Field(0, ge=0)
    owner_concurrency: int = Field(0, ge=0)
    #: the function that admits waiting sessions
    recorder_function: str = ""
    #: can sessions run on Fargate here?
    fargate: bool = False
    #: chunks that run at once on Fargate, over all sessions of a worker; 0: no budget
    fargate_concurrency: int = Field(64, ge=0)
    #: the queues of jobs, see queues.read_queues
    queues: str = ""
    #: what containers may do is lent to them from this role
    container_role_arn: str = ""
    #: a node of a federation that is not heard of for so long loses what it holds. It looks every
    #: 5 s, so in 10 s one look may be late
    node_lease_seconds: int = Field(60, ge=10, le=900)
    #: quota: bytes of one session's input
    max_input_mib: int = Field(5_120, ge=1)

    @field_validator("queues")
    @classmethod
    def _is_a_table(cls, text: str) -> str:
        read_queues(text)
        return text

    def lane_concurrency(self, lane: str) -> int:
        """Chunks that run at once in a lane (see records.lane_name), over all sessions; 0: any."""
        _, of_functions, name = lane.partition("/")
        if not of_functions:
            return self.worker_concurrency
        if name == "fargate":
            return self.fargate_concurrency
        return next((q.concurrency for q in read_queues(self.queues) if q.name == name), 1)

    @classmethod
    def read(cls, environment: dict[str, str]) -> "Settings":
        prefix = "STEPGRID_"
        values: dict[str, str | None] = {
            name.removeprefix(prefix).lower(): value
            for name, value in environment.items()
            if name.startswith(prefix) and value
        }
        values["aws_endpoint_url"] = environment.get("AWS_ENDPOINT_URL") or None
        return cls.model_validate(values)


class WorkerSettings(BaseModel):
    """What only a worker's environment says, Lambda's own variables included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    STEPGRID_HANDLER: str = Field(description='the user\'s function: "module.function"')
    AWS_LAMBDA_FUNCTION_NAME: str = "worker"
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: int = 1769
    LAMBDA_TASK_ROOT: str | None = None
    STEPGRID_RESULT_LIMIT_BYTES: int = 16 * 1024 * 1024
