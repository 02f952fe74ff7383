"""What the officials of a simulated party do all day: write, acknowledge, answer, conclude, suspend; some of it refused."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Final

from mithaq.kernel.force import Standing
from mithaq.kernel.mandate import CHARTER, Agreement, Clause, Entry, Permit
from mithaq.node import Said, Saying
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.simulation.site import Site

POWERS: Final = ("agreements.suspend", "agreements.resume", "agreements.terminate")
OPEN_CLAUSES: Final = ("", "1", "2")


def agreement_of(parties: tuple[str, ...]) -> Agreement:
    """Three clauses: the border offices may talk, the first party's police may write, the ministries have the powers."""
    borders = tuple(f"{party}/border" for party in parties)
    ministries = tuple(f"{party}/foreign-affairs" for party in parties)
    talk = tuple(Permit(f"channel.{act}", borders) for act in ("say", "reply", "acknowledge"))
    return Agreement(
        title={"en": "A simulated agreement"},
        parties=parties,
        clauses=(
            Clause("1", {"en": "The border offices are in continuous communication."}, talk),
            Clause("2", {"en": "Its police may write."}, (Permit("channel.say", (f"{parties[0]}/police",)),)),
            Clause("9", {"en": "Powers."}, tuple(Permit(each, ministries) for each in POWERS)),
        ),
        entry=Entry("signature"),
    )


class Registry:
    """What was proposed and written so far: the officials' common memory, from which each takes what it likes."""

    def __init__(self, parties: tuple[str, ...]) -> None:
        self.text: Final = agreement_of(parties)
        self.hash: Final = self.text.hash()
        self.agreements: list[str] = []
        self.messages: list[str] = []
        self.count = 0

    def token(self) -> str:
        """A word that nobody used before."""
        self.count += 1
        return f"token-{self.count:07d}"

    def remember(self, saying: Saying, said: Said) -> None:
        """Something was said."""
        if isinstance(saying.act, agreements.Propose):
            self.agreements.append(said.reference)
        elif isinstance(saying.act, channel.Say):
            self.messages.append(said.reference)


class Officials:
    """All officials of one party."""

    def __init__(self, site: Site, registry: Registry, random: Random) -> None:
        self._site = site
        self._registry = registry
        self._random = random

    def batch(self, count: int) -> list[tuple[Saying, str]]:
        """(what to say, its token or nothing) for `count` officials who speak at once."""
        return [self._one() for _ in range(count)]

    def _one(self) -> tuple[Saying, str]:
        chance = self._random.random()
        if not self._registry.agreements or chance < 0.001:
            return self.propose(), ""
        if chance < 0.02:
            return self.sign(), ""
        if chance < 0.03:
            return self._power(), ""
        if chance < 0.33 and self._registry.messages:
            return self._answer()
        if chance < 0.36:
            return self._mistaken()
        return self.write()

    @property
    def _agreement(self) -> str:
        """Mostly one in force, as far as this party has heard; now and then any other."""
        known = self._registry.agreements[-4:]
        if self._random.random() < 0.97:
            standings = self._standings()
            bound = [each for each in known if each in standings and standings[each].binds_from()]
            known = bound[-2:] or known
        return self._random.choice(known)

    def _standings(self) -> dict[str, Standing]:
        node = self._site.node
        seen = {party: each.heard for party, each in node.judge.progress.items()}
        return node.judge.mandates.standings(node.party, node.log.size, seen)

    def _by(self, office: str) -> str:
        return f"{self._site.party}/{office}"

    def propose(self) -> Saying:
        """A text is laid before all."""
        return Saying(agreements.Propose(self._registry.text), CHARTER, self._by("foreign-affairs"))

    def sign(self) -> Saying:
        """One that may have been signed already."""
        wanting = [each for each in self._registry.agreements[-3:] if self._wants_signature(each)]
        reference = self._random.choice(wanting) if wanting else self._agreement
        return Saying(agreements.Sign(reference, self._registry.hash), CHARTER, self._by("foreign-affairs"))

    def _wants_signature(self, reference: str) -> bool:
        standing = self._standings().get(reference)
        return standing is not None and self._site.party not in standing.days["signed"]

    def write(self, token: str = "") -> tuple[Saying, str]:
        """A message to another party's border office."""
        token, party = token or self._registry.token(), self._site.party
        others = [each for each in self._site.parties if each != party]
        to = (f"{self._random.choice(others)}/border",)
        police = self._random.random() < 0.05
        clause, office = ("2", "police") if police else ("1", "border/north")
        act = channel.Say(token, "x" * self._random.randrange(1, 600), to)
        return Saying(act, f"{self._agreement}/{clause}", self._by(office)), token

    def _answer(self) -> tuple[Saying, str]:
        message = self._random.choice(self._registry.messages[-60:])
        clause = f"{self._agreement}/1"
        if self._random.random() < 0.6:
            return Saying(channel.Acknowledge(message), clause, self._by("border")), ""
        token = self._registry.token()
        return Saying(channel.Reply(message, token), clause, self._by("border")), token

    def _power(self) -> Saying:
        """Mostly it lifts what it suspended before; else it suspends, ends, or lifts what was not suspended."""
        standings, chance = self._standings(), self._random.random()
        reference, clause = self._agreement, self._random.choice(OPEN_CLAUSES)
        own = sorted(
            (each, number) for each in standings for number, by in standings[each].suspended if by == self._site.party
        )
        if own and chance < 0.8:
            reference, clause = self._random.choice(own)
        by, under = self._by("foreign-affairs"), f"{reference}/9"
        if chance < 0.85:
            return Saying(agreements.Resume(reference, clause), under, by)
        if chance < 0.98:
            return Saying(agreements.Suspend(reference, "a reason", clause), under, by)
        day = dt.datetime.fromtimestamp(self._site.clock(), dt.UTC).date() + dt.timedelta(days=1)
        return Saying(agreements.Terminate(reference, day, "a reason"), under, by)

    def _mistaken(self) -> tuple[Saying, str]:
        saying, token = self.write()
        wrong = self._random.randrange(3)
        if wrong == 0:
            return Saying(saying.act, CHARTER, saying.by), token
        if wrong == 1:
            return Saying(saying.act, saying.clause, self._by("fisheries")), token
        return Saying(saying.act, saying.clause.rpartition("/")[0] + "/9", saying.by), token
