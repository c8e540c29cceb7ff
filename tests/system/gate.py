"""The line between an organization and the grid, which a test can cut. It passes bytes on.

Knows no HTTP.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_BLOCK_BYTES = 65_536


class Gate:
    """Open at first. While it is shut, connections are refused; those that were there are cut."""

    def __init__(self, host: str, port: int) -> None:
        """host, port: where the grid is."""
        self._target = (host, port)
        self._address = ("127.0.0.1", 0)
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self.open()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._address[1]}"

    def open(self) -> None:
        """At the same address as before."""
        listener = socket.create_server(self._address)
        self._address = listener.getsockname()
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._let_in, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
            cut = [*self._ends, *([listener] if listener else [])]
        for each in cut:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if listener is not None:
            listener.close()

    def _let_in(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            outer = socket.create_connection(self._target)
            with self._lock:
                self._ends |= {inner, outer}
                is_open = self._listener is listener
            for pair in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()
            if not is_open:
                self.shut()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """Until either end has had enough; each of the two threads closes what it has read from."""
        with suppress(OSError):
            while block := source.recv(_BLOCK_BYTES):
                sink.sendall(block)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._ends.discard(source)
        source.close()
