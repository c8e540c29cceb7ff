"""How eagerly a node asks for work. Pure: it is told the time.

A long poll keeps a function of the server at work, which its operator pays for. So a node has the
server wait for as long as there was work lately, and after that looks in from time to time.
"""

from dataclasses import dataclass


@dataclass
class Pace:
    after_seconds: float  #: without work for so long, a node is idle
    pause_seconds: float  #: between two looks of an idle node
    worked_at: float  #: when there was work last; monotonic

    def note_work(self, now: float) -> None:
        """It has, or was given, something to do."""
        self.worked_at = now

    def pause(self, now: float) -> float:
        """Seconds until it asks again; 0: it asks at once, and has the server wait."""
        return self.pause_seconds if now - self.worked_at >= self.after_seconds else 0.0
