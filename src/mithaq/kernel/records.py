"""What accepted statements add up to: facts in tables, folded from the logs alone, read through a view that is bounded.

A record table holds facts, each with the statement that it came from (`party`, `n`); facts are added and never changed, and
what they make together is a query. So a view can be cut at what a speaker had seen, and no rule can read more (law 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    PrimaryKeyConstraint,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    insert,
    select,
)

from mithaq.kernel.mandate import Event
from mithaq.kernel.tables import RECORDS

if TYPE_CHECKING:
    from mithaq.kernel.force import InForce, Mandates, Standing
    from mithaq.kernel.note import Verifier
    from mithaq.kernel.statement import Statement


# Rows are ordered by party, and a rule may read the first: by code points, whatever language a server sorts in (law 3).
_CODE: Final = Text().with_variant(Text(collation="C"), "postgresql")


class Fact(NamedTuple):
    """One row that a statement adds to a record table, without its `party` and `n`, which the kernel adds."""

    table: Table
    values: dict[str, Any]


def record_table(
    name: str, *columns: Column[Any], once: bool = True, find_by: Sequence[str] = (), kept: bool = False
) -> Table:
    """A table of facts. `once`: a statement adds one row at most; `find_by`: columns that queries look for.

    `kept`: its facts are few beside the statements, one of each, and its rules ask much of them: they find them in memory.
    """
    keys = ["party", "n"] if once else ["party", "n", *(column.name for column in columns if column.info.get("part"))]
    table = Table(
        name,
        RECORDS,
        Column("party", _CODE, nullable=False),
        Column("n", BigInteger, nullable=False),
        *columns,
        PrimaryKeyConstraint(*keys),
        info={"find_by": tuple(find_by), "kept": kept},
    )
    for column in find_by:
        Index(f"{name}_by_{column}", table.c[column])
    return table


events = record_table(
    "events",
    Column("what", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("amends", Text, nullable=False),
    Column("text", Text, nullable=False),
    find_by=("agreement",),
)
"""What was said about agreements: the facts that mandates are computed from."""

verdicts = record_table(
    "verdicts",
    Column("code", Text, nullable=False),
    Column("facts", Text, nullable=False),
)
"""Entries that had no effect, and why: the same on every node."""

said_under = record_table(
    "said_under",
    Column("clause", Text, nullable=False),
    Column("do", Text, nullable=False),
    Column("at", Text, nullable=False),
    find_by=("clause",),
)
"""What was said under a clause that obliges, of whatever service: the duty's evidence by doing."""


def event_fact(event: Event) -> Fact:
    """The fact that feeds the mandates."""
    values = msgspec.structs.asdict(event)
    return Fact(events, {name: values[name] for name in ("what", "agreement", "day", "clause", "amends", "text")})


_BY_PLACE: Final = attrgetter("party", "n")


class Kept:
    """All facts of one table that is kept in memory; its rows have the attributes of those of a query.

    Rows and tuples of rows are nothing that the garbage collector follows: with lists it would take 50 ms and more.
    """

    def __init__(self, table: Table) -> None:
        columns = [str(column.name) for column in table.columns]
        self._row: Any = msgspec.defstruct("KeptRow", columns, frozen=True, gc=False)
        self._found: dict[str, dict[str, tuple[Any, ...]]] = {name: {} for name in table.info["find_by"]}
        self._placed: dict[tuple[str, int], Any] = {}

    def add(self, values: Mapping[str, Any]) -> None:
        """Take one fact in. An empty text is nothing to find a fact by."""
        row = self._placed[values["party"], values["n"]] = self._row(**values)
        for name, found in self._found.items():
            value = values[name]
            if value:
                found[value] = (*found.get(value, ()), row)

    def find(self, equal: Mapping[str, Any]) -> list[Any]:
        """The facts with these values, one of them a column to find by, or party and position; ordered by these two."""
        name = next((name for name in self._found if name in equal), None)
        if name is None:
            row = self._placed.get((equal["party"], equal["n"]))
            found = () if row is None else (row,)
        else:
            found = self._found[name].get(equal[name], ())
        rest = [(other, value) for other, value in equal.items() if other != name]
        rows = [row for row in found if all(getattr(row, other) == value for other, value in rest)]
        return sorted(rows, key=_BY_PLACE) if len(rows) > 1 else rows


class Records:
    """Facts of the current transaction: gathered, written together, and before anything is read."""

    def __init__(self, keys: Mapping[str, Sequence[Verifier]], mandates: Mandates) -> None:
        self.keys: Final = keys
        self.parties: Final = tuple(keys)
        self.mandates: Final = mandates
        self._waiting: dict[Table, list[dict[str, Any]]] = {}
        self._insertions: dict[Table, tuple[str, tuple[str, ...]]] = {}
        self._queries: dict[tuple[Table, tuple[str, ...]], Select[Any]] = {}
        self._kept: dict[Table, Kept] = {}

    def add(self, party: str, n: int, facts: Iterable[Fact]) -> None:
        """Take the facts of one statement in; those about agreements count from the next statement on."""
        for table, values in facts:
            values["party"] = party
            values["n"] = n
            waiting = self._waiting.get(table)
            if waiting is None:
                waiting = self._waiting[table] = []
            waiting.append(values)
            if table in self._kept:
                self._kept[table].add(values)
            if table is events:
                self.mandates.add(Event(**values))

    def flush(self, connection: Connection) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, {}
        for table, rows in waiting.items():
            sql, order = self._insertion(table, connection)
            # Core's executemany compiles parameters row by row, which costs more than SQLite's own insert.
            connection.exec_driver_sql(sql, [tuple([row[name] for name in order]) for row in rows] if order else rows)

    def _insertion(self, table: Table, connection: Connection) -> tuple[str, tuple[str, ...]]:
        """The driver's own INSERT, and the order of its values where the driver wants them in order."""
        known = self._insertions.get(table)
        if known is None:
            compiled = insert(table).compile(dialect=connection.dialect)
            order = tuple(compiled.positiontup or ()) if compiled.positional else ()
            known = self._insertions[table] = (str(compiled), order)
        return known

    def forget(self) -> None:
        """Drop what waits: the transaction was rolled back."""
        self._waiting = {}

    def load(self, connection: Connection) -> None:
        """Fill the mandates from the stored facts."""
        for row in connection.execute(select(events)).mappings():
            self.mandates.add(Event(**row))

    def find(self, connection: Connection, table: Table, equal: Mapping[str, Any]) -> Iterable[Any]:
        """The facts with these values, ordered by party and position, the newest of this transaction among them."""
        if table.info["kept"]:
            if table not in self._kept:
                self._kept[table] = self._keep(connection, table)
            return self._kept[table].find(equal)
        self.flush(connection)
        return connection.execute(self._query(table, tuple(sorted(equal))), equal)

    def _keep(self, connection: Connection, table: Table) -> Kept:
        self.flush(connection)
        kept = Kept(table)
        for row in connection.execute(select(table)).mappings():
            kept.add(dict(row))
        return kept

    def _query(self, table: Table, names: tuple[str, ...]) -> Select[Any]:
        """Compiled once, bound each time."""
        known = self._queries.get((table, names))
        if known is None:
            equal = (table.c[name] == bindparam(name) for name in names)
            known = select(table).where(*equal).order_by(table.c.party, table.c.n)
            self._queries[table, names] = known
        return known


class View:
    """What a rule may read: agreements, the speaker's own earlier statements, and others' that it had seen."""

    def __init__(self, records: Records, connection: Connection, said: Statement[Any]) -> None:
        self._records = records
        self._connection = connection
        self._said = said

    def rows(self, table: Table, **equal: Any) -> Sequence[Row[Any]]:
        """The facts with these values, ordered by party and position, cut at what the speaker had seen."""
        bounds = {**self._said.seen, self._said.party: self._said.n}
        # Cut here and not in SQL: given a range of each party's entries, SQLite reads those and not the column's index.
        found = self._records.find(self._connection, table, equal)
        return [row for row in found if row.n < bounds.get(row.party, 0)]

    def row(self, table: Table, **equal: Any) -> Row[Any] | None:
        """The first such fact, or None."""
        rows = self.rows(table, **equal)
        return rows[0] if rows else None

    def has_seen(self, party: str, n: int) -> bool:
        """Whether the speaker had seen that entry."""
        return n < (self._said.n if party == self._said.party else self._said.seen.get(party, 0))

    @property
    def parties(self) -> tuple[str, ...]:
        """The parties of the commission."""
        return self._records.parties

    def log_keys(self, party: str) -> Sequence[Verifier]:
        """The keys of a party's log: read aloud at pairing, so the same on every node."""
        return self._records.keys[party]

    def standings(self) -> Mapping[str, Standing]:
        """Every agreement as the speaker had seen it."""
        return self._records.mandates.standings(self._said.party, self._said.n, self._said.seen, self._said.at.date())

    def clauses(self) -> Mapping[str, InForce]:
        """Every clause as it stood for the speaker."""
        return self._records.mandates.in_force(self._said.party, self._said.n, self._said.seen, self._said.at.date())
