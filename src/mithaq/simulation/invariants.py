"""What must hold whatever goes wrong, looked at from outside: over connections of its own, with hashing of its own."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from mithaq.kernel.tables import RECORDS
from mithaq.simulation.oracle import Oracle
from mithaq.simulation.site import Site

FALSE_RECEIPT: Final = "false receipt"
NOT_A_PREFIX: Final = "mirror is not a prefix"
ENTRIES_LOST: Final = "entries lost"
SAID_TWICE: Final = "said twice"
RECORDS_DIFFER: Final = "records differ"
REBUILD_DIFFERS: Final = "rebuild differs"
WITHOUT_CLAUSE: Final = "effect without clause"
WRONGLY_REFUSED: Final = "refused under a clause in force"
REFUSALS: Final = "refusals do not match"
CONFLICT: Final = "honest log called two stories"
BROKEN_TREE: Final = "mirror's checkpoint is not over what it holds"
STALLED: Final = "not everything was heard"
TOKEN: Final = re.compile(rb"token-[0-9]{7}")
"""Each thing that is written carries one, and no two carry the same."""


class Tree:
    """RFC 6962 section 2.1, by recursion over its own definition; full subtrees are remembered."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._known: dict[tuple[int, int], bytes] = {}

    def append(self, entry: bytes) -> None:
        """One more entry."""
        self._leaves.append(hashlib.sha256(b"\0" + entry).digest())

    def root(self, size: int) -> bytes:
        """MTH(D[size])."""
        return self._hash(0, size) if size else hashlib.sha256().digest()

    def _hash(self, low: int, high: int) -> bytes:
        if high - low == 1:
            return self._leaves[low]
        found = self._known.get((low, high))
        if found is None:
            middle = low + (1 << (high - low - 1).bit_length() - 1)
            found = hashlib.sha256(b"\1" + self._hash(low, middle) + self._hash(middle, high)).digest()
            if (high - low).bit_count() == 1:
                self._known[low, high] = found
        return found


class Copy:
    """One log as one party's disk holds it."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.tree = Tree()

    def take(self, entries: Iterable[bytes]) -> None:
        """More entries."""
        for entry in entries:
            self.entries.append(entry)
            self.tree.append(entry)


class Audit:
    """Reads every party's disk as a new process would, after each step that could have broken something."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites: Final = {site.party: site for site in sites}
        self.violations: list[str] = []
        self.returned: dict[tuple[str, int], str] = {}
        self._copies: dict[tuple[str, str], Copy] = {}
        self._promised: dict[tuple[str, str], int] = {}
        self._disks = {
            site.party: sqlite3.connect(f"file:{site.path}?mode=ro", uri=True, check_same_thread=False)
            for site in sites
        }

    def close(self) -> None:
        """Give the connections back."""
        for disk in self._disks.values():
            disk.close()

    def report(self, name: str, detail: str) -> None:
        """One violation, once."""
        if (line := f"{name}: {detail}") not in self.violations:
            self.violations.append(line)

    # --- the disks ----------------------------------------------------------------------------------------------

    def copy(self, holder: str, log: str) -> Copy:
        """What `holder` durably has of `log`, read anew from the last whole tile on; compared with what it had before."""
        copy = self._copies.setdefault((holder, log), Copy())
        known = len(copy.entries)
        newest = "SELECT first + count FROM bundles WHERE log = ? ORDER BY first DESC LIMIT 1"
        if (self._disks[holder].execute(newest, (log,)).fetchone() or (0,))[0] == known:
            return copy  # the same size: what it says is looked at after each crash, and at the end
        low = max(0, known - 1) // 256 * 256
        found = self._read(holder, log, low)
        if low + len(found) < known or found[: known - low] != copy.entries[low:]:
            if holder == log:
                self.report(ENTRIES_LOST, f"{holder} had {known} entries, has {low + len(found)} of them or others")
            copy = self._copies[holder, log] = Copy()
            copy.take(self._read(holder, log, 0))
            return copy
        copy.take(found[known - low :])
        return copy

    def _read(self, holder: str, log: str, low: int) -> list[bytes]:
        query = "SELECT entries FROM bundles WHERE log = ? AND first >= ? ORDER BY first"
        blob = b"".join(row[0] for row in self._disks[holder].execute(query, (log, low)))
        entries, at = [], 0
        while at < len(blob):
            size = int.from_bytes(blob[at : at + 2], "big")
            entries.append(blob[at + 2 : at + 2 + size])
            at += 2 + size
        return entries

    def restarted(self, holder: str) -> None:
        """After a crash nothing is believed: every byte of that disk is read again and every promise looked at."""
        for log in self.sites:
            before = len(self.copy(holder, log).entries)
            old = self._copies.pop((holder, log))
            now = self.copy(holder, log)
            if holder == log and now.entries[:before] != old.entries:
                self.report(ENTRIES_LOST, f"{holder} lost entries of its own log")
            if log != holder and len(now.entries) < self._promised.get((log, holder), 0):
                self.report(FALSE_RECEIPT, f"{holder} holds {len(now.entries)} of {log}'s, receipted more")

    # --- while it runs ------------------------------------------------------------------------------------------

    def said(self, party: str, places: Mapping[int, str]) -> None:
        """`say` returned: from here on these entries are there, each with its token, once."""
        self.returned.update({(party, n): token for n, token in places.items()})
        if places and len(self.copy(party, party).entries) <= max(places):
            self.report(ENTRIES_LOST, f"{party} has no entry {max(places)} though say() returned")

    def receipt(self, sender: str, peer: str) -> None:
        """(a) The receipt that `sender` verified and kept: the honest peer's disk holds all of it, with that root."""
        if not self.sites[peer].honest:
            return
        query = "SELECT size, root FROM receipts WHERE log = ? AND peer = ?"
        row = self._disks[sender].execute(query, (sender, peer)).fetchone()
        if row is None:
            return
        size, root = row
        self._promised[sender, peer] = max(size, self._promised.get((sender, peer), 0))
        held = self.copy(peer, sender)
        if len(held.entries) < size or held.tree.root(size) != bytes(root):
            self.report(FALSE_RECEIPT, f"{peer} receipted {size} entries of {sender}, holds {len(held.entries)}")

    def mirror(self, holder: str, log: str) -> None:
        """(b) A mirror is a prefix of the real log, byte for byte, and its checkpoint is the root of what it holds."""
        held = self.copy(holder, log)
        if self.sites[log].honest:
            real = self.copy(log, log)
            if held.entries != real.entries[: len(held.entries)]:
                self.report(NOT_A_PREFIX, f"{holder}'s copy of {log}'s log")
        row = self._disks[holder].execute("SELECT size, root FROM mirrored WHERE log = ?", (log,)).fetchone()
        if row and (row[0] > len(held.entries) or held.tree.root(row[0]) != bytes(row[1])):
            self.report(BROKEN_TREE, f"{holder}'s copy of {log}'s log")

    # --- at the end ---------------------------------------------------------------------------------------------

    @property
    def honest(self) -> list[str]:
        """The parties whose word counts."""
        return [party for party, site in self.sites.items() if site.honest]

    def dump(self, party: str) -> dict[str, list[Any]]:
        """Every record table, sorted. `progress` is among them: when all is heard it is the same on every node."""
        disk = self._disks[party]
        return {name: sorted(disk.execute(f'SELECT * FROM "{name}"').fetchall()) for name in sorted(RECORDS.tables)}  # noqa: S608  # names of our own tables

    def settled(self, *, whole: bool = True) -> None:
        """(a) to (g), after the healing. `whole`: every log reached everybody, two stories excepted."""
        for holder in self.honest:
            self.restarted(holder)
        for holder in self.honest:
            for log in self.sites:
                if log != holder:
                    self.mirror(holder, log)
                    if self.sites[log].honest:
                        self.receipt(log, holder)
        if whole:
            self._whole()
        dumps = {party: self.dump(party) for party in self.honest}
        self._same(dumps)
        self._rebuilt(dumps)
        self._judged(dumps)
        self._once({(row[0], row[1]) for row in dumps[self.honest[0]]["verdicts"]})

    def _whole(self) -> None:
        for holder in self.honest:
            heard = dict(self._disks[holder].execute("SELECT party, n FROM progress").fetchall())
            for log in self.sites:
                size = len(self.copy(log if self.sites[log].honest else holder, log).entries)
                if heard.get(log, 0) < size or len(self.copy(holder, log).entries) < size:
                    self.report(STALLED, f"{holder} heard {heard.get(log, 0)} of {size} entries of {log}")
            query = "SELECT DISTINCT log FROM conflicts"
            for (log,) in self._disks[holder].execute(query):
                if self.sites[log].honest:
                    self.report(CONFLICT, f"{holder} of {log}")

    def _same(self, dumps: dict[str, dict[str, list[Any]]]) -> None:
        first, *others = self.honest
        for other in others:
            for name, rows in dumps[first].items():
                if rows != dumps[other][name]:
                    odd = [row for row in rows + dumps[other][name] if (row in rows) != (row in dumps[other][name])]
                    self.report(RECORDS_DIFFER, f"{name} of {first} and {other}: {str(odd[:2])[:300]}")

    def _rebuilt(self, dumps: dict[str, dict[str, list[Any]]]) -> None:
        for party in self.honest:
            before = len(self.copy(party, party).entries)
            self.sites[party].node.rebuild()
            if len(self.copy(party, party).entries) != before:
                self.report(REBUILD_DIFFERS, f"{party} said something while it rebuilt")
            again = self.dump(party)
            for name, rows in dumps[party].items():
                if rows != again[name]:
                    odd = [row for row in rows + again[name] if (row in rows) != (row in again[name])]
                    self.report(REBUILD_DIFFERS, f"{name} of {party}: {str(odd[:2])[:300]}")

    def _judged(self, dumps: dict[str, dict[str, list[Any]]]) -> None:
        """(e) by the oracle, (g) by counting: each of the honest others refused what had no effect, once."""
        party = self.honest[0]
        heard = {row[0]: row[1] for row in dumps[party]["progress"]}  # less than is held where two stories were exposed
        logs = {log: self.copy(party, log).entries[: heard.get(log, 0)] for log in self.sites}
        verdicts = {(row[0], row[1]): row[2] for row in dumps[party]["verdicts"]}
        for name, detail in Oracle(logs, verdicts).findings():
            self.report(WITHOUT_CLAUSE if name == "effect" else WRONGLY_REFUSED, detail)
        rows = [row for row in dumps[party]["charter_refusals"] if row[0] in self.honest]
        # An entry that counts no more, because its party's two stories were exposed, may have been refused before.
        refused = Counter((row[0], row[2], row[3]) for row in rows if row[3] < heard.get(row[2], 0))
        due = Counter((each, *entry) for entry in verdicts for each in self.honest if each != entry[0])
        if refused != due:
            self.report(
                REFUSALS, f"missing {list((due - refused).items())[:3]}, extra {list((refused - due).items())[:3]}"
            )

    def _once(self, without_effect: Collection[tuple[str, int]]) -> None:
        """(f) Every token whose say() returned stands in the log at its place, and no token stands there twice."""
        for (party, n), token in self.returned.items():
            entries = self.copy(party, party).entries
            if n >= len(entries) or (token and token.encode() not in entries[n]):
                self.report(ENTRIES_LOST, f"{party} {n} {token}")
        for party in self.honest:
            entries = self.copy(party, party).entries
            own = b"\n".join(entry for n, entry in enumerate(entries) if (party, n) not in without_effect)
            for token, times in Counter(TOKEN.findall(own)).items():
                if times != 1:
                    self.report(SAID_TWICE, f"{party} {token.decode()}")
