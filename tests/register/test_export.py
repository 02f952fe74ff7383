"""Exports of the register: nothing is lost in JSON, nothing is a formula in a table, nothing is markup on a page."""

from __future__ import annotations

import csv
import io
import re
import stat
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithaq.kernel import words
from mithaq.kernel.errors import MithaqError
from mithaq.node import Node
from mithaq.register import export, rows, site
from mithaq.services.meetings import standing as met
from mithaq.services.obligations import clock, said, standing
from tests.nodes import Clock, MakeDatabase, code_of, paired
from tests.register.story import TEXTS, TODAY, Story, tell

Pair = tuple[Node, Node]
ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMA: Final = ROOT / "docs" / "schema" / "register.schema.json"
STARTS: Final = "=+-@\t\r\n\x00＝＋－＠"
ALLOWED_TAGS: Final = {
    "html", "head", "meta", "title", "link", "body", "nav", "a", "main", "h1", "h2", "h3", "p", "table", "thead", "tbody",
    "tr", "th", "td", "bdi", "span", "br", "dl", "dt", "dd", "ul", "ol", "li", "strong", "div",
}  # fmt: skip
ALLOWED_ATTRIBUTES: Final = {
    "lang", "dir", "charset", "name", "content", "http-equiv", "rel", "href", "hreflang", "id", "class", "colspan", "value",
}  # fmt: skip


@pytest.fixture
def told(pair: Pair) -> Story:
    return tell(*pair)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[rows.Whole]:
    """One register for each text that is up to no good, with that text in every field that a person writes."""
    at = tmp_path_factory.mktemp("hostile")
    with paired(lambda name: f"sqlite:///{at / name}.db", ("XA", "XB"), Clock()) as (a, b):
        tell(a, b, TEXTS[0], TEXTS[0])
        found = whole(a)
    return [msgspec.convert(_replaced(msgspec.to_builtins(found), TEXTS[0], each), rows.Whole) for each in TEXTS]


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, old, new) for each in value]
    return new if value == old else value


def whole(node: Node) -> rows.Whole:
    with node.database.read() as connection:
        return rows.gather(connection, node.party, TODAY)


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_the_schema_that_is_published_is_the_one_of_the_rows() -> None:
    assert SCHEMA.read_text("utf-8") == export.schema_text(), (
        "run: PYTHONPATH=src python -c 'from mithaq.register.export import schema_text; print(schema_text(), end=\"\")'"
    )


def test_json_has_everything_and_is_read_back_by_its_schema(pair: Pair, told: Story) -> None:
    for node in pair:
        found = msgspec.json.decode(export.as_json(whole(node)), type=rows.Whole, strict=True)
        assert found == whole(node)
        assert [each.reference for each in found.agreements] == [told.agreement]
        assert [each.obligation for each in found.obligations] == [f"{told.agreement}/1:{k}" for k in (1, 2, 3)]
        first = found.obligations[0].standing
        assert (first.life, first.says, first.level, first.clock) == ("in_effect", "partly_confirmed", 2, "due_soon")
        assert first.says_from
        assert [each.state for each in found.meetings] == ["held", "invited"]
        (minutes,) = found.minutes
        assert (minutes.state, minutes.hash, tuple(minutes.signed.values())) == ("agreed", told.hash, told.signatures)
        assert [each.reference for each in minutes.items[1].dissents] == [told.dissent]
        assert [each.reference for each in found.actions] == [f"{told.minutes}:3"]


def test_two_nodes_that_heard_the_same_export_the_same(pair: Pair, told: Story) -> None:
    a, b = (msgspec.structs.replace(whole(node), party="") for node in pair)
    assert export.as_json(a) == export.as_json(b)


def test_the_history_of_a_clause_has_what_was_said_and_what_was_done_under_it(pair: Pair, told: Story) -> None:
    found = [each for each in whole(pair[0]).history if each.clause == f"{told.agreement}/1"]
    assert {(each.what, each.obligation) for each in found} == {
        ("claimed", f"{told.agreement}/1:1"),
        ("answered", f"{told.agreement}/1:1"),
        ("channel.say", ""),
    }


def test_every_word_that_a_standing_can_have_is_said_in_three_languages() -> None:
    kinds = {
        "life": standing.LifeWord,
        "says": said.SaysWord,
        "clock": clock.ClockWord,
        "state": met.BodyState | met.MeetingState,
        "minutes": met.MinutesState,
    }
    msgids = [f"register/{name}_{word}" for name, kind in kinds.items() for word in re.findall(r"'(\w+)'", str(kind))]
    msgids += [
        f"register/{name}"
        for name, _, _ in export.tables(rows.Whole(rows.FORM, "XA", TODAY, [], [], [], [], [], [], []))
    ]
    assert len(msgids) > 35
    assert [each for each in msgids if not words.known(each)] == []
    used = {
        key
        for path in (ROOT / "src/mithaq/register").rglob("*.html")
        for key in re.findall(r'\bw\("(\w+)"[,)]', path.read_text("utf-8"))
    }
    assert [each for each in used if not words.known(f"register/{each}")] == []


# --- tables -----------------------------------------------------------------------------------------------------------


def cells(files: dict[str, bytes]) -> Iterator[str]:
    for data in files.values():
        for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True):
            yield from row


def test_csv_begins_with_its_mark_and_every_row_has_the_columns_of_the_first(pair: Pair, told: Story) -> None:
    files = export.as_csv(whole(pair[0]))
    assert {"agreements.csv", "obligations.csv", "history.csv", "items.csv"} <= set(files)
    for data in files.values():
        assert data.startswith(b"\xef\xbb\xbf")
        found = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
        assert {len(row) for row in found} == {len(found[0])}


def test_no_cell_of_csv_begins_a_formula_whatever_stands_in_the_register(hostile: list[rows.Whole]) -> None:
    for found in hostile:
        files = export.as_csv(found)
        numbers = re.compile(r"-?[0-9]+\Z")
        assert [cell for cell in cells(files) if cell[:1] in set(STARTS) and not numbers.match(cell)] == []
        for data in files.values():  # where the semicolon separates, quotes in the middle protect nothing
            for cell in re.split(r"[;\r\n]", data.decode("utf-8-sig")):
                assert not cell.strip().strip('"').strip().startswith(tuple(STARTS)) or numbers.match(cell.strip('"'))


@given(st.text(st.sampled_from([*STARTS, " ", ";", '"', "'", "a", "ب"]), max_size=12))
def test_a_safe_text_begins_no_formula_and_loses_no_letter(text: str) -> None:
    made = export.safe(text)
    assert not export.is_dangerous(made)
    assert made.replace("'", "") == text.replace("'", "")


def test_a_gentle_text_stays_as_it_is() -> None:
    for text in ("", "The gate", "سلام علیکم", "1+1", "a-b; c", "XA-2026-000000/1:1"):
        assert export.safe(text) == text


def test_no_cell_of_xlsx_is_a_formula_and_every_text_is_typed_as_text(hostile: list[rows.Whole]) -> None:
    for number, (found, text) in enumerate(zip(hostile, TEXTS, strict=True)):
        with zipfile.ZipFile(io.BytesIO(export.as_xlsx(found, words.LANGUAGES[number % 3]))) as book:
            sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
            assert len(sheets) == 10
            for name in sheets:
                sheet = book.read(name).decode()
                assert "<f>" not in sheet
                assert "<f " not in sheet
                assert "hyperlink" not in sheet
                kinds = set(re.findall(r'<c [^>]*?t="(\w+)"', sheet))
                assert kinds <= {"s"}
            assert export.is_dangerous(text) == ("quotePrefix" in book.read("xl/styles.xml").decode())


def test_a_text_that_is_too_long_for_a_cell_says_that_it_is_cut(pair: Pair, told: Story) -> None:
    found = whole(pair[0])
    long = msgspec.structs.replace(found.history[0], text="a" * 40_000)
    book = export.as_xlsx(msgspec.structs.replace(found, history=[long]), "en")
    with zipfile.ZipFile(io.BytesIO(book)) as opened:
        shared = opened.read("xl/sharedStrings.xml").decode()
    assert "a" * 32_763 + " […]" in shared
    assert "a" * 32_764 not in shared


# --- pages ------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Every tag, every attribute's name, every link and the visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text: list[str] = []
        self.first: dict[str, str | None] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "html":
            self.first = dict(attrs)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_pages_open_without_a_server_in_three_languages(pair: Pair, told: Story) -> None:
    files = site.pages(whole(pair[0]), "ar")
    for lang in words.LANGUAGES:
        for name in (
            f"{lang}.html",
            f"{lang}-obligations.html",
            f"{lang}-meetings.html",
            f"{lang}-{told.agreement}.html",
        ):
            page = Page(files[name].decode())
            assert page.first == {"lang": lang, "dir": words.direction(lang)}
            assert [link for link in page.links if link.partition("#")[0] not in files] == []
    shown = "".join(Page(files["en-obligations.html"].decode()).text)
    assert "in effect" in shown
    assert "confirmed in part" in shown
    assert "level 2 of 3" in shown
    assert "due soon" in shown
    assert "مؤكد جزئيا" in "".join(Page(files["ar-obligations.html"].decode()).text)
    assert "تا اندازه‌ای تأییدشده" in "".join(Page(files["fa-obligations.html"].decode()).text)
    assert not re.search(r"\b(left|right)\b", files["style.css"].decode()), "logical properties alone"


def test_nothing_that_was_said_becomes_markup(hostile: list[rows.Whole]) -> None:
    for found, text in zip(hostile, TEXTS, strict=True):
        for name, data in site.pages(found).items():
            if not name.endswith(".html"):
                continue
            page = Page(data.decode())
            assert page.tags <= ALLOWED_TAGS, name
            assert page.attributes <= ALLOWED_ATTRIBUTES, name
            assert all(re.fullmatch(r"[A-Za-z0-9.-]+", link) for link in page.links)
        agreement = Page(site.pages(found)[f"en-{found.agreements[0].reference}.html"].decode())
        assert text in "".join(agreement.text)


def test_what_no_reader_can_see_never_comes_into_the_register(sqlite: MakeDatabase, clock: Clock) -> None:
    for number, hidden in enumerate(("\u202e", "\u2066", "\u200b", "\ufeff")):
        with paired(lambda name, k=number: sqlite(f"{k}{name}"), ("XA", "XB"), clock) as (a, b):
            assert code_of(lambda a=a, b=b, c=hidden: tell(a, b, f"a{c}b")) == "text.forbidden_character"


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", export.FORMS)
def test_an_export_is_written_once_for_its_owner_and_replaces_nothing(
    pair: Pair, told: Story, tmp_path: Path, form: export.Form
) -> None:
    target = tmp_path / "out"
    with pair[0].database.read() as connection:
        names = export.export_all(connection, "XA", TODAY, target, form)
        files = sorted(each.name for each in target.iterdir()) if form in export.FOLDERS else ["one"]
        assert len(files) == len(names)
        assert stat.S_IMODE(target.stat().st_mode) == (0o700 if form in export.FOLDERS else 0o600)
        with pytest.raises(MithaqError) as again:
            export.export_all(connection, "XA", TODAY, target, form)
        assert again.value.code == "register.export_exists"
        with pytest.raises(MithaqError) as nowhere:
            export.export_all(connection, "XA", TODAY, tmp_path / "no" / "out", form)
        assert nowhere.value.code == "register.export_unwritable"
