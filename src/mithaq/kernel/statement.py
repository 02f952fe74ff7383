"""A statement: an act said by an office of a party, at a time, under a clause. Its bytes are one canonical JSON text.

Canonical means: what was decoded, encoded again, gives the same bytes. Keys are sorted, defaults are left out, nothing
unknown is carried, numbers are whole, times are UTC to the second. RFC 8785 (JCS) gives the same bytes for the same value.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from mithaq.kernel.act import Act, Catalogue, ClauseReference, Count, Digest, Office, PartyCode
from mithaq.kernel.errors import Malformed
from mithaq.kernel.text import check_text

LIMIT: Final = 65_535
"""Bytes of an entry at most: C2SP tlog-tiles prefixes an entry with a uint16."""

DEPTH: Final = 64
"""Brackets that may be open at once in an entry that cannot be read, before it is called too deep; no act needs a dozen."""

A = TypeVar("A", bound=Act)
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_.\[\]-]")


V = TypeVar("V")


class _Once(Generic[V]):
    """A property that is worked out once. Python 3.11's own `cached_property` takes a lock, which costs more than these."""

    def __init__(self, work: Callable[[Any], V]) -> None:
        self._work = work
        self.__doc__ = work.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> V:
        value = instance.__dict__[self._name] = self._work(instance)
        return value


class Enclosure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that travels beside a statement: its salted digest, its size in bytes, its media type, who may open it."""

    digest: Digest
    media: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]{1,80}\Z")]
    size: Count
    to: Annotated[tuple[Office, ...], Meta(min_length=1, max_length=32)]


class Statement(msgspec.Struct, Generic[A], frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """The entry of a log.

    `n` is the entry's index in the speaker's log, `seen` how many entries of each other party's log the speaker's node
    had heard (law 3): parties of which it had heard none are left out.
    """

    act: A
    at: Annotated[dt.datetime, Meta(tz=True)]
    by: Office
    clause: ClauseReference
    commission: Annotated[str, Meta(min_length=1, max_length=120)]
    n: Count
    enclosures: Annotated[tuple[Enclosure, ...], Meta(max_length=16)] = ()
    seen: dict[PartyCode, Annotated[int, Meta(ge=1, le=2**53 - 1)]] = {}

    @_Once
    def party(self) -> str:
        """The code of the party that speaks: the first part of its office."""
        return self.by.partition("/")[0]

    @_Once
    def reference(self) -> str:
        """The statement's own number, and that of the thing it creates: `IR-2026-000123`."""
        return f"{self.party}-{self.at.year}-{self.n:06d}"

    @_Once
    def do(self) -> str:
        """The act's tag."""
        return str(self.act.__struct_config__.tag)


def split_reference(reference: str) -> tuple[str, int]:
    """(party, index in its log) of a reference such as `IR-2026-000123`; the shape is the caller's to have checked."""
    party, _, number = reference.rsplit("-", 2)
    return party, int(number)


class Codec:
    """Statements to bytes and back, for the acts of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._encoder = msgspec.json.Encoder(order="sorted")
        kind: Any = Statement[catalogue.union()]  # type: ignore[misc]  # the union is known at run time only
        self._decoder: msgspec.json.Decoder[Statement[Any]] = msgspec.json.Decoder(kind)
        self._catalogue = catalogue
        times = {kind.act: _time_fields(kind.act) for kind in catalogue.kinds.values()}
        self._times = {act: fields for act, fields in times.items() if fields}

    def encode(self, statement: Statement[Any]) -> bytes:
        """The canonical bytes; refused as `statement.oversized` above `LIMIT`."""
        entry = self._encoder.encode(statement)
        if len(entry) > LIMIT:
            raise Malformed("statement.oversized", value=len(entry), limit=LIMIT)
        return entry

    def decode(self, entry: bytes) -> Statement[Any]:
        """The statement that these bytes are, or Malformed: nothing else than their canonical form is accepted."""
        if len(entry) > LIMIT:
            raise Malformed("statement.oversized", value=len(entry), limit=LIMIT)
        try:
            statement = self._decoder.decode(entry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise self.diagnosis(entry, failure) from failure
        if self._encoder.encode(statement) != entry or not _is_canonical_time(statement.at):
            raise Malformed("statement.not_canonical")
        for field in self._times.get(type(statement.act), ()):
            moment = getattr(statement.act, field)
            if moment is not None and not _is_canonical_time(moment):
                raise Malformed("statement.not_canonical", field=f"act.{field}")
        # Plain ASCII without escapes holds nothing that text rules refuse: JSON itself has no raw control characters.
        if not entry.isascii() or b"\\" in entry or b"\x7f" in entry:
            check_text(entry)
        return statement

    def diagnosis(self, entry: bytes, failure: Exception) -> Malformed:
        """Why the strict decoder refused: looked into only after the fact, so that good entries pay nothing."""
        # Counted, strings included: where a decoder's recursion ends depends on its caller's stack, the verdict must not.
        steps = (1 if byte in b"[{" else -1 for byte in entry if byte in b"[{]}")
        if max(accumulate(steps), default=0) > DEPTH:
            return Malformed("statement.too_deep")
        try:
            loose = msgspec.json.decode(entry)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Malformed("statement.malformed", field="-")
        act = loose.get("act") if isinstance(loose, dict) else None
        tag = act.get("do") if isinstance(act, dict) else None
        if isinstance(tag, str) and tag not in self._catalogue:
            return Malformed("statement.unknown_act", act=_plain(tag[:60]))
        message = str(failure)
        field = message.rpartition("at `$.")[2].rstrip("`") if "at `$." in message else "-"
        if "unknown field" in message:
            unknown = message.partition("unknown field `")[2].partition("`")[0]
            unknown = unknown[:60] if field == "-" else f"{field[:90]}.{unknown[:60]}"
            return Malformed("statement.unknown_field", field=_plain(unknown))
        return Malformed("statement.malformed", field=_plain(field[:120]))


def _time_fields(act: type[Act]) -> tuple[str, ...]:
    """The fields of an act that hold a moment: a shape test sees to it that none hides deeper."""
    return tuple(field.encode_name for field in msgspec.structs.fields(act) if "datetime.datetime" in str(field.type))


def _is_canonical_time(moment: dt.datetime) -> bool:
    return moment.tzinfo is dt.UTC and not moment.microsecond  # msgspec reads `Z` as this very object


def _plain(name: str) -> str:
    """A name that a stranger chose, fit to be repeated in our own refusal: plain ASCII and nothing else."""
    return _NOT_PLAIN.sub("?", name)
