"""All that a federation's routes may touch, as one value."""

from dataclasses import dataclass, field

from ..ports import (
    FederationTable,
    NoDirectory,
    NoSockets,
    SocketTable,
    TokenSigner,
    UserDirectory,
    UserLogin,
)
from ..wiring import Grid
from .registry import Registry


@dataclass(frozen=True, slots=True)
class Federation:
    grid: Grid  #: sessions, payloads, events, clock, settings, and who bears a user's token
    table: FederationTable
    signer: TokenSigner  #: of the tokens of nodes and containers
    login: UserLogin
    sockets: SocketTable = field(default_factory=NoSockets)
    directory: UserDirectory = field(default_factory=NoDirectory)  #: of users that can log in

    @property
    def registry(self) -> Registry:
        return Registry(self.table)
