"""What goes wrong: crashes at any statement of a transaction, and how often the wire loses, repeats and cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from sqlalchemy import Engine, event

WHERE: Final = ("statement", "commit", "committed")
"""A crash before an SQL statement, before a commit, or after the commit and before anybody is told."""


class Crash(BaseException):
    """The process is gone. No `Exception`, so that nothing in the kernel can catch it and go on."""


class Trap:
    """At most one armed crash in one node's database; whatever is uncommitted then is rolled back by the database."""

    def __init__(self, engine: Engine) -> None:
        self._where = ""
        self._left = 0
        event.listen(engine, "before_cursor_execute", self._before_statement)
        event.listen(engine, "commit", self._before_commit)

    def arm(self, where: str, after: int) -> None:
        """Crash at the `after`-th (0 is the next) point of the kind `where`."""
        self._where, self._left = where, after

    def disarm(self) -> None:
        """No crash."""
        self._where = ""

    def committed(self) -> None:
        """To be called first after each commit (`Writer.after_commit`)."""
        self._pass("committed")

    def _before_statement(self, *_arguments: Any) -> None:
        if self._where:
            self._pass("statement")

    def _before_commit(self, _connection: object) -> None:
        self._pass("commit")

    def _pass(self, where: str) -> None:
        if self._where != where:
            return
        if self._left:
            self._left -= 1
            return
        self._where = ""
        raise Crash


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it is. Shares of 1, and mean times in seconds; `calm` is what the end of a run has."""

    loss: float = 0.05
    repetition: float = 0.04
    latency: float = 3.0
    crash_every: float = 2 * 3600.0
    cut_every: float = 3 * 3600.0
    cut_lasts: float = 1200.0
    down_lasts: float = 240.0
    step_every: float = 6 * 3600.0
    skew: float = 2 * 3600.0
    drift: float = 1e-4

    def delay(self, random: Random) -> float:
        """Seconds on the way; the long tail reorders what was sent in order."""
        return random.expovariate(1 / self.latency) + (random.random() * 300 if random.random() < 0.02 else 0.05)


class SkewedClock:
    """A node's own idea of the time: an offset, a drift, and steps forward and back."""

    def __init__(self, now: Callable[[], float], offset: float = 0.0, drift: float = 0.0) -> None:
        self._now = now
        self.offset = offset
        self.drift = drift

    def __call__(self) -> float:
        """POSIX seconds, as this node believes."""
        now = self._now()
        return now + self.offset + (now - START) * self.drift


START: Final = 1_772_323_200.0
"""1 March 2026, 00:00 UTC: when every simulated world begins."""
