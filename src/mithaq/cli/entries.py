"""An entry as a person reads it, or as plain values: without the node, and whatever the entry's bytes are."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from mithaq.cli import standing
from mithaq.cli.output import Output
from mithaq.kernel.errors import MithaqError
from mithaq.kernel.mandate import Agreement
from mithaq.kernel.statement import Codec, Statement
from mithaq.node import CATALOGUE

_CODEC = Codec(CATALOGUE)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One entry of a log. `said` is None where the bytes are no statement: such an entry is shown, never hidden."""

    party: str
    n: int
    entry: bytes
    said: Statement[Any] | None

    @property
    def reference(self) -> str:
        """The statement's own number; empty where there is none."""
        return self.said.reference if self.said else ""

    def lines(self, output: Output) -> Iterator[str]:
        """When, who, what, under which clause; then the act's own words."""
        if self.said is None:
            yield f"{output.code(f'{self.party} {self.n}')}  {output.word('an entry that is no statement')}"
            return
        said = self.said
        help_ = output.word(CATALOGUE[said.do].help)
        yield f"{output.code(said.reference)}  {output.moment(said.at)}  {output.code(said.by)}"
        yield f"    {output.code(said.do)}: {help_}"
        yield f"    {output.word('under {clause}', clause=said.clause)}"
        for name, value in msgspec.structs.asdict(said.act).items():
            shown = _short(value, output)
            if shown:
                yield f"    {output.code(name)}: {shown}"
        for enclosure in said.enclosures:
            told = output.word("enclosure {digest}, {media}", digest=enclosure.digest, media=enclosure.media)
            yield f"    {told}"

    def plain(self) -> dict[str, object]:
        """For programs: the statement as it stands in the log, or its bytes in base64 where it is none."""
        place: dict[str, object] = {"party": self.party, "n": self.n}
        if self.said is None:
            return {**place, "bytes": b64encode(self.entry).decode()}
        return {**place, "reference": self.reference, "statement": msgspec.Raw(self.entry)}


def spoken(party: str, n: int, entry: bytes) -> Spoken:
    """Read an entry; what is not canonical is no statement."""
    try:
        said = _CODEC.decode(entry)
    except MithaqError:
        said = None
    if said is not None and (said.party != party or said.n != n):
        said = None
    return Spoken(party, n, entry, said)


def _short(value: object, output: Output) -> str:
    """A field in one line; of an agreement its title and how many clauses, the rest is left to `show` and to JSON."""
    if isinstance(value, bool):
        return output.word("yes") if value else ""
    if isinstance(value, Agreement):
        return f"{standing.title(value, output)}; {output.counted('{n} clause', len(value.clauses))}"
    if isinstance(value, msgspec.Struct) or value is None or value == "":
        return ""
    if isinstance(value, dt.datetime):
        return output.moment(value)
    if isinstance(value, dt.date):
        return output.day(value)
    if isinstance(value, dict):
        return output.chosen(value)
    if isinstance(value, tuple):
        return ", ".join(output.code(str(each)) for each in value)
    return output.isolated(str(value))
