"""Every sentence in three languages, with the same places, and the words of the glossary."""

from __future__ import annotations

import io
import re
from datetime import date
from importlib import resources
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from mithaq.kernel import words
from mithaq.kernel.text import check_lines

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
PLACE = re.compile(r"\{(\w+)\}")
CODE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
FORMS = {"ar": 6, "fa": 2, "en": 2}


def source(lang: str) -> str:
    return (resources.files("mithaq") / "locale" / lang / "LC_MESSAGES" / "mithaq.po").read_text("utf-8")


@pytest.fixture(scope="module", params=words.LANGUAGES)
def catalogue(request: pytest.FixtureRequest) -> tuple[str, Catalog]:
    lang: str = request.param
    return lang, read_po(io.BytesIO(source(lang).encode()), locale=lang, abort_invalid=True)


@pytest.fixture(scope="module")
def english() -> Catalog:
    return read_po(io.BytesIO(source("en").encode()), locale="en", abort_invalid=True)


def test_no_language_lacks_a_sentence(catalogue: tuple[str, Catalog], english: Catalog) -> None:
    lang, found = catalogue
    assert {m.id for m in found if m.id and all(m.string if isinstance(m.string, tuple) else (m.string,))} == {
        m.id for m in english if m.id
    }, lang


def test_every_sentence_has_the_same_places_in_every_language(catalogue: tuple[str, Catalog], english: Catalog) -> None:
    _, found = catalogue
    for message in found:
        if message.id and isinstance(message.id, str):
            assert set(PLACE.findall(str(message.string))) == set(PLACE.findall(str(english[message.id].string))), (
                message.id
            )


def test_every_plural_has_all_the_forms_of_its_language(catalogue: tuple[str, Catalog]) -> None:
    lang, found = catalogue
    for message in found:
        if message.id and not isinstance(message.id, str):
            assert len(message.string) == FORMS[lang], message.id
            assert all({*PLACE.findall(form)} <= {*PLACE.findall(message.id[1])} for form in message.string)


def test_sentences_are_in_order_and_fit_to_stand_in_a_statement(catalogue: tuple[str, Catalog]) -> None:
    lang, found = catalogue
    ids = re.findall(r'^msgid "(.+)"$', source(lang), re.MULTILINE)
    assert ids == sorted(ids)
    for message in found:
        for text in message.string if isinstance(message.string, tuple) else (str(message.string),):
            check_lines(PLACE.sub("x", text))


def test_arabic_and_persian_are_written_in_their_own_letters(catalogue: tuple[str, Catalog]) -> None:
    lang, found = catalogue
    strangers = {"ar": "یکپچژگ", "fa": "يكىة"}.get(lang, "")
    for message in found:
        text = " ".join(message.string) if isinstance(message.string, tuple) else str(message.string)
        assert not set(text) & set(strangers), message.id


def test_a_code_ends_as_a_sentence_in_every_language(catalogue: tuple[str, Catalog]) -> None:
    _, found = catalogue
    for message in found:
        if isinstance(message.id, str) and CODE.fullmatch(message.id):
            assert str(message.string).endswith((".", "؟", "?", "}")), message.id


def test_a_refusal_names_rule_clause_and_field() -> None:
    facts = {"clause": "IR-2023-000001#3", "act": "goods.declare", "office": "IQ/customs/basra", "field": "office"}
    for lang in words.LANGUAGES:
        said = words.explained("mandate.office_not_entitled", facts, lang)
        for part in ("mandate.office_not_entitled", "IR-2023-000001#3", "goods.declare", "IQ/customs/basra"):
            assert part in said
    assert "[Rule: mandate.office_not_entitled; Clause: IR-2023-000001#3; Field: office]" in words.explained(
        "mandate.office_not_entitled", facts, "en"
    )


def test_numbers_for_people_change_their_digits_and_references_do_not() -> None:
    facts = {"clause": "IR-2023-000001", "value": 70000, "limit": 65535}
    said = words.sentence("mandate.enclosure_too_large", facts, "fa")
    assert "IR-2023-000001" in said
    assert "۷۰٬۰۰۰" in said
    assert "٦٥٬٥٣٥" in words.sentence("mandate.enclosure_too_large", facts, "ar")
    assert "65,535" in words.sentence("mandate.enclosure_too_large", facts, "en")


def test_facts_are_isolated_when_asked() -> None:
    facts = {"reference": "IR-2023-000001"}
    assert "\u2068IR-2023-000001\u2069" in words.sentence("agreements.unknown", facts, "ar", isolate=True)
    assert "\u2068" not in words.sentence("agreements.unknown", facts, "ar")
    assert "\u2068" not in words.sentence("agreements.unknown", facts, "en", isolate=True)


def test_a_missing_fact_an_unknown_code_and_an_unknown_language_are_said_all_the_same() -> None:
    assert "—" in words.sentence("agreements.unknown", {}, "en")
    assert words.sentence("no.such_code", {"b": 1, "a": "x"}, "ar") == "no.such_code (a=x, b=1)"
    assert words.sentence("agreements.unknown", {"reference": "R"}, "xx") == words.sentence(
        "agreements.unknown", {"reference": "R"}, "en"
    )
    assert words.say("Not translated at all: {name}", "fa", name="x") == "Not translated at all: x"
    assert not words.known("no.such_code")
    assert words.known("mandate.suspended")


def test_a_fact_cannot_bring_places_of_its_own() -> None:
    assert "{clause}" in words.sentence("agreements.unknown", {"reference": "{clause}", "clause": "secret"}, "en")


def test_lists_and_days_are_written_as_the_language_does() -> None:
    facts = {"reference": ["IR-1", "IR-2"]}
    assert "IR-1، IR-2" in words.sentence("agreements.unknown", facts, "ar")
    assert "۱۹ مارس ۲۰۲۳" in words.sentence("agreements.unknown", {"reference": date(2023, 3, 19)}, "fa")


@pytest.mark.parametrize(
    "n, said",
    [(0, "لا بيانات"), (1, "بيان واحد"), (2, "بيانان"), (3, "٣ بيانات"), (11, "١١ بياناً"), (1000, "١٬٠٠٠ بيان")],
)
def test_arabic_counts_in_its_six_forms(n: int, said: str) -> None:
    assert words.plural("{n} statement", n, "ar") == said


def test_persian_and_english_count() -> None:
    assert words.plural("{n} statement", 1000, "fa") == "۱٬۰۰۰ اظهاریه"
    assert words.plural("{n} statement", 1, "en") == "1 statement"
    assert words.plural("{n} statement", 1000, "en") == "1,000 statements"


@pytest.mark.parametrize(
    "explicit, accept, environ, chosen",
    [
        ("fa", "ar", {"LANG": "en_GB.UTF-8"}, "fa"),
        (None, "de, fa;q=0.5, ar;q=0.8", None, "ar"),
        (None, "ar;q=0, fa-IR;q=0.1", None, "fa"),
        (None, None, {"LANG": "ar_IQ.UTF-8"}, "ar"),
        (None, None, {"LANGUAGE": "de:fa", "LANG": "en_GB"}, "fa"),
        (None, None, {"LC_ALL": "C"}, "en"),
        ("klingon", ";;q=x,,", {}, "en"),
        (None, None, None, "en"),
    ],
)
def test_the_language_is_what_was_asked_then_the_header_then_the_locale(
    explicit: str | None, accept: str | None, environ: dict[str, str] | None, chosen: str
) -> None:
    assert words.language(explicit, accept=accept, environ=environ) == chosen


def test_sizes_moments_and_directions() -> None:
    assert words.size(65535, "en") == "64 KiB"
    assert words.size(1536, "ar") == "١٫٥ كيلوبايت"
    assert words.size(0, "fa") == "۰ بایت"
    assert words.moment("2023-03-19T14:05:00Z", "ar") == "١٩ آذار ٢٠٢٣، ١٤:٠٥ UTC"
    assert words.moment(0, "en") == "1 January 1970, 00:00 UTC"
    assert words.moment(0, "fa", "solar_hijri") == "۱۱ دی ۱۳۴۸، ۰۰:۰۰ UTC"
    assert [words.direction(lang) for lang in words.LANGUAGES] == ["rtl", "rtl", "ltr"]


def glossary() -> list[list[str]]:
    rows = [line for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_glossary_has_every_word_of_the_design_in_three_languages() -> None:
    rows = glossary()
    assert all(len(row) == 4 and all(row) for row in rows)
    wanted = "party,commission,office,official,agreement,clause,act,statement,log,checkpoint,receipt,enclosure,record,refusal"
    wanted += (
        ",clause in force,suspended,retention,pairing file,fingerprint,evidence file,backlog,proposal,signature,mandate"
    )
    wanted += ",entry into force,amendment,suspension,resumption,termination,withdrawal,working group,joint commission"
    wanted += ",border post,crossing"
    assert set(wanted.split(",")) <= {row[0] for row in rows}


@pytest.mark.parametrize(
    "term", ["clause", "statement", "agreement", "office", "act", "enclosure", "log", "proposal", "amendment"]
)
def test_the_sentences_use_the_words_of_the_glossary(term: str) -> None:
    row = next(row for row in glossary() if row[0] == term)
    for column, lang in ((1, "ar"), (2, "fa")):
        assert row[column] in source(lang), (term, lang)
