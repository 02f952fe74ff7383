"""Two and three real nodes in any order of events that Hypothesis can think of: the seven invariants hold at every end."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from mithaq.kernel.errors import MithaqError
from mithaq.kernel.exchange import Answer
from mithaq.kernel.mandate import CHARTER
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts as charter
from mithaq.simulation.faults import START, WHERE, Crash
from mithaq.simulation.invariants import FALSE_RECEIPT, NOT_A_PREFIX, WITHOUT_CLAUSE, Audit
from mithaq.simulation.liar import Liar
from mithaq.simulation.officials import agreement_of
from mithaq.simulation.site import Letter, Site, answer_letter, remove, take_answer, write_letter
from mithaq.simulation.world import exchange, scratch, settle
from tests.simulation.plants import HastyNode, LawlessNode

QUICK = {"max_examples": 15, "stateful_step_count": 25}
LONG = {"max_examples": 2000, "stateful_step_count": 50}
PROFILE: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "print_blob": False,
    "suppress_health_check": list(HealthCheck),
}
PARTY = st.sampled_from(["XA", "XB", "XC"])
SEEN_AHEAD = "statement.seen_ahead"


class Exchange(RuleBasedStateMachine):
    """The rules. `parties`, `build` and `dishonest` are set by the subclasses."""

    parties: tuple[str, ...] = ("XA", "XB")
    build: Any = Node
    dishonest = False

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.folder = scratch()
        build = type(self).build
        self.sites = {
            party: Site(
                party,
                self.parties,
                self.folder,
                lambda: self.now,
                build,
                honest=not (self.dishonest and party == self.parties[-1]),
            )
            for party in self.parties
        }
        self.audit = Audit(list(self.sites.values()))
        self.letters: list[Letter] = []
        self.answers: list[tuple[Letter, Answer]] = []
        self.cut: set[tuple[str, str]] = set()
        self.tokens = 0
        for site in self.sites.values():
            site.start()
        self.liar = Liar(self.sites[self.parties[-1]]) if self.dishonest else None

    @initialize(signed=st.booleans())
    def conclude(self, signed: bool) -> None:
        text = agreement_of(self.parties)
        first, *others = self.parties
        by = f"{first}/foreign-affairs"
        self.pact = self.sites[first].node.say(agreements.Propose(text), clause=CHARTER, by=by).reference
        self.signing = agreements.Sign(self.pact, text.hash())
        if signed:
            self.sites[first].node.say(self.signing, clause=CHARTER, by=by)
            settle(list(self.sites.values()), self.audit)
            for party in others:
                by = f"{party}/foreign-affairs"
                if self.sites[party].honest:
                    self.sites[party].node.say(self.signing, clause=CHARTER, by=by)
                elif self.liar:
                    self.liar.say(self.signing, CHARTER, by=by)
            settle(list(self.sites.values()), self.audit)

    # --- what people and the wire do ----------------------------------------------------------------------------

    def site(self, party: str) -> Site:
        return self.sites[party if party in self.sites else self.parties[0]]

    def do(self, site: Site, work: Any) -> Any:
        """A refusal is a node's right; a crash is ours to bring about."""
        try:
            return work()
        except MithaqError:
            return None
        except Crash:
            self.down(site)
            return None

    def down(self, site: Site) -> None:
        site.crash()
        self.audit.restarted(site.party)

    def said(self, site: Site, act: Any, clause: str, office: str, token: str = "") -> None:
        if not site.honest:
            assert self.liar is not None
            self.do(site, lambda: self.liar and self.liar.say(act, clause, by=f"{site.party}/{office}"))
            return
        done = self.do(site, lambda: site.node.say(act, clause=clause, by=f"{site.party}/{office}"))
        if done is not None:
            self.audit.said(site.party, {done.n: token})

    def message(self, site: Site) -> tuple[channel.Say, str]:
        self.tokens += 1
        token = f"token-{self.tokens:07d}"
        others = [party for party in self.parties if party != site.party]
        return channel.Say(token, "text", (f"{others[self.tokens % len(others)]}/border",)), token

    @rule(party=PARTY, clause=st.sampled_from(["1", "1", "1", "2", "9"]), office=st.sampled_from(["border", "police"]))
    def say(self, party: str, clause: str, office: str) -> None:
        site = self.site(party)
        act, token = self.message(site)
        self.said(site, act, f"{self.pact}/{clause}", office, token)

    @rule(
        party=PARTY, what=st.sampled_from(["sign", "suspend", "resume", "terminate"]), clause=st.sampled_from(["", "1"])
    )
    def conduct(self, party: str, what: str, clause: str) -> None:
        site = self.site(party)
        if what == "sign":
            self.said(site, self.signing, CHARTER, "foreign-affairs")
            return
        act = {
            "suspend": agreements.Suspend(self.pact, "a reason", clause),
            "resume": agreements.Resume(self.pact, clause),
            "terminate": agreements.Terminate(self.pact, agreements.dt.date(2026, 3, 2), "a reason"),
        }[what]
        self.said(site, act, f"{self.pact}/9", "foreign-affairs")

    @rule(party=PARTY, other=PARTY, n=st.integers(0, 12))
    def acknowledge(self, party: str, other: str, n: int) -> None:
        act = channel.Acknowledge(f"{self.site(other).party}-2026-{n:06d}")
        self.said(self.site(party), act, f"{self.pact}/1", "border")

    @rule(sender=PARTY, receiver=PARTY)
    def send(self, sender: str, receiver: str) -> None:
        site, peer = self.site(sender), self.site(receiver)
        if site is not peer:
            letter = self.do(site, lambda: write_letter(site, peer.party))
            if letter is not None:
                self.letters.append(letter)

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: st.DataObject, again: bool) -> None:
        """Any letter, not only the oldest; `again`: a copy stays on the way."""
        at = data.draw(st.integers(0, len(self.letters) - 1))
        letter = self.letters[at] if again else self.letters.pop(at)
        site = self.sites[letter.receiver]
        if (letter.sender, letter.receiver) in self.cut:
            return
        answer = self.do(site, lambda: answer_letter(site, letter))
        self.audit.mirror(letter.receiver, letter.sender)
        if answer is not None and (letter.receiver, letter.sender) not in self.cut:
            self.answers.append((letter, answer))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), again=st.booleans())
    def deliver_answer(self, data: st.DataObject, again: bool) -> None:
        at = data.draw(st.integers(0, len(self.answers) - 1))
        letter, answer = self.answers[at] if again else self.answers.pop(at)
        site = self.sites[letter.sender]
        self.do(site, lambda: take_answer(site, letter, answer))
        self.audit.receipt(letter.sender, letter.receiver)

    @precondition(lambda self: self.letters or self.answers)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        lost: list[Any] = data.draw(st.sampled_from([each for each in (self.letters, self.answers) if each]))
        lost.pop(data.draw(st.integers(0, len(lost) - 1)))

    @rule(sender=PARTY, receiver=PARTY)
    def carry(self, sender: str, receiver: str) -> None:
        """Everything at once, as a courier would."""
        site, peer = self.site(sender), self.site(receiver)
        if site is not peer and site.running and peer.running:
            try:
                exchange(site, peer, self.audit)
            except Crash:
                self.down(peer)  # whichever trap it was, both lose nothing by another start
                self.down(site)

    @rule(party=PARTY)
    def hear(self, party: str) -> None:
        site = self.site(party)
        if site.honest:
            self.do(site, lambda: site.node.hear())  # noqa: PLW0108  # `site.node` itself may raise Crash

    @rule(sender=PARTY, receiver=PARTY, cut=st.booleans())
    def partition(self, sender: str, receiver: str, cut: bool) -> None:
        link = (self.site(sender).party, self.site(receiver).party)
        (self.cut.add if cut else self.cut.discard)(link)

    @rule(party=PARTY)
    def crash(self, party: str) -> None:
        self.down(self.site(party))

    @rule(party=PARTY, where=st.sampled_from(WHERE), after=st.integers(0, 12))
    def arm(self, party: str, where: str, after: int) -> None:
        site = self.site(party)
        if site.running is not None:
            site.trap.arm(where, after if where == "statement" else after % 2)

    @rule(party=PARTY)
    def restart(self, party: str) -> None:
        site = self.site(party)
        if site.running is None:
            self.do(site, site.start)

    @rule(seconds=st.sampled_from([-7200, 1, 60, 3600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    # --- the end ------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if hasattr(self, "pact"):
                for site in self.sites.values():
                    site.trap.disarm()
                    if site.running is None:
                        site.start()
                settle(list(self.sites.values()), self.audit)
                self.audit.settled()
            assert self.audit.violations == []
        finally:
            self.audit.close()
            for site in self.sites.values():
                site.stop()
            remove(self.folder)


class Two(Exchange):
    pass


class Three(Exchange):
    parties = ("XA", "XB", "XC")


class Dishonest(Exchange):
    """Three, of whom the last puts into its log whatever may confuse the others."""

    parties = ("XA", "XB", "XC")
    dishonest = True

    def lie(self, act: Any, clause: str, **wrong: Any) -> None:
        assert self.liar is not None
        liar = self.liar
        self.do(liar.site, lambda: liar.say(act, clause, **wrong))

    def counts(self, *shifts: int) -> dict[str, int]:
        """What the liar holds of the others, shifted."""
        assert self.liar is not None
        if self.liar.site.running is None:
            return {}
        mirrors = self.liar.site.node.post.mirrors.items()
        counts = {party: mirror.log.size + shift for (party, mirror), shift in zip(mirrors, shifts, strict=True)}
        return {party: count for party, count in counts.items() if count > 0}

    SHIFT = st.sampled_from([-3, -1, 0, 0, 1, 1, 2, 3, 5, 1000])

    @rule(one=SHIFT, other=SHIFT)
    def lie_about_seen(self, one: int, other: int) -> None:
        act, _ = self.message(self.sites["XC"])
        self.lie(act, f"{self.pact}/1", seen=self.counts(one, other))

    @rule(log=st.sampled_from(["XA", "XB"]), shift=st.sampled_from([0, 0, 1, 2, -1, -2]), one=SHIFT, other=SHIFT)
    def void_what_is_not_said(self, log: str, shift: int, one: int, other: int) -> None:
        counts = self.counts(one, other)
        entry = max(0, counts.get(log, 0) + shift)
        self.lie(charter.Refuse(log, entry, SEEN_AHEAD), CHARTER, by="XC", seen=counts)

    @rule(log=PARTY, entry=st.integers(0, 9), code=st.sampled_from(["mandate.suspended", "charter.not_refused"]))
    def refuse_falsely(self, log: str, entry: int, code: str) -> None:
        self.lie(charter.Refuse(log, entry, code), CHARTER, by="XC")

    @rule(shift=st.integers(-2, 2))
    def misplace(self, shift: int) -> None:
        if self.sites["XC"].running:
            act, _ = self.message(self.sites["XC"])
            self.lie(act, f"{self.pact}/1", n=max(0, self.sites["XC"].node.log.size + shift))

    @rule(
        by=st.sampled_from(["XA/border", "XB/border"]),
        commission=st.sampled_from(["xa-xb-xc.example", "other.example"]),
    )
    def speak_as_another(self, by: str, commission: str) -> None:
        act, _ = self.message(self.sites["XC"])
        self.lie(act, f"{self.pact}/1", by=by, commission=commission)

    @rule(raw=st.binary(max_size=40) | st.sampled_from([b"", b"{}", b"null", b"[" * 900, b'{"\xe2\x80\xae":1}']))
    def babble(self, raw: bytes) -> None:
        assert self.liar is not None
        liar = self.liar
        self.do(liar.site, lambda: liar.append(raw))

    @rule(data=st.data())
    def mangle(self, data: st.DataObject) -> None:
        """One byte of a good entry is another one."""
        assert self.liar is not None
        liar = self.liar
        if liar.site.running is None:
            return
        act, _ = self.message(liar.site)
        entry = bytearray(liar.entry(act, f"{self.pact}/1"))
        entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(st.integers(0, 255))
        self.do(liar.site, lambda: liar.append(bytes(entry)))

    @rule(log=st.sampled_from(["XA", "XB"]), n=st.integers(0, 5))
    def repeat_another_log(self, log: str, n: int) -> None:
        assert self.liar is not None
        liar, entries = self.liar, self.audit.copy(log, log).entries
        if entries:
            self.do(liar.site, lambda: liar.append(entries[n % len(entries)]))


def planted(build: Any, parties: tuple[str, ...] = ("XA", "XB")) -> type[Exchange]:
    return type("Planted", (Exchange,), {"build": build, "parties": parties})


@pytest.mark.parametrize("machine", [Two, Three, Dishonest])
def test_any_interleaving_leaves_every_invariant_whole(machine: type[Exchange]) -> None:
    run_state_machine_as_test(machine, settings=settings(**PROFILE, **QUICK))


@pytest.mark.long
@pytest.mark.parametrize("machine", [Two, Three, Dishonest])
def test_two_thousand_interleavings_leave_every_invariant_whole(machine: type[Exchange]) -> None:
    profile = {**PROFILE, "derandomize": "SEED" not in os.environ}
    run_state_machine_as_test(machine, settings=settings(**profile, **LONG))


@pytest.mark.parametrize("build, name", [(HastyNode, FALSE_RECEIPT), (LawlessNode, WITHOUT_CLAUSE)])
def test_a_planted_fault_is_found_by_name(build: Any, name: str) -> None:
    found = settings(**PROFILE, max_examples=300, stateful_step_count=30, phases=[Phase.generate])
    with pytest.raises(AssertionError, match=name):
        run_state_machine_as_test(planted(build), settings=found)


def test_the_audit_tells_a_mirror_that_is_no_prefix() -> None:
    machine = Two()
    try:
        machine.conclude(signed=True)
        machine.audit.copy("XA", "XA").entries[0] = b"another"
        machine.audit.mirror("XB", "XA")
        assert any(NOT_A_PREFIX in line for line in machine.audit.violations)
        machine.audit.violations.clear()
        machine.audit.restarted("XA")
        machine.audit.violations.clear()
    finally:
        machine.teardown()
