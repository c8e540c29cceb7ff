"""A minute's memory in front of a TokenVerifier: clients that poll ask about the same token.

Only good answers are kept, under the token's hash: a token that was revoked is taken for a minute
longer, and no token is ever stored.
"""

import hashlib
import threading

from .ports import Caller, Clock, TokenVerifier

KEEP_SECONDS = 60.0
MAX_CALLERS = 1000


class TokenCache:
    """The port, with a memory."""

    def __init__(self, verifier: TokenVerifier, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock
        self._lock = threading.Lock()
        #: hash of the token -> who bears it, and until when that counts; oldest first
        self._known: dict[bytes, tuple[Caller, float]] = {}

    def verify(self, token: str) -> Caller | None:
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._find(key)
        if found is not None:
            return found
        caller = self._verifier.verify(token)
        if caller is not None:
            self._keep(key, caller)
        return caller

    def _find(self, key: bytes) -> Caller | None:
        with self._lock:
            caller, ends_at = self._known.get(key, (None, 0.0))
            return caller if self._clock.monotonic() < ends_at else None

    def _keep(self, key: bytes, caller: Caller) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = (caller, self._clock.monotonic() + KEEP_SECONDS)
            if len(self._known) > MAX_CALLERS:
                del self._known[next(iter(self._known))]
