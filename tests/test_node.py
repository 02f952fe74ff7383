"""The node: one way in, the same verdict on both sides, memory that follows the disk, on SQLite and PostgreSQL."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, select

from mithaq.kernel.errors import MithaqError, Refused
from mithaq.kernel.exchange import Request
from mithaq.kernel.statement import Enclosure
from mithaq.kernel.tables import bundles, conflicts, enclosures, state
from mithaq.node import Node, Said, Saying
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.channel import records as channel_records
from mithaq.services.charter import acts as charter
from tests.nodes import (
    Clock,
    Forger,
    MakeDatabase,
    ask,
    carry,
    code_of,
    conclude,
    paired,
    records_of,
    refusals,
    settle,
    start,
    step,
    treaty,
    verdict,
)

Pair = tuple[Node, Node]
Trio = tuple[Node, Node, Node]


def hello(to: str = "XB/border-guard", **more: object) -> channel.Say:
    return channel.Say("Gate", "The gate opens at eight.", (to,), **more)  # type: ignore[arg-type]


def test_a_statement_is_said_carried_receipted_heard_and_answered(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    said = a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard/north")
    carry(a, b)
    b.say(channel.Acknowledge(said.reference), clause=f"{agreement}/1", by="XB/border-guard")
    carry(b, a)
    assert records_of(a) == records_of(b)
    assert a.post.uploads["XB"].receipted == a.log.size
    assert b.post.mirrors["XA"].log.root() == a.log.root()
    assert step(a, b) is None
    with a.database.read() as connection:
        assert [row.by for row in channel_records.acknowledged(connection, said.reference)] == ["XB/border-guard"]


def test_what_was_said_is_there_after_a_restart_and_the_node_goes_on(make_database: MakeDatabase, clock: Clock) -> None:
    with paired(make_database, ("XA", "XB"), clock) as (a, b):
        agreement = conclude(treaty("XA", "XB"), a, b)
        a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
        carry(a, b)
        before, root, size, receipted = records_of(a), a.log.root(), a.log.size, a.post.uploads["XB"].receipted
    with paired(make_database, ("XA", "XB"), clock) as (a, b):
        assert (records_of(a), a.log.root(), a.log.size) == (before, root, size)
        assert a.post.uploads["XB"].receipted == receipted
        said = a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
        assert said.n == size
        settle(a, b)
        assert records_of(a) == records_of(b)


def test_records_rebuilt_from_the_logs_are_the_same_on_every_node(trio: Trio) -> None:
    c, d, e = trio
    agreement = conclude(treaty("XC", "XD", "XE"), c, d, e)
    forger_like = Saying(hello("XD/border-guard"), f"{agreement}/1", "XC/border-guard")
    c.say_all([forger_like] * 3)
    d.say(hello("XE/border-guard"), clause=f"{agreement}/1", by="XD/border-guard")
    settle(c, d, e)
    before = [records_of(node) for node in trio]
    assert before[0] == before[1] == before[2]
    sizes = [node.log.size for node in trio]
    for node in trio:
        node.rebuild()
    assert [records_of(node) for node in trio] == before
    assert [node.log.size for node in trio] == sizes


def test_a_statement_waits_for_what_its_speaker_had_seen(trio: Trio) -> None:
    c, d, e = trio
    agreement = conclude(treaty("XC", "XD", "XE"), c, d, e)
    first = c.say(hello("XD/border-guard"), clause=f"{agreement}/1", by="XC/border-guard")
    carry(c, d)
    d.say(channel.Acknowledge(first.reference), clause=f"{agreement}/1", by="XD/border-guard")
    carry(d, e)  # XE has XD's acknowledgement, and not yet the message that it speaks of
    assert e.unheard()
    assert e.hear() == 0
    carry(c, e)
    assert not e.unheard()
    settle(c, d, e)
    assert records_of(c) == records_of(d) == records_of(e)


def test_a_suspension_that_the_speaker_had_not_seen_does_not_stop_it_on_either_node(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    b.say(agreements.Suspend(agreement, "flood", "1"), clause=f"{agreement}/3", by="XB/foreign-affairs")
    said = a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")  # a second later, the suspension unseen
    carry(a, b)
    assert verdict(b, "XA", said.n) is None
    carry(b, a)
    assert code_of(lambda: a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")) == "mandate.suspended"
    settle(a, b)
    assert records_of(a) == records_of(b)


def test_many_sayings_are_judged_each_by_itself_and_the_bad_ones_take_no_place(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    good = Saying(hello(), f"{agreement}/1", "XA/border-guard")
    outcomes = a.say_all(
        [good, Saying(hello(), "charter", "XA/border-guard"), good, Saying(hello(), "x/1", "XA"), good]
    )
    assert [type(each).__name__ for each in outcomes] == ["Said", "Refused", "Said", "Malformed", "Said"]
    places = [each.n for each in outcomes if isinstance(each, Said)]
    assert places == list(range(places[0], places[0] + 3))
    settle(a, b)
    assert records_of(a) == records_of(b)


def test_sixteen_threads_that_say_at_once_are_all_there_once(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    said: list[Said] = []
    failures: list[BaseException] = []

    def talk(number: int) -> None:
        try:
            for each in range(5):
                act = channel.Say(f"{number} {each}", "text", ("XB/border-guard",))
                said.append(a.say(act, clause=f"{agreement}/1", by="XA/border-guard"))
        except BaseException as failure:  # a thread has nobody else to tell
            failures.append(failure)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len({each.n for each in said}) == 80
    settle(a, b)
    subjects = [row[7] for row in records_of(b)["channel_messages"]]
    assert len(subjects) == len(records_of(b)["channel_messages"]) == 80
    assert records_of(a) == records_of(b)


def test_checking_before_saying_says_nothing(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    size = a.log.size
    checked = a.check(Saying(hello(), f"{agreement}/1", "XA/border-guard"))
    assert checked.n == size
    with pytest.raises(Refused, match=r"mandate\.office_not_entitled"):
        a.check(Saying(hello(), f"{agreement}/1", "XA/post-office"))
    assert a.log.size == size
    assert a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard").n == size


def test_a_clock_that_was_set_back_makes_no_false_order(pair: Pair, clock: Clock) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    clock.pass_days(2)
    a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
    clock.pass_days(-1)
    a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
    settle(a, b)
    assert records_of(b)["verdicts"] == []


def test_a_false_claim_to_have_seen_our_log_is_refused_and_holds_nothing_up(
    make_database: MakeDatabase, clock: Clock
) -> None:
    a = start("XA", ("XA", "XB"), make_database("xa"), clock)
    forger = Forger("XB", ("XA", "XB"), clock)
    ahead = forger.put(forger.statement(agreements.Propose(treaty("XA", "XB")), seen={"XA": 1000}))
    after = forger.put(forger.statement(agreements.Propose(treaty("XA", "XB"))))
    forger.bring(a)
    assert verdict(a, "XB", ahead) == "statement.seen_ahead"
    assert verdict(a, "XB", after) is None
    assert ("XA", "XB", ahead, "statement.seen_ahead") in refusals(a)
    before = records_of(a)
    a.rebuild()
    assert records_of(a) == before
    a.database.close()


def test_nobody_can_void_beforehand_what_another_party_is_going_to_say(sqlite: MakeDatabase, clock: Clock) -> None:
    parties = ("XC", "XD", "XE")
    c, e = start("XC", parties, sqlite("xc"), clock), start("XE", parties, sqlite("xe"), clock)
    forger = Forger("XD", parties, clock)
    c.say(agreements.Propose(treaty("XC", "XE")), clause="charter", by="XC/foreign-affairs")
    carry(c, e)
    for entry in (1, 2, 3):  # XD claims that entries which XC has not said yet had seen too much of XD's log
        forger.put(forger.statement(charter.Refuse("XC", entry, "statement.seen_ahead"), seen={"XC": 1}, by="XD"))
    forger.bring(c)
    forger.bring(e)
    said = [c.say(agreements.Propose(treaty("XC", "XE")), clause="charter", by="XC/foreign-affairs") for _ in range(3)]
    settle(c, e)
    assert records_of(c) == records_of(e)
    assert [verdict(e, "XC", each.n) for each in said] == [None] * 3
    assert (
        verdict(e, "XC", 1) == "statement.seen_ahead"
    )  # one lie spoils one place, and stands signed in the liar's log
    assert [verdict(e, "XD", n) for n in range(3)] == [None, "charter.not_refused", "charter.not_refused"]
    before = records_of(c)
    c.rebuild()
    assert records_of(c) == before
    for node in (c, e):
        node.database.close()


def _copy(node: Node, path: Path) -> None:
    with node.database.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(str(node.database.url.database), path)


def test_an_old_copy_that_said_something_else_is_two_stories_to_the_peer(
    tmp_path: Path, sqlite: MakeDatabase, clock: Clock
) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        agreement = conclude(treaty("XA", "XB"), a, b)
        _copy(a, tmp_path / "old.db")
        a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
        carry(a, b)
    restored = start("XA", ("XA", "XB"), f"sqlite:///{tmp_path / 'old.db'}", clock)
    b = start("XB", ("XA", "XB"), sqlite("xb"), clock)
    restored.say(hello(), clause=f"{agreement}/1", by="XA/border-guard/north")
    with pytest.raises(Refused) as caught:
        carry(restored, b)
    assert caught.value.facts["reason"] == "mirror.two_stories"
    with b.database.read() as connection:
        kept = connection.execute(select(conflicts)).all()
    assert [row.conclusive for row in kept] == [1]
    assert kept[0].kept != kept[0].offered
    restored.database.close()
    b.database.close()


def test_an_old_copy_of_the_log_refuses_to_say_when_a_receipt_shows_what_it_lost(
    sqlite: MakeDatabase, clock: Clock
) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        agreement = conclude(treaty("XA", "XB"), a, b)
        old = a.log.size
        a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
        carry(a, b)
        b.say(hello("XA/border-guard"), clause=f"{agreement}/1", by="XB/border-guard")
        with a.database.write() as connection:  # the log is an old one, the receipts are not
            connection.execute(delete(bundles).where(bundles.c.log == "XA", bundles.c.first >= old))
            connection.execute(delete(state))
    with paired(sqlite, ("XA", "XB"), clock) as (restored, b):
        assert restored.rolled_back is not None
        by = "XA/border-guard"
        assert code_of(lambda: restored.say(hello(), clause=f"{agreement}/1", by=by)) == "node.rolled_back"
        carry(b, restored)  # what speaks of the lost entries waits: it is no false claim
        assert restored.unheard()
        assert refusals(restored) == []


def test_a_peer_that_holds_more_of_our_log_than_we_have_stops_the_exchange(
    tmp_path: Path, sqlite: MakeDatabase, clock: Clock
) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        agreement = conclude(treaty("XA", "XB"), a, b)
    shutil.copy(tmp_path / "xa.db", tmp_path / "old.db")
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        for _ in range(3):
            a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
        carry(a, b)
    restored = start("XA", ("XA", "XB"), f"sqlite:///{tmp_path / 'old.db'}", clock)
    b = start("XB", ("XA", "XB"), sqlite("xb"), clock)
    restored.say(hello(), clause=f"{agreement}/1", by="XA/border-guard")
    with pytest.raises(Refused, match=r"peer\.claims_more"):
        carry(restored, b)
    with pytest.raises(Refused, match=r"node\.rolled_back"):
        carry(restored, b)  # asked for it, the peer shows our own signatures over what we lost
    restored.database.close()
    b.database.close()


def test_an_entry_is_read_back_byte_for_byte(pair: Pair) -> None:
    a, b = pair
    conclude(treaty("XA", "XB"), a, b)
    assert [a.entry("XB", n) for n in range(b.log.size)] == [b.entry("XB", n) for n in range(b.log.size)]
    with pytest.raises(Refused, match=r"log\.no_such_entry"):
        a.entry("XB", 10_000)
    with pytest.raises(Refused, match=r"peer\.unknown"):
        a.entry("XZ", 0)


def test_enclosures_of_a_statement_are_expected_by_the_side_that_they_are_sealed_to(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    sealed = Enclosure("ab" * 32, "application/pdf", 900, ("XB/border-guard/south",))
    a.say(hello(), clause=f"{agreement}/1", by="XA/border-guard", enclosures=[sealed])
    carry(a, b)
    for node, held, standing in ((a, 900, "held"), (b, 0, "wanted")):
        with node.database.read() as connection:
            row = connection.execute(select(enclosures)).one()
        assert (row.log, row.size, row.held, row.state) == ("XA", 900, held, standing)
        assert row.until == int(dt.datetime(2026, 3, 31, 8, tzinfo=dt.UTC).timestamp())


def test_a_failure_inside_a_job_leaves_the_node_as_the_disk_has_it(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    size, root, before = a.log.size, a.log.root(), records_of(a)
    saying = Saying(hello(), f"{agreement}/1", "XA/border-guard")

    def fail(connection: object) -> None:
        outcome = a._say(connection, [saying])  # type: ignore[arg-type]
        assert isinstance(outcome[0], Said)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        a.writer.do(fail)
    assert (a.log.size, a.log.root(), records_of(a)) == (size, root, before)
    assert a.judge.progress["XA"].heard == size
    assert a.say(saying.act, clause=saying.clause, by=saying.by).n == size
    settle(a, b)
    assert records_of(a) == records_of(b)


def test_a_node_that_is_not_asked_about_its_own_commission_answers_nothing(pair: Pair) -> None:
    a, _ = pair
    assert ask(a, Request("GET", "x/checkpoint", party="XZ")).status == 403
    assert ask(a, Request("GET", "x/checkpoint", party="XB")).status == 404
    assert ask(a, Request("PUT", "add-entries", party="XB")).status == 405
    assert ask(a, Request("POST", "elsewhere", party="XB")).status == 404


def test_acts_of_the_charter_need_no_agreement_and_others_do(pair: Pair) -> None:
    a, _ = pair
    assert code_of(lambda: a.say(hello(), clause="charter", by="XA/border-guard")) == "mandate.no_clause"
    with pytest.raises(MithaqError) as caught:
        a.say(hello(), clause="XA-2026-000000/1", by="XA/border-guard")
    assert caught.value.code == "mandate.no_such_clause"
    assert msgspec.json.encode(caught.value.facts["clause"]) == b'"XA-2026-000000/1"'
