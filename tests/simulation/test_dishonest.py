"""One dishonest party among three: the two honest ones reach equal records and verdicts, and never wait for ever."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.mandate import CHARTER
from mithaq.kernel.statement import LIMIT
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts as charter
from mithaq.simulation.site import Letter, Site, answer_letter, write_letter
from tests.simulation.three import ORDERS, Three, three

SEEN_AHEAD = "statement.seen_ahead"
SOME_ORDERS = ORDERS[::5]


def carry_in(world: Three, order: tuple[tuple[str, str], ...]) -> None:
    for sender, receiver in order:
        world.carry(sender, receiver)


@pytest.mark.parametrize("order", SOME_ORDERS)
def test_a_false_seen_is_voided_in_every_order_of_arrival(order: tuple[tuple[str, str], ...]) -> None:
    with three() as world:
        ahead = world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": 1000, "XB": 3})
        after = world.liar.say(world.message(), f"{world.pact}/1")
        world.say("XA")
        carry_in(world, order)
        world.say("XB")
        assert world.finish() == []
        assert world.verdict(ahead) == SEEN_AHEAD
        assert world.verdict(after) == ""


@pytest.mark.parametrize("order", SOME_ORDERS)
def test_a_false_seen_of_both_is_voided_in_every_order_of_arrival(order: tuple[tuple[str, str], ...]) -> None:
    with three() as world:
        ahead = world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": 1000, "XB": 1000})
        for _ in range(5):
            world.say("XA")
            world.say("XB")
        carry_in(world, order)
        assert world.finish() == []
        assert world.verdict(ahead) == SEEN_AHEAD


@pytest.mark.parametrize("order", SOME_ORDERS)
@pytest.mark.parametrize("more", [1, 2, 5])
def test_a_seen_that_is_ahead_today_and_true_tomorrow_has_one_verdict(
    order: tuple[tuple[str, str], ...], more: int
) -> None:
    with three() as world:
        size = world["XA"].node.log.size
        world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": size + more, "XB": 1})
        carry_in(world, order[:1])
        for _ in range(6):
            world.say("XA")
        carry_in(world, order)
        assert world.finish() == []


def test_an_entry_cannot_be_voided_before_it_is_said() -> None:
    """XC refuses an entry that XA has not written yet, and waits for XA to have seen more of its log."""
    with three() as world:
        coming = world["XA"].node.log.size
        for place in range(3):
            world.liar.say(charter.Refuse("XA", coming + place, SEEN_AHEAD), CHARTER, by="XC")
        for _ in range(4):
            world.liar.say(world.message(), f"{world.pact}/1")
        world.carry("XC", "XA")
        first = world.say("XA")
        world.say("XA")
        assert world.finish() == []
        assert world.verdict(first, "XA") == ""


@pytest.mark.parametrize("order", SOME_ORDERS)
@pytest.mark.parametrize("more", [1, 2, 3])
def test_a_place_voided_beforehand_cannot_make_a_false_seen_true_for_one_and_false_for_another(
    order: tuple[tuple[str, str], ...], more: int
) -> None:
    """The honest answer to a false seen would stand at the voided place; filling that place must not change the verdict."""
    with three() as world:
        coming = world["XA"].node.log.size
        for step in range(2):
            seen = {"XA": coming + step, "XB": 1}
            world.liar.say(charter.Refuse("XA", coming + step, SEEN_AHEAD), CHARTER, by="XC", seen=seen)
        world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": coming + more, "XB": 1})
        world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": coming + more, "XB": 1})
        carry_in(world, order)
        world.say("XA")
        world.say("XB")
        assert world.finish() == []


def test_what_is_said_at_a_place_voided_beforehand_has_its_effect_at_the_next() -> None:
    with three() as world:
        coming = world["XA"].node.log.size
        world.liar.say(charter.Refuse("XA", coming, SEEN_AHEAD), CHARTER, by="XC")
        world.carry("XC", "XA")
        assert world.say("XA") == coming + 1
        assert world.finish() == []
        assert world.verdict(coming, "XA") == SEEN_AHEAD
        assert world.verdict(coming + 1, "XA") == ""


def test_a_rebuild_of_a_node_that_refused_a_false_seen_second_says_nothing_twice() -> None:
    with three() as world:
        world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": 1000, "XB": 3})
        world.carry("XC", "XA")
        world.carry("XA", "XB")
        world.carry("XC", "XB")
        for _ in range(3):
            world.say("XB")
        world.settle()
        size = world["XB"].node.log.size
        world["XB"].node.rebuild()
        assert world["XB"].node.log.size == size
        assert world.finish() == []


def test_seen_backwards_and_of_itself_and_of_a_stranger_have_no_effect() -> None:
    with three() as world:
        message, clause = world.message(), f"{world.pact}/1"
        back = world.liar.say(message, clause, seen={})
        itself = world.liar.say(message, clause, seen={"XC": 1})
        stranger = world.liar.say(message, clause, seen={"XQ": 1})
        good = world.liar.say(world.message(), clause)
        assert world.finish() == []
        assert [world.verdict(n) for n in (back, itself, stranger, good)] == [
            "statement.seen_backwards",
            "statement.wrong_log",
            "statement.wrong_log",
            "",
        ]


def test_an_unknown_field_of_invisible_letters_is_still_refused_by_both() -> None:
    with three() as world:
        entry = json.loads(world.liar.entry(world.message(), f"{world.pact}/1"))
        for letters in ("\u202e", "\u0007", "e\u0301", "\u200b" * 70, "a`b", "x" * 5000):
            odd = json.dumps({**entry, letters: 1}, ensure_ascii=False, separators=(",", ":")).encode()
            world.liar.append(odd)
        for act in ("\u202e.x", "agreements.unknown"):
            world.liar.append(json.dumps({**entry, "act": {"do": act}}, ensure_ascii=False).encode())
        assert world.finish() == []


RAW = [
    b"",
    b"{}",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"act":{"do":"channel.say"}}',
    b'{"a":"\\ud800"}',
    b"1e999",
    b'{"n":' + b"9" * 5000 + b"}",
    b"x" * LIMIT,
    b'{"act":{"do":7}}',
    b'{"act":{"do":"charter.refuse","log":"XA","entry":0,"code":"a.b"},"at":"0000-00-00T00:00:00Z"}',
    b'{"act":{"do":["channel.say"]}}',
    b'{"act":' * 9000,
]


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
def test_bytes_that_are_no_statement_are_refused_and_hold_nobody_up(raw: bytes) -> None:
    with three() as world:
        place = world.liar.append(raw)
        after = world.liar.say(world.message(), f"{world.pact}/1")
        assert world.finish() == []
        assert world.verdict(place).startswith("statement.")
        assert world.verdict(after) == ""


def test_what_breaks_shape_or_place_or_commission_or_another_partys_voice_has_no_effect() -> None:
    with three() as world:
        clause, liar = f"{world.pact}/1", world.liar
        places = [
            liar.say(world.message(), clause, n=999),
            liar.say(world.message(), clause, commission="another.example"),
            liar.say(world.message(), clause, by="XA/border"),
            liar.append(world["XA"].node.entry("XA", 1)),
            liar.append(liar.entry(world.message(), clause) + b" "),
            liar.say(world.message(), clause, by="XC/fisheries"),
            liar.say(world.message(), CHARTER),
            liar.say(world.message(), f"{world.pact}/77"),
            liar.say(world.message(), f"XA-2026-{10**11}/1"),
            liar.say(agreements.Terminate(world.pact, world_day(), "no reason"), CHARTER),
            liar.say(charter.Refuse("XA", 1, "mandate.suspended"), CHARTER, by="XC"),
            liar.say(charter.Refuse("XA", 10**9, "mandate.suspended"), CHARTER, by="XC"),
            liar.say(charter.Refuse("XC", 1, SEEN_AHEAD), CHARTER, by="XC"),
        ]
        good = liar.say(world.message(), clause)
        assert world.finish() == []
        assert all(world.verdict(n) for n in places)
        assert world.verdict(good) == ""


def world_day() -> agreements.dt.date:
    return agreements.dt.date(2026, 3, 2)


@pytest.mark.parametrize("order", SOME_ORDERS)
def test_a_suspension_told_to_one_first_counts_by_what_each_speaker_had_seen(
    order: tuple[tuple[str, str], ...],
) -> None:
    with three() as world:
        act = agreements.Suspend(world.pact, "a reason", "1")
        world.liar.say(act, f"{world.pact}/9", by="XC/foreign-affairs")
        world.carry("XC", "XA")
        said = world.say("XB")
        carry_in(world, order)
        assert world.finish() == []
        assert world.verdict(said, "XB") == ""


def disk(site: Site) -> dict[str, bytes]:
    """The database with its write-ahead log, while nobody has it open but the audit."""
    return {each.name: each.read_bytes() for each in site.path.parent.glob(f"{site.party}.db*")}


def put_back(site: Site, kept: dict[str, bytes]) -> None:
    for each in site.path.parent.glob(f"{site.party}.db*"):
        each.unlink()
    for name, data in kept.items():
        (site.path.parent / name).write_bytes(data)


def tell_two_stories(world: Three, before: int = 0) -> Letter:
    """XC tells XA one story and XB another, as one who puts an old disk back; the letter that XB was sent."""
    for _ in range(before):
        world.liar.say(world.message(), f"{world.pact}/1")
    world.settle()
    size = world["XC"].node.log.size
    world["XC"].crash()
    kept = disk(world["XC"])
    world["XC"].start()
    world.liar.say(world.message(), f"{world.pact}/1")
    world.carry("XC", "XA")
    world["XC"].crash()
    put_back(world["XC"], kept)
    world["XC"].start()
    assert world["XC"].node.log.size == size
    world.liar.say(world.message(), f"{world.pact}/1")
    letter = write_letter(world["XC"], "XB")
    assert letter is not None
    world.carry("XC", "XB")
    return dataclasses.replace(letter, receiver="XA")


def test_two_stories_are_refused_kept_and_end_the_exchange_and_the_honest_logs_stay_equal() -> None:
    with three() as world:
        letter = tell_two_stories(world)
        assert answer_letter(world["XA"], letter).status in {409, 422}
        assert world["XA"].node.post.mirrors["XC"].conflicting
        assert answer_letter(world["XA"], letter).status == 403
        world.say("XA")
        world.say("XB")
        world.settle()
        for one, other in (("XA", "XB"), ("XB", "XA")):
            assert world.audit.copy(one, other).entries == world.audit.copy(other, other).entries
            world.audit.receipt(one, other)
        assert world.audit.violations == []


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("asks, asked", [("XA", "XB"), ("XB", "XA")])
def test_two_stories_that_were_exposed_leave_equal_records_and_hold_nobody_up(
    asks: str, asked: str, before: int
) -> None:
    with three() as world:
        tell_two_stories(world, before)
        world.say("XA")
        world.say("XB")
        world.carry("XA", "XB")

        def send(request: Request) -> Answer:
            return answer_letter(world[asked], Letter(asks, asked, dataclasses.replace(request, party=asks), 0))

        world[asks].node.compare(asked, send)
        world.settle()
        after = [(party, world.say(party)) for party in ("XA", "XB")]
        world.settle()
        world.audit.settled(whole=False)
        assert world.audit.violations == []
        for holder in ("XA", "XB"):
            heard = world[holder].node.judge.progress
            assert heard["XA"].heard == world["XA"].node.log.size
            assert heard["XB"].heard == world["XB"].node.log.size
        assert [world.verdict(n, party) for party, n in after] == ["", ""]


def test_what_was_built_on_a_story_that_counts_no_more_falls_on_every_node_alike() -> None:
    """XA acknowledged one message and refused two entries of the story that only XA was told."""
    with three() as world:
        world["XC"].crash()
        kept = disk(world["XC"])
        world["XC"].start()
        first = world.liar.say(world.message("XA/border"), f"{world.pact}/1")
        world.liar.say(world.message(), CHARTER)
        world.liar.say(world.message(), f"{world.pact}/1", seen={"XA": 1000, "XB": 1})
        world.carry("XC", "XA")
        read = channel.Acknowledge(f"XC-2026-{first:06d}")
        acknowledged = world["XA"].node.say(read, clause=f"{world.pact}/1", by="XA/border").n
        world["XC"].crash()
        put_back(world["XC"], kept)
        world["XC"].start()
        world.liar.say(world.message(), f"{world.pact}/1")
        world.carry("XC", "XB")
        world.carry("XA", "XB")

        def send(request: Request) -> Answer:
            return answer_letter(world["XA"], Letter("XB", "XA", dataclasses.replace(request, party="XB"), 0))

        world["XB"].node.compare("XA", send)
        world.settle()
        after = [(party, world.say(party)) for party in ("XA", "XB")]
        world.settle()
        world.audit.settled(whole=False)
        assert world.audit.violations == []
        assert world.verdict(acknowledged, "XA") == "channel.unknown_message"
        assert [world.verdict(n, party) for party, n in after] == ["", ""]
