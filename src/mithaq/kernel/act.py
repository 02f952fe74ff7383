"""What may be said: one class, one check, one effect, all three of one name, gathered in a `Catalogue`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from mithaq.kernel.records import Fact, View
    from mithaq.kernel.statement import Statement

# In Python `$` also matches before a last line end, hence the look-ahead; JSON Schema (ECMA 262) reads it the same way.
PARTY: Final = r"^[A-Z0-9][A-Z0-9-]{0,15}\Z"
OFFICE: Final = r"^[A-Z0-9][A-Z0-9-]{0,15}(/[a-z0-9-]{1,40}){0,5}\Z"
REFERENCE: Final = r"^[A-Z0-9][A-Z0-9-]{0,15}-[0-9]{4}-[0-9]{6,12}\Z"
CLAUSE: Final = r"^(charter|[A-Z0-9][A-Z0-9-]{0,15}-[0-9]{4}-[0-9]{6,12}/[0-9]{1,3}(\.[0-9]{1,3}){0,3})\Z"

PartyCode = Annotated[str, Meta(pattern=PARTY, description="ISO 3166 code of a party, such as IR")]
Office = Annotated[
    str, Meta(pattern=OFFICE, max_length=220, description="an office of a party, such as IQ/traffic-police/basra")
]
Reference = Annotated[
    str, Meta(pattern=REFERENCE, max_length=40, description="a statement's reference, such as IR-2026-000123")
]
ClauseReference = Annotated[
    str,
    Meta(pattern=CLAUSE, max_length=60, description="agreement and clause, such as IR-2026-000005/3, or charter"),
]
ClauseNumber = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){0,3}\Z", description="the number of a clause within its text, such as 3.1"
    ),
]
Line = Annotated[str, Meta(pattern=r"^[^\n\t]*\Z", min_length=1, max_length=300, description="one line of text")]
Words = Annotated[str, Meta(min_length=1, max_length=8000, description="text, in the language it was written in")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z", description="ISO 639 code of a language, such as fa")]
Texts = Annotated[dict[Language, Words], Meta(min_length=1, max_length=12, description="the same text by language")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256, 64 lower-case hexadecimal digits")]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1, description="a whole number, zero or more")]


class Act(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True, omit_defaults=True):
    """The base of every act. A subclass has a tag `service.name` and a docstring of one sentence, its help text."""


Check = Callable[[Any, "Statement[Any]", "View"], None]
Effect = Callable[[Any, "Statement[Any]"], "Iterable[Fact]"]


class Kind(msgspec.Struct, frozen=True):
    """One act with its check and its effect. `service` is the folder that it lives in."""

    tag: str
    act: type[Act]
    check: Check
    effect: Effect
    service: str

    @property
    def help(self) -> str:
        """The act's docstring, one sentence in English; also its message id in the translations."""
        return " ".join((self.act.__doc__ or "").split())


def snake_case(name: str) -> str:
    """`BringIntoForce` becomes `bring_into_force`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def ecma(schema: Any) -> Any:
    r"""A JSON Schema with its patterns as ECMA-262 has them: there `$` is the very end, which Python writes `\Z`."""
    return msgspec.json.decode(msgspec.json.encode(schema).replace(b"\\\\Z", b"$"))


class Catalogue:
    """All acts that a node knows, by tag, with the service versions that its records were folded by."""

    def __init__(self, services: Iterable[ModuleType], charter: Iterable[str]) -> None:
        self.kinds: dict[str, Kind] = {}
        self.versions: dict[str, int] = {}
        self.charter: Final = frozenset(charter)
        for service in services:
            self._add(service)
        unknown = self.charter - set(self.kinds)
        if unknown:
            raise LookupError(f"the charter names acts that nobody defines: {sorted(unknown)}")

    def _add(self, service: ModuleType) -> None:
        acts, rules, records = (
            cast("Any", importlib.import_module(f"{service.__name__}.{each}")) for each in ("acts", "rules", "records")
        )
        name = service.__name__.rsplit(".", 1)[-1]
        self.versions[name] = records.VERSION
        for act in vars(acts).values():
            if not (isinstance(act, type) and issubclass(act, Act) and act.__module__ == acts.__name__):
                continue
            function = snake_case(act.__name__)
            tag = str(act.__struct_config__.tag)
            if tag != f"{name}.{function}":
                raise LookupError(f"{act.__name__} in {acts.__name__} has the tag {tag}, not {name}.{function}")
            self.kinds[tag] = Kind(tag, act, getattr(rules, function), getattr(records, function), name)

    def union(self) -> object:
        """The type that a decoder takes for the `act` of a statement."""
        union: Any = None
        for kind in self.kinds.values():
            union = kind.act if union is None else union | kind.act
        return union

    def __getitem__(self, tag: str) -> Kind:
        return self.kinds[tag]

    def __contains__(self, tag: object) -> bool:
        return tag in self.kinds

    def schemas(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """JSON Schemas of every act: (tag -> reference, components), for OpenAPI and for forms."""
        tags = list(self.kinds)
        references, components = msgspec.json.schema_components(
            [self.kinds[tag].act for tag in tags], ref_template="#/components/schemas/{name}"
        )
        return dict(zip(tags, references, strict=True)), ecma(components)
