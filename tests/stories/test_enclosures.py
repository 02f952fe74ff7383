"""Enclosures between nodes: sealed, named, fetched in pieces, opened with a reason, refused to others, erased on both sides."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from mithaq.kernel import merkle, transfer
from mithaq.kernel.errors import Refused, Unreachable
from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.mandate import Clause, Enclosures, Permit
from mithaq.kernel.proof import Evidence, Proof, check
from mithaq.kernel.tables import enclosures, openings
from mithaq.node import Node, Saying
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts as charter
from mithaq.services.charter import records as charter_records
from tests.nodes import Clock, MakeDatabase, ask, code_of, conclude, paired, records_of, settle, sign, treaty
from tests.sealed import KEEP_DAYS, fetch, fetch_one, get, large, noise, opened, seal, send
from tests.test_serve import eventually, heard, open_place, places

Pair = tuple[Node, Node, str]
GUARD, CUSTOMS = "XB/border-guard", "XB/customs"


@pytest.fixture
def either_pair(make_database: MakeDatabase, tmp_path: Path, clock: Clock) -> Iterator[Pair]:
    """XA and XB with stores, and the reference of their agreement; on SQLite and on PostgreSQL."""
    with paired(make_database, ("XA", "XB"), clock, tmp_path / "enclosures") as (a, b):
        yield a, b, conclude(large("XA", "XB"), a, b)


@pytest.fixture
def sealed_pair(sqlite: MakeDatabase, tmp_path: Path, clock: Clock) -> Iterator[Pair]:
    """The same on SQLite, where it does not matter which database it is."""
    with paired(sqlite, ("XA", "XB"), clock, tmp_path / "enclosures") as (a, b):
        yield a, b, conclude(large("XA", "XB"), a, b)


@pytest.fixture
def sealed_trio(sqlite: MakeDatabase, tmp_path: Path, clock: Clock) -> Iterator[tuple[Node, Node, Node, str]]:
    with paired(sqlite, ("XA", "XB", "XC"), clock, tmp_path / "enclosures") as (a, b, c):
        yield a, b, c, conclude(large("XA", "XB", "XC"), a, b, c)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces of 1,000 bytes, so that a small file comes in many."""
    monkeypatch.setattr(transfer, "CHUNK", 1000)
    return 1000


def rows(node: Node) -> dict[str, tuple[str, int]]:
    with node.database.read() as connection:
        return {row.digest: (row.state, row.held) for row in connection.execute(select(enclosures))}


def files(node: Node) -> list[str]:
    assert node.post.transfers.store is not None
    return sorted(path.name for path in node.post.transfers.store.folder.iterdir())


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body.decode().strip()


def test_an_enclosure_is_sealed_named_fetched_and_opened_with_a_reason(either_pair: Pair, clock: Clock) -> None:
    a, b, agreement = either_pair
    enclosure = seal(a, b"papers of a lorry", GUARD)
    send(a, agreement, enclosure)
    assert fetch(a, b) == 1
    assert opened(b, enclosure.digest, GUARD) == b"papers of a lorry"
    with b.database.read() as connection:
        written = connection.execute(select(openings)).one()
    assert (written.digest, written.office, written.at, written.reason) == (
        enclosure.digest, GUARD, int(clock()), "to inspect the vehicle",
    )  # fmt: skip
    assert rows(a) == rows(b) == {enclosure.digest: ("held", enclosure.size)}


def test_nothing_of_the_content_stands_in_a_log(sealed_pair: Pair) -> None:
    a, b, agreement = sealed_pair
    said = send(a, agreement, seal(a, b"a name that is nobody's business", GUARD))
    settle(a, b)
    assert b"nobody" not in b.entry("XA", said.n)


def test_an_office_that_was_not_named_cannot_open_it_and_no_opening_is_written(sealed_pair: Pair) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    fetch(a, b)
    assert code_of(lambda: opened(b, enclosure.digest, CUSTOMS)) == "enclosure.not_named"
    assert b.post.transfers.store is not None
    with pytest.raises(Refused) as failure:  # nor would its key be of any use
        b.post.transfers.store.open(enclosure.digest, [b.keys.offices[CUSTOMS]], io.BytesIO())
    assert failure.value.code == "age.not_for_us"
    with b.database.read() as connection:
        assert connection.execute(select(openings)).all() == []


def test_a_reason_is_asked_for_and_an_unknown_or_missing_enclosure_is_refused(sealed_pair: Pair) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    assert code_of(lambda: opened(b, enclosure.digest, GUARD)) == "enclosure.not_held"
    fetch(a, b)
    assert code_of(lambda: opened(b, enclosure.digest, GUARD, " ")) == "enclosure.no_reason"
    assert code_of(lambda: opened(b, "0" * 64, GUARD)) == "enclosure.unknown"


def test_one_sealed_to_an_office_whose_key_nobody_gave_is_refused(sealed_pair: Pair) -> None:
    a, _, _ = sealed_pair
    assert code_of(lambda: seal(a, b"papers", "XB/border-guard/north")) == "enclosure.no_key"


def test_an_office_opened_under_the_charter_is_sealed_to_with_its_newest_key(sealed_pair: Pair) -> None:
    a, b, _ = sealed_pair
    newest = b.keys.offices[CUSTOMS].recipient.to_text()
    act = charter.OpenOffice(GUARD, newest, {"en": "Border guard"})
    b.say(act, clause="charter", by="XB/border-guard")
    settle(a, b)
    enclosure = seal(a, b"papers", GUARD)
    assert a.post.transfers.store is not None
    sink = io.BytesIO()
    a.post.transfers.store.open(enclosure.digest, [b.keys.offices[CUSTOMS]], sink)
    assert sink.getvalue() == b"papers"


def test_what_is_not_in_the_store_with_that_size_is_not_said(sealed_pair: Pair) -> None:
    a, _, agreement = sealed_pair
    enclosure = seal(a, b"papers", GUARD)
    wrong = [
        msgspec.structs.replace(enclosure, digest="0" * 64),
        msgspec.structs.replace(enclosure, size=enclosure.size + 1),
    ]
    size = a.log.size
    for each in wrong:
        assert code_of(lambda: send(a, agreement, each)) == "enclosure.not_held"  # noqa: B023  # used at once
        act = channel.Say("Papers", "See the enclosures.", (GUARD,))
        saying = Saying(act, f"{agreement}/1", "XA/border-guard", (each,))
        assert code_of(lambda: a.check(saying)) == "enclosure.not_held"  # noqa: B023  # used at once
    assert (a.log.size, rows(a)) == (size, {})


def test_an_enclosure_is_sealed_for_one_statement(sealed_pair: Pair) -> None:
    a, _, agreement = sealed_pair
    enclosure, fresh = seal(a, b"papers", GUARD), seal(a, b"papers", GUARD)
    assert code_of(lambda: send(a, agreement, fresh, fresh)) == "enclosure.named_twice"
    send(a, agreement, enclosure)
    assert code_of(lambda: send(a, agreement, enclosure)) == "enclosure.named_twice"


def test_one_over_the_limit_of_its_clause_is_not_said(sealed_pair: Pair) -> None:
    a, _, agreement = sealed_pair
    enclosure = seal(a, bytes(8 * 2**20), GUARD)
    assert code_of(lambda: send(a, agreement, enclosure)) == "mandate.enclosure_too_large"


@pytest.mark.parametrize("cut", range(5))
def test_a_transfer_goes_on_after_a_cut_at_any_piece(
    sealed_pair: Pair, small_pieces: int, cut: int, tmp_path: Path
) -> None:
    a, b, agreement = sealed_pair
    content = noise(2500)
    enclosure = seal(a, content, GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    pieces = -(-enclosure.size // small_pieces)
    assert pieces == 5
    for _ in range(cut):
        fetch_one(a, b)
    b.post.transfers._failures.clear()
    b.writer.do(b._load)  # as after a restart
    assert fetch(a, b) == pieces - cut
    assert opened(b, enclosure.digest, GUARD) == content


def test_a_piece_that_the_disk_lost_is_fetched_again(sealed_pair: Pair, small_pieces: int) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, noise(2500), GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    for _ in range(3):
        fetch_one(a, b)
    assert b.post.transfers.store is not None
    part = b.post.transfers.store.folder / f"{enclosure.digest}.XA.part"
    part.write_bytes(part.read_bytes()[:1500])
    fetch(a, b)
    assert opened(b, enclosure.digest, GUARD) == noise(2500)


def test_an_answer_that_comes_twice_changes_nothing(sealed_pair: Pair, small_pieces: int) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, noise(2500), GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    request = Request("GET", f"enclosure/{enclosure.digest}/0", party="XB")
    for gained in (1000, 0):
        with b.database.read() as connection:
            assert b.post.fetched("XA", request, ask(a, request), connection) == gained
    assert rows(b)[enclosure.digest] == ("wanted", 1000)


def test_who_may_not_fetch_it_is_told_why(sealed_trio: tuple[Node, Node, Node, str], clock: Clock) -> None:
    a, b, c, agreement = sealed_trio
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    fetch(a, b, c)
    assert rows(c) == {}  # nothing is wanted that is not sealed to us
    assert code(get(a, enclosure.digest, "XC")) == (403, "enclosure.not_for_you")
    assert code(get(b, enclosure.digest, "XC")) == (404, "enclosure.unknown")  # its speaker gives it, nobody else
    assert code(get(a, "0" * 64, "XB")) == (404, "enclosure.unknown")
    assert code(get(a, enclosure.digest, "XB", enclosure.size + 1)) == (416, "enclosure.offset")
    assert get(a, enclosure.digest, "XB", enclosure.size) == Answer(200, b"", "application/octet-stream")
    assert code(ask(a, Request("GET", f"enclosure/{enclosure.digest}/-1", party="XB"))) == (400, "enclosure.request")
    assert code(ask(a, Request("GET", "enclosure/../node.db/0", party="XB"))) == (400, "enclosure.request")
    assert code(get(a, enclosure.digest, "XZ")) == (403, "peer.unknown")


def test_a_party_that_names_anothers_enclosure_gains_and_hinders_nothing(
    sealed_trio: tuple[Node, Node, Node, str],
) -> None:
    a, b, c, agreement = sealed_trio
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    claimed = msgspec.structs.replace(enclosure, to=("XB/border-guard", "XC/customs"))
    c.post.transfers.require = lambda *_: None  # type: ignore[method-assign]  # XC does not keep to it
    act = channel.Say("Papers", "Ours.", ("XB/border-guard", "XC/customs"))
    c.say(act, clause=f"{agreement}/1", by="XC/border-guard", enclosures=[claimed])
    settle(b, c)  # XB hears of it from XC first, as if XC had never seen XA's statement
    assert list(rows(b)) == [enclosure.digest]
    settle(a, b, c)
    assert code(get(a, enclosure.digest, "XC")) == (403, "enclosure.not_for_you")
    with pytest.raises(Refused):
        fetch_one(c, b)  # XC has nothing to give
    assert fetch_one(a, b) is not None
    assert opened(b, enclosure.digest, GUARD) == b"papers"


@pytest.mark.parametrize(
    "body, expected",
    [
        (bytes(2533), "enclosure.wrong_digest"),
        (b"", "enclosure.wrong_size"),
        (bytes(9000), "enclosure.over_size"),
    ],
)
def test_a_container_that_is_not_as_named_is_refused_and_soon_left_alone(
    sealed_pair: Pair, body: bytes, expected: str
) -> None:
    a, b, agreement = sealed_pair
    bad, good = seal(a, noise(2000), GUARD), seal(a, b"good", GUARD)
    send(a, agreement, bad)
    send(a, agreement, good)
    settle(a, b)
    body = body if expected != "enclosure.wrong_digest" else bytes(bad.size)
    codes = []
    for _ in range(3):
        with b.database.read() as connection:
            request = b.post.next_fetch("XA", connection)
        assert request is not None
        with pytest.raises(Refused) as failure, b.database.read() as connection:
            b.post.fetched("XA", request, Answer(200, body), connection)
        codes.append(failure.value.code)
    assert codes == [expected] * 3
    assert files(b) == []
    assert fetch(a, b) == 1  # the other one comes
    assert rows(b) == {bad.digest: ("wanted", 0), good.digest: ("held", good.size)}


def test_a_busy_peer_is_asked_again_and_a_refusing_one_is_not(sealed_pair: Pair) -> None:
    a, b, agreement = sealed_pair
    send(a, agreement, seal(a, b"papers", GUARD))
    settle(a, b)
    with b.database.read() as connection:
        request = b.post.next_fetch("XA", connection)
        assert request is not None
        with pytest.raises(Unreachable):
            b.post.fetched("XA", request, Answer(503), connection)
        assert b.post.next_fetch("XA", connection) == request
        with pytest.raises(Refused) as failure:
            b.post.fetched("XA", request, Answer(404, b"enclosure.unknown\n"), connection)
        assert failure.value.code == "peer.refused_enclosure"
        assert failure.value.facts["reason"] == "enclosure.unknown"
        assert b.post.next_fetch("XA", connection) is None


def test_when_its_time_is_up_both_sides_erase_it_and_say_so_and_the_log_still_verifies(
    either_pair: Pair, clock: Clock
) -> None:
    a, b, agreement = either_pair
    enclosure = seal(a, b"papers", GUARD)
    said = send(a, agreement, enclosure)
    fetch(a, b)
    clock.pass_days(KEEP_DAYS - 1)
    assert (a.erase_due(), b.erase_due()) == ([], [])
    clock.pass_days(1)
    assert code(get(a, enclosure.digest, "XB")) == (410, "enclosure.erased")  # even before anybody has erased it
    assert code_of(lambda: opened(b, enclosure.digest, GUARD)) == "enclosure.erased"
    assert a.erase_due() == b.erase_due() == [enclosure.digest]
    assert (a.erase_due(), b.erase_due()) == ([], [])
    assert files(a) == files(b) == []
    settle(a, b)
    assert code(get(a, enclosure.digest, "XB")) == (410, "enclosure.erased")
    assert code_of(lambda: opened(b, enclosure.digest, GUARD)) == "enclosure.erased"
    assert records_of(a) == records_of(b)
    with a.database.read() as connection:
        erasures = [(row.party, row.statement, row.digest) for row in charter_records.all_erasures(connection)]
    assert erasures == [(party, said.reference, enclosure.digest) for party in ("XA", "XB")]
    _check_whole_log(a, b)
    assert all(finding.ok for finding in check(_evidence(a, b, said.n)).items if finding.step < 5)


def _check_whole_log(a: Node, b: Node) -> None:
    """Every root anew from the entries, on both sides, under the newest receipt."""
    for node, other in ((a, b), (b, a)):
        with node.database.read() as connection, other.database.read() as there:
            own = node.log.entries(connection, 0, node.log.size)
            copy = other.post.mirrors[node.party].log.entries(there, 0, node.log.size)
        assert own == copy
        assert merkle.root_of(merkle.leaf_hashes(own)) == node.log.root() == other.post.mirrors[node.party].root
        assert node.post.uploads[other.party].receipted == node.log.size


def _evidence(a: Node, b: Node, n: int) -> Evidence:
    with a.database.read() as connection, b.database.read() as there:
        held = b.post.mirrors["XA"].checkpoint(there, 1)
        proof = merkle.inclusion_proof(n, a.log.size, a.log.reader(connection))
    assert held is not None
    pairing = b.peers["XA"]
    return Evidence(
        a.entry("XA", n),
        Proof(n, tuple(proof), held).encode(),
        pairing.origin,
        pairing.log_keys,
        {b.keys.mirror_name: a.peers["XB"].mirror_keys},
        "A message of the border guard.",
    )


def test_one_that_never_came_is_no_longer_wanted_when_its_time_is_up(
    sealed_pair: Pair, clock: Clock, small_pieces: int
) -> None:
    a, b, agreement = sealed_pair
    send(a, agreement, seal(a, noise(2500), GUARD))
    settle(a, b)
    fetch_one(a, b)
    clock.pass_days(KEEP_DAYS)
    assert fetch_one(a, b) is None
    assert len(b.erase_due()) == 1
    assert files(b) == []


def test_a_late_piece_does_not_bring_an_erased_enclosure_back(
    sealed_pair: Pair, clock: Clock, small_pieces: int
) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, noise(2500), GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    request = Request("GET", f"enclosure/{enclosure.digest}/0", party="XB")
    late = ask(a, request)
    with b.database.read() as connection:
        row = b.post.transfers.wanted(connection)[0]
    clock.pass_days(KEEP_DAYS)
    b.erase_due()
    with b.database.read() as connection:
        assert b.post.fetched("XA", request, late, connection) == 0
        b.post.transfers._row = lambda *_: row  # type: ignore[method-assign]  # read just before the erasure
        clock.pass_days(-1)
        assert b.post.fetched("XA", request, late, connection) == 0
    assert files(b) == []


def test_erasing_goes_on_after_a_crash_between_file_and_row(sealed_pair: Pair, clock: Clock) -> None:
    a, _, agreement = sealed_pair
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    clock.pass_days(KEEP_DAYS)
    with a.database.read() as connection:
        due = a.post.transfers.due(connection, clock())
    a.post.transfers.erase(due, clock())
    assert rows(a)[enclosure.digest][0] == "held"
    assert a.erase_due() == [enclosure.digest]
    assert rows(a)[enclosure.digest][0] == "erased"


def test_what_was_sealed_and_never_said_is_erased_after_a_day(sealed_pair: Pair, clock: Clock) -> None:
    a, _, agreement = sealed_pair
    kept = seal(a, b"said", GUARD)
    send(a, agreement, kept)
    seal(a, b"never said", GUARD)
    assert len(files(a)) == 2
    clock.pass_days(1.1)
    assert a.erase_due() == []
    assert files(a) == [kept.digest]


def test_records_folded_anew_leave_what_is_erased_erased(sealed_pair: Pair, clock: Clock) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    fetch(a, b)
    clock.pass_days(KEEP_DAYS)
    b.erase_due()
    b.rebuild()
    assert rows(b) == {enclosure.digest: ("erased", 0)}


def test_a_node_without_a_store_says_and_hears_but_seals_and_fetches_nothing(
    sqlite: MakeDatabase, clock: Clock
) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, _):
        _check_without_store(a)


def _check_without_store(a: Node) -> None:
    assert code_of(lambda: seal(a, b"papers", GUARD)) == "enclosure.no_store"
    assert code(get(a, "0" * 64, "XB")) == (404, "enclosure.unknown")
    with a.database.read() as connection:
        assert a.post.next_fetch("XB", connection) is None
    assert a.erase_due() == []


def test_with_a_party_that_told_two_stories_nothing_is_exchanged(sealed_pair: Pair) -> None:
    a, b, agreement = sealed_pair
    enclosure = seal(a, b"papers", GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    a.post.mirrors["XB"].conflicting = True
    b.post.mirrors["XA"].conflicting = True
    assert code(get(a, enclosure.digest, "XB")) == (403, "mirror.two_stories")
    assert fetch_one(a, b) is None


def test_by_the_network_it_comes_by_itself_and_so_does_the_word_that_it_is_erased(tmp_path: Path) -> None:
    offices = ("XA/border-guard", GUARD)
    allowed = Enclosures(to=offices, media=("application/pdf",), max_bytes=8 * 2**20, keep_days=30)
    clauses = (Clause("1", {"en": "They write."}, permits=(Permit("channel.say", offices, enclosures=allowed),)),)
    with places(tmp_path) as two, open_place(two["XA"]) as xa, open_place(two["XB"]) as xb:
        a, b = xa.node, xb.node
        text = treaty("XA", "XB", clauses=clauses)
        agreement = a.say(agreements.Propose(text), clause="charter", by="XA/foreign-affairs").reference
        sign(a, agreement, text)
        eventually(b, heard(xb, "XA", 2))
        sign(b, agreement, text)
        eventually(a, heard(xa, "XB", 1))
        enclosure = seal(a, noise(5 * 2**20), GUARD)  # two pieces
        send(a, agreement, enclosure)
        eventually(b, lambda: rows(b).get(enclosure.digest) == ("held", enclosure.size))
        assert opened(b, enclosure.digest, GUARD) == noise(5 * 2**20)
        a.erase_due(a.clock() + 30 * 86_400)
        eventually(b, lambda: erased(b) == [enclosure.digest])


def erased(node: Node) -> list[str]:
    with node.database.read() as connection:
        return [row.digest for row in charter_records.all_erasures(connection)]
