"""The seam between stepgrid and the world: small protocols.

Each has a real adapter (stepgrid_core.aws) and one in memory (stepgrid_core.memory), and one
contract suite that both pass. A port knows no rule: it stores, swaps, starts and tells.
"""

from .broker import Broker
from .clock import Clock
from .credential_lender import CredentialLender, LentCredentials
from .dispatcher import Dispatch, Dispatcher, ExecutionState, Worker, registered_worker
from .event_bus import EventBus
from .federation import (
    SECOND_FACTOR,
    Entity,
    FederationTable,
    LoginStep,
    Marks,
    NoDirectory,
    NoLogin,
    NoSigner,
    TokenSigner,
    UserDirectory,
    UserLogin,
    UserTokens,
)
from .function_caller import FunctionCall, FunctionCaller, FunctionReply
from .job_desk import JobDesk
from .logs import LogEvent, LogReader, LogSearch
from .membership import Membership, NoMembers
from .metrics import MetricSink
from .page import Page
from .payload_store import DOWNLOAD_SECONDS, URL_SECONDS, PayloadStore, StoredObject
from .rows import Rows
from .sockets import Append, NoSockets, Queued, Socket, SocketTable
from .state_table import Closing, Refusal, RowSwap, StateTable, Swap, Waiting
from .subscriptions import Delivery, Subscription, Subscriptions
from .task_runner import (
    CommonInput,
    FailedTask,
    FinishedTasks,
    TaskLines,
    TaskOutcome,
    TaskRunner,
    TaskSpan,
)
from .token_verifier import Caller, NoTokens, TokenVerifier
from .worker_registry import WorkerRegistry

__all__ = [
    "DOWNLOAD_SECONDS",
    "SECOND_FACTOR",
    "URL_SECONDS",
    "Append",
    "Broker",
    "Caller",
    "Clock",
    "Closing",
    "CommonInput",
    "CredentialLender",
    "Delivery",
    "Dispatch",
    "Dispatcher",
    "Entity",
    "EventBus",
    "ExecutionState",
    "FailedTask",
    "FederationTable",
    "FinishedTasks",
    "FunctionCall",
    "FunctionCaller",
    "FunctionReply",
    "JobDesk",
    "LentCredentials",
    "LogEvent",
    "LogReader",
    "LogSearch",
    "LoginStep",
    "Marks",
    "Membership",
    "MetricSink",
    "NoDirectory",
    "NoLogin",
    "NoMembers",
    "NoSigner",
    "NoSockets",
    "NoTokens",
    "Page",
    "PayloadStore",
    "Queued",
    "Refusal",
    "RowSwap",
    "Rows",
    "Socket",
    "SocketTable",
    "StateTable",
    "StoredObject",
    "Subscription",
    "Subscriptions",
    "Swap",
    "TaskLines",
    "TaskOutcome",
    "TaskRunner",
    "TaskSpan",
    "TokenSigner",
    "TokenVerifier",
    "UserDirectory",
    "UserLogin",
    "UserTokens",
    "Waiting",
    "Worker",
    "WorkerRegistry",
    "registered_worker",
]
