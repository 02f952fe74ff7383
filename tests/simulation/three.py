"""Three parties of whom the third is dishonest, and the two honest ones' books."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations

from mithaq.kernel.mandate import CHARTER
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.simulation.faults import START
from mithaq.simulation.invariants import Audit
from mithaq.simulation.liar import Liar
from mithaq.simulation.officials import agreement_of
from mithaq.simulation.site import Site, remove
from mithaq.simulation.world import exchange, scratch, settle

PARTIES = ("XA", "XB", "XC")
ORDERS = list(permutations([("XC", "XA"), ("XC", "XB"), ("XA", "XB"), ("XB", "XA")]))


class Three:
    """XA and XB are honest, XC is not. One agreement of all three is in force, signed and heard by all."""

    def __init__(self, sites: dict[str, Site]) -> None:
        self.sites = sites
        self.audit = Audit(list(sites.values()))
        self.liar = Liar(sites["XC"])
        self.text = agreement_of(PARTIES)
        self.tokens = 0
        by = "XA/foreign-affairs"
        self.pact = self["XA"].node.say(agreements.Propose(self.text), clause=CHARTER, by=by).reference
        sign = agreements.Sign(self.pact, self.text.hash())
        self["XA"].node.say(sign, clause=CHARTER, by=by)
        self.settle()
        self["XB"].node.say(sign, clause=CHARTER, by="XB/foreign-affairs")
        self.liar.say(sign, CHARTER, by="XC/foreign-affairs")
        self.settle()

    def __getitem__(self, party: str) -> Site:
        return self.sites[party]

    def message(self, to: str = "XB/border") -> channel.Say:
        self.tokens += 1
        return channel.Say(f"token-{self.tokens:07d}", "text", (to,))

    def say(self, party: str) -> int:
        to = "XB/border" if party != "XB" else "XA/border"
        said = self[party].node.say(self.message(to), clause=f"{self.pact}/1", by=f"{party}/border")
        return said.n

    def carry(self, sender: str, receiver: str) -> None:
        exchange(self[sender], self[receiver], self.audit)
        if self[receiver].honest:
            self[receiver].node.hear()

    def settle(self) -> None:
        settle(list(self.sites.values()), self.audit)

    def finish(self) -> list[str]:
        """Carry everything, look at everything: the violations."""
        self.settle()
        self.audit.settled()
        return self.audit.violations

    def verdict(self, n: int, party: str = "XC") -> str:
        """The code that both honest nodes have for an entry; empty for an effect."""
        found = {
            row[2] for holder in ("XA", "XB") for row in self.audit.dump(holder)["verdicts"] if row[:2] == (party, n)
        }
        assert len(found) <= 1
        return found.pop() if found else ""


@contextmanager
def three() -> Iterator[Three]:
    folder = scratch()
    sites = {party: Site(party, PARTIES, folder, lambda: START, honest=party != "XC") for party in PARTIES}
    try:
        for site in sites.values():
            site.start()
        world = Three(sites)
        try:
            yield world
        finally:
            world.audit.close()
    finally:
        for site in sites.values():
            site.stop()
        remove(folder)
