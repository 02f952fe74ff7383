"""Every class of bad input: answered with its code, stored or not as law 5 says, without effect, and nothing held up."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from mithaq.kernel import note
from mithaq.kernel.exchange import MIRROR_INFO, SIZE
from mithaq.kernel.note import Checkpoint
from mithaq.kernel.statement import LIMIT, Enclosure
from mithaq.kernel.tables import bundles, conflicts
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts as charter
from tests.nodes import Clock, Forger, MakeDatabase, ask, keys_of, records_of, refusals, start, treaty, verdict

PARTIES = ("XA", "XB")
PROPOSAL = agreements.Propose(treaty("XA", "XB"))


@pytest.fixture
def node(make_database: MakeDatabase, clock: Clock) -> Iterator[Node]:
    made = start("XA", PARTIES, make_database("xa"), clock)
    yield made
    made.database.close()


@pytest.fixture
def peer(clock: Clock) -> Forger:
    return Forger("XB", PARTIES, clock)


Bad = Callable[[Forger], bytes]


def altered(peer: Forger, **more: object) -> bytes:
    value = json.loads(peer.statement(PROPOSAL)) | more
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def under(clause: str, act: Any = None, **more: Any) -> Bad:
    said = act or channel.Say("Gate", "It is open.", ("XA/border-guard",))
    return lambda peer: peer.statement(said, clause=clause, **more)


ENTRIES: dict[str, tuple[str, Bad]] = {
    "malformed": ("statement.malformed", lambda _: b"hello"),
    "empty": ("statement.malformed", lambda _: b""),
    "binary": ("statement.malformed", lambda _: bytes(range(256))),
    "deep": ("statement.too_deep", lambda _: b"[" * 20_000 + b"]" * 20_000),
    "not canonical": ("statement.not_canonical", lambda peer: peer.statement(PROPOSAL) + b" "),
    "default written out": ("statement.not_canonical", lambda peer: altered(peer, seen={})),
    "hidden character": (
        "text.forbidden_character",
        lambda peer: altered(
            peer, act={"agreement": "XB-2026-000000", "do": "agreements.decline", "reason": "no\u202e"}
        ),
    ),
    "not NFC": (
        "text.not_nfc",
        lambda peer: altered(
            peer, act={"agreement": "XB-2026-000000", "do": "agreements.decline", "reason": "cafe\u0301"}
        ),
    ),
    "unknown act": ("statement.unknown_act", lambda peer: altered(peer, act={"do": "weather.report"})),
    "unknown act with a hidden name": ("statement.unknown_act", lambda peer: altered(peer, act={"do": "\u202e\u0000"})),
    "unknown field": ("statement.unknown_field", lambda peer: altered(peer, extra=1)),
    "unknown field with a hidden name": ("statement.unknown_field", lambda peer: altered(peer, **{"\u202e\u0000é": 1})),
    "unknown field with a long name": ("statement.unknown_field", lambda peer: altered(peer, **{"x" * 20_000: 1})),
    "of another commission": (
        "statement.wrong_commission",
        lambda peer: peer.statement(PROPOSAL, commission="xb-xc.example"),
    ),
    "of another party": ("statement.by_another_party", lambda peer: peer.statement(PROPOSAL, by="XA/foreign-affairs")),
    "of a party that is none of us": ("statement.by_another_party", lambda peer: peer.statement(PROPOSAL, by="XZ")),
    "at another place": ("statement.wrong_position", lambda peer: peer.statement(PROPOSAL, n=77)),
    "seen of the own log": ("statement.wrong_log", lambda peer: peer.statement(PROPOSAL, seen={"XB": 1})),
    "seen of a log that is none of ours": (
        "statement.wrong_log",
        lambda peer: peer.statement(PROPOSAL, seen={"XZ": 1}),
    ),
    "seen of more than there is": (
        "statement.seen_ahead",
        lambda peer: peer.statement(PROPOSAL, seen={"XA": 2**53 - 1}),
    ),
    "time that goes back": (
        "statement.time_backwards",
        lambda peer: peer.statement(PROPOSAL, at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC)),
    ),
    "the year 1": (
        "statement.time_backwards",
        lambda peer: peer.statement(PROPOSAL, at=dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
    ),
    "no clause": ("mandate.no_clause", under("charter")),
    "a clause that is none": ("mandate.no_such_clause", under("XB-2026-999999/1")),
    "a clause that is not in force": ("mandate.not_in_force", under("XB-2026-000000/1")),
    "an enclosure under the charter": (
        "mandate.enclosure_not_allowed",
        lambda peer: peer.statement(PROPOSAL, enclosures=(Enclosure("ab" * 32, "application/pdf", 1, ("XA",)),)),
    ),
    "a signature for what is not there": (
        "agreements.unknown",
        under("charter", agreements.Sign("XA-2026-000099", "ab" * 32)),
    ),
    "a refusal of what the rules let pass": (
        "charter.not_refused",
        under("charter", charter.Refuse("XA", 0, "statement.malformed")),
    ),
    "an erasure of what nobody saw": (
        "charter.unknown_statement",
        under("charter", charter.Erase("XA-2026-999999", "ab" * 32)),
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bad_entry_is_stored_has_no_effect_is_refused_and_holds_nothing_up(
    node: Node, peer: Forger, name: str
) -> None:
    code, make = ENTRIES[name]
    first = peer.put(peer.statement(PROPOSAL))
    bad = peer.put(make(peer))
    after = peer.put(peer.statement(PROPOSAL))
    answer = peer.bring(node)
    assert answer.status == 200  # it is proved to stand in the peer's log: stored and receipted, whatever it says
    assert node.entry("XB", bad) == peer.entries[bad]
    assert [verdict(node, "XB", n) for n in (first, bad, after)] == [None, code, None]
    proposals = [row[1] for row in records_of(node)["agreements_said"] if row[0] == "XB"]
    assert proposals == [first, after]  # the bad one left nothing, the one behind it was heard
    assert refusals(node) == [("XA", "XB", bad, code)]
    own = json.loads(node.entry("XA", node.log.size - 1))
    assert own["act"]["do"] == "charter.refuse"
    before = records_of(node)
    node.rebuild()
    assert records_of(node) == before


def test_a_thousand_bad_entries_are_each_refused_once(node: Node, peer: Forger) -> None:
    peer.put(*[b"%d" % number for number in range(1000)])
    after = peer.put(peer.statement(PROPOSAL))
    peer.bring(node)
    assert sorted(entry for _, _, entry, _ in refusals(node)) == list(range(1000))
    assert verdict(node, "XB", after) is None


def stored(node: Node) -> int:
    with node.database.read() as connection:
        query = select(func.coalesce(func.sum(bundles.c.count), 0)).where(bundles.c.log == "XB")
        return int(connection.execute(query).scalar_one())


def kept(node: Node) -> list[int]:
    with node.database.read() as connection:
        return list(connection.execute(select(conflicts.c.conclusive)).scalars())


def filled(node: Node, peer: Forger, count: int = 3) -> None:
    """The node holds `count` entries; the peer has two more."""
    peer.put(*[peer.statement(PROPOSAL, n=n) for n in range(count)])
    assert peer.bring(node).status == 200
    peer.put(*[peer.statement(PROPOSAL, n=n) for n in range(count, count + 2)])


def goes_on(node: Node, peer: Forger) -> None:
    """After what was refused, the same peer's good upload is taken, receipted and heard."""
    assert peer.bring(node).status == 200
    assert stored(node) == len(peer.entries)
    assert not node.unheard()
    assert [verdict(node, "XB", n) for n in range(len(peer.entries))] == [None] * len(peer.entries)


def test_an_oversized_entry_cannot_even_be_written_on_the_wire(node: Node, peer: Forger) -> None:
    peer.put(b"x" * LIMIT)
    assert peer.bring(node).status == 200
    assert verdict(node, "XB", 0) == "statement.malformed"
    with pytest.raises(OverflowError):
        peer.put(b"x" * (LIMIT + 1))
        peer.bring(node)
    assert stored(node) == 1


def test_a_checkpoint_with_a_wrong_signature_is_refused_and_nothing_stored(node: Node, peer: Forger) -> None:
    filled(node, peer)
    good = peer.checkpoint()
    head, _, lines = good.partition(b"\n\n")
    forged = head.replace(b"\n5\n", b"\n4\n") + b"\n\n" + lines
    answer = ask(node, peer.add_checkpoint(3, checkpoint=forged))
    assert (answer.status, answer.body) == (403, b"note.signature_wrong\n")
    assert node.post.mirror("XB").pending_size == 3
    assert kept(node) == []
    goes_on(node, peer)


def test_a_checkpoint_without_the_partys_signature_is_refused(node: Node, peer: Forger) -> None:
    filled(node, peer)
    stranger = keys_of("XZ", peer.commission)
    foreign = note.sign(Checkpoint(peer.keys.origin, 5, peer.root()), stranger.log_signers(), 1)
    answer = ask(node, peer.add_checkpoint(3, checkpoint=foreign))
    assert (answer.status, answer.body) == (403, b"note.signature_missing\n")
    goes_on(node, peer)


def test_a_log_that_is_none_of_ours_is_refused_and_nothing_stored(node: Node, peer: Forger, clock: Clock) -> None:
    filled(node, peer)
    other = Forger("XC", PARTIES, clock)
    other.put(b"{}")
    assert ask(node, replace(other.add_checkpoint(0), party="XB")).status == 404
    assert ask(node, replace(other.add_entries(0, 1), party="XB")).status == 404
    assert ask(node, other.add_entries(0, 1)).status == 403  # by itself it is not even known
    goes_on(node, peer)


def test_our_own_log_is_not_taken_from_a_peer(node: Node, peer: Forger, clock: Clock) -> None:
    ours = Forger("XA", PARTIES, clock)
    ours.put(ours.statement(PROPOSAL))
    assert ask(node, replace(ours.add_checkpoint(0), party="XB")).status == 404
    assert node.log.size == 0


def test_a_stale_checkpoint_is_answered_with_the_size_that_is_held(node: Node, peer: Forger) -> None:
    filled(node, peer)
    answer = ask(node, peer.add_checkpoint(2, 5))
    assert (answer.status, answer.body, answer.media) == (409, b"3\n", SIZE)
    assert kept(node) == []
    answer = ask(node, peer.add_checkpoint(0, 2))  # an old one, and true
    assert (answer.status, answer.body) == (409, b"3\n")
    assert kept(node) == []
    goes_on(node, peer)


def test_an_old_size_above_the_checkpoints_own_is_a_bad_request(node: Node, peer: Forger) -> None:
    filled(node, peer)
    assert ask(node, peer.add_checkpoint(4, 3, proof=[])).status == 400
    goes_on(node, peer)


@pytest.mark.parametrize("size, old", [(size, old) for size in (1, 2, 3) for old in range(size + 1)])
def test_a_forked_checkpoint_is_two_stories_both_are_kept_and_the_exchange_stops(
    node: Node, peer: Forger, size: int, old: int
) -> None:
    filled(node, peer)
    forked = peer.checkpoint(size, root=b"\7" * 32)
    answer = ask(node, peer.add_checkpoint(old, size, checkpoint=forked, proof=[]))
    assert answer.status == (422 if old == size == 3 else 409)
    assert kept(node) == [1]
    with node.database.read() as connection:
        row = connection.execute(select(conflicts)).one()
    assert (bytes(row.offered), row.log) == (forked, "XB")
    assert note.open_checkpoint(bytes(row.kept), peer.keys.log_verifiers(), peer.keys.origin).checkpoint.size == 3
    for request in (peer.add_checkpoint(3), peer.add_entries(3, 5)):
        stopped = ask(node, request)
        assert (stopped.status, stopped.body) == (403, b"mirror.two_stories\n")
    assert stored(node) == 3


def test_a_forked_checkpoint_of_a_size_that_is_only_promised_is_two_stories_too(node: Node, peer: Forger) -> None:
    filled(node, peer)
    assert ask(node, peer.add_checkpoint(3, 5)).status == 200  # promised, its entries not brought yet
    forked = peer.checkpoint(5, root=b"\7" * 32)
    assert ask(node, peer.add_checkpoint(3, 5, checkpoint=forked)).status == 409
    assert kept(node) == [1]


def test_a_broken_consistency_proof_is_refused_and_both_checkpoints_are_kept_but_prove_nothing(
    node: Node, peer: Forger
) -> None:
    filled(node, peer)
    proof = peer.consistency(3, 5)
    for broken in ([], proof[:-1], [b"\7" * 32, *proof[1:]], [*proof, b"\7" * 32]):
        answer = ask(node, peer.add_checkpoint(3, 5, proof=broken))
        assert answer.status == 422, broken
    assert set(kept(node)) == {0}
    goes_on(node, peer)


def test_entries_with_a_broken_proof_are_refused_and_nothing_stored(node: Node, peer: Forger) -> None:
    filled(node, peer)
    assert ask(node, peer.add_checkpoint(3, 5)).status == 200
    whole = peer.add_entries(3, 5).body
    assert ask(node, peer.add_entries(3, 5, body=whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])).status == 422
    other = Forger("XB", PARTIES, peer.clock)
    other.put(*peer.entries[:4], b"another story")
    assert ask(node, peer.add_entries(3, 5, body=other.add_entries(3, 5).body)).status == 422
    assert stored(node) == 3
    assert kept(node) == []
    goes_on(node, peer)


def test_entries_for_a_checkpoint_that_was_never_promised_are_told_which_one_was(node: Node, peer: Forger) -> None:
    assert ask(node, peer.add_entries(0, 0)).status == 422
    filled(node, peer)
    answer = ask(node, peer.add_entries(3, 5))
    assert (answer.status, answer.body, answer.media) == (409, b"3\n3\n\n", MIRROR_INFO)
    goes_on(node, peer)


@pytest.mark.parametrize("cut", [0, 1, 5, 20, 30, 40, 60, -1, -32, -33])
def test_a_truncated_upload_is_a_bad_request_or_an_unknown_log_and_nothing_is_stored(
    node: Node, peer: Forger, cut: int
) -> None:
    filled(node, peer)
    assert ask(node, peer.add_checkpoint(3, 5)).status == 200
    whole = peer.add_entries(3, 5).body
    assert ask(node, peer.add_entries(3, 5, body=whole[:cut])).status in {400, 404}
    assert stored(node) == 3
    goes_on(node, peer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old",
        b"old 3",
        b"old x\n\n",
        b"old 03\n\n",
        b"old -3\n\n",
        b"old 99999999999999999999\n\n",
        b"old 3\nnot base64!\n\n",
        b"old 3\nAAAA\n\n",
        b"old 3\n" + b"AAAA\n" * 64 + b"\n",
        b"\xff\xfe\n\n\xff\n",
        b"old 3\n\n\n",
    ],
)
def test_a_malformed_add_checkpoint_is_refused(node: Node, peer: Forger, body: bytes) -> None:
    filled(node, peer)
    request = replace(peer.add_checkpoint(3, 5), body=body)
    assert ask(node, request).status in {400, 404}
    request = replace(request, body=body + peer.checkpoint())
    assert ask(node, request).status in {400, 404}
    goes_on(node, peer)


def test_a_peer_that_nobody_paired_is_answered_nothing(node: Node, peer: Forger) -> None:
    peer.put(peer.statement(PROPOSAL))
    for party in ("", "XA", "XZ"):
        answer = ask(node, replace(peer.add_checkpoint(0), party=party))
        assert (answer.status, answer.body) == (403, b"peer.unknown\n")
    goes_on(node, peer)
