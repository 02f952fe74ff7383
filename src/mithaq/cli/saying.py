"""`say`: an act from options or from JSON, said by the node of this folder, or by the server that holds it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from mithaq.cli import files, options, remote
from mithaq.cli.home import home_of, opened
from mithaq.cli.output import Output
from mithaq.cli.parser import UsageError
from mithaq.cli.reading import Reader, reading
from mithaq.kernel import age, pairing
from mithaq.kernel.act import ClauseReference, Office
from mithaq.kernel.enclosure import Store
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.statement import Codec, Enclosure
from mithaq.node import CATALOGUE, Saying
from mithaq.services.charter.records import recipient
from mithaq.settings import Home

_ENCLOSE: Final = re.compile(r"(.+):([a-z]+/[a-z0-9.+-]+):([^:]+)")


_Written: Final[Any] = msgspec.defstruct(
    "_Written",
    [
        ("act", CATALOGUE.union()),
        ("clause", ClauseReference),
        ("by", Office),
        ("enclosures", tuple[Enclosure, ...], ()),
    ],
    frozen=True,
    forbid_unknown_fields=True,
)
"""What `say --json` reads: the same object as the API's POST /say."""


def say(arguments: argparse.Namespace, output: Output) -> int:
    """Say it, or with `--check` tell what would be said; the refusal names rule, clause and field."""
    home = home_of(arguments)
    home.settings()
    saying = _saying(arguments, home, output)
    check = getattr(arguments, "check", False)
    with _sealed(getattr(arguments, "enclose", []), arguments, home, keep=not check) as enclosures:
        saying = msgspec.structs.replace(saying, enclosures=(*saying.enclosures, *enclosures))
        told = _said(saying, home, output, check=check)
    if check:
        _tell(told, saying, output, "Nothing stands against it: {help} under {clause}. It was not said.")
        return 0
    _tell(told, saying, output, "Said: {reference} ({help}) under {clause}.")
    return 0


def _tell(told: Mapping[str, Any], saying: Saying, output: Output, msgid: str) -> None:
    tag = str(saying.act.__struct_config__.tag)
    help_ = output.word(CATALOGUE[tag].help).rstrip(".")
    output.line(msgid, reference=told.get("reference"), help=help_, clause=saying.clause)
    if told.get("by_server") is False and not told.get("checked"):
        output.line("The peers get it when the node serves, or by carry out.")
    output.result(told)


def _said(saying: Saying, home: Home, output: Output, *, check: bool) -> dict[str, object]:
    try:
        with opened(home, output) as node:
            if check:
                would = node.check(saying)
                return {"checked": True, "reference": would.reference, "by_server": False}
            said = node.say(saying.act, clause=saying.clause, by=saying.by, enclosures=saying.enclosures)
            return {"reference": said.reference, "n": said.n, "by_server": False}
    except Refused as reason:
        if reason.code != "node.already_running":
            raise
    return remote.say(home, saying, check=check, lang=output.lang)


def _saying(arguments: argparse.Namespace, home: Home, output: Output) -> Saying:
    given = getattr(arguments, "json", False)
    _check_typed(arguments)
    if arguments.act is None:
        if not isinstance(given, str):
            raise UsageError("", output.word("Name an act, or give a JSON file: say --json FILE"))
        return _from_json(files.read(given, options.JSON_LIMIT), arguments)
    kind = CATALOGUE[arguments.act]
    if arguments.act == "charter.open_office" and arguments.field_recipient is None:
        arguments.field_recipient = _own_recipient(home, arguments.field_office)
    return Saying(options.act_of(kind, arguments), arguments.clause, arguments.by)


def _check_typed(arguments: argparse.Namespace) -> None:
    """What was typed is text: bytes of a terminal that were not UTF-8 reach Python as lone surrogates (PEP 383)."""
    for name, value in vars(arguments).items():
        if name in {"clause", "by"} or name.startswith(options.PREFIX):
            for text in value if isinstance(value, list) else [value]:
                if not isinstance(text, str):
                    continue
                at = next((at for at, each in enumerate(text) if "\ud800" <= each <= "\udfff"), None)
                if at is not None:
                    raise Malformed("text.not_utf8", at=at, field=name.removeprefix(options.PREFIX))


def _from_json(raw: bytes, arguments: argparse.Namespace) -> Saying:
    options.from_json(raw, "-")  # its size, and whether it is JSON at all
    try:
        written = msgspec.json.decode(raw, type=_Written)
    except (msgspec.DecodeError, RecursionError) as failure:
        raise Codec(CATALOGUE).diagnosis(raw, failure) from failure
    clause, by = getattr(arguments, "clause", written.clause), getattr(arguments, "by", written.by)
    return Saying(written.act, clause, by, written.enclosures)


def _own_recipient(home: Home, office: str) -> str:
    """The public key that `init` made for the office, as it stands in our pairing file."""
    own = home.own_pairing_file(home.settings().party)
    offices = pairing.parse(files.read(str(own), pairing.MOST_BYTES)).offices
    if office not in offices:
        raise Refused("enclosure.no_key", office=office, field="act.recipient")
    return offices[office]


@contextmanager
def _sealed(
    given: Sequence[str], arguments: argparse.Namespace, home: Home, *, keep: bool
) -> Iterator[tuple[Enclosure, ...]]:
    """The named files sealed into the node's folder; erased again when what names them is not said after all."""
    if not given:
        yield ()
        return
    store = Store(home.enclosures_folder)
    made: list[Enclosure] = []
    try:
        with reading(arguments) as reader:
            made.extend(_seal(each, store, reader) for each in given)
        yield tuple(made)
    except BaseException:
        keep = False
        raise
    finally:
        for enclosure in made if not keep else []:
            store.erase(enclosure.digest)


def _seal(given: str, store: Store, reader: Reader) -> Enclosure:
    """One `FILE:MEDIA:OFFICE,OFFICE`."""
    found = _ENCLOSE.fullmatch(given)
    if found is None:
        raise Malformed("cli.enclose", value=given[:200])
    offices = tuple(found[3].split(","))
    recipients = [_recipient(office, reader) for office in offices]
    try:
        with Path(found[1]).open("rb") as file:
            digest, size = store.seal(file, recipients)
    except OSError as failure:
        raise files.unreadable(found[1], failure) from failure
    return Enclosure(digest, found[2], size, offices)


def _recipient(office: str, reader: Reader) -> age.Recipient:
    """The office's newest key as it was said, else the one in its party's pairing file."""
    party = office.partition("/")[0]
    published = {**reader.peers, reader.party: reader.own()}
    known = published[party].offices if party in published else {}
    text = recipient(reader.connection, office) or known.get(office)
    if text is None:
        raise Refused("enclosure.no_key", office=office, field="enclosures")
    return age.Recipient.from_text(text)
