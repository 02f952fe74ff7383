"""What was said under the charter: offices with their keys, refusals, erasures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Row, Text, select

from mithaq.kernel.records import Fact, record_table
from mithaq.kernel.statement import Statement
from mithaq.services.charter import acts

VERSION: Final = 1

offices = record_table(
    "charter_offices",
    Column("office", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("names", Text, nullable=False),
    find_by=("office",),
)
refusals = record_table(
    "charter_refusals",
    Column("log", Text, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("field", Text, nullable=False),
    find_by=("entry",),
)
exposures = record_table(
    "charter_exposures",
    Column("log", Text, nullable=False),
    Column("entry", BigInteger, nullable=False),
    find_by=("log",),
)
erasures = record_table(
    "charter_erasures",
    Column("statement", Text, nullable=False),
    Column("digest", Text, nullable=False),
    find_by=("digest",),
)


def open_office(act: acts.OpenOffice, said: Statement[Any]) -> Iterator[Fact]:
    """The office with its key, from here on."""
    names = msgspec.json.encode(act.names, order="sorted").decode()
    yield Fact(offices, {"office": act.office, "recipient": act.recipient, "names": names})


def refuse(act: acts.Refuse, said: Statement[Any]) -> Iterator[Fact]:
    """The refusal, as its party said it."""
    values = {"log": act.log, "entry": act.entry, "code": act.code, "clause": act.clause, "field": act.field}
    yield Fact(refusals, values)


def expose(act: acts.Expose, said: Statement[Any]) -> Iterator[Fact]:
    """From where on a party's log counts no more."""
    yield Fact(exposures, {"log": act.log, "entry": act.entry})


def erase(act: acts.Erase, said: Statement[Any]) -> Iterator[Fact]:
    """Which side has destroyed its copy."""
    yield Fact(erasures, {"statement": act.statement, "digest": act.digest})


def recipient(connection: Connection, office: str) -> str | None:
    """The newest public key of an office."""
    query = select(offices.c.recipient).where(offices.c.office == office).order_by(offices.c.n.desc()).limit(1)
    return connection.execute(query).scalar()


def all_offices(connection: Connection) -> Sequence[Row[Any]]:
    """Every office that can be written to, the newest key last."""
    return connection.execute(select(offices).order_by(offices.c.office, offices.c.n)).all()


def all_refusals(connection: Connection) -> Sequence[Row[Any]]:
    """Every refusal of every party."""
    return connection.execute(select(refusals).order_by(refusals.c.party, refusals.c.n)).all()


def all_exposures(connection: Connection) -> Sequence[Row[Any]]:
    """Every proof that a party told two stories."""
    return connection.execute(select(exposures).order_by(exposures.c.party, exposures.c.n)).all()


def all_erasures(connection: Connection) -> Sequence[Row[Any]]:
    """Every word that an enclosure was erased."""
    return connection.execute(select(erasures).order_by(erasures.c.party, erasures.c.n)).all()
