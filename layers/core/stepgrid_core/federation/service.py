"""All that a federation's routes may touch, as one value."""

from dataclasses import dataclass

from ..ports import FederationTable, TokenSigner, UserLogin
from ..wiring import Grid
from .registry import Registry


@dataclass(frozen=True, slots=True)
class Federation:
    grid: Grid  #: sessions, payloads, events, clock, settings, and who bears a user's token
    table: FederationTable
    signer: TokenSigner  #: of the tokens of nodes and containers
    login: UserLogin

    @property
    def registry(self) -> Registry:
        return Registry(self.table)
