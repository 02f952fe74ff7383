"""`register`: a secretary's questions, answered from the records; days stand in three calendars beside one another."""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from mithaq.cli.home import home_of
from mithaq.cli.officials import connected
from mithaq.cli.output import Output, Ready
from mithaq.cli.reading import reading
from mithaq.kernel import calendars, words
from mithaq.kernel.officials import OPERATOR
from mithaq.kernel.text import digits
from mithaq.register import answers, asking, desk
from mithaq.register.asking import Asker
from mithaq.register.history import Changed, ClauseHistory, Entry
from mithaq.register.lines import Line
from mithaq.register.questions import Agenda, Lines, Owed, Unanswered
from mithaq.register.reminders import Reminders
from mithaq.register.yearly import Count, Report
from mithaq.services.obligations.register import Register


def ask(arguments: argparse.Namespace, output: Output) -> int:
    """Answer one question for people, or as one JSON object with the same content."""
    given = {name: str(getattr(arguments, name, "") or "") for name in answers.PARAMETERS}
    given = {name: value for name, value in given.items() if value}
    with reading(arguments) as reader:
        reader.judge()  # refuses records that another version folded
        asker = Asker(reader.party, reader.parties, calendars.today())
        table = answers.Desk(reader.connection, Register(), asker, OPERATOR)
        found = answers.answer(table, arguments.question, given)
    _SHOW[type(found)](found, output)
    if isinstance(found, Changed) and given.get("moment", asking.LAST) == asking.LAST and not arguments.keep:
        with connected(home_of(arguments), writes=True) as connection:
            desk.remember_visit(connection, OPERATOR, found.upto, int(time.time()))
    output.result(msgspec.to_builtins(found))
    return 0


def _owed(found: Owed, output: Output) -> None:
    _day(found.on, output)
    for heading, lines in (("We owe:", found.by_us), ("Owed to us:", found.to_us), ("Among others:", found.others)):
        if lines:
            output.line(heading)
            _lines(lines, output)
    _none(output, found.by_us, found.to_us, found.others)


def _list(found: Lines, output: Output) -> None:
    _day(found.on, output)
    _lines(found.obligations, output)
    _none(output, found.obligations)


def _unanswered(found: Unanswered, output: Output) -> None:
    _day(found.on, output)
    for claim in found.claims:
        _line(claim.line, output)
        waits = output.word("waits for the answer of {party}", party=list(claim.by))
        output.text(f"    {waits}; {output.counted('for {n} day', claim.days)}")
    for letter in found.letters:
        output.text(f"{output.code(letter.reference)}  {output.isolated(letter.subject)}")
        waits = output.word("waits to be acknowledged by {party}", party=letter.by)
        output.text(f"    {waits}; {output.counted('for {n} day', letter.days)}")
        if letter.late:
            output.text(
                "    "
                + output.word("It should have been acknowledged by {at}.", at=output.moment(letter.acknowledge_by))
            )
    _none(output, found.claims, found.letters)


def _clause(found: ClauseHistory, output: Output) -> None:
    mark = f" ({output.chosen(found.marked)})" if found.marked else ""
    output.text(f"{output.code(found.clause)}  {output.chosen(found.title)}{mark}")
    output.text(f"    {output.chosen(found.text)}")
    if found.since is not None:
        output.text("    " + output.word("in force since {day}", day=Ready(_three(found.since, output))))
    if found.until is not None:
        output.text("    " + output.word("until {day}", day=Ready(_three(found.until, output))))
    if found.suspended_by:
        output.text("    " + output.word("suspended by {party}", party=list(found.suspended_by)))
    _lines(found.obligations, output)
    output.line("Said about it:")
    for entry in found.entries:
        _entry(entry, output)


def _year(found: Report, output: Output) -> None:
    year = digits(found.year, output.lang)
    output.line("The year {year}, as it stood on {day}:", year=Ready(year), day=Ready(_three(found.on, output)))
    for each in found.clauses:
        output.text(output.code(each.clause))
        for msgid, count in (
            ("fulfilled, of what was due", each.fulfilled),
            ("in time, of what was fulfilled", each.in_time),
            ("overdue, of what was due", each.overdue),
            ("disputed, of what was due", each.disputed),
            ("fulfilled, of what has no due day", each.undated),
        ):
            _count(msgid, count, output)
        for done in each.done:
            output.text(f"    {output.code(done.act)}: {words.number(done.count, output.lang)}")
        _references(each.references, output)
    _none(output, found.clauses)


def _count(msgid: str, count: Count, output: Output) -> None:
    if count.n:
        told = output.word("{k} of {n}", k=count.k, n=count.n)
        output.text(f"    {output.word(msgid)}: {told}")


def _since(found: Changed, output: Output) -> None:
    if found.since is None:
        output.line("This is the first visit: all that was said so far.")
    else:
        output.line("Since {at}:", at=output.moment(found.since))
    for entry in found.entries:
        _entry(entry, output)
    for change in found.changes:
        _line(change.after, output)
        before = ", ".join(_layers(change.before, output)) if change.before else output.word("it was not there")
        output.text("    " + output.word("Before: {before}", before=before))
    _none(output, found.entries, found.changes)


def _agenda(found: Agenda, output: Output) -> None:
    output.line("Agenda of body {reference}", reference=found.body)
    if found.day is not None:
        known = output.word(_WHENCE[found.day_from])
        output.text(f"    {_three(found.day, output)} ({known})")
    if found.meeting:
        output.text(f"    {output.code(found.meeting)}")
    for matter in found.matters:
        _line(matter.line, output)
        output.text("    " + ", ".join(output.word(_WHY[each]) for each in matter.why))
    for left in found.left:
        text = f"  {output.chosen(left.text)}" if left.text else ""
        output.text(f"{output.code(left.reference)}{text}")
        output.text("    " + output.word(_LEFT[left.what], party=list(left.by)))
        if left.due is not None:
            output.text("    " + output.word("due {day}", day=Ready(_three(left.due, output))))
    _none(output, found.matters, found.left)


def _reminders(found: Reminders, output: Output) -> None:
    _day(found.on, output)
    _lines(found.obligations, output)
    for meeting in found.meetings:
        output.text(f"{output.code(meeting.meeting)}  {output.chosen(meeting.title)}")
        output.text(f"    {_three(meeting.day, output)}; {_left_days(meeting.days, output)}")
    _none(output, found.obligations, found.meetings)


# --- parts --------------------------------------------------------------------------------------------------------------


def _lines(lines: Iterable[Line], output: Output) -> None:
    for each in lines:
        _line(each, output)


def _line(each: Line, output: Output) -> None:
    number = f" #{each.occurrence}" if each.occurrence else ""
    output.text(f"{output.code(each.obligation + number)}  {output.chosen(each.what)}")
    output.text("    " + output.word("{debtor} owes {creditor}", debtor=each.owed_by, creditor=list(each.owed_to)))
    for layer in _layers(each, output):
        output.text(f"    {layer}")
    if each.due is not None:
        output.text("    " + output.word("due {day}", day=Ready(_three(each.due, output))))
    _references(each.references, output)


def _layers(each: Line, output: Output) -> list[str]:
    """What IS, what the sides SAY, what the clock says: three, never one."""
    life = output.word(_LIFE[each.life])
    says = output.word(_SAYS[each.says])
    if each.level is not None and each.as_of is not None:
        level = output.word(_LEVELS[each.level])
        says = output.word("{says} ({level}, as of {day})", says=says, level=level, day=each.as_of)
    clock = output.word(_CLOCK[each.clock]) if each.days is None else _left_days(each.days, output)
    if each.late_by and each.life == "fulfilled":  # while it is overdue, the clock says so
        life = output.word(
            "{life}; {late}", life=Ready(life), late=Ready(output.counted("late by {n} day", each.late_by))
        )
    return [
        output.word("It is: {life}", life=Ready(life)),
        output.word("The sides say: {says}", says=Ready(says)),
        output.word("The clock says: {clock}", clock=Ready(clock)),
    ]


def _left_days(days: int, output: Output) -> str:
    if days == 0:
        return output.word("due today")
    return output.counted("{n} day left", days) if days > 0 else output.counted("overdue by {n} day", -days)


def _entry(entry: Entry, output: Output) -> None:
    value = f" {output.code(entry.value)}" if entry.value else ""
    output.text(f"{output.moment(entry.at)}  {output.code(entry.reference)}  {output.code(entry.by)}")
    output.text(f"    {output.code(entry.do)} {output.code(entry.about)}{value}")
    for part in entry.text.splitlines():
        output.text(f"    {output.isolated(part)}")


def _references(references: Iterable[str], output: Output) -> None:
    output.text("    " + output.word("Behind it: {references}", references=list(references)))


def _three(day: dt.date, output: Output) -> str:
    return " · ".join(output.isolated(each) for each in calendars.three(day, output.lang))


def _day(day: dt.date, output: Output) -> None:
    output.text(_three(day, output))


def _none(output: Output, *found: Iterable[object]) -> None:
    if not any(found):
        output.line("There is nothing to show.")


_LIFE: Final = {
    "created": "not in force yet",
    "conditional": "it waits for its condition",
    "in_effect": "in effect",
    "suspended": "suspended",
    "fulfilled": "fulfilled",
    "violated": "violated",
    "discharged": "released by the side that is owed",
    "terminated": "ended with its text",
    "closed": "closed unfulfilled by all",
}
_SAYS: Final = {
    "unclaimed": "nothing is claimed",
    "claimed": "claimed by the side that owes, not answered",
    "partly_confirmed": "confirmed in part",
    "confirmed": "confirmed",
    "tacitly_confirmed": "confirmed by silence, as the clause has it",
    "disputed": "disputed",
    "verification_asked": "joint verification is asked for",
    "jointly_found": "found jointly",
    "withdrawn": "the claim was taken back",
}
_LEVELS: Final = ("not begun", "carried out minimally", "carried out halfway", "carried out in full")
_CLOCK: Final = {"no_date": "no time was agreed", "start_unknown": "the day from which the time runs is not known"}
_WHY: Final = {
    "overdue": "overdue",
    "due": "due before the meeting",
    "disputed": "disputed",
    "unanswered": "a claim waits for an answer",
    "open": "open",
}
_WHENCE: Final = {
    "invitation": "as invited",
    "minutes": "as the last minutes name it",
    "cadence": "as the body's rhythm gives it",
}
_LEFT: Final = {
    "minutes": "minutes that wait for the signature of {party}",
    "action": "an action of signed minutes, to be done by {party}",
    "dissent": "{party} does not share this item of the minutes",
}
_SHOW: Final[dict[type, Callable[[Any, Output], None]]] = {
    Owed: _owed,
    Lines: _list,
    Unanswered: _unanswered,
    ClauseHistory: _clause,
    Report: _year,
    Changed: _since,
    Agenda: _agenda,
    Reminders: _reminders,
}
