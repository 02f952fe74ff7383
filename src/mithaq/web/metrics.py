"""What an operator watches: counters and gauges for Prometheus, from what the node holds; no body, no office, no person."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import select

from mithaq.kernel.judge import progress
from mithaq.kernel.log import Log
from mithaq.kernel.records import verdicts
from mithaq.node import CATALOGUE, Node

MEDIA: Final = "text/plain; version=0.0.4; charset=utf-8"
UNKNOWN: Final = "unknown"
_READ_AT_ONCE: Final = 4096
_READ_AT_MOST: Final = 262_144
"""Entries that one scrape reads to count them by act; the rest is counted by the next."""
_GROUPS: Final = (1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10_000)


class Contact(Protocol):
    """What a carrier tells of itself; `last_success` is POSIX seconds of the peer's last good answer, or None."""

    @property
    def last_success(self) -> float | None: ...


class Carrying(Protocol):
    """A carrier: carries our log to one peer."""

    @property
    def status(self) -> Contact: ...


class Running(Protocol):
    """A node that runs, with its carriers by party."""

    @property
    def carriers(self) -> Mapping[str, Carrying]: ...


class _Tag(msgspec.Struct):
    do: str = UNKNOWN


class _Entry(msgspec.Struct):
    act: _Tag = msgspec.field(default_factory=_Tag)


_DECODER: Final = msgspec.json.Decoder(_Entry)


class Watch:
    """Watches one node. Counts after each commit, which costs comparisons of numbers, and when it is asked."""

    def __init__(self, node: Node, running: Running) -> None:
        self.node: Final = node
        self.running: Final = running
        self.registry: Final = CollectorRegistry()
        self._lock = threading.Lock()
        self._size = node.log.size
        self._counted = {party: log.size for party, log in self._logs().items()}
        self._tally: Tally[tuple[str, str, str]] = Tally()
        self._receipted = {party: upload.receipted for party, upload in node.post.uploads.items()}
        self._held = {party: mirror.size for party, mirror in node.post.mirrors.items()}
        self._received_at: dict[str, tuple[int, float]] = {}
        self.group = Histogram(
            "mithaq_commit_entries", "Entries of our log in one commit.", registry=self.registry, buckets=_GROUPS
        )
        self.refusals = Counter(
            "mithaq_requests_refused", "Requests of officials refused, by code.", ["code"], registry=self.registry
        )
        self.given = Counter("mithaq_receipts_given", "Receipts given, by peer.", ["peer"], registry=self.registry)
        self.received = Counter(
            "mithaq_receipts_received", "Receipts received, by peer.", ["peer"], registry=self.registry
        )
        for party in node.peers:
            self.given.labels(party)
            self.received.labels(party)
        self.registry.register(self)
        node.writer.after_commit.append(self.committed)

    def _logs(self) -> dict[str, Log]:
        return {self.node.party: self.node.log, **{party: each.log for party, each in self.node.post.mirrors.items()}}

    def committed(self) -> None:
        """After a commit, in the writer's turn: what became durable with it."""
        grown, self._size = self.node.log.size - self._size, self.node.log.size
        if grown > 0:
            self.group.observe(grown)
        for party, upload in self.node.post.uploads.items():
            if upload.receipted != self._receipted[party]:
                self._receipted[party] = upload.receipted
                self._received_at[party] = (upload.receipted, self.node.clock())
                self.received.labels(party).inc()
        for party, mirror in self.node.post.mirrors.items():
            if mirror.size != self._held[party]:
                self._held[party] = mirror.size
                self.given.labels(party).inc()

    def received_at(self, party: str, size: int) -> float | None:
        """When, by our clock, the receipt of that size came; None when it came before this process began."""
        known, at = self._received_at.get(party, (-1, 0.0))
        return at if known == size else None

    def last_contact(self, party: str) -> float | None:
        """Seconds since the peer last answered, or None: not since this process began."""
        carrier = self.running.carriers.get(party)
        at = carrier.status.last_success if carrier else None
        return None if at is None else max(0.0, self.node.clock() - at)

    def backlog(self, party: str) -> int:
        """Entries of our log that the peer has not receipted."""
        return max(0, self.node.log.size - self.node.post.uploads[party].receipted)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not read the logs to know the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The gauges as they are, and the statements by act that came since the last time."""
        node = self.node
        yield from self._statements()
        yield from _gauges(
            {
                "log_size": ("Entries of a log held here.", {p: log.size for p, log in self._logs().items()}),
                "heard": ("Entries of a log that were judged.", {p: e.heard for p, e in node.judge.progress.items()}),
            },
            "party",
        )
        contact = {party: self.last_contact(party) for party in node.peers}
        yield from _gauges(
            {
                "backlog": ("Our entries that a peer has not receipted.", {p: self.backlog(p) for p in node.peers}),
                "receipted": ("Our entries that a peer has receipted.", dict(self._receipted)),
                "conflict": ("1: two stories were told.", {p: m.conflicting for p, m in node.post.mirrors.items()}),
                "last_contact_seconds": (
                    "Seconds since a peer's last answer.",
                    {party: seconds for party, seconds in contact.items() if seconds is not None},
                ),
            },
            "peer",
        )

    def _statements(self) -> Iterator[Metric]:
        with self._lock:
            self._count()
            tally = dict(self._tally)
        names = {
            "said": "Statements in our log, by act.",
            "heard": "Statements of peers that had effect, by act.",
            "refused": "Entries that had no effect, by act.",
        }
        for what, about in names.items():
            family = CounterMetricFamily(f"mithaq_statements_{what}", about, labels=["party", "act"])
            for (kind, party, act), count in sorted(tally.items()):
                if kind == what:
                    family.add_metric([party, act], count)
            yield family

    def _count(self) -> None:
        """Read what was judged since the last time: counting costs nothing where statements are said and heard."""
        left = _READ_AT_MOST
        with self.node.database.read() as connection:
            # From the table, not from memory: an uncommitted transaction may have judged more than can be read here.
            judged = {row.party: row.n for row in connection.execute(select(progress.c.party, progress.c.n))}
            for party, log in self._logs().items():
                heard = judged.get(party, 0)
                while self._counted[party] < heard and left > 0:
                    start = self._counted[party]
                    stop = min(heard, start + min(_READ_AT_ONCE, left))
                    entries = log.entries(connection, start, stop)
                    if not entries:
                        break
                    stop = start + len(entries)
                    query = select(verdicts.c.n).where(
                        verdicts.c.party == party, verdicts.c.n >= start, verdicts.c.n < stop
                    )
                    void = set(connection.execute(query).scalars())
                    own = "said" if party == self.node.party else "heard"
                    for n, entry in enumerate(entries, start):
                        self._tally["refused" if n in void else own, party, _tag(entry)] += 1
                    left -= len(entries)
                    self._counted[party] = stop

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


def _gauges(found: Mapping[str, tuple[str, Mapping[str, float]]], label: str) -> Iterator[Metric]:
    for name, (about, values) in found.items():
        family = GaugeMetricFamily(f"mithaq_{name}", about, labels=[label])
        for key, value in sorted(values.items()):
            family.add_metric([key], float(value))
        yield family


def _tag(entry: bytes) -> str:
    """The act's tag where it is one that we know: what a peer writes never becomes a label by itself."""
    try:
        tag = _DECODER.decode(entry).act.do
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNKNOWN
    return tag if tag in CATALOGUE else UNKNOWN
