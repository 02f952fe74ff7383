"""How enclosures come over: pulled by the side that they are sealed to, in pieces, resumed wherever they were cut. No network.

Whoever has an office among those an enclosure is sealed to asks its speaker for `enclosure/<digest>/<offset>` and gets up to
4 MiB. What is wanted, held or erased stands in the table `enclosures`; the bytes are in the `Store`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, Final, NoReturn

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from mithaq.kernel import age
from mithaq.kernel.enclosure import Store
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.exchange import BYTES, Answer, Request
from mithaq.kernel.force import covered
from mithaq.kernel.log import Log
from mithaq.kernel.mirror import refused
from mithaq.kernel.statement import Enclosure, Statement
from mithaq.kernel.tables import enclosures, openings
from mithaq.kernel.upload import reason_of
from mithaq.kernel.writer import Writer

CHUNK: Final = 4 * 1024 * 1024
"""Bytes of an answer at most."""

GRACE: Final = 86_400
"""Seconds that a sealed container waits to be named in a statement before it is erased."""

TRIES: Final = 3
"""How often a container that turns out wrong is asked for again before a restart: its sender must seal and say it anew."""

PREFIX: Final = "enclosure/"
_PATH = re.compile(r"enclosure/([0-9a-f]{64})/(0|[1-9][0-9]{0,14})")


class Naming(msgspec.Struct, frozen=True):
    """Of a statement, only what its enclosures need."""

    at: dt.datetime
    by: str
    enclosures: tuple[Enclosure, ...] = ()


class Transfers:
    """The enclosures of one node: who may fetch them here, and what is still to be fetched elsewhere."""

    def __init__(
        self, party: str, logs: Mapping[str, Log], writer: Writer, clock: Callable[[], float], store: Store | None
    ) -> None:
        self.party: Final = party
        self.store: Final = store
        self._logs: Final = logs
        self._writer: Final = writer
        self._clock: Final = clock
        self._failures: Counter[tuple[str, str]] = Counter()

    # --- answering ----------------------------------------------------------------------------------------------

    def answer(self, path: str, party: str, connection: Connection) -> Answer:
        """A peer's request for a piece of an enclosure of ours: 200, or why not: 400, 403, 404, 410, 416."""
        try:
            digest, offset = parse_path(path)
        except Malformed as failure:
            return refused(400, failure)
        row = self._row(connection, self.party, digest)
        if row is None or self.store is None:
            return refused(404, Refused("enclosure.unknown"))
        if not any(covered(office, [party]) for office in self.named(connection, row).to):
            return refused(403, Refused("enclosure.not_for_you"))
        if row.state == "erased" or row.until <= self._clock():
            return refused(410, Refused("enclosure.erased"))
        if offset > row.size:
            return refused(416, Malformed("enclosure.offset"))
        try:
            return Answer(200, self.store.read(digest, offset, min(CHUNK, row.size - offset)), BYTES)
        except MithaqError as failure:
            return refused(503 if isinstance(failure, Unreachable) else 404, failure)

    def named(self, connection: Connection, row: Row[Any]) -> Enclosure:
        """The enclosure as its statement names it."""
        naming = self._naming(connection, row)
        return next(each for each in naming.enclosures if each.digest == row.digest)

    def _naming(self, connection: Connection, row: Row[Any]) -> Naming:
        """Its statement: only statements that were judged good have a row."""
        return msgspec.json.decode(self._logs[row.log].entries(connection, row.n, row.n + 1)[0], type=Naming)

    def offered(self, party: str, connection: Connection) -> list[Row[Any]]:
        """Our enclosures that this peer may fetch, in the order of our log."""
        query = select(enclosures).where(enclosures.c.log == self.party, enclosures.c.state == "held")
        rows = connection.execute(query.where(enclosures.c.until > self._clock()).order_by(enclosures.c.n)).all()
        return [row for row in rows if any(covered(office, [party]) for office in self.named(connection, row).to)]

    # --- fetching -----------------------------------------------------------------------------------------------

    def wanted(self, connection: Connection, party: str = "") -> Sequence[Row[Any]]:
        """What is sealed to us and not here yet, oldest statement first; of one speaker, or of all."""
        query = select(enclosures).where(enclosures.c.state == "wanted", enclosures.c.until > self._clock())
        if party:
            query = query.where(enclosures.c.log == party)
        return connection.execute(query.order_by(enclosures.c.log, enclosures.c.n, enclosures.c.digest)).all()

    def requests(self, party: str, connection: Connection) -> list[Request]:
        """One request for each enclosure that this peer owes us, from where it was cut."""
        if self.store is None:
            return []
        rows = [row for row in self.wanted(connection, party) if self._failures[party, row.digest] < TRIES]
        return [Request("GET", f"{PREFIX}{row.digest}/{self._offset(row)}") for row in rows]

    def next_fetch(self, party: str, connection: Connection) -> Request | None:
        """The next request to this peer, or None when it owes us nothing."""
        requests = self.requests(party, connection)
        return requests[0] if requests else None

    def fetched(self, party: str, request: Request, answer: Answer, connection: Connection) -> int:
        """Take the answer to `next_fetch`; returns the bytes gained. Unreachable for 429 and 5xx, Refused for the rest.

        A container that turns out wrong counts as a failure and is soon left alone, so that it never holds up the others.
        """
        digest, offset = parse_path(request.path)
        if answer.status == 429 or answer.status >= 500:
            raise Unreachable("peer.refused_enclosure", value=answer.status, reason=reason_of(answer), digest=digest)
        if answer.status != 200:
            self._failures[party, digest] += TRIES
            raise Refused("peer.refused_enclosure", value=answer.status, reason=reason_of(answer), digest=digest)
        return self.take(party, digest, offset, answer.body, connection)

    def take(self, party: str, digest: str, offset: int, data: bytes, connection: Connection) -> int:
        """Keep a piece that came from the speaker, by whatever way; what is not wanted or here already gains nothing."""
        row = self._row(connection, party, digest)
        if row is None or row.state != "wanted" or row.until <= self._clock() or self.store is None:
            return 0
        here = self._offset(row)
        if offset > here or (offset + len(data) <= here < row.size):
            if not data:
                self._fail(row, Refused("enclosure.wrong_size", digest=digest, value=here, limit=row.size))
            return 0
        try:
            held = self.store.append(digest, here, data[here - offset :], row.size, party)
        except Refused as reason:
            self._fail(row, reason)
        if not self._writer.do(lambda writing: self._keep(writing, row, held)):
            if held == row.size:  # it was erased while this last piece was on its way
                self.store.erase(digest)
            self.store.drop(digest, party)
            return 0
        return held - here

    def _keep(self, connection: Connection, row: Row[Any], held: int) -> bool:
        state = "held" if held == row.size else "wanted"
        query = update(enclosures).where(enclosures.c.log == row.log, enclosures.c.digest == row.digest)
        done = connection.execute(query.where(enclosures.c.state != "erased").values(held=held, state=state))
        return done.rowcount > 0

    def _fail(self, row: Row[Any], reason: Refused) -> NoReturn:
        self._failures[row.log, row.digest] += 1
        assert self.store is not None  # whoever takes a piece has one
        self.store.drop(row.digest, row.log)
        raise reason

    def _offset(self, row: Row[Any]) -> int:
        """What is durably here: the table says what was synced, the file whether it is still there."""
        assert self.store is not None  # asked only where there is one
        return min(int(row.held), self.store.part_size(row.digest, row.log))

    # --- saying, opening, erasing -------------------------------------------------------------------------------

    def require(self, connection: Connection, said: Statement[Any]) -> None:
        """Before we say it: each enclosure is here with that very size, and was sealed for this statement alone."""
        if self.store is None:
            return
        digests = [each.digest for each in said.enclosures]
        for position, enclosure in enumerate(said.enclosures):
            field = f"enclosures[{position}]"
            if self.store.size(enclosure.digest) != enclosure.size:
                raise Refused("enclosure.not_held", digest=enclosure.digest, field=field)
            if digests.count(enclosure.digest) > 1 or self._row(connection, self.party, enclosure.digest):
                raise Refused("enclosure.named_twice", digest=enclosure.digest, field=field)

    def seal(self, source: BinaryIO, recipients: Mapping[str, age.Recipient], media: str) -> Enclosure:
        """Seal a file to offices; the enclosure as a statement names it."""
        digest, size = self._required_store().seal(source, list(recipients.values()))
        return Enclosure(digest, media, size, tuple(recipients))

    def open(self, digest: str, office: str, identity: age.Opening, sink: BinaryIO, reason: str) -> int:
        """Open a container that `check_open` allowed. Tries that fail stand in `openings` too."""
        store = self._required_store()
        if not reason.strip():
            raise Refused("enclosure.no_reason", field="reason")
        row = {"digest": digest, "office": office, "at": int(self._clock()), "reason": reason.strip()}

        def write(connection: Connection) -> None:
            connection.execute(insert(openings), row)

        self._writer.do(write)
        return store.open(digest, [identity], sink)

    def check_open(self, connection: Connection, digest: str, office: str) -> None:
        """Whether this office may open it here and now: named, held, not past its time."""
        rows = connection.execute(select(enclosures).where(enclosures.c.digest == digest)).all()
        if not rows:
            raise Refused("enclosure.unknown", digest=digest)
        named = [row for row in rows if office in self.named(connection, row).to]
        if not named:
            raise Refused("enclosure.not_named", digest=digest, office=office)
        if any(row.state == "held" and row.until > self._clock() for row in named):
            return
        ended = all(row.state == "erased" or row.until <= self._clock() for row in named)
        raise Refused("enclosure.erased" if ended else "enclosure.not_held", digest=digest)

    def due(self, connection: Connection, now: float) -> list[Row[Any]]:
        """What must be erased at `now`: its time is up, and no other speaker gave us the same container for longer."""
        alive = select(enclosures).where(enclosures.c.state != "erased")
        kept = {row.digest for row in connection.execute(alive) if row.state == "held" and row.until > now}
        rows = connection.execute(alive.where(enclosures.c.until <= now).order_by(enclosures.c.until, enclosures.c.n))
        return [row for row in rows if row.digest not in kept]

    def erase(self, due: Sequence[Row[Any]], now: float) -> None:
        """Erase the files of what is due, and what was sealed and never said.

        Files go before the rows that speak of them: whoever stops half-way finds the same rows in the next round.
        """
        if self.store is not None:
            for row in due:
                self.store.erase(row.digest)
            self._writer.do(lambda connection: self.sweep(connection, now - GRACE))

    def erased(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        """Note that our copies are gone."""
        for row in rows:
            same = (enclosures.c.log == row.log) & (enclosures.c.digest == row.digest)
            connection.execute(update(enclosures).where(same).values(state="erased", held=0))

    def reference(self, connection: Connection, row: Row[Any]) -> str:
        """The number of the statement that names it."""
        return f"{row.log}-{self._naming(connection, row).at.year}-{row.n:06d}"

    def sweep(self, connection: Connection, before: float) -> int:
        """Erase what was sealed before that moment and never said. In the writer's turn, so that nobody says it meanwhile."""
        if self.store is None:
            return 0
        query = select(enclosures.c.digest).where(enclosures.c.state != "erased")
        return self.store.sweep(set(connection.execute(query).scalars()), before)

    def _required_store(self) -> Store:
        if self.store is None:
            raise Refused("enclosure.no_store")
        return self.store

    def _row(self, connection: Connection, party: str, digest: str) -> Row[Any] | None:
        query = select(enclosures).where(enclosures.c.log == party, enclosures.c.digest == digest)
        return connection.execute(query).first()


def parse_path(path: str) -> tuple[str, int]:
    """(digest, offset) of `enclosure/<digest>/<offset>`, or Malformed("enclosure.request")."""
    match = _PATH.fullmatch(path)
    if not match:
        raise Malformed("enclosure.request", field="path")
    return match.group(1), int(match.group(2))
