"""Minutes on paper: every language, the hash, both signatures, the dissent; and letters that are joined in the PDF."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from mithaq.kernel import words
from mithaq.node import Node
from mithaq.register import printing
from mithaq.services.meetings import records
from tests.nodes import Clock, MakeDatabase, paired
from tests.register.story import TEXTS, Story, tell
from tests.register.test_export import Page

Pair = tuple[Node, Node]


@pytest.fixture
def told(pair: Pair) -> Story:
    return tell(*pair)


def minutes(node: Node, reference: str) -> records.Minutes:
    with node.database.read() as connection:
        found = records.minutes(connection, reference)
    assert found is not None
    return found


def test_printed_minutes_have_each_language_of_the_body_the_asked_one_first(pair: Pair, told: Story) -> None:
    page = printing.minutes_html(minutes(pair[0], told.minutes), "fa")
    assert re.findall(r'<section class="language" lang="(\w+)" dir="(\w+)">', page) == [("fa", "rtl"), ("ar", "rtl")]
    english = printing.minutes_html(minutes(pair[0], told.minutes), "en")
    assert re.findall(r'<section class="language" lang="(\w+)" dir="(\w+)">', english)[0] == ("en", "ltr")
    assert "size: A4" in page


def test_printed_minutes_show_the_hash_both_signatures_and_the_dissent_in_each_language(
    pair: Pair, told: Story
) -> None:
    for node in pair:
        for lang in words.LANGUAGES:
            for section in printing.minutes_html(minutes(node, told.minutes), lang).split("<section")[1:]:
                for shown in (told.hash, *told.signatures, told.dissent, told.agreement, told.meeting, "1447-09-11"):
                    assert shown in section
                assert "It is done." in section


def test_minutes_that_are_not_signed_say_so(sqlite: MakeDatabase, clock: Clock) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        found = minutes(a, tell(a, b).minutes)
    unsigned = msgspec.structs.replace(found.minutes, signed={}, state="proposed")
    page = printing.minutes_html(msgspec.structs.replace(found, minutes=unsigned), "en")
    assert page.count(">not signed<") == 2
    assert "Proposed; not signed by all sides." in page


def test_no_text_becomes_markup_on_printed_minutes(sqlite: MakeDatabase, clock: Clock) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        found = minutes(a, tell(a, b, TEXTS[11], TEXTS[11]).minutes)
    page = Page(printing.minutes_html(found, "ar"))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.links == []
    assert TEXTS[11] in "".join(page.text)


def test_the_pdf_is_made_in_both_directions_and_says_its_language(pair: Pair, told: Story) -> None:
    found = minutes(pair[0], told.minutes)
    for langs in ((), ("ar", "fa"), ("en",)):
        made = printing.minutes_pdf(found, langs)
        assert made.startswith(b"%PDF-1.")
        assert f"/Lang ({(langs or ('ar',))[0]})".encode() in made
        assert made == printing.minutes_pdf(found, langs), "the same minutes give the same file"


def test_the_pdf_takes_every_text(sqlite: MakeDatabase, clock: Clock) -> None:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        found = minutes(a, tell(a, b, TEXTS[0], TEXTS[0]).minutes)
    raw = msgspec.json.encode(found)
    for text in (*TEXTS, "界 \U0001f600", "a" * 3000, "ب" * 3000, "\n\n"):
        other = msgspec.json.decode(
            raw.replace(msgspec.json.encode(TEXTS[0]), msgspec.json.encode(text)), type=records.Minutes
        )
        assert printing.minutes_pdf(other).startswith(b"%PDF-1.")


def test_arabic_letters_of_the_pdf_are_joined_and_run_from_the_right(pair: Pair, told: Story, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext (Debian: apt install poppler-utils)")
    file = tmp_path / "minutes.pdf"
    file.write_bytes(printing.minutes_pdf(minutes(pair[0], told.minutes), ("ar",)))
    boxes = subprocess.run(["pdftotext", "-bbox", str(file), "-"], capture_output=True, text=True, check=True).stdout
    at: dict[str, float] = {}
    for left, word in re.findall(r'<word xMin="([0-9.]+)"[^>]*>([^<]+)</word>', boxes):
        at |= {word: float(left), word[::-1]: float(left)}  # as written or as seen, by the version of poppler
    assert at["المخافر"] > at["اللجنة"] > at["وفق"], "the first word stands on the right"
