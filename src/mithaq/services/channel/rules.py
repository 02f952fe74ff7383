"""When an act of the channel is refused. Reads what the speaker had seen, changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from mithaq.kernel.errors import Refused
from mithaq.kernel.force import covered
from mithaq.kernel.records import View
from mithaq.kernel.statement import Statement, split_reference
from mithaq.services.channel import acts, records


def say(act: acts.Say, said: Statement[Any], view: View) -> None:
    """Addressees are of parties of the agreement, one at least of another one; urgency and a deadline go together."""
    parties = view.clauses()[said.clause].parties
    for position, office in enumerate(act.to):
        if office.partition("/")[0] not in parties:
            raise Refused("channel.stranger", clause=said.clause, office=office, field=f"act.to[{position}]")
    if all(office.partition("/")[0] == said.party for office in act.to):
        raise Refused("channel.nobody_else", clause=said.clause, party=said.party, field="act.to")
    if act.urgent != (act.acknowledge_by is not None):
        raise Refused("channel.deadline_without_urgency", clause=said.clause, field="act.acknowledge_by")
    if act.acknowledge_by is not None and act.acknowledge_by <= said.at:
        raise Refused(
            "channel.deadline_in_past", clause=said.clause, value=act.acknowledge_by, field="act.acknowledge_by"
        )
    _check_sealed_to(said, act.to)


def reply(act: acts.Reply, said: Statement[Any], view: View) -> None:
    """Only those who were written to, or who began the thread, answer in it."""
    first = _message(act.thread, "act.thread", view)
    if first.thread != first.reference:
        raise Refused("channel.unknown_message", reference=act.thread, field="act.thread")
    offices = _taking_part(first)
    if not covered(said.by, offices):
        raise Refused("channel.not_addressed", reference=act.thread, office=said.by, field="by")
    _check_sealed_to(said, offices)


def acknowledge(act: acts.Acknowledge, said: Statement[Any], view: View) -> None:
    """An office that was written to acknowledges once; nobody acknowledges the own side's message."""
    message = _message(act.message, "act.message", view)
    if message.party == said.party:
        raise Refused("channel.own_message", reference=act.message, field="act.message")
    first = message if message.thread == message.reference else _message(message.thread, "act.message", view)
    if not covered(said.by, _taking_part(first)):
        raise Refused("channel.not_addressed", reference=act.message, office=said.by, field="by")
    if view.row(records.acknowledgements, party=said.party, message=act.message, by=said.by):
        raise Refused("channel.acknowledged_twice", reference=act.message, office=said.by, field="act.message")


def _taking_part(first: Row[Any]) -> list[str]:
    """The offices of a thread: the one that began it, and those it was written to."""
    return [first.by, *msgspec.json.decode(first.to, type=list[str])]


def _message(reference: str, field: str, view: View) -> Row[Any]:
    party, n = split_reference(reference)
    message = view.row(records.messages, party=party, n=n)
    if message is None or message.reference != reference:
        raise Refused("channel.unknown_message", reference=reference, field=field)
    return message


def _check_sealed_to(said: Statement[Any], offices: Any) -> None:
    """An enclosure is for those who are written to, or for the own side, and for nobody else."""
    for position, enclosure in enumerate(said.enclosures):
        for office in enclosure.to:
            if not covered(office, offices) and office.partition("/")[0] != said.party:
                field = f"enclosures[{position}].to"
                raise Refused("channel.sealed_to_another", clause=said.clause, office=office, field=field)
