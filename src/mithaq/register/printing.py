"""Minutes on paper: a page for print (A4) and a PDF, one part a language, with hash, signatures and dissents.

Both are drawn from the same `Part`. The PDF is shaped by HarfBuzz (uharfbuzz) and ordered by UAX #9 (fpdf2), in Vazirmatn, whose font
files lie in `fonts` with their licence (SIL OFL 1.1).
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

from mithaq.kernel import words
from mithaq.kernel.text import digits
from mithaq.register.pages import Chosen, choose, label, render, style, written
from mithaq.services.meetings.acts import MinuteItem
from mithaq.services.meetings.records import Minutes

if TYPE_CHECKING:
    from fpdf import FPDF

CODE: Final = "zxx"
"""ISO 639: no linguistic content. References, offices and hashes, always written from left to right."""
_FONTS: Final = Path(__file__).parent / "fonts"
_FAMILY: Final = "Vazirmatn"
_MARGIN: Final = 18.0
_GREY: Final = 70
_TOGETHER: Final = 13.0


class Line(NamedTuple):
    """A label with its values."""

    label: str
    values: Sequence[Chosen]


class Dissenting(NamedTuple):
    """One side's dissent: the label, whose it is and by which statement, its words."""

    label: str
    of: str
    text: str


class Piece(NamedTuple):
    """One item of the minutes."""

    heading: str
    text: Chosen
    facts: Sequence[Line]
    dissents: Sequence[Dissenting]


class Part(NamedTuple):
    """The minutes in one language."""

    lang: str
    marked: Chosen
    heading: str
    state: str
    facts: Sequence[Line]
    items_heading: str
    items: Sequence[Piece]
    signatures_heading: str
    signatures: Sequence[Line]
    note: str


def minutes_html(minutes: Minutes, lang: str) -> str:
    """One page with everything in it, for print: the minutes' languages one after the other, `lang` first."""
    sections = [part(minutes, each) for each in languages_of(minutes, lang)]
    css = Markup(style())  # noqa: S704  # our own sheet, in which nothing of a statement stands
    return render("minutes.html", lang, sections=sections, reference=minutes.reference, css=css)


def minutes_pdf(minutes: Minutes, langs: Sequence[str] = ()) -> bytes:
    """The same as PDF (A4). `langs`: the order of the languages; those of the minutes when empty."""
    from fpdf import FPDF  # here: it brings an image library, and most commands print nothing

    logging.getLogger("fpdf").setLevel(logging.ERROR)  # a letter that the font lacks is drawn as a box, and no news
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    order = tuple(langs) or languages_of(minutes, next(iter(minutes.languages), words.DEFAULT))
    pdf = FPDF(format="A4")
    pdf.set_margins(_MARGIN, _MARGIN)
    pdf.set_auto_page_break(True, _MARGIN)
    pdf.add_font(_FAMILY, "", _FONTS / "Vazirmatn-Regular.ttf")
    pdf.add_font(_FAMILY, "B", _FONTS / "Vazirmatn-Bold.ttf")
    pdf.set_title(minutes.reference)
    pdf.set_lang(order[0])
    pdf.set_creation_date(dt.datetime.fromisoformat(minutes.minutes.text.mark.at))
    for lang in order:
        pdf.add_page()
        _draw(pdf, part(minutes, lang))
    return bytes(pdf.output())


def languages_of(minutes: Minutes, first: str) -> tuple[str, ...]:
    """The languages that the minutes are printed in: the reader's, then those of the body or of the meeting."""
    return (first, *(each for each in minutes.languages if each in words.LANGUAGES and each != first))


# --- what stands on the paper -----------------------------------------------------------------------------------------


def part(minutes: Minutes, lang: str) -> Part:
    """The minutes with the words of one language around what was written in it, or else in another."""
    standing = minutes.minutes
    return Part(
        lang,
        choose(minutes.marked, lang) if minutes.marked else Chosen("", lang, words.direction(lang)),
        label("minutes_heading", lang),
        label(f"minutes_{standing.state}", lang),
        [each for each in _facts(minutes, lang) if each.values],
        label("items", lang),
        [_piece(minutes, item, lang) for item in standing.text.items],
        label("signatures", lang),
        [
            Line(label("hash", lang), [_code(minutes.hash)]),
            *(_signature(minutes, party, lang) for party in standing.text.sides),
        ],
        label("minutes_note", lang),
    )


def _code(text: str) -> Chosen:
    return Chosen(text, CODE, "ltr")


def _plain(text: str, lang: str) -> Chosen:
    return Chosen(text, lang, words.direction(lang))


def _facts(minutes: Minutes, lang: str) -> Iterator[Line]:
    meeting, text = minutes.meeting, minutes.minutes.text
    called = meeting.invitation

    def line(key: str, *values: Chosen) -> Line:
        return Line(label(key, lang), values)

    yield line("statement", _code(minutes.reference))
    title = (choose(minutes.agreement_title, lang),) if minutes.agreement_title else ()
    yield line("agreement", *title, _code(minutes.clause))
    if minutes.body:
        yield line("body", choose(minutes.body.text.name, lang), _code(minutes.body.reference))
    yield line("meeting", choose(called.title, lang), _code(meeting.reference))
    if meeting.held_on:
        yield line("held_on", _plain(written(meeting.held_on, lang), lang))
    else:  # each side's own word, side by side
        for party, answer in sorted(meeting.held.items()):
            yield line("held_on", _code(party), _plain(written(answer.day, lang), lang))
    for party, day in sorted(meeting.hijri.items()):
        yield line("hijri", _code(f"{party}: {day}"))
    yield line("place", Chosen(called.place, lang, "auto"))
    for party in text.sides:
        sent = meeting.delegations.get(party, ())
        values = [_code(each.office) for each in sent]
        roles = [_plain(label(f"role_{each.role}", lang), lang) for each in sent]
        yield line("delegation", *(value for pair in zip(values, roles, strict=True) for value in pair))
    if text.next:
        where = (Chosen(text.next_place, lang, "auto"),) if text.next_place else ()
        yield line("next_meeting", _plain(written(text.next, lang), lang), *where)
    yield line("replaces", *(_code(each) for each in text.replaces))
    yield line("replaced_by", *(_code(each) for each in minutes.minutes.replaced_by))
    yield line("enclosures", *(_code(f"{each.digest} {each.media}") for each in minutes.enclosures))


def _piece(minutes: Minutes, item: MinuteItem, lang: str) -> Piece:
    facts = [
        Line(label(key, lang), [value])
        for key, value in (
            ("obligation", _code(item.obligation)),
            ("owed_by", _code(item.office or item.owed_by)),
            ("owed_to", _code(item.owed_to)),
            ("due", _due(minutes, item, lang)),
        )
        if value.text
    ]
    dissents = [
        Dissenting(label("dissent", lang), f"{each.mark.by} {each.mark.reference}", each.text)
        for each in minutes.minutes.dissents.get(item.number, ())
    ]
    heading = f"{digits(item.number, lang)}. {label(f'kind_{item.kind}', lang)}"
    return Piece(heading, choose(item.text, lang), facts, dissents)


def _due(minutes: Minutes, item: MinuteItem, lang: str) -> Chosen:
    """The day that was agreed; of a period, the day that it ends on where the action says so."""
    if len(item.due) == 10:
        return _plain(written(item.due, lang), lang)
    found = next((each.due_day for each in minutes.actions if each.item == item.number), None)
    return _plain(written(found, lang), lang) if found and item.due else _code(item.due)


def _signature(minutes: Minutes, party: str, lang: str) -> Line:
    mark = minutes.minutes.signed.get(party)
    if mark is None:
        return Line(party, [_plain(label("not_signed", lang), lang)])
    at = words.moment(dt.datetime.fromisoformat(mark.at), lang)
    return Line(party, [_code(mark.by), _code(mark.reference), _plain(at, lang)])


# --- the PDF ----------------------------------------------------------------------------------------------------------


class _Look(NamedTuple):
    """How a paragraph looks: size in points, weight, grey, millimetres above it."""

    size: int
    bold: bool = False
    grey: bool = False
    above: int = 0


_TITLE: Final = _Look(16, bold=True)
_HEADING: Final = _Look(13, bold=True, above=3)
_ITEM: Final = _Look(11, bold=True, above=2)
_STRONG: Final = _Look(11, bold=True)
_TEXT: Final = _Look(11)
_VALUE: Final = _Look(10)
_LABEL: Final = _Look(9, grey=True)
_NOTE: Final = _Look(9, above=3)


def _draw(pdf: FPDF, one: Part) -> None:
    to = words.direction(one.lang)
    if one.marked.text:
        _put(pdf, _STRONG, one.marked.text, one.marked.dir, to)
    _put(pdf, _TITLE, one.heading, to, to)
    _put(pdf, _TEXT, one.state, to, to)
    _lines(pdf, one.facts, to)
    _put(pdf, _HEADING, one.items_heading, to, to)
    for item in one.items:
        _put(pdf, _ITEM, item.heading, to, to)
        _put(pdf, _TEXT, item.text.text, item.text.dir, item.text.dir)
        _lines(pdf, item.facts, to)
        for dissent in item.dissents:
            _put(pdf, _ITEM, dissent.label, to, to)
            _put(pdf, _LABEL, dissent.of, "ltr", to)
            _put(pdf, _VALUE, dissent.text, "auto", to)
    _put(pdf, _HEADING, one.signatures_heading, to, to)
    _lines(pdf, one.signatures, to)
    _put(pdf, _NOTE, one.note, to, to)


def _lines(pdf: FPDF, lines: Sequence[Line], to: str) -> None:
    for line in lines:
        if pdf.will_page_break(_TOGETHER):  # no label alone at the foot of a page
            pdf.add_page()
        _put(pdf, _LABEL, line.label, to, to)
        for value in line.values:
            _put(pdf, _VALUE, value.text, value.dir, to)


def _put(pdf: FPDF, look: _Look, text: str, direction: str, to: str) -> None:
    """A paragraph. `direction`: of its own text (auto: by its first strong letter); `to`: the side that it stands on."""
    if look.above:
        pdf.ln(look.above)
    pdf.set_font(_FAMILY, "B" if look.bold else "", look.size)
    pdf.set_text_color(_GREY if look.grey else 0)
    pdf.set_text_shaping(True, direction=None if direction == "auto" else direction)
    align = "R" if to == "rtl" else "L"
    for paragraph in text.replace("\t", "    ").split("\n"):
        pdf.multi_cell(0, look.size * 0.6, paragraph, align=align, new_x="LMARGIN", new_y="NEXT")
