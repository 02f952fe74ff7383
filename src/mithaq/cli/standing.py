"""How an agreement stands, in words: computed from what was said, at the moment of asking, never stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from mithaq.cli.output import Output
from mithaq.kernel.force import InForce, Standing
from mithaq.kernel.mandate import Agreement


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


def permits(clause: InForce, output: Output) -> Sequence[str]:
    """One line for each act that a clause permits."""
    return [
        f"{output.code(act)}: {', '.join(output.code(office) for permit in each for office in permit.offices)}"
        for act, each in clause.permits.items()
    ]
