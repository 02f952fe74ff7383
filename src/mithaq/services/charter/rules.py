"""When something said under the charter is refused. Reads what the speaker had seen, changes nothing."""

from __future__ import annotations

from typing import Any

from mithaq.kernel import stories
from mithaq.kernel.errors import MithaqError, Refused
from mithaq.kernel.records import View, verdicts
from mithaq.kernel.statement import Statement, split_reference
from mithaq.services.charter import acts, records

SEEN_AHEAD = "statement.seen_ahead"


def open_office(act: acts.OpenOffice, said: Statement[Any], view: View) -> None:
    """Each party opens its own offices, once each with one key: a later opening of the same office replaces the key."""
    if act.office.partition("/")[0] != said.party:
        raise Refused("charter.office_of_another", office=act.office, field="act.office")
    known = view.rows(records.offices, party=said.party, office=act.office)
    if known and known[-1].recipient == act.recipient:
        raise Refused("charter.key_unchanged", office=act.office, field="act.recipient")


def refuse(act: acts.Refuse, said: Statement[Any], view: View) -> None:
    """A refusal repeats the verdict that every node reaches; nobody refuses what the rules let pass.

    One verdict is the refuser's own to give: that an entry claims to have seen more of its log than there was. It counts
    only where it stands in the refuser's log before that point, so an honest claim cannot be voided afterwards; and
    where all before that entry was heard and the entry itself not yet, so that nothing is voided far ahead.
    """
    if act.log == said.party or act.log not in view.parties:
        raise Refused("charter.not_refused", party=act.log, value=act.entry, field="act.log")
    if act.code == SEEN_AHEAD:
        if said.seen.get(act.log, 0) != act.entry:
            raise Refused("charter.not_refused", party=act.log, value=act.entry, field="act.entry")
        return
    verdict = view.row(verdicts, party=act.log, n=act.entry)
    if verdict is None or verdict.code != act.code:
        raise Refused("charter.not_refused", party=act.log, value=act.entry, field="act.entry")


def expose(act: acts.Expose, said: Statement[Any], view: View) -> None:
    """Two stories are proved by the party's own signatures, or they are not told of."""
    if act.log == said.party or act.log not in view.parties:
        raise Refused("charter.same_story", origin=act.log, value=act.entry, field="act.log")
    tellings = [
        stories.Telling(each.note.encode(), bytes.fromhex(each.leaf), tuple(bytes.fromhex(item) for item in each.proof))
        for each in (act.one, act.other)
    ]
    try:
        stories.verify(act.entry, tellings, view.log_keys(act.log), f"{said.commission}/{act.log}")
    except MithaqError as failure:
        raise Refused(
            "charter.same_story", origin=act.log, value=act.entry, field="act", reason=failure.code
        ) from failure


def erase(act: acts.Erase, said: Statement[Any], view: View) -> None:
    """Only what was named in a statement that the speaker had seen can be said to be erased."""
    party, n = split_reference(act.statement)
    if party not in view.parties or not view.has_seen(party, n):
        raise Refused("charter.unknown_statement", reference=act.statement, field="act.statement")
    if view.row(records.erasures, party=said.party, digest=act.digest):
        raise Refused("charter.erased_twice", reference=act.statement, field="act.digest")
