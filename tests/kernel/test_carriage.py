"""Carrying by file: two nodes without a network, files that are lost, repeated, late, cut, forged or meant for others."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mithaq.kernel import carriage, carriage_file, transfer
from mithaq.kernel.carriage import Summary, carry_in, carry_out
from mithaq.kernel.carriage_file import Head, Header, Incoming, Outgoing
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.tables import KERNEL, receipts
from mithaq.node import Node, Saying
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from tests.nodes import Clock, MakeDatabase, code_of, conclude, paired, records_of, settle, sign, step, verdict
from tests.sealed import fetch, get, large, noise, opened, seal, send

Pair = tuple[Node, Node]
GUARD = "XB/border-guard"


@pytest.fixture
def apart(sqlite: MakeDatabase, tmp_path: Path, clock: Clock) -> Iterator[Pair]:
    """XA and XB, which never had a network."""
    with paired(sqlite, ("XA", "XB"), clock, tmp_path / "enclosures") as (a, b):
        yield a, b


def written(a: Node, b: Node) -> bytes:
    sink = io.BytesIO()
    carry_out(a, b.party, sink)
    return sink.getvalue()


def taken(node: Node, file: bytes) -> Summary:
    return carry_in(node, io.BytesIO(file))


def courier(a: Node, b: Node) -> Summary:
    return taken(b, written(a, b))


def agreed(a: Node, b: Node) -> str:
    """The agreement, concluded by couriers alone."""
    text = large("XA", "XB")
    reference = a.say(agreements.Propose(text), clause="charter", by="XA/foreign-affairs").reference
    sign(a, reference, text)
    courier(a, b)
    sign(b, reference, text)
    courier(b, a)
    return reference


def chat(node: Node, agreement: str, count: int, text: str = "text") -> None:
    to = "XB/customs" if node.party == "XA" else "XA/customs"
    saying = Saying(channel.Say("Subject", text, (to,)), f"{agreement}/1", f"{node.party}/border-guard")
    assert not [each for each in node.say_all([saying] * count) if isinstance(each, MithaqError)]


def log_of(node: Node, party: str) -> list[bytes]:
    log = node.log if node.party == party else node.post.mirrors[party].log
    with node.database.read() as connection:
        return log.entries(connection, 0, log.size)


def everything(node: Node) -> dict[str, list[tuple[object, ...]]]:
    """Every row that a node stores, and its files."""
    with node.database.read() as connection:
        held = {
            table.name: sorted(tuple(row) for row in connection.execute(select(table)))
            for table in KERNEL.sorted_tables
        }
    assert node.post.transfers.store is not None
    return {**held, "files": sorted((path.name,) for path in node.post.transfers.store.folder.iterdir())}


def assert_equal_and_receipted(a: Node, b: Node) -> None:
    for node, other in ((a, b), (b, a)):
        assert log_of(node, node.party) == log_of(other, node.party)
        assert node.post.uploads[other.party].receipted == node.log.size
        with node.database.read() as connection:
            row = connection.execute(select(receipts).where(receipts.c.peer == other.party)).one()
        assert (row.size, bytes(row.root)) == (node.log.size, node.log.root())
    assert records_of(a) == records_of(b)


def test_two_nodes_that_never_had_a_network_hold_the_same_logs_and_receipts(apart: Pair) -> None:
    a, b = apart
    agreement = agreed(a, b)
    chat(a, agreement, 300)
    enclosure = seal(a, noise(5 * 2**20), GUARD)
    send(a, agreement, enclosure)
    size = a.log.size
    there = courier(a, b)
    assert (there.entries, there.enclosed, there.refused) == (301, enclosure.size, {})
    assert opened(b, enclosure.digest, GUARD) == noise(5 * 2**20)
    chat(b, agreement, 5)
    back = courier(b, a)
    assert (back.entries, back.receipted, back.wishes) == (5, size, 0)
    courier(a, b)
    assert_equal_and_receipted(a, b)


def test_when_all_is_receipted_a_file_brings_nothing_but_the_receipt(apart: Pair) -> None:
    a, b = apart
    agreed(a, b)
    courier(a, b)
    courier(b, a)
    kinds = [head.kind for head, _ in Incoming(io.BytesIO(written(a, b))).records()]
    assert kinds == ["receipt"]
    assert courier(a, b) == Summary("XA", "XB", 0, b.log.size, 0, 0, {})


def test_a_file_of_an_empty_log_to_a_party_that_has_said_nothing_is_fine(apart: Pair) -> None:
    a, b = apart
    assert courier(a, b) == Summary("XA", "XB")


def test_a_file_taken_in_twice_changes_nothing_the_second_time(apart: Pair) -> None:
    a, b = apart
    agreement = agreed(a, b)
    chat(a, agreement, 20)
    send(a, agreement, seal(a, noise(3000), GUARD))
    file = written(a, b)
    taken(b, file)
    before = everything(b)
    again = taken(b, file)
    assert (again.entries, again.enclosed) == (0, 0)
    assert everything(b) == before


@pytest.mark.parametrize("first", [0, 7, 300, 9000])
def test_files_out_of_order_and_without_receipts_between_come_to_the_same(apart: Pair, first: int) -> None:
    a, b = apart
    agreement = agreed(a, b)
    files = []
    for count in (first, 10, 600):
        chat(a, agreement, count) if count else None
        files.append(written(a, b))
    for file in (files[1], files[0], files[2], files[1], files[2]):
        taken(b, file)
    courier(b, a)
    courier(a, b)
    assert_equal_and_receipted(a, b)


def test_a_lost_file_is_made_good_by_the_next(apart: Pair) -> None:
    a, b = apart
    agreement = agreed(a, b)
    enclosure = seal(a, noise(3000), GUARD)
    send(a, agreement, enclosure)
    written(a, b)  # lost
    chat(a, agreement, 3)
    assert courier(a, b).entries >= 4
    assert opened(b, enclosure.digest, GUARD) == noise(3000)
    written(b, a)  # the receipt is lost too
    courier(a, b)
    courier(b, a)
    courier(a, b)
    assert_equal_and_receipted(a, b)


def test_a_log_of_many_requests_is_carried_whole_and_again(apart: Pair) -> None:
    a, b = apart
    agreement = agreed(a, b)
    chat(a, agreement, 17_000)
    file = written(a, b)
    assert sum(head.path == "add-entries" for head, _ in Incoming(io.BytesIO(file)).records()) == 3
    taken(b, file)
    assert taken(b, file).entries == 0
    chat(a, agreement, 500)
    assert courier(a, b).entries == 500
    courier(b, a)
    courier(a, b)
    assert_equal_and_receipted(a, b)


def test_a_request_that_would_be_too_large_is_cut_as_on_the_wire(apart: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = apart
    agreement = agreed(a, b)
    chat(a, agreement, 2000, "long " * 100)
    monkeypatch.setattr(carriage, "BODY_LIMIT", 700_000)
    file = written(a, b)
    sizes = [len(body) for head, body in Incoming(io.BytesIO(file)).records() if head.path == "add-entries"]
    assert len(sizes) > 2
    assert max(sizes) <= 700_000
    taken(b, file)
    courier(b, a)
    courier(a, b)
    assert_equal_and_receipted(a, b)


def test_by_cable_and_by_file_in_any_mixture(apart: Pair) -> None:
    a, b = apart
    agreement = conclude(large("XA", "XB"), a, b)
    chat(a, agreement, 10)
    step(a, b)  # the checkpoint came by the cable, then it broke
    chat(a, agreement, 400)
    courier(a, b)
    chat(a, agreement, 300)
    settle(a, b)
    chat(a, agreement, 5)
    courier(a, b)
    courier(b, a)
    settle(a, b)
    assert_equal_and_receipted(a, b)


def test_an_older_file_than_what_the_cable_announced_waits_for_the_next(apart: Pair) -> None:
    a, b = apart
    agreement = conclude(large("XA", "XB"), a, b)
    chat(a, agreement, 10)
    file = written(a, b)
    chat(a, agreement, 10)
    step(a, b)
    assert taken(b, file).entries == 0
    assert courier(a, b).entries == 20


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a says", "b says", "a writes", "b writes", "a takes", "b takes", "lost", "cable"])))
def test_whatever_happens_to_the_files_the_last_round_makes_both_equal(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    with paired(lambda name: f"sqlite:///{folder / name}.db", ("XA", "XB"), Clock(), folder) as (a, b):
        agreement = agreed(a, b)
        bags: dict[str, list[bytes]] = {"XA": [], "XB": []}
        for event in events:
            me, other = (b, a) if event.startswith("b") else (a, b)
            if event.endswith("says"):
                chat(me, agreement, 3)
            elif event.endswith("writes"):
                bags[other.party].append(written(me, other))
            elif event.endswith("takes") and bags[me.party]:
                taken(me, bags[me.party][len(events) % len(bags[me.party])])
            elif event == "lost":
                bags["XB"] = bags["XB"][1:]
            elif event == "cable":
                step(a, b)
        for _ in range(2):
            courier(a, b)
            courier(b, a)
        assert_equal_and_receipted(a, b)


# --- enclosures -----------------------------------------------------------------------------------------------------


def test_what_did_not_come_with_its_statement_is_wished_for_and_comes_with_the_next(apart: Pair) -> None:
    a, b = apart
    agreement = conclude(large("XA", "XB"), a, b)
    enclosure = seal(a, noise(3000), GUARD)
    send(a, agreement, enclosure)
    settle(a, b)  # statement and receipt by cable, the enclosure not
    assert courier(a, b).enclosed == 0  # it is receipted, so nobody knows that it is missing
    assert courier(b, a).wishes == 1
    assert courier(a, b).enclosed == enclosure.size
    assert opened(b, enclosure.digest, GUARD) == noise(3000)
    assert courier(a, b).enclosed == 0  # until XB says so it is carried again, and gains nothing
    assert courier(b, a).wishes == 0
    assert [head.kind for head, _ in Incoming(io.BytesIO(written(a, b))).records()] == ["receipt"]


def test_a_wish_goes_on_where_the_cable_broke(apart: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 1000)
    a, b = apart
    agreement = conclude(large("XA", "XB"), a, b)
    enclosure = seal(a, noise(3000), GUARD)
    send(a, agreement, enclosure)
    settle(a, b)
    with b.database.read() as connection:
        request = b.post.next_fetch("XA", connection)
    assert request is not None
    with b.database.read() as connection:
        b.post.fetched("XA", request, get(a, enclosure.digest, "XB"), connection)
    courier(b, a)
    assert courier(a, b).enclosed == enclosure.size - 1000
    assert opened(b, enclosure.digest, GUARD) == noise(3000)


def test_a_wish_for_what_is_sealed_to_others_is_not_granted(apart: Pair) -> None:
    a, b = apart
    agreement = agreed(a, b)
    own = seal(a, b"papers", "XA/customs")
    act = channel.Say("Papers", "For ourselves.", ("XA/customs", GUARD))
    a.say(act, clause=f"{agreement}/1", by="XA/border-guard", enclosures=[own])
    file = forged(b, a, [(Head("wish", f"enclosure/{own.digest}/0"), b"")])
    taken(a, file)
    assert [head.kind for head, _ in Incoming(io.BytesIO(written(a, b))).records() if head.kind == "piece"] == []


def test_one_bad_enclosure_is_told_of_and_the_others_come(apart: Pair) -> None:
    a, b = apart
    agreement = agreed(a, b)
    bad, good = seal(a, noise(3000), GUARD), seal(a, noise(2000, 2), GUARD)
    send(a, agreement, bad, good)
    assert a.post.transfers.store is not None
    place = a.post.transfers.store.folder / bad.digest
    place.write_bytes(bytes(bad.size))
    summary = courier(a, b)
    assert summary.refused == {bad.digest: "enclosure.wrong_digest"}
    assert opened(b, good.digest, GUARD) == noise(2000, 2)
    place.unlink()
    sink = io.BytesIO()
    assert carry_out(a, "XB", sink).refused == {bad.digest: "enclosure.not_held"}


# --- what is refused ------------------------------------------------------------------------------------------------


def forged(a: Node, b: Node, records: list[tuple[Head, bytes]], **other: object) -> bytes:
    """A file with these records, signed by `a`."""
    header = Header(commission=a.commission, sender=a.party, receiver=b.party, at=1, size=0)
    sink = io.BytesIO()
    outgoing = Outgoing(sink, msgspec.structs.replace(header, **other))
    for head, body in records:
        outgoing.put(head, body)
    outgoing.close(a.keys.request_key)
    return sink.getvalue()


def cuts(file: bytes) -> list[tuple[int, int]]:
    """Where each record, its length included, begins and ends."""
    place, found = file.index(b"\n") + 1, []
    while size := int.from_bytes(file[place : place + 4], "big"):
        found.append((place, place + 4 + size))
        place += 4 + size
    return found


@pytest.fixture
def full(apart: Pair) -> tuple[Node, Node, bytes]:
    """A file with every kind of record."""
    a, b = apart
    agreement = agreed(a, b)
    chat(b, agreement, 1)
    send_back = seal(b, noise(500), "XA/border-guard")
    act = channel.Say("Papers", "See the enclosures.", ("XA/border-guard",))
    b.say(act, clause=f"{agreement}/1", by=GUARD, enclosures=[send_back])
    settle(a, b)
    chat(a, agreement, 300)
    send(a, agreement, seal(a, noise(3000), GUARD))
    file = written(a, b)
    kinds = {head.kind for head, _ in Incoming(io.BytesIO(file)).records()}
    assert kinds == {"request", "receipt", "wish", "piece"}
    return a, b, file


def test_a_file_damaged_in_any_record_is_refused_and_nothing_is_stored(full: tuple[Node, Node, bytes]) -> None:
    _, b, file = full
    before = everything(b)
    places = [place for start, end in cuts(file) for place in (start, start + 4, (start + end) // 2, end - 1)]
    places += [file.index(b"XA"), len(file) - 68, len(file) - 1]
    for place in places:
        damaged = bytearray(file)
        damaged[place] ^= 1
        assert code_of(lambda: taken(b, bytes(damaged))).startswith(("carriage.", "peer.unknown"))  # noqa: B023
        assert everything(b) == before


def test_a_file_cut_off_anywhere_is_refused_and_nothing_is_stored(full: tuple[Node, Node, bytes]) -> None:
    _, b, file = full
    before = everything(b)
    for place in [0, 5, *(start for start, _ in cuts(file)), *(end - 1 for _, end in cuts(file)), len(file) - 1]:
        with pytest.raises(Malformed) as failure:
            taken(b, file[:place])
        assert failure.value.code in {"carriage.truncated", "carriage.header"}
    with pytest.raises(Malformed) as failure:
        taken(b, file + b"\0")
    assert failure.value.code == "carriage.trailing"
    assert everything(b) == before


def test_a_file_without_one_of_its_records_is_refused(full: tuple[Node, Node, bytes]) -> None:
    _, b, file = full
    for start, end in cuts(file):
        with pytest.raises(Refused) as failure:
            taken(b, file[:start] + file[end:])
        assert failure.value.code == "carriage.signature"


@given(st.binary(max_size=300))
def test_bytes_that_are_no_carriage_file_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Incoming(io.BytesIO(data)).verify(bytes(32))


def test_a_file_for_another_party_commission_or_from_a_stranger_is_refused(full: tuple[Node, Node, bytes]) -> None:
    a, b, file = full
    before = everything(b)
    assert code_of(lambda: taken(a, file)) == "carriage.not_for_us"
    assert code_of(lambda: taken(b, forged(a, b, [], commission="other.example"))) == "carriage.another_commission"
    assert code_of(lambda: taken(b, forged(a, b, [], sender="XZ"))) == "peer.unknown"
    assert code_of(lambda: taken(b, forged(a, b, [], sender="XB"))) == "peer.unknown"
    assert code_of(lambda: taken(b, forged(b, b, [], sender="XA"))) == "carriage.signature"
    assert code_of(lambda: carry_out(a, "XZ", io.BytesIO())) == "peer.unknown"
    assert everything(b) == before


def test_records_that_a_party_signs_but_that_break_the_rules_are_refused(full: tuple[Node, Node, bytes]) -> None:
    a, b, file = full
    records = list(Incoming(io.BytesIO(file)).records())
    requests = [(head, body) for head, body in records if head.kind == "request"]
    broken = bytearray(requests[-1][1])
    broken[-1] ^= 1
    wrong = {
        "carriage.not_taken": [requests[0], (requests[-1][0], bytes(broken))],
        "carriage.gap": _gap(a, b),
        "note.bad_signature": [(Head("receipt", size=b.log.size), b"\xe2\x80\x94 x AAAA\n")],
        "enclosure.request": [(Head("wish", "enclosure/x/0"), b"")],
        "carriage.record": [(Head("request", "health"), b"")],
        "peer.claims_more": [(Head("receipt", size=b.log.size + 1), b"")],
    }
    b.post.uploads["XA"].receipted = 0
    for code, bad in wrong.items():
        found = code_of(lambda: taken(b, forged(a, b, bad)))  # noqa: B023  # used at once
        assert found == code or (code.startswith("note.") and found.startswith("note.")), (code, found)


def _gap(a: Node, b: Node) -> list[tuple[Head, bytes]]:
    """What XA would write if XB had receipted more than it holds."""
    receipted = a.post.uploads["XB"].receipted
    a.post.uploads["XB"].receipted = a.log.size - 2
    records = list(Incoming(io.BytesIO(written(a, b))).records())
    a.post.uploads["XB"].receipted = receipted
    return [(head, body) for head, body in records if head.kind == "request"]


def test_a_record_that_inflates_beyond_the_limit_is_refused_without_being_inflated(
    apart: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = apart
    monkeypatch.setattr(carriage_file, "MOST_RECORD", 10_000)
    file = forged(a, b, [(Head("piece", "enclosure/x/0"), bytes(20_000))])
    assert code_of(lambda: taken(b, file)) == "carriage.too_large"
    monkeypatch.setattr(carriage_file, "_PACKED", 100)
    file = forged(a, b, [(Head("piece", "enclosure/x/0"), noise(200))])
    assert code_of(lambda: taken(b, file)) == "carriage.too_large"


@pytest.mark.parametrize("packed", [b"\1", zlib.compress(b""), zlib.compress(b"\0\2{}") + b"x", zlib.compress(b"\xff")])
def test_a_signed_record_that_is_no_record_is_malformed(apart: Pair, packed: bytes) -> None:
    a, b = apart
    sink = io.BytesIO()
    header = Header(commission=a.commission, sender="XA", receiver="XB", at=1, size=0)
    outgoing = Outgoing(sink, header)
    outgoing._write(len(packed).to_bytes(4, "big") + packed)
    outgoing.close(a.keys.request_key)
    assert code_of(lambda: taken(b, sink.getvalue())) == "carriage.record"


def test_a_party_that_told_two_stories_gets_no_file_and_an_old_copy_writes_none(apart: Pair) -> None:
    a, _ = apart
    a.post.mirrors["XB"].conflicting = True
    assert code_of(lambda: carry_out(a, "XB", io.BytesIO())) == "mirror.two_stories"
    a.post.mirrors["XB"].conflicting = False
    a.post.rolled_back = Refused("node.rolled_back", value=9, limit=1, party="XB")
    assert code_of(lambda: carry_out(a, "XB", io.BytesIO())) == "node.rolled_back"


def test_a_statement_that_breaks_a_rule_comes_in_without_effect_and_is_answered(apart: Pair, clock: Clock) -> None:
    a, b = apart
    agreement = agreed(a, b)
    a.judge.check = lambda *_: ()  # type: ignore[method-assign]  # XA says what no clause allows
    act = channel.Say("Subject", "text", ("XB/customs",))
    said = a.say(act, clause=f"{agreement}/9", by="XA/border-guard")
    del a.judge.check
    assert courier(a, b).entries >= 1
    assert verdict(b, "XA", said.n) == "mandate.no_such_clause"
    courier(b, a)
    assert a.post.uploads["XB"].receipted == said.n + 1


def test_a_full_stick_is_told_as_such(apart: Pair) -> None:
    a, _ = apart

    class Full(io.RawIOBase):
        def write(self, _data: object, /) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(Unreachable) as failure:
        carry_out(a, "XB", Full())  # type: ignore[arg-type]
    assert failure.value.code == "carriage.disk"


def test_a_file_says_in_its_first_line_from_whom_and_to_whom_it_is(apart: Pair) -> None:
    a, b = apart
    line = written(a, b).partition(b"\n")[0]
    assert msgspec.json.decode(line) == {
        "at": int(a.clock()), "commission": "xa-xb.example", "format": "mithaq-carriage/1", "receiver": "XB",
        "sender": "XA", "size": 0,
    }  # fmt: skip


def test_what_is_fetched_by_cable_is_not_wished_for_by_file(apart: Pair) -> None:
    a, b = apart
    agreement = conclude(large("XA", "XB"), a, b)
    send(a, agreement, seal(a, noise(3000), GUARD))
    fetch(a, b)
    assert courier(b, a).wishes == 0
