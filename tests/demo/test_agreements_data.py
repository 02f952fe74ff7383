"""The agreements that ship as data, and the invented ones of the tests, keep the form and cite what they say they cite."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mithaq.demo import agreements as data
from mithaq.kernel.act import Texts
from mithaq.kernel.force import covered
from mithaq.kernel.mandate import Agreement
from mithaq.kernel.text import check_text
from mithaq.node import CATALOGUE
from tests.fixtures import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src/mithaq/demo/agreements"
FIXTURES = ("second_pair", "three")
LANGUAGES = {"en", "ar", "fa"}
TALK = {"channel.say", "channel.reply", "channel.acknowledge"}
POWERS = {"agreements.suspend", "agreements.resume", "agreements.terminate", "agreements.amend"}
REGISTER = {tag for tag in CATALOGUE.kinds if tag.partition(".")[0] in {"obligations", "meetings"}}
STATE = re.compile(r"Iran|Iraq|إيران|ایران|عراق")
CODE = re.compile(r"(IR|IQ)($|[/-])")
CANONICAL_LIMIT = 60_000
"""Bytes: an agreement travels in one entry of at most 65,535, beside the entry's own fields."""

SHIPPED = data.load()
INVENTED = [(f"{name}[{i}]", each) for name in FIXTURES for i, each in enumerate(load(name).agreements)]
EVERY = pytest.mark.parametrize("agreement", [pytest.param(each, id=name) for name, each in SHIPPED + INVENTED])
OURS = pytest.mark.parametrize("agreement", [pytest.param(each, id=name) for name, each in SHIPPED])


def texts(agreement: Agreement) -> Iterator[Texts]:
    yield agreement.title
    yield agreement.marked
    for clause in agreement.clauses:
        yield clause.text
        yield from (duty.what for duty in clause.obliges)


def offices_of(agreement: Agreement) -> set[str]:
    permits = [permit for clause in agreement.clauses for permit in clause.permits]
    sealed = {office for permit in permits if permit.enclosures for office in permit.enclosures.to}
    return sealed | {office for permit in permits for office in permit.offices}


def known_offices() -> set[str]:
    registers = [data.offices(), *(load(name).offices for name in FIXTURES)]
    return {office for register in registers for offices in register.values() for office in offices}


def states_named_in(path: Path) -> list[str]:
    """Lines with a state's name, or with a string that is a party's code or begins with it (an example amid prose may stand)."""
    source = path.read_text(encoding="utf-8")
    strings = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    lines = {node.lineno for node in strings if CODE.match(str(node.value))}
    lines |= {number for number, line in enumerate(source.splitlines(), 1) if STATE.search(line)}
    return [f"{path.name}:{number}" for number in sorted(lines)]


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_every_shipped_file_is_loaded_and_none_is_missing() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*data.NAMES, "parties", "offices"}


@pytest.mark.parametrize("name, agreement", SHIPPED, ids=data.NAMES)
def test_a_shipped_agreement_encoded_again_is_what_the_file_says(name: str, agreement: Agreement) -> None:
    assert plain(agreement) == msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", FIXTURES)
def test_an_invented_fixture_encoded_again_is_what_the_file_says(name: str) -> None:
    assert plain(load(name)) == msgspec.json.decode((ROOT / f"tests/fixtures/{name}.json").read_bytes())


@EVERY
def test_every_text_of_an_agreement_stands_in_three_languages(agreement: Agreement) -> None:
    assert [text for text in texts(agreement) if set(text) != LANGUAGES] == []


def test_every_party_and_office_has_its_name_in_three_languages() -> None:
    registers: list[tuple[dict[str, Texts], dict[str, dict[str, Texts]]]] = [(data.parties(), data.offices())]
    registers += [(load(name).parties, load(name).offices) for name in FIXTURES]
    for parties, offices in registers:
        assert set(parties) == set(offices)
        assert all(set(name) == LANGUAGES for name in parties.values())
        assert all(set(name) == LANGUAGES for named in offices.values() for name in named.values())
        assert all(office.startswith(f"{party}/") for party, named in offices.items() for office in named)


@OURS
def test_every_shipped_agreement_says_that_it_is_illustrative(agreement: Agreement) -> None:
    assert agreement.marked["en"] == "Illustrative, from public reports: not the text of the agreement."
    assert len(set(agreement.marked.values())) == len(LANGUAGES)


@OURS
def test_every_clause_but_the_final_provisions_cites_a_report(agreement: Agreement) -> None:
    assert all(clause.cites for clause in agreement.clauses[:-1])
    assert not agreement.clauses[-1].cites


@OURS
def test_every_cited_sentence_and_headline_stands_in_its_report_as_written(agreement: Agreement, shared: Path) -> None:
    for clause in agreement.clauses:
        for citation in clause.cites:
            source = re.fullmatch(r"report (\d{3})(?:, “(.+)”)?", citation.source)
            assert source is not None, citation.source
            report = (shared / f"seeds-expected/{source[1]}.txt").read_text(encoding="utf-8")
            assert citation.sentence in report
            assert (source[2] or "") in report


@EVERY
def test_every_permit_names_an_act_that_exists(agreement: Agreement) -> None:
    named = {permit.act for clause in agreement.clauses for permit in clause.permits}
    assert named - TALK - POWERS - REGISTER == set()


@EVERY
def test_every_office_and_every_debtor_is_of_a_party_and_is_known(agreement: Agreement) -> None:
    offices, parties = offices_of(agreement), set(agreement.parties)
    assert {office.partition("/")[0] for office in offices} <= parties
    assert offices <= known_offices()
    for duty in (duty for clause in agreement.clauses for duty in clause.obliges):
        assert duty.owed_by in parties
        assert set(duty.owed_to) <= parties - {duty.owed_by}


@EVERY
def test_clauses_are_numbered_from_one_and_the_last_gives_the_powers_to_every_party(agreement: Agreement) -> None:
    assert [clause.number for clause in agreement.clauses] == [str(n) for n in range(1, len(agreement.clauses) + 1)]
    final = agreement.clauses[-1]
    assert final.text["en"].startswith("Final provisions.")
    assert {permit.act for permit in final.permits} == POWERS
    for permit in final.permits:
        assert all(covered(f"{party}/foreign-affairs", permit.offices) for party in agreement.parties)


@EVERY
def test_an_agreement_fits_in_one_entry_and_no_reader_is_shown_hidden_characters(agreement: Agreement) -> None:
    raw = msgspec.json.encode(agreement, order="sorted")
    assert len(raw) < CANONICAL_LIMIT
    check_text(raw)


@pytest.mark.parametrize(
    "path", [*FOLDER.glob("*.json"), *(ROOT / "tests/fixtures").glob("*.json")], ids=lambda p: p.stem
)
def test_a_data_file_holds_no_character_that_a_statement_may_not(path: Path) -> None:
    check_text(msgspec.json.encode(msgspec.json.decode(path.read_bytes()), order="sorted"))


def test_both_methods_of_entry_into_force_are_shown() -> None:
    assert {agreement.entry.method for _, agreement in SHIPPED} == {"signature", "notification"}


def test_only_what_the_reports_call_committed_is_a_duty() -> None:
    duties = [
        (name, clause.number, duty.owed_by, duty.due)
        for name, text in SHIPPED
        for clause in text.clauses
        for duty in clause.obliges
    ]
    assert duties == [
        *[("security-pact", "2", "IQ", "2023-09-19")] * 3,
        ("interior-memorandum", "2", "IR", ""),
        ("interior-memorandum", "2", "IQ", ""),
        ("interior-memorandum", "5", "IR", ""),
        ("trade-energy-draft", "7", "IR", ""),
        ("trade-energy-draft", "7", "IQ", ""),
    ]


def test_border_guards_may_keep_in_continuous_communication_with_large_sealed_enclosures() -> None:
    clause = dict(SHIPPED)["security-pact"].clauses[3]
    assert {permit.act for permit in clause.permits} == TALK
    for permit in clause.permits:
        assert (permit.offices, permit.handling) == (("IR/border-guard", "IQ/border-guard"), "H1")
    allowed = clause.permits[0].enclosures
    assert allowed is not None
    assert (allowed.max_bytes, allowed.max_count, allowed.keep_days) == (2**30, 4, 30)


def test_no_state_is_named_in_code_outside_the_demo_and_the_translations() -> None:
    code = ROOT / "src/mithaq"
    outside = [path for path in code.rglob("*.py") if path.relative_to(code).parts[0] not in {"demo", "locale"}]
    assert outside
    assert [place for path in outside for place in states_named_in(path)] == []


def test_a_state_named_in_code_is_found(tmp_path: Path) -> None:
    path = tmp_path / "planted.py"
    path.write_text('HOME = "IQ/border-guard"\nMINE = "IR"\n# as in Iraq\nGOOD = "such as IR"\n', encoding="utf-8")
    assert sorted(states_named_in(path)) == ["planted.py:1", "planted.py:2", "planted.py:3"]
