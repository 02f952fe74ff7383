"""A node's records and logs, read from its database without its keys and without its lock: also while it serves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from mithaq.cli import files
from mithaq.cli.home import home_of
from mithaq.kernel import pairing
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Refused, Unreachable
from mithaq.kernel.force import InForce, Standing
from mithaq.kernel.judge import Judge
from mithaq.kernel.log import Log
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.tables import state
from mithaq.node import CATALOGUE
from mithaq.settings import Home, Settings

ALL: Final = 2**62
"""More entries than any log has: a view that is not cut."""


class Reader:
    """One view of what is committed. `connection` stands in one transaction, so that all answers are of one moment."""

    def __init__(self, home: Home, settings: Settings, database: Database, connection: Connection) -> None:
        self.home: Final = home
        self.settings: Final = settings
        self.database: Final = database
        self.connection: Final = connection
        self.party: Final = settings.party
        self.peers: Final[Mapping[str, PairingFile]] = {peer.party: peer for peer in home.peers()}
        self.parties: Final = (self.party, *self.peers)

    def judge(self) -> Judge:
        """What the records say now; refused where they were never folded, or by another version of the program."""
        folded = self.connection.execute(select(state.c.value).where(state.c.key == "versions")).scalar()
        if folded != msgspec.json.encode(CATALOGUE.versions, order="sorted").decode():
            raise Unreachable("cli.records_old")
        keys = {party: each.log_verifiers() for party, each in {self.party: self.own(), **self.peers}.items()}
        judge = Judge(CATALOGUE, self.settings.commission, keys)
        judge.load(self.connection)
        return judge

    def own(self) -> PairingFile:
        """Our own pairing file: our public keys, without a passphrase."""
        return pairing.parse(files.read(str(self.home.own_pairing_file(self.party)), pairing.MOST_BYTES))

    def log(self, party: str) -> Log:
        """The own log or a mirror's, with its edge as it is committed now."""
        if party not in self.parties:
            raise Refused("peer.unknown", party=party)
        log = Log(party)
        log.load(self.connection)
        return log

    def standings(self) -> Mapping[str, Standing]:
        """Every agreement as all that was heard leaves it."""
        return self.judge().mandates.standings(self.party, ALL, self._all_seen())

    def clauses(self) -> Mapping[str, InForce]:
        """Every clause as it stands for us."""
        return self.judge().mandates.in_force(self.party, ALL, self._all_seen())

    def _all_seen(self) -> dict[str, int]:
        return dict.fromkeys(self.peers, ALL)


@contextmanager
def reading(arguments: argparse.Namespace) -> Iterator[Reader]:
    """A reader on the command's home; whatever the database says against it is Unreachable `database.unreadable`."""
    home = home_of(arguments)
    settings = home.settings()
    database = home.database()
    try:
        with database.read() as connection:
            if not database.is_sqlite:  # SQLite's read transaction is a snapshot by itself
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield Reader(home, settings, database, connection)
    except DBAPIError as failure:
        raise Unreachable("database.unreadable", value=type(failure.orig).__name__) from failure
    finally:
        database.close()


def plain(row: Any) -> dict[str, Any]:
    """A row as plain values for JSON; the columns that hold JSON texts are opened."""
    values = row._asdict()  # a row is a named tuple
    for name in ("to", "enclosures", "names"):
        if isinstance(values.get(name), str):
            values[name] = msgspec.json.decode(values[name])
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
