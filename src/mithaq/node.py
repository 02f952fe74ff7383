"""One party's node: `say` is the way in for our own statements, `hear` for the peers'. Nothing else writes (law 1).

Saying:  (1) shape  (2) mandate  (3) the act's rule  (4) append to the own log  (5) effect  (6) checkpoint  (7) carry.
Hearing: (1) seen what the speaker had seen?  (2) shape  (3) mandate  (4) rule  (5) effect, or a refusal in our own log.

This is the only file that knows both the kernel and the services. It does no I/O but its database: requests come as
values and answers go as values (`kernel.exchange`), the time is asked of a clock that is given.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, Final, cast

import msgspec
from sqlalchemy import Connection, Row, insert, select

from mithaq.kernel import age, stories
from mithaq.kernel.act import Act, Catalogue
from mithaq.kernel.database import Database
from mithaq.kernel.enclosure import Store
from mithaq.kernel.errors import MithaqError, Refused
from mithaq.kernel.judge import Judge
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.log import Log
from mithaq.kernel.mandate import CHARTER
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.post import Post
from mithaq.kernel.statement import Enclosure, Statement
from mithaq.kernel.stories import Send
from mithaq.kernel.tables import RECORDS, speakers, state
from mithaq.kernel.writer import Writer
from mithaq.services import agreements, channel, charter, meetings, obligations
from mithaq.services.charter import acts as charter_acts
from mithaq.services.charter import records as charter_records
from mithaq.services.charter.disputes import Disputes
from mithaq.services.charter.rules import SEEN_AHEAD

SERVICES: Final = (agreements, channel, charter, meetings, obligations)
CHARTER_ACTS: Final = (
    "agreements.bring_into_force",
    "agreements.decline",
    "agreements.propose",
    "agreements.sign",
    "charter.erase",
    "charter.expose",
    "charter.open_office",
    "charter.refuse",
)
NODE_ACTS: Final = frozenset({"charter.erase", "charter.expose", "charter.refuse"})
"""What the node says by itself, of what it has seen and done: no official says it, or a refusal could be made up."""
CATALOGUE: Final = Catalogue(SERVICES, CHARTER_ACTS)

BATCH: Final = 4096
"""Entries heard in one transaction at most, so that our own officials' statements never wait long."""


TURN_SECONDS: Final = 0.25
"""After which a turn of hearing ends, however much waits: where it ends changes no verdict, only who waits."""


class Saying(msgspec.Struct, frozen=True):
    """What an office wants said: an act, under a clause, with enclosures that are sealed and held already."""

    act: Act
    clause: str
    by: str
    enclosures: tuple[Enclosure, ...] = ()
    official: str = ""
    """The login name of the person who says it: kept on the own node, never carried."""


class Said(msgspec.Struct, frozen=True):
    """What was said: its reference and its place in our log."""

    reference: str
    n: int


class Node:
    """A party's node in one commission. Thread-safe: writing is serialised, reading takes its own connection."""

    def __init__(
        self,
        database: Database,
        keys: NodeKeys,
        peers: Iterable[PairingFile],
        clock: Callable[[], float],
        store: Store | None = None,
    ) -> None:
        self.database: Final = database
        self.keys: Final = keys
        self.party: Final = keys.party
        self.commission: Final = keys.commission
        self.peers: Final = {peer.party: peer for peer in peers}
        self.clock: Final = clock
        self.log: Final = Log(keys.party)
        theirs = {party: peer.log_verifiers() for party, peer in self.peers.items()}
        self.judge: Final = Judge(CATALOGUE, keys.commission, {keys.party: keys.log_verifiers(), **theirs})
        self.writer: Final = Writer(database, self._load)
        self.post: Final = Post(self.log, keys, self.peers, self.writer, clock, store)
        self.disputes: Final = Disputes()
        self.writer.do(self._prepare)
        self.writer.after_commit.append(self.post.committed)
        self.post.committed()

    @property
    def rolled_back(self) -> Refused | None:
        """Why this node signs nothing: its log is an old copy of what the peers hold."""
        return self.post.rolled_back

    # --- saying -------------------------------------------------------------------------------------------------

    def say(self, act: Act, *, clause: str, by: str, enclosures: Sequence[Enclosure] = ()) -> Said:
        """Say one act. Raises what stands against it; returns once it is durable in our own log."""
        outcome = self.say_all([Saying(act, clause, by, tuple(enclosures))])[0]
        if isinstance(outcome, MithaqError):
            raise outcome
        return outcome

    def say_all(self, sayings: Sequence[Saying]) -> list[Said | MithaqError]:
        """Say many at once, each judged by itself; one durable commit for all, shared with whoever else is saying."""
        return self.writer.do(lambda connection: self._say(connection, sayings))

    def check(self, saying: Saying) -> Statement[Any]:
        """What would be said, judged but not said: "check before saying"."""

        def look(connection: Connection) -> Statement[Any]:
            said, _ = self._encode(saying, self.log.size, self._now(), self._seen())
            self.judge.check(said, connection)
            self.post.transfers.require(connection, said)
            return said

        return self.writer.do(look)

    def _say(self, connection: Connection, sayings: Sequence[Saying]) -> list[Said | MithaqError]:
        if self.rolled_back is not None:
            raise self.rolled_back.again()
        at, seen = self._now(), self._seen()
        entries: list[bytes] = []
        outcomes: list[Said | MithaqError] = []
        for saying in sayings:
            try:
                said, entry = self._place(saying, entries, at, seen)  # (1) shape
                permits = self.judge.check(said, connection)  # (2) mandate (3) rule
                self.post.transfers.require(connection, said)
            except MithaqError as reason:
                outcomes.append(reason)
                continue
            entries.append(entry)
            self.judge.apply(said)  # (5) effect
            if said.enclosures:
                self.post.expect(connection, said, permits)
            self._learn(said)
            outcomes.append(Said(said.reference, said.n))
        if entries:
            self.log.append(connection, entries)  # (4) append; the same transaction as its effects
            self.judge.save(connection)
            self._note_speakers(connection, sayings, outcomes)
        return outcomes

    def _note_speakers(
        self, connection: Connection, sayings: Sequence[Saying], outcomes: Sequence[Said | MithaqError]
    ) -> None:
        rows = [
            {"n": outcome.n, "official": saying.official}
            for saying, outcome in zip(sayings, outcomes, strict=True)
            if saying.official and isinstance(outcome, Said)
        ]
        if rows:
            connection.execute(insert(speakers), rows)

    def _place(
        self, saying: Saying, entries: list[bytes], at: dt.datetime, seen: dict[str, int]
    ) -> tuple[Statement[Any], bytes]:
        """The statement at the next place. A place that a dishonest party voided beforehand is filled, without effect."""
        said, entry = self._encode(saying, self.log.size + len(entries), at, seen)
        while self.disputes.is_void(said):
            entries.append(entry)
            self.judge.note(self.party, said.n, Refused(SEEN_AHEAD, field="seen"))
            said, entry = self._encode(saying, self.log.size + len(entries), at, seen)
        return said, entry

    def _encode(self, saying: Saying, n: int, at: dt.datetime, seen: dict[str, int]) -> tuple[Statement[Any], bytes]:
        if not saying.clause:
            raise Refused("mandate.no_clause", clause="—", act=str(saying.act.__struct_config__.tag), field="clause")
        draft = Statement(saying.act, at, saying.by, saying.clause, self.commission, n, saying.enclosures, seen)
        entry = self.judge.codec.encode(draft)
        return self.judge.read(entry, self.party, n), entry

    def _now(self) -> dt.datetime:
        """The clock, to the second, never before what we said last: a clock that was set back makes no false order."""
        now = dt.datetime.fromtimestamp(int(self.clock()), dt.UTC)
        return max(now, self.judge.progress[self.party].at)

    def _seen(self) -> dict[str, int]:
        claimed = self.judge.progress[self.party].seen
        counts = {party: max(each.heard, claimed.get(party, 0)) for party, each in self.judge.progress.items()}
        return {party: count for party, count in counts.items() if count and party != self.party}

    # --- hearing ------------------------------------------------------------------------------------------------

    def hear(self) -> int:
        """Judge what the mirrors hold and what can be judged now; returns how many entries that were."""
        heard = total = self.writer.do(self._hear)
        while heard:
            heard = self.writer.do(self._hear)
            total += heard
        return total

    def unheard(self) -> bool:
        """Whether entries wait to be judged."""
        return any(self.judge.progress[party].heard < self._end(party) for party in self.peers)

    def _hear(self, connection: Connection) -> int:
        refusals: list[Saying] = []
        total = self._replay(connection, BATCH, refusals, time.monotonic() + TURN_SECONDS)
        if self._must_refold():
            return total + self._rebuild(connection)
        if total:
            self.judge.save(connection)
        if refusals and self.rolled_back is None:
            self._say(connection, refusals)
        return total

    def _replay(self, connection: Connection, limit: int, refusals: list[Saying], until: float = float("inf")) -> int:
        """Go round the logs until none can go on, or `limit` or the moment `until` is reached."""
        total, moved = 0, True
        while moved and total < limit and not self._must_refold():
            moved = False
            for party in self.judge.progress:
                count = self._advance(connection, party, limit - total, refusals, until)
                total += count
                moved = moved or count > 0
        return total

    def _end(self, party: str) -> int:
        """How many entries of a party's log are here and count."""
        return min(self._log(party).size, self.disputes.end(party))

    def _log(self, party: str) -> Log:
        return self.log if party == self.party else self.post.mirror(party).log

    def _must_refold(self) -> bool:
        """Whether more of a log was heard than counts, because its party's two stories were exposed since."""
        return any(self.judge.progress[party].heard > self.disputes.end(party) for party in self.disputes.sealed())

    def _advance(self, connection: Connection, party: str, limit: int, refusals: list[Saying], until: float) -> int:
        start = self.judge.progress[party].heard
        stop = min(self._end(party), start + limit)
        if start >= stop:
            return 0
        entries = self._log(party).tile_entries(connection, start, stop)
        for n, entry in enumerate(entries, start):
            late = n > start and n % 64 == 0 and time.monotonic() > until
            if late or not self._take(connection, party, n, entry, refusals):
                return n - start
        return len(entries)

    def _take(self, connection: Connection, party: str, n: int, entry: bytes, refusals: list[Saying]) -> bool:
        """Judge one entry; False when it must wait for what its speaker had seen."""
        said: Statement[Any] | None = None
        try:
            said = self.judge.read(entry, party, n)  # (2) shape
            waits = self._waits_for(said)  # (1) seen what the speaker had seen?
            lost = self.rolled_back is not None  # an honest claim may speak of entries that this old copy does not have
            if waits and (waits != self.party or lost or self.judge.progress[waits].heard < self.log.size):
                return False
            if waits and self._fill_voided(connection, party, n):
                return self._take(connection, party, n, entry, refusals)
            if waits or self.disputes.is_void(said):
                raise Refused(SEEN_AHEAD, field="seen")  # the same facts on every node, whoever found it first
            permits = self.judge.check(said, connection)  # (3) mandate (4) rule
        except MithaqError as reason:
            if party != self.party:
                refusal = self._refusal(party, n, said, reason)
                if reason.code == SEEN_AHEAD and self.judge.progress[self.party].heard == self.log.size:
                    self._say_seen_ahead(connection, party, n, refusal)
                else:
                    refusals.append(refusal)
            self.judge.note(party, n, reason)
            return True
        self.judge.apply(said)  # (5) effect
        if said.enclosures:
            self.post.expect(connection, said, permits)
        self._learn(said)
        return True

    def _learn(self, said: Statement[Any]) -> None:
        """Charter statements may change how far a log is read, and with whom the exchange goes on."""
        if said.clause == CHARTER:
            self.disputes.take(said)
            self._seal_mirrors()

    def _seal_mirrors(self) -> None:
        """With a party whose two stories were exposed, the exchange ends."""
        for party in self.disputes.sealed():
            if party != self.party:
                self.post.mirror(party).sealed = True

    def _waits_for(self, said: Statement[Any]) -> str:
        """Whose log must be heard further before this can be judged; empty for nobody's, or when the claim was voided."""
        for party, count in said.seen.items():
            heard = self.judge.progress[party].heard
            if heard < min(count, self.disputes.end(party)) and not self.disputes.is_void(said):
                return party
        return ""

    def _refusal(self, party: str, n: int, said: Statement[Any] | None, reason: MithaqError) -> Saying:
        clause = said.clause if said else ""
        field = str(reason.facts.get("field", ""))[:160]
        return Saying(charter_acts.Refuse(party, n, reason.code, clause, field), CHARTER, self.party)

    def _fill_voided(self, connection: Connection, party: str, n: int) -> bool:
        """Fill our next place where it was voided beforehand, before a claim about our log is called false.

        Else the answer to the claim would come to stand one place later, where it no longer voids it for the others.
        """
        filler = Saying(charter_acts.Refuse(party, n, SEEN_AHEAD), CHARTER, self.party)
        said, entry = self._encode(filler, self.log.size, self._now(), self._seen())
        if not self.disputes.is_void(said):
            return False
        self.log.append(connection, [entry])
        self.judge.note(self.party, said.n, Refused(SEEN_AHEAD, field="seen"))
        self.judge.save(connection)
        return True

    def _say_seen_ahead(self, connection: Connection, party: str, n: int, refusal: Saying) -> None:
        """Void the claim at once, while our log is still shorter than what it claims to have seen of it."""
        if self.rolled_back is None and not self.disputes.voided_by(party, n, self.party):
            self._say(connection, [refusal])

    def compare(self, peer: str, send: Send) -> None:
        """Ask a peer which checkpoints of the other parties it holds, and expose a party that told us two stories."""
        for party, mirror in self.post.mirrors.items():
            if party == peer or party in self.disputes.sealed():
                continue
            found = stories.compare(mirror, self.database.read, send)
            if found:
                tellings = [
                    charter_acts.Telling(each.leaf.hex(), each.note.decode(), tuple(item.hex() for item in each.proof))
                    for each in (found.one, found.other)
                ]
                self.say(charter_acts.Expose(party, found.entry, *tellings), clause=CHARTER, by=self.party)
                self.hear()

    # --- enclosures ---------------------------------------------------------------------------------------------

    def seal(self, source: BinaryIO, to: Sequence[str], media: str) -> Enclosure:
        """Seal a file to offices, for one statement that names it; what is not said within a day is erased again."""
        with self.database.read() as connection:
            recipients = {office: self._recipient(connection, office) for office in to}
        return self.post.transfers.seal(source, recipients, media)

    def open(self, digest: str, office: str, sink: BinaryIO, reason: str) -> int:
        """Open an enclosure for an office of ours; that it was opened, and why, is written down before the first byte."""
        with self.database.read() as connection:
            self.post.transfers.check_open(connection, digest, office)
        if office not in self.keys.offices:
            raise Refused("enclosure.no_key", office=office)
        return self.post.transfers.open(digest, office, self.keys.offices[office], sink, reason)

    def erase_due(self, now: float | None = None) -> list[str]:
        """Erase the enclosures whose time is up, and say so; each side does it by itself. Returns their digests."""
        moment = self.clock() if now is None else now
        with self.database.read() as connection:
            due = self.post.transfers.due(connection, moment)
        self.post.transfers.erase(due, moment)
        return self.writer.do(lambda connection: self._say_erased(connection, due)) if due else []

    def _say_erased(self, connection: Connection, due: Sequence[Row[Any]]) -> list[str]:
        acts = [charter_acts.Erase(self.post.transfers.reference(connection, row), row.digest) for row in due]
        outcomes = zip(due, self._say(connection, [Saying(act, CHARTER, self.party) for act in acts]), strict=True)
        done = [row for row, each in outcomes if isinstance(each, Said) or each.code == "charter.erased_twice"]
        self.post.transfers.erased(connection, done)
        return [row.digest for row in done]

    def _recipient(self, connection: Connection, office: str) -> age.Recipient:
        """The newest key of an office: as its party said it, else as it stood in the pairing file, else our own."""
        peer = self.peers.get(office.partition("/")[0])
        text = charter_records.recipient(connection, office) or (peer.offices.get(office) if peer else None)
        if text:
            return age.Recipient.from_text(text)
        if office in self.keys.offices:
            return self.keys.offices[office].recipient
        raise Refused("enclosure.no_key", office=office)

    # --- state --------------------------------------------------------------------------------------------------

    def _prepare(self, connection: Connection) -> None:
        """Start: load the edges of the logs, fold the records anew if a service's version changed, look for a rollback."""
        versions = msgspec.json.encode(CATALOGUE.versions, order="sorted").decode()
        known = connection.execute(select(state.c.value).where(state.c.key == "versions")).scalar()
        self.log.load(connection)
        self.post.load(connection)
        self.post.find_rollback(connection)  # first: an old copy must not judge what speaks of the rest
        if known == versions:
            self._load(connection)
        else:
            self._rebuild(connection)
            connection.execute(state.delete().where(state.c.key == "versions"))
            connection.execute(state.insert(), {"key": "versions", "value": versions})

    def _load(self, connection: Connection) -> None:
        """Bring what is kept in memory back to what is stored."""
        self.log.load(connection)
        self.post.load(connection)
        self.judge.load(connection)
        self.disputes.load(connection)
        self._seal_mirrors()

    def rebuild(self) -> int:
        """Fold all records anew from the logs (law 9); returns how many entries were read."""
        return self.writer.do(self._rebuild)

    def _rebuild(self, connection: Connection) -> int:
        RECORDS.drop_all(connection)
        RECORDS.create_all(connection)
        self.judge.start_over()
        self.disputes.start_over()
        total, count, refusals = 0, 1, list[Saying]()
        while count:
            count = self._replay(connection, BATCH, refusals)
            self.judge.records.flush(connection)
            total += count
        if self._must_refold():
            return total + self._rebuild(connection)
        self.judge.save(connection)
        said = {(row.log, row.entry) for row in charter_records.all_refusals(connection) if row.party == self.party}
        acts = [(each, cast("charter_acts.Refuse", each.act)) for each in refusals]
        missing = [each for each, act in acts if (act.log, act.entry) not in said]
        if missing and self.rolled_back is None:
            self._say(connection, missing)
        return total

    def entry(self, party: str, n: int) -> bytes:
        """The bytes of one entry of a log that is held here."""
        with self.database.read() as connection:
            found = self._log(party).entries(connection, n, n + 1)
        if not found:
            raise Refused("log.no_such_entry", party=party, value=n)
        return found[0]
