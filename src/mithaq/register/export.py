"""The whole register as JSON with a published schema, as CSV, as XLSX, and as a folder of pages that needs no server.

JSON loses nothing and is what another program reads. The tables are for people with a spreadsheet, so no cell may begin a
formula there (ASVS 5.0 V1.2.10); the pages are `site`'s.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection

from mithaq.kernel import words
from mithaq.kernel.act import ecma
from mithaq.kernel.errors import Refused, Unreachable
from mithaq.register import rows, site
from mithaq.register.pages import label

Form = Literal["json", "csv", "xlsx", "html"]
FORMS: Final[tuple[Form, ...]] = ("json", "csv", "xlsx", "html")
FOLDERS: Final = frozenset({"csv", "html"})
"""Forms that are a folder of files; the others are one file."""

_STARTS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_AT_START: Final = re.compile(rf"\A\s*[{_STARTS}\t\r\n\x00]")
# Where a list separator is the semicolon, a spreadsheet cuts a comma's file at semicolons and line ends inside quotes too.
_INSIDE: Final = re.compile(rf"([;\t\r\n]\s*)(?=[{_STARTS}])")
_LONGEST_CELL: Final = 32_767
"""Characters that a cell of XLSX can hold (ECMA-376, as Excel limits it)."""
_CUT: Final = " […]"

Cell = str | int | None
Table = tuple[str, list[str], list[list[Cell]]]


def export_all(
    connection: Connection, party: str, today: dt.date, target: Path, form: Form, *, lang: str = words.DEFAULT
) -> list[str]:
    """Write the register to a new file (json, xlsx) or a new folder (csv, html); returns the names of the files.

    `lang` is that of the first page and of the spreadsheet's words; pages are written in all three languages. Refused
    `register.export_exists` where something is there already, Unreachable `register.export_unwritable`.
    """
    whole = rows.gather(connection, party, today)
    files = files_of(whole, form, lang)
    try:
        if form in FOLDERS:
            target.mkdir(mode=0o700)
        for name, data in files.items():
            path = target / name if form in FOLDERS else target
            with path.open("xb") as file:
                path.chmod(0o600)
                file.write(data)
    except FileExistsError as failure:
        raise Refused("register.export_exists", value=str(target)) from failure
    except OSError as failure:
        raise Unreachable("register.export_unwritable", value=str(target), reason=failure.strerror) from failure
    return list(files)


def files_of(whole: rows.Whole, form: Form, lang: str = words.DEFAULT) -> dict[str, bytes]:
    """The files of one form, name -> bytes."""
    made: dict[Form, Callable[[], dict[str, bytes]]] = {
        "json": lambda: {"register.json": as_json(whole)},
        "csv": lambda: as_csv(whole),
        "xlsx": lambda: {"register.xlsx": as_xlsx(whole, lang)},
        "html": lambda: site.pages(whole, lang),
    }
    return made[form]()


def as_json(whole: rows.Whole) -> bytes:
    """The register as JSON, keys sorted, one line; `schema` describes it."""
    return msgspec.json.encode(whole, order="sorted") + b"\n"


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of `as_json`, made from the rows; docs/schema/register.schema.json is its published copy."""
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": rows.FORM}
    return found | msgspec.json.schema(rows.Whole)


def schema_text() -> str:
    """The published form of `schema`."""
    return msgspec.json.format(msgspec.json.encode(ecma(schema()), order="sorted"), indent=2).decode() + "\n"


# --- tables ---------------------------------------------------------------------------------------------------------


def tables(whole: rows.Whole) -> Iterator[Table]:
    """(name, columns, rows): one table for each kind of row, lists and maps written out; a text has a column a language."""
    yield _table("agreements", whole.agreements, skip=("clauses",))
    clauses = [(one, clause) for one in whole.agreements if not one.amends for clause in one.clauses]
    yield _table("clauses", [clause for _, clause in clauses])
    yield _table("obligations", whole.obligations, skip=("times",))
    times = [_flat(each) | {"obligation": one.obligation} for one in whole.obligations for each in one.times]
    yield _made("occurrences", times, "obligation")
    yield _table("history", whole.history)
    yield _table("bodies", whole.bodies)
    yield _table("meetings", whole.meetings)
    yield _table("minutes", whole.minutes, skip=("items",))
    items = [_flat(each) | {"minutes": one.reference} for one in whole.minutes for each in one.items]
    yield _made("items", items, "minutes")
    yield _table("actions", whole.actions)


def _table(name: str, found: Sequence[msgspec.Struct], *, skip: Sequence[str] = ()) -> Table:
    return _made(name, [_flat(each, skip) for each in found])


def _made(name: str, found: list[dict[str, Cell]], first: str = "") -> Table:
    columns = list(dict.fromkeys(([first] if first else []) + [key for row in found for key in row]))
    return name, columns, [[row.get(column) for column in columns] for row in found]


def _flat(row: msgspec.Struct, skip: Sequence[str] = ()) -> dict[str, Cell]:
    flat: dict[str, Cell] = {}
    for key in row.__struct_fields__:
        value = getattr(row, key)
        if isinstance(value, msgspec.Struct):
            flat |= _flat(value)
        elif key in {"what", "title", "name", "marked", "text"} and isinstance(value, Mapping):
            flat |= {f"{key}_{lang}": value.get(lang, "") for lang in (*words.LANGUAGES, *sorted(value))}
        elif key not in skip:
            flat[key] = value if isinstance(value, int) else _written(value)
    return flat


def _written(value: object) -> str:
    """A list or a map in one cell, its parts separated by line ends."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_inner(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(_inner(each) for each in value)
    return _inner(value)


def _inner(value: object) -> str:
    if isinstance(value, msgspec.Struct):
        pairs = {key: getattr(value, key) for key in value.__struct_fields__}
        return "; ".join(f"{key}: {_inner(each)}" for key, each in pairs.items() if each not in ("", [], None))
    if isinstance(value, Mapping):
        return " / ".join(_inner(each) for each in value.values())
    if isinstance(value, list | tuple):
        return ", ".join(_inner(each) for each in value)
    return str(value)


# --- spreadsheets ---------------------------------------------------------------------------------------------------


def is_dangerous(text: str) -> bool:
    """Whether a spreadsheet might take the text for a formula: ASVS's characters, their full-width forms, after blanks too."""
    return _AT_START.match(text) is not None


def safe(text: str) -> str:
    """The text for a cell of CSV, with an apostrophe before whatever might begin a formula there."""
    inside = _INSIDE.sub(r"\1'", text)
    return f"'{inside}" if is_dangerous(text) else inside


def as_csv(whole: rows.Whole) -> dict[str, bytes]:
    """One file a table: RFC 4180, every cell in quotes, UTF-8 with the mark by which a spreadsheet knows it."""
    files = {}
    for name, columns, found in tables(whole):
        sink = io.StringIO(newline="")
        writer = csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows([safe(cell) if isinstance(cell, str) else cell for cell in row] for row in found)
        files[f"{name}.csv"] = sink.getvalue().encode("utf-8-sig")
    return files


def as_xlsx(whole: rows.Whole, lang: str) -> bytes:
    """One sheet a table; texts are typed as texts, and one that looks like a formula carries Excel's own quote prefix."""
    import xlsxwriter  # here: most commands never write one

    sink = io.BytesIO()
    book = xlsxwriter.Workbook(
        sink,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False},
    )
    book.set_properties({"title": label("register", lang), "created": dt.datetime(*whole.day.timetuple()[:3])})  # noqa: DTZ001  # XLSX keeps no zone
    plain = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})
    quoted = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@", "quote_prefix": True})
    head = book.add_format({"bold": True, "bottom": 1, "num_format": "@"})
    for name, columns, found in tables(whole):
        sheet = book.add_worksheet(label(name, lang)[:31])
        if words.direction(lang) == "rtl":
            sheet.right_to_left()
        sheet.freeze_panes(1, 1)
        sheet.set_column(0, max(0, len(columns) - 1), 22)
        for place, column in enumerate(columns):
            sheet.write_string(0, place, column, head)
        for number, row in enumerate(found, 1):
            for place, cell in enumerate(row):
                if isinstance(cell, int):
                    sheet.write_number(number, place, cell)
                elif cell:
                    sheet.write_string(number, place, _short(cell), quoted if is_dangerous(cell) else plain)
    book.close()
    return sink.getvalue()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - len(_CUT)] + _CUT
