"""The register as a folder of pages that opens without a server: no script, no link outside, one set of pages a language."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from mithaq.kernel import words
from mithaq.register import rows
from mithaq.register.pages import render, style

NAMES: Final = {"ar": "العربية", "fa": "فارسی", "en": "English"}
"""Each language by its own name."""


def pages(whole: rows.Whole, lang: str = words.DEFAULT) -> dict[str, bytes]:
    """File name -> bytes. `index.html` leads to the three languages, `lang` first."""
    ordered = (lang, *(each for each in words.LANGUAGES if each != lang))
    files = {"style.css": style(), "index.html": render("start.html", lang, ordered=ordered, names=NAMES, whole=whole)}
    for each in ordered:
        files |= _in_language(whole, each)
    return {name: text.encode() for name, text in files.items()}


def _in_language(whole: rows.Whole, lang: str) -> dict[str, str]:
    def made(template: str, name: str, **given: Any) -> str:
        return render(template, lang, whole=whole, name=name, names=NAMES, **given)

    files = {
        f"{lang}.html": made("overview.html", ""),
        f"{lang}-obligations.html": made("obligations.html", "-obligations"),
        f"{lang}-meetings.html": made("meetings.html", "-meetings"),
    }
    said: dict[str, list[rows.Said]] = defaultdict(list)
    for each in whole.history:
        said[each.clause].append(each)
    owed: dict[str, list[rows.Obligation]] = defaultdict(list)
    for one in whole.obligations:
        owed[one.clause].append(one)
    for agreement in whole.agreements:
        name = f"-{agreement.reference}"
        files[f"{lang}{name}.html"] = made("agreement.html", name, agreement=agreement, said=said, owed=owed)
    return files
