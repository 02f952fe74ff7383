"""The pages say what the code does: tables, vectors, acts, codes, commands and links are compared with it."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile
from pathlib import Path
from typing import Final

import msgspec
import pytest

from mithaq.cli.output import Output
from mithaq.cli.parser import DELEGATED, build, read
from mithaq.kernel.act import Kind
from mithaq.kernel.mandate import Agreement
from mithaq.kernel.words import say
from mithaq.node import CATALOGUE, CHARTER_ACTS
from tests.pages import CODEC, MADE, MARKED, PAGES, ROOT, renewed, sentences, statements

OURS: Final = ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
LAUNCHER: Final = ("bench", "test")
"""What `./mithaq` does itself before any program runs."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_stands_between_markers_is_what_the_code_says(page: Path) -> None:
    assert renewed(page) == page.read_text(encoding="utf-8"), "run: PYTHONPATH=src:. python -m tests.pages"


def test_the_wire_page_has_every_marker() -> None:
    found = {marked["name"] for marked in MARKED.finditer((ROOT / "docs/wire.md").read_text(encoding="utf-8"))}
    assert found == set(MADE)


def test_the_vectors_are_read_back_as_what_was_said() -> None:
    for said in statements():
        assert CODEC.decode(CODEC.encode(said)) == said


@pytest.mark.parametrize("kind", CATALOGUE.kinds.values(), ids=lambda kind: kind.tag)
def test_every_act_has_its_heading_with_its_own_sentence(kind: Kind) -> None:
    assert kind.help in sentences(_section(kind))


@pytest.mark.parametrize("kind", CATALOGUE.kinds.values(), ids=lambda kind: kind.tag)
def test_every_act_shows_its_fields_and_an_example_that_can_be_read(kind: Kind) -> None:
    section = _section(kind)
    assert f"<!-- fields {kind.tag} -->" in section
    example = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert example, "an example of the act as JSON"
    whole = example[1].replace("age1pq1…", f"age1pq1{'q' * 1952}")  # a key of that kind has as many letters
    assert isinstance(msgspec.json.decode(whole, type=kind.act), kind.act)
    assert any(words[1:3] == ["say", kind.tag] for words in _commands(section)), "an example for the command line"


@pytest.mark.parametrize("service", sorted({kind.service for kind in CATALOGUE.kinds.values()}))
def test_every_code_of_a_service_is_explained_on_its_page(service: str) -> None:
    rules = (ROOT / f"src/mithaq/services/{service}/rules.py").read_text(encoding="utf-8")
    page = (ROOT / f"docs/services/{service}.md").read_text(encoding="utf-8")
    raised = set(re.findall(rf'"({service}\.[a-z_]+)"', rules))
    missing = {code for code in raised if f"`{code}`" not in page}
    assert not missing
    shown = set(re.findall(rf"`({service}\.[a-z_]+)`", page))
    assert shown <= raised | set(CATALOGUE.kinds), "a code that no rule raises"


def test_every_code_that_a_page_names_has_its_sentence() -> None:
    families = "statement|mandate|text|mirror|signature|evidence|note|merkle|proof|pairing"
    named = {
        code
        for page in PAGES
        for code in re.findall(rf"`((?:{families})\.[a-z0-9_]+)`", page.read_text(encoding="utf-8"))
        if code not in CATALOGUE
    }
    silent = {code for code in named if say(code, "en") == code}
    assert not silent


def test_every_link_within_the_repository_leads_somewhere() -> None:
    broken = []
    for page in [*PAGES, *(ROOT / name for name in OURS)]:
        for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.is_file():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#:]+\.md)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / link).resolve() for link in links]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_shows_is_understood(page: Path) -> None:
    for words in _commands(page.read_text(encoding="utf-8")):
        if words[1] not in {*LAUNCHER, *DELEGATED}:
            read(words[1:], "en")


def test_every_command_that_a_page_names_exists() -> None:
    grammar = build(Output("en", as_json=False), with_acts=False)
    launcher = (ROOT / "mithaq").read_text(encoding="utf-8")
    assert all(re.search(rf"^\s*{command}\)", launcher, re.MULTILINE) for command in LAUNCHER)
    named = {
        command for page in PAGES for command in re.findall(r"\./mithaq ([a-z]+)", page.read_text(encoding="utf-8"))
    }
    commands = next(action.choices for action in grammar._actions if isinstance(action.choices, dict))
    assert named <= {*LAUNCHER, *commands}


def test_every_test_that_a_page_names_exists() -> None:
    written = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py"))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:tests|src)/[A-Za-z0-9_/.]+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
        for name in re.findall(r"`(test_[a-z0-9_]{12,})`", text):
            assert f"def {name}(" in written, f"{page.name}: {name}"


def test_the_agreement_that_is_shown_as_data_is_one() -> None:
    page = (ROOT / "docs/agreements-as-data.md").read_text(encoding="utf-8")
    shown = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert shown
    text = msgspec.json.decode(shown[1], type=Agreement)
    assert f"`{text.hash()}`" in page
    assert f"--hash {text.hash()}\n" in (ROOT / "docs/start.md").read_text(encoding="utf-8")
    assert set(text.title) == {"ar", "en", "fa"}


def test_the_refusal_that_is_quoted_is_what_the_program_says() -> None:
    page = (ROOT / "docs/concepts.md").read_text(encoding="utf-8")
    quoted = sentences(" ".join(line[2:] for line in page.splitlines() if line.startswith("> ")))
    assert quoted == say("mandate.suspended", "en", clause="IR-2026-000005/3", party="IR", field="clause")


def test_the_charter_page_names_exactly_the_acts_of_the_charter() -> None:
    page = (ROOT / "docs/services/charter.md").read_text(encoding="utf-8")
    listed = re.search(r"<!-- charter -->\n(.*?)<!-- /charter -->", page, re.DOTALL)
    assert listed
    assert tuple(re.findall(r"`([a-z_.]+)`", listed[1])) == CHARTER_ACTS


def test_the_glossary_gives_every_word_in_three_languages() -> None:
    rows = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    words = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| ")][2:]
    assert len(words) > 20
    for word in words:
        assert len(word) == 4, word
        assert all(word), word
        assert all(re.search(r"[\u0600-\u06ff]", cell) for cell in word[1:3]), word


def _section(kind: Kind) -> str:
    page = (ROOT / f"docs/services/{kind.service}.md").read_text(encoding="utf-8")
    found = re.search(rf"^### `{re.escape(kind.tag)}`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, f"docs/services/{kind.service}.md has no heading ### `{kind.tag}`"
    return found[1]


def _commands(text: str) -> list[list[str]]:
    """The commands in a page's blocks of shell, as words; lines that end with a backslash go on, remarks are cut off."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = (shlex.split(line.strip(), comments=True) for line in lines)
    bare = (list(dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=.*", word), words)) for words in found)
    return [words for words in bare if words and words[0] == "./mithaq" and len(words) > 1]


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def _anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
