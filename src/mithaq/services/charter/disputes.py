"""What the charter's facts do to the reading of logs: claims that were voided, logs that count only up to a point."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

from mithaq.kernel.statement import Statement
from mithaq.services.charter import acts, records
from mithaq.services.charter.rules import SEEN_AHEAD

ENDLESS: Final = 2**63


class Disputes:
    """Voided claims and sealed logs, gathered from the statements as they are heard."""

    def __init__(self) -> None:
        self._voids: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self._seals: dict[str, int] = {}

    def load(self, connection: Connection) -> None:
        """Gather again from what is stored."""
        self._voids, self._seals = {}, {}
        for row in records.all_refusals(connection):
            if row.code == SEEN_AHEAD:
                self.void(row.log, row.entry, row.party, row.n)
        for row in records.all_exposures(connection):
            self.seal(row.log, row.entry)

    def start_over(self) -> None:
        """Before the records are folded anew. Seals stay: they hold from the first entry on, whenever they were learnt."""
        self._voids = {}

    def take(self, said: Statement[Any]) -> None:
        """Learn from a statement that had effect."""
        if isinstance(said.act, acts.Refuse) and said.act.code == SEEN_AHEAD:
            self.void(said.act.log, said.act.entry, said.party, said.n)
        elif isinstance(said.act, acts.Expose):
            self.seal(said.act.log, said.act.entry)

    def void(self, log: str, entry: int, by: str, place: int) -> None:
        """`by` said, at `place` of its own log, that there was not as much of it as that entry claims to have seen."""
        self._voids.setdefault((log, entry), []).append((by, place))

    def voided_by(self, log: str, entry: int, party: str) -> bool:
        """Whether that party has voided this entry's claim."""
        return any(by == party for by, _ in self._voids.get((log, entry), ()))

    def is_void(self, said: Statement[Any]) -> bool:
        """Whether a party answered, before that point of its log, that there was not as much of it as is claimed.

        This is how a false `seen` never holds up a log: the voiding refusal stands below the claimed size, so every node
        finds it before it would have to wait any longer, and none finds it where the claim was true.
        """
        voids = self._voids.get((said.party, said.n)) if self._voids else None
        return bool(voids) and any(place < said.seen.get(party, 0) for party, place in voids or ())

    def seal(self, log: str, entry: int) -> None:
        """A party's log counts up to `entry`: from there on it told two stories."""
        self._seals[log] = min(entry, self.end(log))

    def end(self, log: str) -> int:
        """How many entries of a log count at most."""
        return self._seals.get(log, ENDLESS)

    def sealed(self) -> tuple[str, ...]:
        """The parties whose two stories were exposed."""
        return tuple(sorted(self._seals))
