"""The common inputs that one worker environment has read, so that its next chunks need not.

A chunk that can't be given its common input is as one whose own input is gone. This module knows
objects and digests, and not what is in a common input.
"""

import hashlib
from collections import OrderedDict

from .errors import PayloadCorrupted
from .invocation import SessionFacts
from .ports import CommonInput, PayloadStore

#: A few sessions take turns on an environment, and its memory is for tasks.
CACHE_ENTRIES = 4
CACHE_BYTES = 64 * 1024 * 1024


class CommonCache:
    """What one environment has read, by digest. The least recently used goes first."""

    def __init__(self, entries: int = CACHE_ENTRIES, size_bytes: int = CACHE_BYTES) -> None:
        self._most_entries = entries
        self._most_bytes = size_bytes
        self._texts: OrderedDict[str, bytes] = OrderedDict()

    def read(self, payloads: PayloadStore, facts: SessionFacts) -> CommonInput | None:
        """The common input of a session; None if it has none.

        Raises NotFound if its object is gone, PayloadCorrupted if it is another one.
        """
        if facts.common_key is None:
            return None
        text = self._texts.get(facts.common_sha256)
        if text is None:
            text = _checked(payloads.get(facts.common_key), facts)
            self._texts[facts.common_sha256] = text
        self._texts.move_to_end(facts.common_sha256)
        self._forget()
        return CommonInput(facts.session_id, text)

    def _forget(self) -> None:
        """The newest always stays, whatever its size."""
        while len(self._texts) > 1 and self._is_full():
            self._texts.popitem(last=False)

    def _is_full(self) -> bool:
        kept_bytes = sum(map(len, self._texts.values()))
        return len(self._texts) > self._most_entries or kept_bytes > self._most_bytes


def _checked(text: bytes, facts: SessionFacts) -> bytes:
    if hashlib.sha256(text).hexdigest() != facts.common_sha256:
        raise PayloadCorrupted(
            f"{facts.common_key}: the common input of session {facts.session_id} is not what was "
            "submitted"
        )
    return text
