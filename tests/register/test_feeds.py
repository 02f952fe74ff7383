"""Calendar feeds: titles and numbers under a secret address, read back by a calendar, and nothing of a text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import icalendar
import pytest

from mithaq.kernel import officials
from mithaq.kernel.errors import MithaqError
from mithaq.kernel.tables import state
from mithaq.node import Node
from mithaq.register import feeds
from mithaq.services.meetings import acts as meetings
from mithaq.services.obligations import acts as obligations
from mithaq.services.obligations import records
from tests.nodes import START, Clock, paired, settle
from tests.register.story import LINES, TEXTS, TODAY, Story, tell
from tests.web import World, folder

Pair = tuple[Node, Node]
BODY = "It is done."


@pytest.fixture
def told(pair: Pair) -> Story:
    return tell(*pair)


def calendar(node: Node, now: dt.datetime = START, lang: str = "en") -> icalendar.Calendar:
    with node.database.read() as connection:
        raw = feeds.feed(connection, node.party, node.commission, now, lang)
    assert all(len(line) <= 75 for line in raw.split(b"\r\n")), "RFC 5545 section 3.1"
    found = icalendar.Calendar.from_ical(raw)
    assert isinstance(found, icalendar.Calendar)
    return found


def by_uid(found: icalendar.Calendar) -> dict[str, icalendar.Component]:
    return {str(each["UID"]).partition("@")[0]: each for each in found.walk() if "UID" in each}


# --- what stands in a feed --------------------------------------------------------------------------------------------


def test_meetings_are_events_and_what_is_owed_is_a_task(pair: Pair, told: Story) -> None:
    for node in pair:
        found = calendar(node)
        assert (str(found["METHOD"]), str(found["VERSION"])) == ("PUBLISH", "2.0")
        known = by_uid(found)
        held, soon = known[told.meeting], known[told.invited]
        assert (held.name, str(held["STATUS"]), held.decoded("DTSTART")) == ("VEVENT", "CONFIRMED", TODAY)
        assert (str(soon["STATUS"]), soon.decoded("DTSTART"), soon.decoded("DTEND")) == (
            "TENTATIVE",
            dt.date(2026, 3, 1),
            dt.date(2026, 4, 1),
        )
        owed = known[f"{told.agreement}/1:1"]
        assert (owed.name, str(owed["STATUS"]), owed.decoded("DUE")) == ("VTODO", "IN-PROCESS", dt.date(2026, 3, 10))
        assert str(owed["COMMENT"]) == "in effect · confirmed in part · due soon · level 2 of 3"
        assert "PERCENT-COMPLETE" not in owed
        assert "DUE" not in known[f"{told.agreement}/1:3"]
        action = known[f"{told.minutes}:3"]
        assert (action.name, action.decoded("DUE")) == ("VTODO", TODAY + dt.timedelta(days=14))


def test_everything_that_is_published_has_what_rfc_5546_asks_for(pair: Pair, told: Story) -> None:
    for each in by_uid(calendar(pair[0])).values():
        asked = {"UID", "DTSTAMP", "SEQUENCE", "ORGANIZER", "SUMMARY", "STATUS"}
        assert asked <= set(each)
        assert str(each["UID"]).endswith("@xa-xb.example")
        if each.name == "VTODO":
            assert "PRIORITY" in each


def test_a_recurring_duty_is_a_plain_day_for_each_time(pair: Pair, told: Story) -> None:
    later = START + dt.timedelta(days=300)
    known = by_uid(calendar(pair[0], later))
    days = [known[f"{told.agreement}/1:2#{number}"].decoded("DUE") for number in (1, 2)]
    assert days == [dt.date(2026, 9, 1), dt.date(2027, 3, 1)]
    assert all("RRULE" not in each for each in known.values())


def test_a_change_raises_the_sequence_and_a_cancelled_meeting_says_so(pair: Pair, told: Story) -> None:
    a, b = pair
    before = by_uid(calendar(a))
    clause = f"{told.agreement}/1"
    b.say(meetings.AcceptInvitation(told.invited), clause=clause, by="XB/interior")
    a.say(obligations.Claim(f"{clause}:1", 3, TODAY, BODY), clause=clause, by="XA/interior")
    settle(a, b)
    with a.database.read() as connection:
        (claim,) = [each.reference for each in records.all_facts(connection) if each.level == 3]
    middle = by_uid(calendar(a))
    assert str(middle[told.invited]["STATUS"]) == "CONFIRMED"
    b.say(obligations.Answer(claim, "confirm"), clause=clause, by="XB/interior")
    settle(a, b)
    after = by_uid(calendar(b))
    done = after[f"{clause}:1"]
    assert (str(done["STATUS"]), done.decoded("COMPLETED").date()) == ("COMPLETED", TODAY)
    for uid in (told.invited, f"{clause}:1"):
        assert int(before[uid]["SEQUENCE"]) < int(middle[uid]["SEQUENCE"]) <= int(after[uid]["SEQUENCE"])
    assert f"{clause}:1" not in by_uid(calendar(a, START + dt.timedelta(days=120)))


def test_a_feed_has_titles_and_numbers_and_nothing_of_a_text(pair: Pair, told: Story) -> None:
    for lang in ("ar", "fa", "en"):
        raw = calendar(pair[0], lang=lang).to_ical().replace(b"\r\n ", b"").decode()
        for hidden in (BODY, "At the gate", told.hash):
            assert hidden not in raw
        assert told.agreement in raw


def test_a_text_never_makes_a_line_of_its_own(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> None:
    for number, text in enumerate(TEXTS[-4:]):
        at = tmp_path_factory.mktemp(f"ics{number}")
        line = text if text in LINES else "".join(text.split())
        with paired(lambda name, at=at: f"sqlite:///{at / name}.db", ("XA", "XB"), clock) as (a, b):
            story = tell(a, b, text, line)
            found = calendar(a)
            assert len(by_uid(found)) == 6
            assert "ATTACH" not in {key for each in found.walk() for key in each}
            summary = str(by_uid(found)[story.meeting]["SUMMARY"])
            assert summary == f"{' '.join(text.split())} ({story.meeting})"


# --- whose feed it is -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World(folder())
    found.conclude()
    yield found
    found.close()


def opened(world: World, id_: str = "official", lang: str = "ar") -> str:
    return world.a.writer.do(lambda connection: feeds.open_feed(connection, id_, lang))


def code(world: World, job: object) -> str:
    with pytest.raises(MithaqError) as refused:
        world.a.writer.do(job)  # type: ignore[arg-type]
    return refused.value.code


def test_the_secret_address_gives_the_calendar_without_a_token(world: World) -> None:
    secret = opened(world)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
    answer = world.client().get(f"/feed/{secret}.ics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, feeds.MEDIA)
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-language"] == "ar"
    assert icalendar.Calendar.from_ical(answer.content)["METHOD"] == "PUBLISH"


def test_the_node_keeps_the_digest_of_a_secret_alone(world: World) -> None:
    secret = opened(world)
    with world.a.database.read() as connection:
        rows = [tuple(row) for row in connection.execute(state.select())]
    assert any(key == "feed:official" for key, _ in rows)
    assert not any(secret in value for _, value in rows)


def test_an_unknown_a_closed_and_an_ended_address_are_answered_alike(world: World) -> None:
    first = opened(world)
    second = opened(world)
    world.enrol("guest", "XA", "lead")
    guest = opened(world, "guest")
    assert world.client().get(f"/feed/{guest}.ics").status_code == 200
    world.a.writer.do(lambda connection: officials.end(connection, "guest", 1))
    closed = opened(world, "custodian")
    world.a.writer.do(lambda connection: feeds.close_feed(connection, "custodian"))
    answers = [
        world.client().get(f"/feed/{secret}.ics") for secret in (first, "A" * 43, "short", "é" * 43, guest, closed)
    ]
    told = {
        (each.status_code, each.json()["code"], str(each.json()["facts"]), each.json()["detail"]) for each in answers
    }
    assert len(told) == 1
    assert answers[0].status_code == 404
    assert world.client().get(f"/feed/{second}.ics").status_code == 200


def test_who_reads_no_texts_gets_no_feed(world: World) -> None:
    for id_ in ("auditor", "administrator"):
        assert code(world, lambda c, i=id_: feeds.open_feed(c, i)) == "official.role_not_enough"
    assert code(world, lambda c: feeds.open_feed(c, "nobody")) == "official.unknown"
    assert code(world, lambda c: feeds.close_feed(c, "auditor")) == "register.no_feed"
    world.enrol("gone", "XA", "official")
    world.a.writer.do(lambda connection: officials.end(connection, "gone", 1))
    assert code(world, lambda c: feeds.open_feed(c, "gone")) == "official.ended"
