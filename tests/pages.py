"""What the pages take from the code: tables of fields, vectors, examples of texts; each stands between two markers there.

After a change, `PYTHONPATH=src:. python -m tests.pages` writes it anew; `test_docs.py` compares.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from mithaq.kernel import merkle, note
from mithaq.kernel.act import Act
from mithaq.kernel.errors import MithaqError
from mithaq.kernel.mandate import Agreement, Clause, Entry, Permit
from mithaq.kernel.note import Checkpoint, Signer
from mithaq.kernel.statement import Codec, Enclosure, Statement
from mithaq.kernel.text import check_text
from mithaq.node import CATALOGUE
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts as charter

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")})
CODEC: Final = Codec(CATALOGUE)
COMMISSION: Final = "xa-xb.example"
SEED: Final = bytes(range(32))


def _range(schema: dict[str, Any], low: str, high: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if most == 2**53 - 1:
        return f"{least} to 2^53 - 1"
    if most == 2**40:
        return f"{least} to 2^40"
    return f"{least or 0} to {most}" if most is not None else f"{least or 0} or more"


def _kind(schema: dict[str, Any], page: str) -> str:
    """A field's type with its bounds, as a phrase."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}]({page}#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each, page) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_range(schema, 'minItems', 'maxItems')}: {_kind(schema['items'], page)}"
    if schema["type"] == "object":
        keys = schema.get("propertyNames", {}).get("pattern", "")
        bounds = f", {_range(schema, 'minProperties', 'maxProperties')}" if "maxProperties" in schema else ""
        named = f", keys `{keys}`" if keys else ""
        return f"map{bounds}{named}: {_kind(schema['additionalProperties'], page)}"
    if schema["type"] == "integer":
        return f"whole number, {_range(schema, 'minimum', 'maximum')}"
    if schema["type"] == "boolean":
        return "`true` or `false`"
    if "format" in schema:
        return {"date-time": "moment, `2026-01-05T08:00:00Z`", "date": "day, `2026-01-05`"}[schema["format"]]
    length = f", {_range(schema, 'minLength', 'maxLength')} characters" if "maxLength" in schema else ""
    pattern = f", `{schema['pattern']}`" if "pattern" in schema else ""
    return f"text{length}{pattern}".replace("|", "\\|")


def _table(schema: dict[str, Any], page: str) -> str:
    rows = ["| field | value | when left out |", "| --- | --- | --- |"]
    for name, field in schema["properties"].items():
        if name == "do":
            continue
        default = msgspec.json.encode(field["default"]).decode() if "default" in field else ""
        absent = f"`{default}`" if name not in schema["required"] else "never"
        rows.append(f"| `{name}` | {_kind(field, page)} | {absent} |")
    return "\n".join(rows)


def sentences(text: str) -> str:
    """The text with its lines joined."""
    return " ".join(text.split())


def acts_tables() -> str:
    """Every act with its fields, as wire.md shows them."""
    references, components = CATALOGUE.schemas()
    parts = []
    for tag, kind in CATALOGUE.kinds.items():
        schema = components[references[tag]["$ref"].rsplit("/", 1)[-1]]
        parts.append(f"#### `{tag}`\n\n{kind.help}\n\n{_table(schema, '')}")
    return "\n\n".join(parts)


def shapes_tables() -> str:
    """What acts are made of: Agreement, Clause, Permit and so on."""
    references, components = CATALOGUE.schemas()
    acts = {each["$ref"].rsplit("/", 1)[-1] for each in references.values()}
    shapes = [(name, components[name]) for name in sorted(set(components) - acts)]
    return "\n\n".join(
        f"#### {name}\n\n{sentences(each['description'])}\n\n{_table(each, '')}" for name, each in shapes
    )


def statement_tables() -> str:
    """The statement around an act, and the enclosure that it names."""
    (said, _), components = msgspec.json.schema_components(
        [Statement[Act], Enclosure], ref_template="#/components/schemas/{name}"
    )
    outer = dict(components[said["$ref"].rsplit("/", 1)[-1]])
    outer["properties"] = {**outer["properties"], "act": {"$ref": "#/the-acts"}}
    return f"{_table(outer, '')}\n\n#### Enclosure\n\n{_table(components['Enclosure'], '')}"


def fields_of(tag: str) -> str:
    """One act's fields, as its service's page shows them."""
    references, components = CATALOGUE.schemas()
    return _table(components[references[tag]["$ref"].rsplit("/", 1)[-1]], "../wire.md")


def statements() -> list[Statement[Any]]:
    """The log of the vectors."""
    text = Agreement(
        title={"en": "Talk between border posts", "fa": "گفت\u200cوگوی پاسگاه\u200cهای مرزی"},
        parties=("XA", "XB"),
        clauses=(
            Clause("1", {"en": "The posts write to one another."}, (Permit("channel.say", ("XA/post", "XB/post")),)),
        ),
        entry=Entry("signature"),
    )
    at = dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC)
    sealed = Enclosure("00" * 32, "application/pdf", 4096, ("XB/post/east",))
    office = "XA/foreign-affairs"
    message = channel.Say(
        'A "lost" child', "Found at\nthe gate.", ("XB/post/east",), at + dt.timedelta(hours=3), urgent=True
    )
    return [
        Statement(agreements.Propose(text), at, office, "charter", COMMISSION, 0),
        Statement(agreements.Sign("XA-2026-000000", text.hash()), at, office, "charter", COMMISSION, 1),
        Statement(message, at, "XA/post/west", "XA-2026-000000/1", COMMISSION, 2, (sealed,), {"XB": 1}),
        Statement(
            charter.Refuse("XB", 1, "mandate.suspended", "XA-2026-000000/1", "clause"),
            at, "XA", "charter", COMMISSION, 3, (), {"XB": 2},
        ),
    ]  # fmt: skip


def vectors() -> str:
    """Statements with their bytes and leaf hashes, and the checkpoint over them."""
    parts, leaves = [], []
    for said in statements():
        entry = CODEC.encode(said)
        leaf = merkle.leaf_hash(entry)
        leaves.append(leaf)
        parts.append(
            f"Entry {said.n}, reference `{said.reference}`, {len(entry)} bytes, leaf hash\n`{leaf.hex()}`:\n\n"
            f"```json\n{entry.decode()}\n```"
        )
    signer = Signer(f"{COMMISSION}/XA", note.ED25519, SEED)
    checkpoint = Checkpoint(f"{COMMISSION}/XA", len(leaves), merkle.root_of(leaves))
    signed = checkpoint.body + b"\n" + signer.sign(checkpoint, 1)
    parts.append(
        f"The checkpoint of these {len(leaves)} entries with its Ed25519 signature (kind 0x01), by the key whose seed is the bytes\n"
        f"`00` to `1f`, vkey `{signer.verifier.vkey}`:\n\n"
        f"```text\n{signed.decode()}```"
    )
    return "\n\n".join(parts)


TEXTS: Final = (
    ("Persian with the joiner between two letters", "می\u200cرود"),
    ("a joiner after a Latin letter", "a\u200cb"),
    ("a joiner at the end of a word", "می\u200c"),
    ("right-to-left override", "abc\u202edef"),
    ("zero-width space", "a\u200bb"),
    ("byte order mark", "\ufeffa"),
    ("e and combining acute, not composed", "e\u0301"),
    ("the same letter composed", "\u00e9"),
    ("private use", "\ue000"),
    ("a line break and a tab", "a\n\tb"),
    ("a carriage return", "a\rb"),
    ("a code point assigned after Unicode 14", "\U0001fa75"),
    ("an emoji without a variation selector", "\u2600"),
)


def texts() -> str:
    """Which texts may stand in a statement, by example."""
    rows = ["| text | code points | verdict |", "| --- | --- | --- |"]
    for what, text in TEXTS:
        try:
            check_text(msgspec.json.encode(text))
            verdict = "allowed"
        except MithaqError as reason:
            verdict = f"`{reason.code}`"
        points = " ".join(f"U+{ord(each):04X}" for each in text)
        rows.append(f"| {what} | {points} | {verdict} |")
    return "\n".join(rows)


MADE: Final = {
    "acts": acts_tables,
    "shapes": shapes_tables,
    "statement": statement_tables,
    "vectors": vectors,
    "texts": texts,
}
MARKED: Final = re.compile(
    r"<!-- (?P<name>[a-z]+)(?: (?P<tag>[a-z_.]+))? -->\n(?P<body>.*?)<!-- /(?P=name) -->", re.DOTALL
)


def _fresh(marked: re.Match[str]) -> str:
    name, tag = marked["name"], marked["tag"]
    if name == "fields":
        made = fields_of(tag)
    elif name in MADE:
        made = MADE[name]()
    else:
        return marked[0]
    return f"<!-- {name}{f' {tag}' if tag else ''} -->\n{made}\n<!-- /{name} -->"


def renewed(page: Path) -> str:
    """The page with everything between its markers made anew."""
    return MARKED.sub(_fresh, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(renewed(each), encoding="utf-8")
