"""Which text may stand in a statement; the product's patterns against a slow reading of the Unicode tables."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mithaq.kernel.errors import Malformed
from mithaq.kernel.text import ascii_digits, check_line, check_lines, check_text, digits, fold, lookalike

REFUSED_CLASSES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
FILLERS = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}
FILLERS |= set(range(0xE0100, 0xE01F0))
JOINERS = "\u200c\u200d"

unicode14 = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="the table is compared with the Unicode 14 of Python 3.11"
)


def is_letter(text: str, at: int) -> bool:
    if not 0 <= at < len(text):
        return False
    arabic = 0x0600 <= ord(text[at]) <= 0x06FF or 0x0750 <= ord(text[at]) <= 0x077F
    return arabic and unicodedata.category(text[at]) == "Lo"


def is_vowel(text: str, at: int) -> bool:
    return at >= 0 and (0x064B <= ord(text[at]) <= 0x065F or text[at] == "\u0670")


def allowed(text: str) -> bool:
    for at, character in enumerate(text):
        if character in JOINERS:
            if not ((is_letter(text, at - 1) or is_vowel(text, at - 1)) and is_letter(text, at + 1)):
                return False
        elif unicodedata.category(character) in REFUSED_CLASSES or ord(character) in FILLERS:
            return False
    return unicodedata.normalize("NFC", text) == text


def passes(text: str) -> bool:
    try:
        check_line(text)
    except Malformed:
        return False
    return True


def code_of(raw: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        check_text(raw)
    return caught.value.code


def canonical(text: str) -> bytes:
    return json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":")).encode()


near_the_border = st.text(
    st.sampled_from(
        "میرود بةھa1\u0301\u064e\u0654\u0640\u200c\u200d\u202e\u2066\u00ad\ufe0f\ufeff\u0600e\u00e9\n\t\U0001f600\U000e0041"
    )
)


@unicode14
@given(st.one_of(st.text(), near_the_border))
@example("می‌رود")
@example("\u200cمی")
@example("می\u200c")
@example("می\u200c\u200cرود")
@example("کتابِ‌من")
def test_a_text_passes_exactly_when_the_unicode_tables_say_so(text: str) -> None:
    assert passes(text) is allowed(text)


@unicode14
@given(st.one_of(st.text(st.characters(exclude_characters="\n\t\b\f\r", min_codepoint=0x20)), near_the_border))
def test_an_entry_passes_exactly_when_its_text_does(text: str) -> None:
    try:
        raw = canonical(text)
    except UnicodeEncodeError:
        return
    expected = allowed(raw.decode())
    if expected:
        check_text(raw)
    else:
        code_of(raw)


@unicode14
def test_every_code_point_of_unicode_14_is_judged_by_its_class() -> None:
    wrong = [
        f"U+{point:04X}"
        for point, character in ((point, chr(point)) for point in (*range(0x32000), *range(0x32000, 0x110000, 0x101)))
        if character not in JOINERS
        and unicodedata.is_normalized("NFC", character)
        and passes(character) is (unicodedata.category(character) in REFUSED_CLASSES or point in FILLERS)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "character",
    [
        *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u00ad\u200b\u2060\ufeff\U000e0041",
        *"\u0600\u06dd\u2028\u2029\ufe0f\ue000\ufdd0\uffff\x7f\x85\u3164\U0010ffff\U000e0100",
    ],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_a_hidden_character_is_refused_with_its_code_point_and_place(character: str) -> None:
    with pytest.raises(Malformed) as caught:
        check_line(f"ab{character}c")
    assert caught.value.code == "text.forbidden_character"
    assert caught.value.facts == {"code_point": f"U+{ord(character):04X}", "at": 2}
    assert code_of(canonical(f"سلام{character}")) == "text.forbidden_character"


@pytest.mark.parametrize(
    "text", ["میثاق", "ميثاق", "می‌خواهم", "covenant", "ﷲ ﺑ", "نقطهٔ وارسی", "الأمن", "日本", "😀", "c'est déjà"]
)
def test_words_as_people_write_them_pass(text: str) -> None:
    check_line(text)
    check_text(canonical(text))


@pytest.mark.parametrize(
    "text", ["\u200cمی", "می\u200c", "می\u200c\u200cرود", "می\u200c رود", "pay\u200cpal", "ب\u200d1", "ـ\u200cب"]
)
def test_a_joiner_anywhere_but_between_two_arabic_letters_is_refused(text: str) -> None:
    assert code_of(canonical(text)) == "text.forbidden_character"
    assert not passes(text)


def test_a_decomposed_letter_is_refused() -> None:
    assert code_of(canonical("e\u0301")) == "text.not_nfc"
    assert code_of(canonical("ا\u0653")) == "text.not_nfc"


def test_line_breaks_and_tabs_stand_in_an_entry_as_their_escapes() -> None:
    check_text(canonical("first\n\tsecond"))
    check_text(canonical("نخست\n\tدوم"))
    assert code_of(b'{"text":"first\nsecond"}') == "text.forbidden_character"
    assert code_of('{"text":"نخست\nدوم"}'.encode()) == "text.forbidden_character"


@pytest.mark.parametrize("escape", [r"\b", r"\f", r"\r", r"\u0000", r"\u001b", r"\u202e", r"\ud800"])
def test_a_control_does_not_hide_behind_an_escape(escape: str) -> None:
    assert code_of(b'{"text":"' + escape.encode() + b'"}') == "text.forbidden_character"
    assert code_of('{"text":"م'.encode() + escape.encode() + b'"}') == "text.forbidden_character"


@pytest.mark.parametrize("escape", [r"\u0041", r"\u000a", r"\u12", r"\x", r"\/", "\\"])
def test_an_escape_that_canonical_json_does_not_write_is_refused(escape: str) -> None:
    assert code_of(b'{"text":"' + escape.encode()) == "statement.not_canonical"


def test_an_escaped_backslash_before_a_letter_is_no_escape_of_a_control() -> None:
    check_text(canonical("C:\\backup\\users\\folder"))
    check_text(canonical("مسیر C:\\backup"))


@pytest.mark.parametrize("raw", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b'{"a":"\xd9'])
def test_bytes_that_are_not_utf8_are_refused(raw: bytes) -> None:
    assert code_of(raw) == "text.not_utf8"


@pytest.mark.parametrize(
    "text",
    [
        "\u200c" * 21000,
        "ب\u200c" * 13000 + "!",
        "\\" * 65001,
        "\\\\" * 32000 + "\\u",
        "a" + "\u0301\u0323" * 16000,
        "\u0323" * 32000,
        "é" + "\u0323" * 32000,
        "\U0001f600" * 16000,
        "".join(chr(0x20000 + n) for n in range(16000)) + "\U000e0001",
        "e" * 65000 + "\u0301",
    ],
    ids=["joiners", "joined", "backslashes", "escape", "disorder", "marks", "late", "beyond", "distinct", "end"],
)
def test_64_kib_made_to_be_slow_are_answered(text: str) -> None:
    for check in (check_line, check_lines):
        try:
            check(text)
        except Malformed as refused:
            assert refused.code.startswith("text.")  # noqa: PT017 -- some of these texts are allowed
    try:
        check_text(b'"' + text.encode() + b'"')
    except Malformed as refused:
        assert refused.code in {"text.not_nfc", "text.forbidden_character", "statement.not_canonical"}  # noqa: PT017


@given(st.binary(max_size=300))
def test_any_bytes_pass_or_are_malformed(raw: bytes) -> None:
    try:
        check_text(raw)
    except Malformed as refused:
        assert refused.code.partition(".")[0] in {"text", "statement"}  # noqa: PT017 -- most bytes pass


def test_lines_hold_breaks_and_a_line_does_not() -> None:
    check_lines("یک\nدو\tسه")
    assert not passes("one\ntwo")
    with pytest.raises(Malformed):
        check_lines("one\r\ntwo")


@pytest.mark.parametrize(
    "one, other",
    [
        ("علي", "علی"),
        ("كتاب", "کتاب"),
        ("إتفاق", "اتفاق"),
        ("آب", "اب"),
        ("مُحَمَّد", "محمد"),
        ("محـــمد", "محمد"),
        ("می‌رود", "میرود"),
        ("۱۴۰۱", "١٤٠١"),
        ("۱۲", "12"),
        ("فاطمة", "فاطمه"),
        ("STRASSE", "straße"),
        ("ﷲ", "الله"),
        ("  two   words ", "two words"),
    ],
)
def test_spellings_of_one_word_fold_together(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_folding_a_long_run_of_marks_in_disorder_ends() -> None:
    assert fold("a" + "\u0301\u0323" * 200_000) == "a"


def test_different_words_stay_different() -> None:
    assert fold("بصره") != fold("نصره")
    assert not lookalike("basra", "mosul")


@pytest.mark.parametrize(
    "a, b", [("pаypal", "paypal"), ("علي", "علی"), ("IQ/po1ice", "IQ/police"), ("modern", "modem")]
)
def test_texts_that_look_alike_are_told_and_equal_ones_are_not(a: str, b: str) -> None:
    assert lookalike(a, b)
    assert lookalike(b, a)
    assert not lookalike(a, a)


@given(st.integers(min_value=0), st.sampled_from(["ar", "fa", "en"]))
def test_digits_go_there_and_back(n: int, lang: str) -> None:
    assert int(ascii_digits(digits(n, lang))) == n
