"""The verdict on an entry: a pure function of agreements, of the speaker's earlier statements and of what it had seen.

Saying and hearing use the same steps, so both sides reach the same verdict (law 3). What is not well formed or breaks a
rule is a verdict too: a fact, equal on every node, and without effect (law 5).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Text, select

from mithaq.kernel.act import Catalogue
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.force import Mandates
from mithaq.kernel.mandate import Permit
from mithaq.kernel.note import Verifier
from mithaq.kernel.records import Fact, Records, View, record_table, said_under, verdicts
from mithaq.kernel.statement import Codec, Statement

progress = record_table(
    "progress",
    Column("at", Text, nullable=False),
    Column("seen", Text, nullable=False),
)
"""How far each log was heard (`n` entries), with the time and the `seen` of the last statement that had effect."""


class Progress(msgspec.Struct):
    """How far one party's log was heard, and where its speaker stood then."""

    heard: int = 0
    at: dt.datetime = dt.datetime.min.replace(tzinfo=dt.UTC)
    seen: dict[str, int] = {}


class Judge:
    """Steps 1 to 3 and 5 for every statement of a commission, whoever said it."""

    def __init__(self, catalogue: Catalogue, commission: str, keys: Mapping[str, Sequence[Verifier]]) -> None:
        """`keys`: the log keys of every party, as they were read aloud at pairing."""
        self.catalogue: Final = catalogue
        self.codec: Final = Codec(catalogue)
        self.commission: Final = commission
        self.keys: Final = dict(sorted(keys.items()))
        self.start_over()

    def start_over(self) -> None:
        """Forget everything that is folded from the logs."""
        self.mandates = Mandates(self.catalogue.charter)
        self.records = Records(self.keys, self.mandates)
        self.progress = {party: Progress() for party in self.keys}

    def load(self, connection: Connection) -> None:
        """Read what was folded before."""
        self.start_over()
        self.records.load(connection)
        for row in connection.execute(select(progress)):
            seen = msgspec.json.decode(row.seen, type=dict[str, int])
            self.progress[row.party] = Progress(row.n, dt.datetime.fromisoformat(row.at), seen)

    def save(self, connection: Connection) -> None:
        """Write the facts that wait and how far each log was heard."""
        self.records.flush(connection)
        connection.execute(progress.delete())
        rows = [
            {
                "party": party,
                "n": each.heard,
                "at": each.at.isoformat(),
                "seen": msgspec.json.encode(each.seen).decode(),
            }
            for party, each in self.progress.items()
            if each.heard  # of which nothing was heard has no row: a peer that was paired later changes no record
        ]
        if rows:
            connection.execute(progress.insert(), rows)

    def read(self, entry: bytes, party: str, n: int) -> Statement[Any]:
        """(1) Shape: canonical, of this commission, of this party, at this place, seen only of others."""
        said = self.codec.decode(entry)
        if said.commission != self.commission:
            raise Malformed("statement.wrong_commission", field="commission", value=said.commission)
        if said.party != party:
            raise Malformed("statement.by_another_party", field="by", party=said.party)
        if said.n != n:
            raise Malformed("statement.wrong_position", field="n", value=said.n, limit=n)
        for each in said.seen:
            if each == party or each not in self.progress:
                raise Malformed("statement.wrong_log", field="seen", party=each)
        return said

    def check(self, said: Statement[Any], connection: Connection) -> tuple[Permit, ...]:
        """(2) Order and mandate, (3) the act's own rule. Returns the permits, or raises the refusal."""
        last = self.progress[said.party]
        if said.at < last.at:
            raise Refused("statement.time_backwards", field="at", value=said.at.isoformat(), limit=last.at.isoformat())
        if said.seen != last.seen:
            check_monotonic(said.seen, last.seen)
        permits = self.mandates.authorise(said)
        self.catalogue[said.do].check(said.act, said, View(self.records, connection, said))
        return permits

    def apply(self, said: Statement[Any]) -> None:
        """(5) The effect on the records."""
        self.records.add(said.party, said.n, self.catalogue[said.do].effect(said.act, said))
        if self.mandates.obliges(said):  # it may show that a duty is carried out
            under = {"clause": said.clause, "do": said.do, "at": said.at.isoformat()}
            self.records.add(said.party, said.n, [Fact(said_under, under)])
        last = self.progress[said.party]
        last.heard, last.at, last.seen = said.n + 1, said.at, said.seen

    def note(self, party: str, n: int, reason: MithaqError) -> None:
        """An entry without effect: its verdict is a fact like others."""
        facts = {name: str(value) for name, value in reason.facts.items()}
        written = msgspec.json.encode(facts, order="sorted").decode()
        self.records.add(party, n, [Fact(verdicts, {"code": reason.code, "facts": written})])
        self.progress[party].heard = n + 1


def check_monotonic(seen: Mapping[str, int], before: Mapping[str, int]) -> None:
    """What was seen once stays seen: nobody may forget a suspension that it had heard of."""
    for party, count in before.items():
        if seen.get(party, 0) < count:
            raise Refused("statement.seen_backwards", field=f"seen.{party}", value=seen.get(party, 0), limit=count)
