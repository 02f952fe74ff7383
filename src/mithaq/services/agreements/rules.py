"""When an act about an agreement is refused. Reads what the speaker had seen, changes nothing.

The law of treaties (Vienna Convention 1969, articles 11-17, 24, 39-41, 54-59) is the model: consent by signature or by
notification, entry into force as the text says, amendment by a further agreement, suspension and end as a clause permits.
"""

from __future__ import annotations

from typing import Any

from mithaq.kernel.errors import Refused
from mithaq.kernel.force import Standing, keeps_powers
from mithaq.kernel.mandate import Agreement
from mithaq.kernel.records import View
from mithaq.kernel.statement import Statement
from mithaq.services.agreements import acts


def propose(act: acts.Propose, said: Statement[Any], view: View) -> None:
    """The text names only parties of this commission, the speaker among them, and hangs together."""
    _check_text(act.text, said, view)


def sign(act: acts.Sign, said: Statement[Any], view: View) -> None:
    """A signature is for the very text, once, by a party of it, while nobody has declined it."""
    standing = _standing(act.agreement, said, view)
    if act.hash != standing.text.hash():
        raise Refused("agreements.hash_differs", reference=act.agreement, field="act.hash")
    if said.party in standing.days["signed"]:
        raise Refused("agreements.signed_twice", reference=act.agreement, party=said.party, field="act.agreement")
    _check_not_declined(standing)


def decline(act: acts.Decline, said: Statement[Any], view: View) -> None:
    """What all have signed can no longer be declined; it is ended by its own clauses."""
    standing = _standing(act.agreement, said, view)
    if all(party in standing.days["signed"] for party in standing.text.parties):
        raise Refused("agreements.already_in_force", reference=act.agreement, field="act.agreement")
    _check_not_declined(standing)


def bring_into_force(act: acts.BringIntoForce, said: Statement[Any], view: View) -> None:
    """Where the text asks for notification: after the party's own signature, once, not from a day before it."""
    standing = _standing(act.agreement, said, view)
    signed = standing.days["signed"].get(said.party)
    if standing.text.entry.method != "notification" or said.party in standing.days["notified"]:
        raise Refused("agreements.already_in_force", reference=act.agreement, field="act.agreement")
    if signed is None:
        raise Refused("agreements.not_signed", reference=act.agreement, party=said.party, field="act.agreement")
    if act.day.isoformat() < signed:
        raise Refused("agreements.day_before_signature", reference=act.agreement, value=act.day, field="act.day")
    _check_not_declined(standing)


def amend(act: acts.Amend, said: Statement[Any], view: View) -> None:
    """An amendment is said under a clause of the agreement that it amends, and keeps its parties."""
    standing = _own_power(act.agreement, said, view)
    _check_text(act.text, said, view)
    if set(act.text.parties) != set(standing.text.parties):
        raise Refused("agreements.party_missing", reference=act.agreement, field="act.text.parties")


def suspend(act: acts.Suspend, said: Statement[Any], view: View) -> None:
    """Only what is there, once, and never the clause by which a suspension is lifted."""
    standing = _own_power(act.agreement, said, view)
    if act.clause:
        numbers = {clause.number: clause for clause in _text_now(standing, view).clauses}
        if act.clause not in numbers:
            raise Refused("agreements.clause_unknown", reference=act.agreement, value=act.clause, field="act.clause")
        if keeps_powers(numbers[act.clause]):
            raise Refused(
                "agreements.clause_keeps_powers", reference=act.agreement, value=act.clause, field="act.clause"
            )
    if (act.clause, said.party) in standing.suspended:
        raise Refused("agreements.already_suspended", reference=act.agreement, value=act.clause, field="act.clause")


def resume(act: acts.Resume, said: Statement[Any], view: View) -> None:
    """Each party lifts its own suspension."""
    standing = _own_power(act.agreement, said, view)
    if (act.clause, said.party) not in standing.suspended:
        raise Refused("agreements.not_suspended", reference=act.agreement, value=act.clause, field="act.clause")


def terminate(act: acts.Terminate, said: Statement[Any], view: View) -> None:
    """Once for each party, and not for a day that is past (Vienna Convention, article 65: notice comes first)."""
    standing = _own_power(act.agreement, said, view)
    if said.party in standing.days["terminated"]:
        raise Refused("agreements.terminated", reference=act.agreement, field="act.agreement")
    if act.day < said.at.date():
        raise Refused("agreements.day_in_past", reference=act.agreement, value=act.day, field="act.day")


def _standing(reference: str, said: Statement[Any], view: View) -> Standing:
    standing = view.standings().get(reference)
    if standing is None:
        raise Refused("agreements.unknown", reference=reference, field="act.agreement")
    if said.party not in standing.text.parties:
        raise Refused("agreements.not_a_party", reference=reference, party=said.party, field="by")
    return standing


def _own_power(reference: str, said: Statement[Any], view: View) -> Standing:
    """A power over an agreement comes from a clause of that agreement, not of another one."""
    standing = _standing(reference, said, view)
    if said.clause.rpartition("/")[0] != reference:
        raise Refused("agreements.power_of_another", reference=reference, clause=said.clause, field="clause")
    return standing


def _text_now(standing: Standing, view: View) -> Agreement:
    return view.standings()[standing.amended_by].text if standing.amended_by else standing.text


def _check_not_declined(standing: Standing) -> None:
    if standing.days["declined"]:
        party = ", ".join(sorted(standing.days["declined"]))
        raise Refused("agreements.declined", reference=standing.reference, party=party, field="act.agreement")


def _check_text(text: Agreement, said: Statement[Any], view: View) -> None:
    parties = set(text.parties)
    if len(parties) != len(text.parties) or not parties <= set(view.parties):
        raise Refused("agreements.party_missing", reference=said.reference, field="act.text.parties")
    if said.party not in parties:
        raise Refused("agreements.not_a_party", reference=said.reference, party=said.party, field="by")
    if text.entry.until and text.entry.until < (text.entry.day or said.at.date()):
        raise Refused(
            "agreements.day_in_past", reference=said.reference, value=text.entry.until, field="act.text.entry.until"
        )
    if len({clause.number for clause in text.clauses}) != len(text.clauses):
        raise Refused("agreements.clause_twice", reference=said.reference, field="act.text.clauses")
    for position, clause in enumerate(text.clauses):
        named = {office.partition("/")[0] for permit in clause.permits for office in permit.offices}
        named |= {
            office.partition("/")[0]
            for permit in clause.permits
            if permit.enclosures
            for office in permit.enclosures.to
        }
        named |= {party for duty in clause.obliges for party in (duty.owed_by, *duty.owed_to)}
        if not named <= parties:
            value = ", ".join(sorted(named - parties))
            field = f"act.text.clauses[{position}]"
            raise Refused("agreements.stranger", reference=said.reference, party=value, field=field)
