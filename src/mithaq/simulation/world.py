"""A world: nodes, officials and a wire under one virtual clock and one `random.Random(seed)`; the same seed, the same trace."""

from __future__ import annotations

import hashlib
import heapq
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, TypeVar

from mithaq.kernel.errors import MithaqError
from mithaq.kernel.exchange import Answer
from mithaq.node import Node, Said
from mithaq.simulation.faults import START, WHERE, Crash, SkewedClock, Weather
from mithaq.simulation.invariants import STALLED, Audit
from mithaq.simulation.officials import Officials, Registry
from mithaq.simulation.site import Build, Letter, Site, answer_letter, remove, take_answer, write_letter

T = TypeVar("T")
HOUR: Final = 3600.0
UNEXPECTED: Final = "unexpected failure"


def scratch() -> Path:
    """A folder for databases, in memory where the system has such a place: a crash here is of the process, not of power."""
    memory = Path("/dev/shm")  # noqa: S108  # tmpfs, mkdtemp makes a private folder in it
    return Path(tempfile.mkdtemp(prefix="mithaq-simulation-", dir=memory if memory.is_dir() else None))


class World:
    """Runs `hours` of virtual time with faults, then heals and settles. `build` makes a node, `Node` unless a fault is planted."""

    def __init__(
        self,
        seed: int,
        parties: Sequence[str] = ("XA", "XB"),
        weather: Weather | None = None,
        statements_per_hour: float = 100.0,
        build: Build = Node,
    ) -> None:
        self.random: Final = Random(seed)
        self.weather: Final = weather or Weather()
        self.now = START
        self.folder: Final = scratch()
        self.sites: Final = {party: self._site(party, tuple(parties), build) for party in parties}
        self.audit: Final = Audit(list(self.sites.values()))
        self.registry: Final = Registry(tuple(parties))
        self.statements = self.crashes = 0
        self.outcomes: Final = Counter[str]()
        self._rate = statements_per_hour
        self._officials = {party: Officials(site, self.registry, self.random) for party, site in self.sites.items()}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._cut: set[tuple[str, str]] = set()
        self._busy: dict[tuple[str, str], int] = {}
        self._past: list[tuple[Letter, Answer | None]] = []
        self._trace = hashlib.sha256()

    def _site(self, party: str, parties: tuple[str, ...], build: Build) -> Site:
        weather, random = self.weather, self.random
        offset = random.uniform(-weather.skew, weather.skew)
        clock = SkewedClock(lambda: self.now, offset, random.uniform(-weather.drift, weather.drift))
        return Site(party, parties, self.folder, clock, build)

    @property
    def trace(self) -> str:
        """SHA-256 over all that happened: times, kinds and sizes; no signature, for ML-DSA draws its own randomness."""
        return self._trace.hexdigest()

    def _note(self, kind: str, *facts: object) -> None:
        self._trace.update(f"{self.now:.6f} {kind} {' '.join(map(str, facts))}\n".encode())

    # --- time ---------------------------------------------------------------------------------------------------

    def _at(self, delay: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + delay, self._count, event))

    def _every(self, mean: float, event: Callable[[], None]) -> None:
        """Again and again, at random times `mean` seconds apart."""

        def again() -> None:
            event()
            self._at(self.random.expovariate(1 / mean), again)

        self._at(self.random.expovariate(1 / mean), again)

    def run(self, hours: float) -> None:
        """Live through it, heal, settle, look at everything."""
        try:
            end = START + hours * HOUR
            self._begin()
            while self._events and self._events[0][0] < end:
                self.now, _, event = heapq.heappop(self._events)
                event()
            self.now = end
            self._heal()
            self.audit.settled()
        finally:
            self.close()

    def close(self) -> None:
        """Give everything back."""
        self.audit.close()
        for site in self.sites.values():
            site.stop()
        remove(self.folder)

    def _begin(self) -> None:
        weather = self.weather
        for party, site in self.sites.items():
            site.start()
            batches = 1 / 12 if self._rate > 12 else 1 / self._rate
            self._every(HOUR * batches, partial(self._speak, party))
            self._every(weather.crash_every, partial(self._arm, party))
            self._every(weather.step_every, partial(self._step, site))
        for sender in self.sites:
            for receiver in self.sites:
                if sender != receiver:
                    self._every(600.0, partial(self._carry, sender, receiver))
        self._every(weather.cut_every, self._partition)
        self._every(1200.0, self._repeat)

    # --- what goes wrong ----------------------------------------------------------------------------------------

    def _arm(self, party: str) -> None:
        site = self.sites[party]
        if site.running is None:
            return
        where = self.random.choice(("now", *WHERE))
        if where == "now":
            self._crash(site)
        else:
            site.trap.arm(where, self.random.randrange(30) if where == "statement" else self.random.randrange(3))

    def _crash(self, site: Site) -> None:
        self.crashes += 1
        self._note("crash", site.party)
        site.crash()
        self._at(self.random.expovariate(1 / self.weather.down_lasts), lambda: self._restart(site))

    def _restart(self, site: Site) -> None:
        if site.running is not None:
            return
        self.audit.restarted(site.party)
        if self.random.random() < 0.1:
            site.trap.arm("statement", self.random.randrange(10))
        self._do(site, site.start)
        self._note("start", site.party)

    def _step(self, site: Site) -> None:
        """A clock is set, forward or back."""
        clock = site.clock
        if isinstance(clock, SkewedClock):
            clock.offset = self.random.uniform(-self.weather.skew, self.weather.skew)
            self._note("clock", site.party)

    def _partition(self) -> None:
        """One direction of one link, or both, for a while."""
        one, other = self.random.sample(sorted(self.sites), 2)
        cut = {(one, other)} if self.random.random() < 0.5 else {(one, other), (other, one)}
        self._cut |= cut
        self._note("cut", len(cut))
        self._at(self.random.expovariate(1 / self.weather.cut_lasts), lambda: self._cut.difference_update(cut))

    def _repeat(self) -> None:
        """An old request comes again, and with it perhaps its old answer: whatever a peer or a thief kept."""
        if not self._past:
            return
        letter, answer = self.random.choice(self._past)
        self._note("repeat", letter.request.path)
        self._arrive(letter, -1)
        if answer is not None and self.random.random() < 0.5:
            self._answered(letter, answer, -1)

    def _do(self, site: Site, work: Callable[[], T]) -> T | None:
        """Anything that a node does. A refusal is its right, a crash is the world's doing, the rest is a violation."""
        try:
            return work()
        except Crash:
            self._crash(site)
        except MithaqError as refusal:
            self.outcomes[refusal.code] += 1
            self._note("refused", site.party, refusal.code)
        except Exception as failure:  # whatever it is, it is a finding, and the other seeds go on
            self.audit.report(UNEXPECTED, f"{site.party}: {failure!r}")
            self._crash(site)
        return None

    # --- what the officials do ----------------------------------------------------------------------------------

    def _speak(self, party: str) -> None:
        site = self.sites[party]
        if site.running is None:
            return
        mean = self._rate / 12
        count = 1 + int(self.random.expovariate(1 / (mean - 0.5))) if mean > 1 else 1
        batch = self._officials[party].batch(count)
        outcomes = self._do(site, lambda: site.node.say_all([saying for saying, _ in batch]))
        places: dict[int, str] = {}
        for (saying, token), outcome in zip(batch, outcomes or (), strict=False):
            if isinstance(outcome, Said):
                self.registry.remember(saying, outcome)
                places[outcome.n] = token
            else:
                self.outcomes[outcome.code] += 1
        self.statements += len(places)
        self.audit.said(party, places)
        self._note("say", party, count, len(places))

    # --- the wire -----------------------------------------------------------------------------------------------

    def _carry(self, sender: str, receiver: str) -> None:
        """Ask the sender's node for its next request and send it; one at a time a link, as the carrier over HTTP does."""
        site, link = self.sites[sender], (sender, receiver)
        if site.running is None or link in self._busy:
            return
        letter = self._do(site, lambda: write_letter(site, receiver))
        if letter is None:
            return
        self._count += 1
        number = self._busy[link] = self._count
        self._at(60.0 + self.random.random() * 60, lambda: self._time_out(link, number))
        self._note("send", *link, letter.request.path, len(letter.request.body))
        if self._passes(link):
            self._at(self.weather.delay(self.random), lambda: self._arrive(letter, number))
        if self.random.random() < self.weather.repetition:
            self._at(self.random.expovariate(1 / 900), lambda: self._arrive(letter, -1))

    def _passes(self, link: tuple[str, str]) -> bool:
        return link not in self._cut and self.random.random() >= self.weather.loss

    def _time_out(self, link: tuple[str, str], number: int) -> None:
        if self._busy.get(link) == number:
            del self._busy[link]
            self._carry(*link)

    def _arrive(self, letter: Letter, number: int) -> None:
        site = self.sites[letter.receiver]
        if site.running is None:
            return
        answer = self._do(site, lambda: answer_letter(site, letter))
        self.audit.mirror(letter.receiver, letter.sender)
        if answer is None:
            return
        self._note("answer", letter.receiver, letter.request.path, answer.status)
        if letter.request.path == "add-entries" and answer.status in {200, 202}:
            self._at(self.random.random() * 5, lambda: self._hear(site))
        if len(self._past) < 200 or self.random.random() < 0.1:
            self._past.append((letter, answer))
            del self._past[:-200]
        if self._passes((letter.receiver, letter.sender)):
            self._at(self.weather.delay(self.random), lambda: self._answered(letter, answer, number))

    def _answered(self, letter: Letter, answer: Answer, number: int) -> None:
        site, link = self.sites[letter.sender], (letter.sender, letter.receiver)
        current = self._busy.get(link) == number
        if site.running is None or not (current or number < 0):
            return
        self._do(site, lambda: take_answer(site, letter, answer))
        self.audit.receipt(*link)
        self._note("answered", *link, answer.status)
        if current:
            del self._busy[link]
            self._carry(*link)

    def _hear(self, site: Site) -> None:
        if site.running is not None:
            heard = self._do(site, site.node.hear)
            self._note("hear", site.party, heard)

    # --- the end ------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """No more faults: everybody is up, everything arrives."""
        for site in self.sites.values():
            site.trap.disarm()
            if site.running is None:
                self.audit.restarted(site.party)
                site.start()
        settle(list(self.sites.values()), self.audit)
        self._note("end", self.statements, self.crashes, *(site.node.log.size for site in self.sites.values()))


def exchange(sender: Site, receiver: Site, audit: Audit, limit: int = 200) -> bool:
    """Carry all of the sender's log over a perfect wire; whether anything moved. Refusals end it."""
    moved = False
    for _ in range(limit):
        try:
            letter = write_letter(sender, receiver.party)
            if letter is None:
                return moved
            answer = answer_letter(receiver, letter)
            take_answer(sender, letter, answer)
        except MithaqError:
            return moved
        moved = True
        audit.receipt(sender.party, receiver.party)
        audit.mirror(receiver.party, sender.party)
    return moved


def settle(sites: Sequence[Site], audit: Audit, rounds: int = 60) -> None:
    """Carry and hear until nothing moves any more."""
    for _ in range(rounds):
        moved = False
        for sender in sites:
            for receiver in sites:
                if sender is not receiver:
                    moved = exchange(sender, receiver, audit) or moved
        for site in sites:
            if site.honest:
                moved = site.node.hear() > 0 or moved
        if not moved:
            return
    audit.report(STALLED, f"still moving after {rounds} rounds")
