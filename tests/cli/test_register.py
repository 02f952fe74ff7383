"""`register` at the terminal: questions for people in three calendars and as JSON, and the private desk."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest

from mithaq.cli.run import main
from mithaq.kernel.mandate import Agreement, Clause, Duty, Entry, Permit
from tests.cli.homes import Homes, Terminal, carry, message

TODAY = dt.datetime.now(dt.UTC).date()
DUE = TODAY + dt.timedelta(days=3)
PASSED = TODAY - dt.timedelta(days=4)
BODY = "XA-2020-000001"


def pact() -> Agreement:
    """Clause 1: XA owes by yesterday and XB within days, with everything that can be said about it."""
    offices = ("XA/interior", "XB/interior")
    said = ("obligations.claim", "obligations.answer", "channel.say", "meetings.form_body", "meetings.join_body")
    duties = (
        Duty("XA", ("XB",), {"en": "Close the camps", "ar": "إغلاق المخيمات"}, PASSED.isoformat()),
        Duty("XB", ("XA",), {"en": "Mark the line"}, DUE.isoformat()),
    )
    permits = tuple(Permit(each, offices) for each in said)
    title, marked = {"en": "Pact of tests"}, {"en": "invented"}
    return Agreement(
        title, ("XA", "XB"), (Clause("1", {"en": "They owe."}, permits, duties),), Entry("signature"), marked
    )


def say(home: Path, act: str, party: str, *given: str, clause: str = "charter") -> None:
    by = f"{party}/interior"
    assert main(["say", act, *given, "--clause", clause, "--by", by, "--home", str(home)]) == 0


def say_json(terminal: Terminal, home: Path, folder: Path, clause: str, act: dict[str, object]) -> str:
    """Say an act from a file; returns its reference."""
    party = home.name.upper()
    (folder / "act.json").write_text(json.dumps({"act": act, "clause": clause, "by": f"{party}/interior"}))
    said = terminal("say", "--json", folder / "act.json", "--home", home)
    assert said.code == 0, said
    return str(said.json["reference"])


def forming(clause: str) -> dict[str, object]:
    sides = [{"party": each, "lead": f"{each}/interior"} for each in ("XA", "XB")]
    form = {"do": "meetings.form_body", "name": {"en": "Group"}, "kind": "working_group"}
    return {**form, "clause": clause, "sides": sides, "languages": ["en"]}


@pytest.fixture
def agreed(written: tuple[Homes, str], tmp_path: Path, terminal: Terminal) -> tuple[Homes, str]:
    homes, _ = written
    (tmp_path / "pact.json").write_bytes(msgspec.json.encode(pact()))
    told = terminal(
        "say", "agreements.propose", "--text", f"@{tmp_path / 'pact.json'}", "--clause", "charter", "--by", "XA/interior",
        "--home", homes.xa, "--json",
    )  # fmt: skip
    reference = str(told.json["reference"])
    carry(homes, tmp_path)
    for home, party in ((homes.xa, "XA"), (homes.xb, "XB")):
        say(home, "agreements.sign", party, "--agreement", reference, "--hash", pact().hash())
    carry(homes, tmp_path)
    return homes, reference


def test_what_is_owed_is_told_to_people_in_three_calendars_and_to_programs_with_references(
    agreed: tuple[Homes, str], terminal: Terminal
) -> None:
    homes, reference = agreed
    told = terminal("register", "owed", "--home", homes.xa)
    assert told.code == 0
    for part in ("We owe:", "Owed to us:", "Close the camps", "It is: violated", "The sides say: nothing is claimed"):
        assert part in told.out
    assert "The clock says: overdue by 4 days" in told.out
    assert " SH · " in told.out
    assert "AH" in told.out
    found = terminal("register", "owed", "--home", homes.xa, "--json").json
    assert [each["obligation"] for each in found["by_us"]] == [f"{reference}/1:1"]
    assert found["to_us"][0]["references"] == [reference]
    for lang in ("ar", "fa"):
        shown = terminal("--language", lang, "register", "owed", "--home", homes.xa).out
        assert "We owe" not in shown
        assert "clock" not in shown


def test_each_question_is_answered_at_the_terminal(
    agreed: tuple[Homes, str], tmp_path: Path, terminal: Terminal
) -> None:
    homes, reference = agreed
    clause, it, home = f"{reference}/1", f"{reference}/1:1", homes.xb
    claim = ["--obligation", it, "--level", "3", "--as-of", TODAY.isoformat(), "--text", "All is done."]
    say(homes.xa, "obligations.claim", "XA", *claim, clause=clause)
    carry(homes, tmp_path)
    history = terminal("register", "clause", clause, "--home", home, "--json").json
    told = {each["do"]: each["reference"] for each in history["entries"]}
    claimed = told["obligations.claimed"]
    unanswered = terminal("register", "unanswered", "--home", home)
    assert "waits for the answer of XB; for 0 days" in unanswered.out
    answer: dict[str, object] = {
        "do": "obligations.answer",
        "claim": claimed,
        "answer": "dispute",
        "text": "One is still there.",
    }
    say_json(terminal, home, tmp_path, clause, answer)
    shown = {
        "overdue": terminal("register", "overdue", "--home", home),
        "disputed": terminal("register", "disputed", "--home", home),
        "clause": terminal("register", "clause", clause, "--home", home),
        "year": terminal("register", "year", str(PASSED.year), "--home", home),
        "reminders": terminal("register", "reminders", "--home", home, "--clause", clause),
    }
    assert {each.code for each in shown.values()} == {0}
    assert "disputed (carried out in full, as of" in shown["disputed"].out
    assert claimed in shown["overdue"].out
    assert "Pact of tests (invented)" in shown["clause"].out
    assert "One is still there." in shown["clause"].out
    assert "fulfilled, of what was due: 0 of" in shown["year"].out
    assert "%" not in shown["year"].out
    assert "3 days left" in shown["reminders"].out


def test_the_agenda_of_a_body_at_the_terminal(agreed: tuple[Homes, str], tmp_path: Path, terminal: Terminal) -> None:
    homes, reference = agreed
    clause = f"{reference}/1"
    body = say_json(terminal, homes.xa, tmp_path, clause, forming(clause))
    told = terminal("register", "agenda", body, "--home", homes.xa)
    assert told.code == 0
    assert "overdue" in told.out
    assert body in told.out


def test_a_visit_is_remembered_and_keep_leaves_it(
    written: tuple[Homes, str], tmp_path: Path, terminal: Terminal
) -> None:
    homes, reference = written
    first = terminal("register", "since", "--home", homes.xa)
    assert "This is the first visit" in first.out
    assert main(message(reference, homes.xa)) == 0
    kept = terminal("register", "since", "--home", homes.xa, "--keep", "--json").json
    assert [each["do"] for each in kept["entries"]] == ["channel.say"]
    again = terminal("register", "since", "--home", homes.xa, "--json").json
    assert again["entries"] == kept["entries"]
    empty = terminal("register", "since", "--home", homes.xa)
    assert "There is nothing to show." in empty.out
    assert terminal("register", "since", "2020-01-01", "--home", homes.xa, "--json").json["entries"] != []


def test_notes_stay_and_a_draft_leaves_the_desk_when_it_is_said(
    written: tuple[Homes, str], tmp_path: Path, terminal: Terminal
) -> None:
    homes, reference = written
    at = ("--home", homes.xa)
    note = terminal("register", "note", "add", "Ask the canary.", "--about", reference, *at)
    assert "nobody else sees it" in note.out
    act = {"do": "channel.say", "subject": "Gate", "text": "It opens.", "to": ["XB/border-guard"]}
    file = tmp_path / "draft.json"
    file.write_text(json.dumps({"act": act, "clause": f"{reference}/1", "by": "XA/border-guard/north"}))
    number = terminal("register", "draft", "save", file, *at, "--json").json["id"]
    assert "Ask the canary." in terminal("register", "note", "list", *at).out
    assert "It opens." in terminal("register", "draft", "list", *at).out
    checked = terminal("register", "draft", "say", number, "--check", *at)
    assert "It was not said." in checked.out
    assert len(terminal("register", "draft", "list", *at, "--json").json["drafts"]) == 1
    said = terminal("register", "draft", "say", number, *at, "--json")
    assert said.code == 0
    assert terminal("register", "draft", "list", *at, "--json").json["drafts"] == []
    assert terminal("register", "draft", "list", *at).out == "There is nothing to show.\n"
    carry(homes, tmp_path)
    files = [*homes.xb.rglob("*"), *tmp_path.glob("courier-*")]
    assert all(b"canary" not in each.read_bytes() for each in files if each.is_file())
    notes = terminal("register", "note", "list", *at, "--json").json["notes"]
    assert terminal("register", "note", "drop", notes[0]["id"], *at).code == 0
    assert terminal("register", "note", "list", *at, "--json").json["notes"] == []


def test_what_cannot_be_read_ends_with_its_code(written: tuple[Homes, str], tmp_path: Path, terminal: Terminal) -> None:
    homes, _ = written
    (tmp_path / "none.json").write_bytes(b"\xff")
    for given, exit_, code in (
        (("owed", "--month", "2026-13"), 4, "register.bad_filter"),
        (("owed", "--side", "ZZ"), 3, "register.unknown"),
        (("agenda", BODY), 3, "register.unknown"),
        (("clause", "charter"), 4, "register.bad_filter"),
        (("year", "26"), 4, "register.bad_filter"),
        (("note", "drop", "7"), 3, "desk.unknown"),
        (("note", "add", " "), 4, "desk.empty"),
        (("draft", "save", tmp_path / "none.json"), 4, "text.not_utf8"),
        (("draft", "say", "7"), 3, "desk.unknown"),
    ):
        told = terminal("register", *given, "--home", homes.xa, "--json")
        assert (told.code, told.json["code"]) == (exit_, code), given
    assert terminal("register", "everything", "--home", homes.xa).code == 2
