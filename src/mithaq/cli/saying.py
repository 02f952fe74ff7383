"""`say`: an act from options or from JSON, said by the node of this folder, or by the server that holds it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from mithaq.cli import files, options, remote
from mithaq.cli.home import home_of, opened
from mithaq.cli.output import Output
from mithaq.cli.parser import UsageError
from mithaq.kernel import pairing
from mithaq.kernel.act import ClauseReference, Office
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.statement import Codec, Enclosure
from mithaq.node import CATALOGUE, Node, Said, Saying
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
    enclosing = [_enclosing(each) for each in getattr(arguments, "enclose", [])]
    told = deliver(saying, enclosing, home, output, check=check)
    if check:
        tell(told, saying, output, "Nothing stands against it: {act} under {clause}. It was not said.")
        return 0
    tell(told, saying, output, "Said: {reference} ({act}) under {clause}.")
    return 0


def tell(told: Mapping[str, Any], saying: Saying, output: Output, msgid: str) -> None:
    """Say what came of it, for people and for programs."""
    tag = str(saying.act.__struct_config__.tag)
    output.line(msgid, reference=told.get("reference"), act=tag, clause=saying.clause)
    if told.get("by_server") is False and not told.get("checked"):
        output.line("The peers get it when the node serves, or by carry out.")
    output.result(told)


def deliver(
    saying: Saying, given: Sequence[_Enclosing], home: Home, output: Output, *, check: bool
) -> Mapping[str, Any]:
    """By the node of this folder while nobody else holds it, else by the server that does; the files are sealed there too."""
    try:
        with opened(home, output) as node:
            return _said_here(saying, given, node, check=check)
    except Refused as reason:
        if reason.code != "node.already_running":
            raise
    made: list[Enclosure] = []
    for each in given:
        with _source(each.file) as source:
            made.append(remote.seal(home, source, each.to, each.media, saying.by, output.lang))
    return remote.say(home, _with(saying, made), check=check, lang=output.lang)


def _said_here(saying: Saying, given: Sequence[_Enclosing], node: Node, *, check: bool) -> Mapping[str, Any]:
    """What was sealed is erased again when what names it is not said after all."""
    made: list[Enclosure] = []
    said: Said | None = None
    try:
        for each in given:
            with _source(each.file) as source:
                made.append(node.seal(source, each.to, each.media))
        whole = _with(saying, made)
        if check:
            return {"checked": True, "reference": node.check(whole).reference, "by_server": False}
        said = node.say(whole.act, clause=whole.clause, by=whole.by, enclosures=whole.enclosures)
        return {"reference": said.reference, "n": said.n, "by_server": False}
    finally:
        store = node.post.transfers.store
        if said is None and store is not None:
            for enclosure in made:
                store.erase(enclosure.digest)


def _with(saying: Saying, made: Sequence[Enclosure]) -> Saying:
    return msgspec.structs.replace(saying, enclosures=(*saying.enclosures, *made))


def _saying(arguments: argparse.Namespace, home: Home, output: Output) -> Saying:
    given = getattr(arguments, "json", False)
    _check_typed(arguments)
    if arguments.act is None:
        if not isinstance(given, str):
            raise UsageError("", output.word("Name an act, or give a JSON file: say --json FILE"))
        return read_json(files.read(given, options.JSON_LIMIT), arguments)
    kind = CATALOGUE[arguments.act]
    if arguments.act == "charter.open_office" and arguments.field_recipient is None:
        arguments.field_recipient = _own_recipient(home, arguments.field_office)
    act = options.act_of(kind, arguments)
    clause = options.checked("clause", arguments.clause, ClauseReference)
    return Saying(act, clause, options.checked("by", arguments.by, Office))


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


def read_json(raw: bytes, arguments: argparse.Namespace) -> Saying:
    """The object that `say --json` and a draft are, with the clause and the office that were typed beside it."""
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


class _Enclosing(NamedTuple):
    """A file to seal, its media type, the offices that may open it."""

    file: str
    media: str
    to: tuple[str, ...]


def _enclosing(given: str) -> _Enclosing:
    """One `FILE:MEDIA:OFFICE,OFFICE`."""
    found = _ENCLOSE.fullmatch(given)
    if found is None:
        raise Malformed("cli.enclose", value=given[:200])
    return _Enclosing(found[1], found[2], tuple(dict.fromkeys(found[3].split(","))))


@contextmanager
def _source(path: str) -> Iterator[BinaryIO]:
    try:
        with Path(path).open("rb") as source:
            yield source
    except OSError as failure:
        raise files.unreadable(path, failure) from failure
