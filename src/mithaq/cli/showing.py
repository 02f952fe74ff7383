"""`show`: what the accepted statements add up to, read from the records; never through the node, and never written."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import select

from mithaq.cli import standing
from mithaq.cli.entries import spoken
from mithaq.cli.fingerprints import fingerprints
from mithaq.cli.output import Output, lines_of
from mithaq.cli.parser import UsageError
from mithaq.cli.reading import Reader, plain, reading
from mithaq.kernel import words
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.force import InForce, Standing
from mithaq.kernel.records import verdicts
from mithaq.kernel.statement import split_reference
from mithaq.kernel.tables import enclosures as enclosures_table
from mithaq.kernel.tables import mirrored
from mithaq.kernel.tables import receipts as receipts_table
from mithaq.services.agreements import records as agreements_records
from mithaq.services.channel import records as channel_records
from mithaq.services.charter import records as charter_records

Shown = dict[str, object]


def show(arguments: argparse.Namespace, output: Output) -> int:
    """Print one of `parser.SHOWN`; as JSON one object with the same content."""
    what: str = arguments.what
    if what in _ONE:
        if arguments.id is None:
            raise UsageError("", output.word("show {what} needs a reference", what=what))
        with reading(arguments) as reader:
            output.result(_ONE[what](reader, output, arguments.id))
        return 0
    if arguments.id is not None:
        raise UsageError("", output.word("show {what} takes no reference", what=what))
    with reading(arguments) as reader:
        shown: Shown = {what: _ALL[what](reader, output)}
        if what == "peers":
            shown["own"] = own(reader, output)
        output.result(shown)
    return 0


def agreements(reader: Reader, output: Output) -> list[Shown]:
    """Every agreement and how it stands."""
    found = [_agreement(each, reader, output) for each in reader.standings().values()]
    return _or_none(found, output)


def _agreement(each: Standing, reader: Reader, output: Output) -> Shown:
    msgid, facts = standing.standing_of(each, reader.party, _today())
    says = output.word(msgid, **facts)
    output.text(f"{output.code(each.reference)}  {standing.title(each.text, output)}")
    output.text(f"    {says}")
    return {
        "reference": each.reference,
        "title": each.text.title,
        "marked": each.text.marked,
        "parties": each.text.parties,
        "hash": each.text.hash(),
        "standing": says,
        "days": each.days,
        "suspended": sorted(each.suspended),
        "amended_by": each.amended_by,
    }


def agreement(reader: Reader, output: Output, reference: str) -> Shown:
    """One agreement: its clauses in the reader's language, what each permits, what was said about it."""
    found = reader.standings().get(reference)
    if found is None:
        raise Refused("agreements.unknown", reference=reference)
    shown = _agreement(found, reader, output)
    output.line("Hash that the parties sign: {value}", value=found.text.hash())
    in_force = {name: each for name, each in reader.clauses().items() if each.agreement == reference}
    clauses = [_clause(name, each, output) for name, each in in_force.items()]
    if not clauses:  # an amendment that waits has clauses of its own, in no force
        for clause in found.text.clauses:
            output.text(f"{output.code(f'{reference}/{clause.number}')}  {output.chosen(clause.text)}")
            for line in standing.terms(clause, output):
                output.text(f"    {line}")
    history = [plain(row) for row in agreements_records.history(reader.connection, reference)]
    for row in history:
        output.text(f"{output.moment(row['at'])}  {output.code(row['by'])}  {output.word(row['what'])}")
        for line in lines_of(row["reason"]):
            output.text(f"    {line}")
    return {**shown, "text": found.text, "clauses": clauses, "history": history}


def clauses(reader: Reader, output: Output) -> list[Shown]:
    """Every clause, whether it is in force for us, and what it permits."""
    return _or_none([_clause(name, each, output) for name, each in reader.clauses().items()], output)


def _clause(name: str, each: InForce, output: Output) -> Shown:
    msgid, facts = standing.clause_of(each, _today())
    says = output.word(msgid, **facts)
    output.text(f"{output.code(name)}  {output.chosen(each.clause.text)}")
    output.text(f"    {says}")
    for line in standing.terms(each.clause, output):
        output.text(f"    {line}")
    told = {"clause": name, "standing": says, "text": each.clause.text, "permits": each.permits}
    return {**told, "obliges": each.clause.obliges, "since": each.since}


def messages(reader: Reader, output: Output) -> list[Shown]:
    """The first message of each thread, in the order of their claimed times."""
    reader.judge()
    table = channel_records.messages
    query = select(table).where(table.c.reference == table.c.thread).order_by(table.c.at, table.c.party, table.c.n)
    return _or_none([_message(row, output) for row in reader.connection.execute(query)], output)


def waiting(reader: Reader, output: Output) -> list[Shown]:
    """Messages to our offices that none of them has acknowledged, urgent ones first."""
    reader.judge()
    rows = channel_records.unacknowledged(reader.connection, reader.party)
    return _or_none([_message(row, output) for row in rows], output)


def thread(reader: Reader, output: Output, reference: str) -> Shown:
    """One thread with its replies and who has read what."""
    reader.judge()
    rows = channel_records.thread(reader.connection, reference)
    if not rows:
        raise Refused("channel.unknown_message", reference=reference)
    found: list[Shown] = []
    for row in rows:
        shown = _message(row, output)
        read = channel_records.acknowledged(reader.connection, row.reference)
        for each in read:
            output.text("    " + output.word("read by {office}, {at}", office=each.by, at=output.moment(each.at)))
        found.append({**shown, "acknowledged": [plain(each) for each in read]})
    return {"thread": reference, "messages": found}


def _message(row: Any, output: Output) -> Shown:
    shown = plain(row)
    offices = ", ".join(output.code(office) for office in shown["to"])
    output.text(f"{output.code(row.reference)}  {output.moment(row.at)}  {output.code(row.by)} -> {offices}")
    if row.urgent:
        output.text("    " + output.word("urgent; to be acknowledged by {at}", at=output.moment(row.acknowledge_by)))
    for line in (row.subject, *lines_of(row.text)):
        output.text(f"    {output.isolated(line)}")
    for enclosure in shown["enclosures"]:
        said = output.word("enclosure {digest}, {media}", digest=enclosure["digest"], media=enclosure["media"])
        output.text(f"    {said}")
    return shown


def refusals(reader: Reader, output: Output) -> list[Shown]:
    """Entries that had no effect, with the rule that they broke: the same on every node."""
    reader.judge()
    found = []
    for row in reader.connection.execute(select(verdicts).order_by(verdicts.c.party, verdicts.c.n)):
        facts = msgspec.json.decode(row.facts)
        output.text(
            f"{output.code(f'{row.party} {row.n}')}  {output.sentence(row.code, facts)} [{output.code(row.code)}]"
        )
        found.append({"party": row.party, "n": row.n, "code": row.code, "facts": facts})
    return _or_none(found, output)


def receipts(reader: Reader, output: Output) -> list[Shown]:
    """Up to where each peer has receipted our log, and when it said so."""
    size = reader.log(reader.party).size
    found: list[Shown] = []
    rows = reader.connection.execute(select(receipts_table).where(receipts_table.c.log == reader.party))
    for row in rows.all():
        facts = {"party": row.peer, "size": row.size, "all": size, "at": output.moment(row.at)}
        output.line("{party} holds {size} of our {all} entries, by its receipt of {at}", **facts)
        found.append({"party": row.peer, "size": row.size, "of": size, "at": row.at, "lines": row.lines.decode()})
    return _or_none(found, output)


def peers(reader: Reader, output: Output) -> list[Shown]:
    """The parties that this node was paired with, and how much of each log is held here."""
    held = {row.log: row.size for row in reader.connection.execute(select(mirrored))}
    found: list[Shown] = []
    for party, peer in reader.peers.items():
        size = held.get(party, 0)
        output.text(f"{output.code(party)}  {output.chosen(peer.names)}  {output.code(peer.address)}")
        output.text(f"    {output.counted('{n} entry', size)}")
        keys = fingerprints(peer, output)
        found.append({"party": party, "names": peer.names, "address": peer.address, "entries": size, "keys": keys})
    return _or_none(found, output)


def own(reader: Reader, output: Output) -> Shown:
    """This node's own party, whose keys stand in the evidence of its statements."""
    ours = reader.own()
    output.line("This node itself, {party}:", party=ours.party)
    return {"party": ours.party, "keys": fingerprints(ours, output)}


def enclosures(reader: Reader, output: Output) -> list[Shown]:
    """Every enclosure that is ours or for us: its statement, its size, whether it is here, until when it is kept."""
    table = enclosures_table
    logs = {party: reader.log(party) for party in reader.parties}
    found: list[Shown] = []
    for row in reader.connection.execute(select(table).order_by(table.c.log, table.c.n, table.c.digest)).all():
        entry = logs[row.log].entries(reader.connection, row.n, row.n + 1) if row.log in logs else []
        reference = spoken(row.log, row.n, entry[0]).reference if entry else ""
        output.text(output.code(row.digest))
        output.text(f"    {output.code(reference or f'{row.log} {row.n}')}  {words.size(row.size, output.lang)}")
        output.text(f"    {output.word(_STATES[row.state], at=output.moment(row.until))}")
        found.append({**plain(row), "reference": reference})
    return _or_none(found, output)


def offices(reader: Reader, output: Output) -> list[Shown]:
    """Offices that enclosures can be sealed to, the newest key of each."""
    reader.judge()
    newest = {row.office: plain(row) for row in charter_records.all_offices(reader.connection)}
    for office, row in newest.items():
        output.text(f"{output.code(office)}  {output.chosen(row['names'])}")
    return _or_none(list(newest.values()), output)


def statement(reader: Reader, output: Output, reference: str) -> Shown:
    """One entry by its reference, as it was said, with its verdict."""
    try:
        party, n = split_reference(reference)
    except ValueError as failure:
        raise Malformed("cli.reference", value=reference[:60]) from failure
    found = reader.log(party).entries(reader.connection, n, n + 1)
    if not found:
        raise Refused("log.no_such_entry", party=party, value=n)
    shown = spoken(party, n, found[0])
    if shown.reference != reference:
        raise Malformed("cli.reference", value=reference[:60])
    for line in shown.lines(output):
        output.text(line)
    reader.judge()
    row = reader.connection.execute(select(verdicts).where(verdicts.c.party == party, verdicts.c.n == n)).first()
    if row is not None:
        output.line("It had no effect: {reason}", reason=output.sentence(row.code, msgspec.json.decode(row.facts)))
    return {**shown.plain(), "code": row.code if row else ""}


def _or_none(found: Iterable[Shown], output: Output) -> list[Shown]:
    listed = list(found)
    if not listed:
        output.line("There is nothing to show.")
    return listed


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


_STATES: Final = {
    "wanted": "not here yet; it is to be kept until {at}",
    "held": "here; it is kept until {at}",
    "erased": "erased; it was to be kept until {at}",
}
_ALL: Final[dict[str, Callable[[Reader, Output], list[Shown]]]] = {
    "agreements": agreements,
    "clauses": clauses,
    "messages": messages,
    "waiting": waiting,
    "refusals": refusals,
    "receipts": receipts,
    "peers": peers,
    "offices": offices,
    "enclosures": enclosures,
}
_ONE: Final[dict[str, Callable[[Reader, Output, str], Shown]]] = {
    "agreement": agreement,
    "thread": thread,
    "statement": statement,
}
