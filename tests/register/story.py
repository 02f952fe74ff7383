"""Two nodes with an agreement, a claim and an answer, a body, a meeting, minutes and a dissent, to be exported and printed."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple

from mithaq.kernel.mandate import Agreement, Clause, Duty, Entry, Permit
from mithaq.node import Node
from mithaq.services.channel import acts as channel
from mithaq.services.meetings import acts as meetings
from mithaq.services.meetings.acts import AgendaItem, Delegate, MinuteItem, Side
from mithaq.services.obligations import acts as obligations
from tests.nodes import START, conclude, settle

TODAY: Final = START.date()

GENTLE: Final = {
    "en": "The posts report to the joint commission",
    "ar": "تقدم المخافر تقريرها إلى اللجنة المشتركة خلال ١٤ يوما وفق البند XA-2026-000000/1",
    "fa": "پاسگاه‌ها هر شش ماه یک بار به کمیسیون مشترک گزارش می‌دهند (بند XA-2026-000000/1)",
}
ACTS: Final = (
    "obligations.claim", "obligations.answer", "channel.say", "meetings.form_body", "meetings.join_body", "meetings.invite",
    "meetings.accept_invitation", "meetings.hold", "meetings.minute", "meetings.sign_minutes", "meetings.dissent",
)  # fmt: skip


class Story(NamedTuple):
    """What the story made, by reference."""

    agreement: str
    body: str
    meeting: str
    invited: str
    minutes: str
    hash: str
    signatures: tuple[str, str]
    dissent: str


def texts(said: str) -> dict[str, str]:
    """The same text in three languages, so that each page has it."""
    return {"ar": said, "en": said, "fa": said}


def tell(a: Node, b: Node, said: str = "", line: str = "") -> Story:
    """The whole story between two nodes. `said` stands in every field for text, `line` in every field for one line."""
    of = texts(said) if said else GENTLE
    words, one_line = said or "It is done.", line or "At the gate"
    parties = (a.party, b.party)
    offices = tuple(f"{party}/interior" for party in parties)
    permits = tuple(Permit(act, offices) for act in ACTS)
    duties = (
        Duty(a.party, (b.party,), of, "2026-03-10", verified=one_line),
        Duty(b.party, (a.party,), of, "R/P6M"),
        Duty(b.party, (a.party,), of, "P30D", after=one_line),
    )
    text = Agreement(of, parties, (Clause("1", of, permits, duties), Clause("2", of)), Entry("signature"), marked=of)
    agreement = conclude(text, a, b)
    clause = f"{agreement}/1"

    def say(node: Node, act: Any) -> str:
        found = node.say(act, clause=clause, by=f"{node.party}/interior").reference
        settle(a, b)
        return found

    claim = say(a, obligations.Claim(f"{clause}:1", 2, TODAY, words))
    say(b, obligations.Answer(claim, "partly", words, 1))
    say(a, channel.Say(one_line, words, (f"{b.party}/interior",)))
    sides = tuple(Side(party, f"{party}/interior") for party in parties)
    body = say(a, meetings.FormBody(of, "commission", clause, sides, ("ar", "fa")))
    for node in (a, b):
        say(node, meetings.JoinBody(body))
    sent = (Delegate(f"{a.party}/interior", "head"), Delegate(f"{a.party}/border-guard", "expert"))
    agenda = (AgendaItem(of, f"{clause}:1"),)
    called = {"body": body, "agenda": agenda, "delegation": sent, "hijri": "1447-09-11"}
    meeting = say(a, meetings.Invite("meeting", of, TODAY, one_line, (b.party,), **called))
    for node in (a, b):
        say(node, meetings.Hold(meeting, TODAY))
    items = (
        MinuteItem(1, "noted", of),
        MinuteItem(2, "decided", of, f"{clause}:1"),
        MinuteItem(3, "action", of, owed_by=b.party, due="P14D"),
    )
    act = meetings.Minute(meeting, parties, items, dt.date(2026, 9, 1), one_line)
    minutes = say(a, act)
    dissent = say(b, meetings.Dissent(minutes, 2, words))
    first = say(a, meetings.SignMinutes(minutes, act.hash()))
    second = say(b, meetings.SignMinutes(minutes, act.hash()))
    soon = TODAY + dt.timedelta(days=20)
    invited = say(a, meetings.Invite("visit", of, soon, one_line, (b.party,), day_precision="month"))
    return Story(agreement, body, meeting, invited, minutes, act.hash(), (first, second), dissent)


LINES: Final = (
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1:A9)",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    "  =HYPERLINK(1)",
    "a;=cmd|' /C calc'!A0",
    '","=1+1',
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><b onmouseover='alert(1)'>",
    "{{ 7*7 }} {% raw %}",
    "سلام =1+1 <b>",
    "العربية; DTSTART:20260101, BEGIN:VEVENT",
)
"""Texts that a spreadsheet, a page or a calendar might take for something else."""

TEXTS: Final = (
    *LINES,
    "\t=1",
    "\n=1+1",
    "a\n=1+1",
    "x\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:false",
    "متن\nATTACH:http://example.com",
)
