"""The ports in memory: for tests and for `stepgrid.testing`. They pass the same contract suite.

Every method is atomic under one lock; nothing is ever eventually consistent here.
"""

from .clock import VirtualClock
from .credential_lender import MemoryLender
from .dispatcher import MemoryDispatcher
from .events import MemoryEventBus, MemorySubscriptions
from .federation_table import MemoryFederationTable
from .job_desk import MemoryJobDesk
from .logs import MemoryLogReader
from .metrics import MemoryMetrics
from .payload_store import MemoryPayloadStore
from .sockets import MemorySockets
from .state_table import MemoryStateTable
from .token_signer import MemoryTokenSigner
from .tokens import MemoryTokenVerifier
from .user_directory import MemoryUserDirectory
from .user_login import MemoryUser, MemoryUserLogin
from .workers import Behaviour, MemoryFunctionCall, MemoryFunctionCaller, MemoryWorkerRegistry

__all__ = [
    "Behaviour",
    "MemoryDispatcher",
    "MemoryEventBus",
    "MemoryFederationTable",
    "MemoryFunctionCall",
    "MemoryFunctionCaller",
    "MemoryJobDesk",
    "MemoryLender",
    "MemoryLogReader",
    "MemoryMetrics",
    "MemoryPayloadStore",
    "MemorySockets",
    "MemoryStateTable",
    "MemorySubscriptions",
    "MemoryTokenSigner",
    "MemoryTokenVerifier",
    "MemoryUser",
    "MemoryUserDirectory",
    "MemoryUserLogin",
    "MemoryWorkerRegistry",
    "VirtualClock",
]
