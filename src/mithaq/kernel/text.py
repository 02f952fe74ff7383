"""Which text may stand in a statement, and how texts are compared without being changed.

Text stays as written (design, law 10): nothing here repairs. A statement's text is Unicode NFC and free of everything a
reader cannot see: controls, format and direction characters, fillers, variation selectors, private and unassigned code
points. The two joiners that Persian spelling needs (U+200C, U+200D) stand only between two letters of the Arabic script,
where they are visible as a joining form. The number signs U+0600 to U+0605, U+06DD, U+070F and U+08E2 are visible but enclose
the digits after them, so they are refused with their class Cf. Emoji stand without their variation selector.

    check_text(raw)   the canonical JSON bytes of a whole entry; the hot path
    check_line(text)  one line that a person typed, check_lines with line breaks and tabs
    fold(text)        for matching only, never stored; lookalike(a, b) for names that a person may take for one another
    digits(...)       the digits a language writes; ascii_digits(text) the way back
"""

from __future__ import annotations

import re
import unicodedata

from mithaq.kernel.errors import Malformed
from mithaq.kernel.unicode14 import UNASSIGNED

_FORMAT = (
    "00AD 0600-0605 061C 06DD 070F 0890-0891 08E2 180E 200B 200E-200F 202A-202E 2060-2064 2066-206F FEFF FFF9-FFFB "
    "110BD 110CD 13430-13438 1BCA0-1BCA3 1D173-1D17A E0001 E0020-E007F"
)
"""Category Cf of Unicode 14 save the joiners: soft hyphen, zero-width space, bidirectional controls, tags, BOM."""

_IGNORABLE = "034F 115F-1160 17B4-17B5 180B-180F 3164 FE00-FE0F FFA0 E0100-E01EF"
"""Default_Ignorable_Code_Point outside Cf and Cn (DerivedCoreProperties.txt): fillers, joiner, variation selectors."""

_SEPARATORS_SURROGATES_PRIVATE = "2028-2029 D800-DFFF E000-F8FF F0000-FFFFD 100000-10FFFD"
_CONTROLS = "0000-001F 007F-009F"
_BREAKS = "\n\t"

_LETTERS = "\u0620-\u063f\u0641-\u064a\u066e-\u066f\u0671-\u06d3\u06d5\u06ee-\u06ef\u06fa-\u06fc\u06ff\u0750-\u077f"
"""The letters (Lo) of the blocks Arabic and Arabic Supplement; U+0640, the tatweel, is none."""
_VOWELS = "\u064b-\u065f\u0670"
"""Marks that stand on a letter: in a vocalised word the joiner follows the mark, and joins the letter below it."""


def _ranges(table: str) -> list[tuple[int, int]]:
    pairs = (word.partition("-") for word in table.split())
    return [(int(first, 16), int(last or first, 16)) for first, _, last in pairs]


def _character_class(ranges: list[tuple[int, int]]) -> str:
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


_REFUSED = _ranges(f"{_CONTROLS} {_FORMAT} {_IGNORABLE} {_SEPARATORS_SURROGATES_PRIVATE} {UNASSIGNED}")
# CPython searches a class of the Basic Multilingual Plane through a bitmap, one of the planes beyond range by range (sre
# "BIGCHARSET"). So the rare text with characters beyond is looked at apart, each distinct character once.
_HIDDEN = re.compile(f"[{_character_class([pair for pair in _REFUSED if pair[0] <= 0xFFFF])}]")
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_HIDDEN_BEYOND = re.compile(f"[{_character_class([pair for pair in _REFUSED if pair[1] > 0xFFFF])}]")
# No repetition in any pattern here, so no backtracking: one pass whatever a peer sends.
_JOINER_ASTRAY = re.compile(f"[\u200c\u200d](?:(?<![{_LETTERS}{_VOWELS}][\u200c\u200d])|(?![{_LETTERS}]))")
_ODD_ESCAPE = re.compile(rb"\\(?![nt\"])")
_ESCAPE = re.compile(r'\\(?:["\\nt]|u([0-9A-Fa-f]{4})|([bfr]))?')
_SHORT_ESCAPES = {"b": 0x08, "f": 0x0C, "r": 0x0D}


def check_text(raw: bytes) -> None:
    """Refuse the canonical JSON bytes of an entry when a text in it is not fit to stand in a statement.

    Plain ASCII, the most common entry, costs one pass over the bytes. `at` counts characters of the JSON text. Raises
    Malformed: text.not_utf8, text.not_nfc, text.forbidden_character(code_point, at), and statement.not_canonical for an
    escape that canonical JSON would not write. The whole JSON text must be NFC: a combining mark right after the escape
    of a line break, which no language writes, is refused with it.
    """
    # Measured: isprintable is six times as fast as the pattern, which only an entry with escapes needs.
    if raw.isascii() and raw.decode("ascii").isprintable() and (b"\\" not in raw or _ODD_ESCAPE.search(raw) is None):
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("text.not_utf8", at=error.start) from None
    _check_escapes(text)
    _check_characters(text)


def check_line(text: str) -> None:
    """Refuse one line as a person types it into a form, by the same rules; a line break or a tab is refused as well."""
    _check_characters(text)


def check_lines(text: str) -> None:
    """Refuse a longer text by the same rules; line breaks (U+000A) and tabs may stand in it."""
    _check_characters(text.translate(_BREAKS_TO_SPACES))


def _check_escapes(text: str) -> None:
    if "\\" not in text:
        return
    for escape in _ESCAPE.finditer(text):
        code, short = escape.groups()
        if code is None and short is None:
            if len(escape[0]) == 1:
                raise Malformed("statement.not_canonical")
            continue
        character = chr(int(code, 16) if code else _SHORT_ESCAPES[short])
        if character in _BREAKS or _first_hidden(character) is None:
            raise Malformed("statement.not_canonical")
        raise _forbidden(character, escape.start())


def _check_characters(text: str) -> None:
    at = _first_hidden(text)
    if at is not None:
        raise _forbidden(text[at], at)
    # Cheap: the quick check of UAX #15 section 9 answers at the first disorder, so only ordered text is composed.
    if not unicodedata.is_normalized("NFC", text):
        raise Malformed("text.not_nfc")


def _first_hidden(text: str) -> int | None:
    found = _HIDDEN.search(text)
    if found is None and ("\u200c" in text or "\u200d" in text):
        found = _JOINER_ASTRAY.search(text)
    if found is not None:
        return found.start()
    if _BEYOND.search(text) is not None:
        hidden = [character for character in set(_BEYOND.findall(text)) if _HIDDEN_BEYOND.match(character)]
        if hidden:
            return text.index(min(hidden))
    return None


def _forbidden(character: str, at: int) -> Malformed:
    return Malformed("text.forbidden_character", code_point=f"U+{ord(character):04X}", at=at)


_BREAKS_TO_SPACES = dict.fromkeys(map(ord, _BREAKS), " ")

_ARABIC_DIGITS = "٠١٢٣٤٥٦٧٨٩"
_PERSIAN_DIGITS = "۰۱۲۳۴۵۶۷۸۹"
_ASCII_DIGITS = "0123456789"
_TO_LANGUAGE = {
    "ar": str.maketrans(_ASCII_DIGITS, _ARABIC_DIGITS),
    "fa": str.maketrans(_ASCII_DIGITS, _PERSIAN_DIGITS),
}
_TO_ASCII = str.maketrans(_ARABIC_DIGITS + _PERSIAN_DIGITS, _ASCII_DIGITS * 2)


def digits(value: str | int, lang: str) -> str:
    """Write ASCII digits as the language does; for numbers meant for people, never for codes and references."""
    table = _TO_LANGUAGE.get(lang)
    return str(value).translate(table) if table else str(value)


def ascii_digits(text: str) -> str:
    """Write Arabic-Indic and Extended Arabic-Indic digits as ASCII."""
    return text.translate(_TO_ASCII)


# One letter for each group that keyboards and transcriptions of Arabic, Persian and Kurdish mix (U+0649, U+064A, U+06CC).
_FOLDED = str.maketrans("ىيےہھەةۃكڪٱ", "یییهههههککا")
_DROPPED = dict.fromkeys(map(ord, "\u0640\u200c\u200d\u00ad\u200b\u200e\u200f\u061c\ufeff"))
_FOLDING = {**_FOLDED, **_DROPPED, **_TO_ASCII}


def fold(text: str) -> str:
    """Reduce a text to what people compare: for MATCHING only, never shown or stored in place of what was written.

    Folds compatibility forms (NFKD), case, diacritics, tatweel, joiners, yeh, kaf, heh and alef forms, digits, white space.
    """
    # Marks go before and after decomposing: sorting a long run of them, as NFKD does, costs its square.
    spread = unicodedata.normalize("NFKD", _without_marks(text)).casefold().translate(_FOLDING)
    bare = _without_marks(unicodedata.normalize("NFKD", spread))
    return " ".join(bare.split())


def _without_marks(text: str) -> str:
    return "".join(character for character in text if not unicodedata.combining(character))


# The letters of other scripts that look like Latin ones in common type; the common part of UTS #39 confusables.txt.
_SKELETON = str.maketrans(
    "авеіјкмнорсԁѕтухһԛԝɡαβγεικνορτυχ01|",
    "abeijkmhopcdstyxhqwgabyeikvoptuxoll",
)


def lookalike(a: str, b: str) -> bool:
    """Say whether two different texts may be taken for one another; equal texts are no lookalikes."""
    return a != b and _skeleton(a) == _skeleton(b)


def _skeleton(text: str) -> str:
    plain = fold(text).translate(_SKELETON).replace("rn", "m").replace("vv", "w").replace("i", "l")
    return "".join(c for c in plain if c.isalnum())
