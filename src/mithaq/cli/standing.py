"""How an agreement stands, in words: computed from what was said, at the moment of asking, never stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from mithaq.cli.output import Output, Ready
from mithaq.kernel import words
from mithaq.kernel.force import InForce, Standing
from mithaq.kernel.mandate import Agreement, Clause, Duty, Enclosures


def standing_of(standing: Standing, party: str, today: dt.date) -> tuple[str, dict[str, object]]:
    """(msgid, facts) of the sentence about the whole agreement, for `party` on that day."""
    declined = sorted(standing.days["declined"])
    since, until = standing.binds_from(), standing.binds_until(party)
    if since is None and declined:
        return "declined by {party}", {"party": declined}
    if since is None:
        return _waiting(standing)
    if since > today:
        return "in force from {day}", {"day": since}
    if until is not None and until < today:
        return "ended on {day}", {"day": until}
    if standing.suspended:
        stopped = sorted(f"{party} {number}".strip() for number, party in standing.suspended)
        return "in force since {day}; suspended: {party}", {"day": since, "party": stopped}
    return "in force since {day}", {"day": since}


def _waiting(standing: Standing) -> tuple[str, dict[str, object]]:
    unsigned = [party for party in standing.text.parties if party not in standing.days["signed"]]
    if unsigned:
        return "waits for the signature of {party}", {"party": unsigned}
    missing = [party for party in standing.text.parties if party not in standing.days["notified"]]
    return "signed by all; waits for the notification of {party}", {"party": missing}


def clause_of(clause: InForce, today: dt.date) -> tuple[str, dict[str, object]]:
    """(msgid, facts) of the sentence about one clause."""
    if not clause.bound:
        return "does not bind this party", {}
    if clause.since is None or clause.since > today:
        return "not in force yet", {}
    if clause.until is not None and clause.until < today:
        return "ended on {day}", {"day": clause.until}
    if clause.suspended_by:
        return "suspended by {party}", {"party": list(clause.suspended_by)}
    return "in force since {day}", {"day": clause.since}


def title(text: Agreement, output: Output) -> str:
    """The title, with the mark that is shown wherever the title is."""
    mark = f" ({output.chosen(text.marked)})" if text.marked else ""
    return f"{output.chosen(text.title)}{mark}"


def terms(clause: Clause, output: Output) -> Iterator[str]:
    """What a clause permits, with the enclosures that go with it, and what it obliges to, line by line."""
    for permit in clause.permits:
        yield f"{output.code(permit.act)}: {', '.join(output.code(office) for office in permit.offices)}"
        if permit.handling:
            yield "    " + output.word("handling: {value}", value=permit.handling)
        if permit.enclosures is not None:
            yield from _enclosures(permit.enclosures, output)
    for duty in clause.obliges:
        yield from _duty(duty, output)


def _enclosures(allowed: Enclosures, output: Output) -> Iterator[str]:
    said: dict[str, object] = {
        "count": allowed.max_count,
        "size": Ready(words.size(allowed.max_bytes, output.lang)),
        "media": allowed.media,
        "days": Ready(output.period(f"P{allowed.keep_days}D")),
    }
    yield "    " + output.word("enclosures: {count} at most, each up to {size}, {media}; kept for {days}", **said)
    yield "    " + output.word("to be opened by: {offices}", offices=allowed.to)


def _duty(duty: Duty, output: Output) -> Iterator[str]:
    what = Ready(output.chosen(duty.what))
    yield output.word("duty of {party} towards {to}: {what}", party=duty.owed_by, to=duty.owed_to, what=what)
    yield f"    {_due(duty, output)}"
    if duty.verified:
        yield "    " + output.word("verified by: {value}", value=duty.verified)


def _due(duty: Duty, output: Output) -> str:
    """When it is owed: a period counted from an event, a recurrence, a day or a month, or nothing that was agreed."""
    due = duty.due
    if due.startswith("R/"):
        return output.word("due: every {period}", period=Ready(output.period(due[2:])))
    if due.startswith("P"):
        period = Ready(output.period(due))
        return output.word("due: within {period} after {event}", period=period, event=duty.after)
    if due.count("-") == 2:
        try:
            return output.word("due: {day}", day=dt.date.fromisoformat(due))
        except ValueError:  # the pattern lets the 31st of June pass
            return output.word("due: {day}", day=due)
    if due:
        return output.word("due: {day}", day=due)
    if duty.after:
        return output.word("due after {event}; no time was agreed", event=duty.after)
    return output.word("due: no time was agreed")
