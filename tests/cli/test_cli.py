"""The command line as a person and a program meet it."""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mithaq.cli import checking, parser, proofs, remote, run, showing, standing
from mithaq.cli.options import flag_of
from mithaq.cli.output import Output, cleaned
from mithaq.kernel import calendars, officials, words
from mithaq.kernel.mandate import Clause
from mithaq.node import CATALOGUE
from mithaq.serve import serving
from mithaq.settings import Home
from tests.cli import homes as story
from tests.cli.homes import PASSPHRASE, Homes, Terminal, message

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "cli.md"


# --- setting up -----------------------------------------------------------------------------------------------------


def test_init_makes_a_home_once_and_says_where_its_pairing_file_is(terminal: Terminal, tmp_path: Path) -> None:
    told = terminal(*story.init(tmp_path / "new", "XA", ["--json"]))
    assert told.code == 0
    assert Path(told.json["pairing_file"]).is_file()
    assert json.loads((tmp_path / "new" / "node.json").read_text())["names"]["en"] == "Valley, of tests"
    again = terminal(*story.init(tmp_path / "new", "XA"))
    assert (again.code, again.out) == (3, "")
    assert "[home.exists]" in again.err


def test_init_with_a_name_missing_is_malformed_and_makes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    argv = ["init", "--home", tmp_path / "new", "--party", "XA", "--commission", "a.example", "--names", "en=A"]
    told = terminal(*argv)
    assert told.code == 4
    assert "cli.answer" in told.err
    assert "--names" in told.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "option, given",
    [("--party", "xa"), ("--commission", "two words"), ("--office", "XB/post"), ("--names", "en=A")],
)
def test_an_answer_to_init_that_cannot_stand_is_told_as_ours_not_as_the_peers(
    terminal: Terminal, tmp_path: Path, option: str, given: str
) -> None:
    argv = story.init(tmp_path / "new", "XA")
    told = terminal(*argv[: argv.index(option) + 1], given, *argv[argv.index(option) + 2 :])
    assert told.code == 4
    assert f"[Rule: cli.answer; Field: {option}]" in told.err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_looked_into_is_said_as_such(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", locked)  # root, as whom these tests may run, is denied nothing
    told = terminal(*story.init(tmp_path / "new", "XA"))
    assert told.code == 5
    assert "Permission denied" in told.err
    assert "[home.unreadable]" in told.err


def test_init_on_every_address_asks_for_the_address_that_peers_are_told(terminal: Terminal, tmp_path: Path) -> None:
    told = terminal(*story.init(tmp_path / "new", "XA", ["--listen", "0.0.0.0:8460"]))
    assert told.code == 2
    assert "--address" in told.err


def test_without_a_passphrase_and_without_a_terminal_nothing_is_made(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MITHAQ_PASSPHRASE")
    told = terminal(*story.init(tmp_path / "new", "XA"))
    assert told.code == 3
    assert "[cli.no_passphrase]" in told.err
    assert not (tmp_path / "new").exists()


def test_a_peer_is_accepted_only_with_the_digits_that_both_read(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, _ = made
    pair = ["pair", homes.file("XB"), "--home", homes.xa]
    unconfirmed = terminal(*pair)
    assert unconfirmed.code == 3
    assert "pairing.not_confirmed" in unconfirmed.err
    wrong = terminal(*pair, "--yes-the-digits-are", "0" * 60)
    assert wrong.code == 3
    assert "pairing.digits_differ" in wrong.err
    arabic = homes.digits().translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    right = terminal(*pair, "--yes-the-digits-are", arabic, "--language", "ar")
    assert right.code == 0
    assert all(group in right.out for group in arabic.split())


def test_our_own_pairing_file_is_no_peers(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, _ = made
    told = terminal("pair", homes.file("XA"), "--home", homes.xa, "--yes-the-digits-are", "0")
    assert told.code == 3
    assert "pairing.ourselves" in told.err


# --- saying ---------------------------------------------------------------------------------------------------------


def test_a_message_is_said_carried_shown_and_acknowledged(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path
) -> None:
    homes, reference = written
    letter = tmp_path / "a letter.txt"
    letter.write_text("sealed")
    said = terminal(*message(reference, homes.xa, "--enclose", f"{letter}:text/plain:XB/border-guard", "--json"))
    assert said.code == 0, said
    story.carry(homes, tmp_path)
    waiting = terminal("show", "waiting", "--home", homes.xb, "--json").json["waiting"]
    assert [each["reference"] for each in waiting] == [said.json["reference"]]
    assert waiting[0]["enclosures"][0]["to"] == ["XB/border-guard"]
    read = ["say", "channel.acknowledge", "--message", said.json["reference"], "--clause", f"{reference}/1"]
    assert terminal(*read, "--by", "XB/border-guard", "--home", homes.xb).code == 0
    assert terminal("show", "waiting", "--home", homes.xb, "--json").json == {"waiting": []}
    thread = terminal("show", "thread", said.json["reference"], "--home", homes.xb)
    assert "Patrol" in thread.out
    assert "read by XB/border-guard" in thread.out
    assert terminal("check", "--home", homes.xb).code == 0


def test_a_refusal_names_rule_clause_and_field(terminal: Terminal, written: tuple[Homes, str]) -> None:
    homes, reference = written
    argv = message(reference, homes.xa)
    argv[argv.index("XA/border-guard/north")] = "XA/interior"
    told = terminal(*argv)
    assert told.code == 3
    assert f"[Rule: mandate.office_not_entitled; Clause: {reference}/1; Field: by]" in told.err


def test_check_tells_what_would_be_said_and_says_nothing(terminal: Terminal, written: tuple[Homes, str]) -> None:
    homes, reference = written
    letter = homes.xa / "letter.txt"
    letter.write_text("x")
    before = terminal("log", "--home", homes.xa, "--json").out
    argv = message(reference, homes.xa, "--check", "--enclose", f"{letter}:text/plain:XB/border-guard")
    told = terminal(*argv)
    assert told.code == 0
    assert "It was not said." in told.out
    assert terminal("log", "--home", homes.xa, "--json").out == before
    assert list((homes.xa / "enclosures").iterdir()) == []


def test_an_act_may_come_as_json_from_a_file(terminal: Terminal, written: tuple[Homes, str], tmp_path: Path) -> None:
    homes, reference = written
    act = {"do": "channel.say", "subject": "s", "text": "t", "to": ["XB/border-guard"]}
    file = tmp_path / "said.json"
    file.write_text(json.dumps({"act": act, "clause": f"{reference}/1", "by": "XA/border-guard"}))
    told = terminal("say", "--json", file, "--home", homes.xa)
    assert told.code == 0, told
    assert told.json["reference"].startswith("XA-")


@pytest.mark.parametrize(
    "raw, code",
    [
        (b"{", "cli.not_json"),
        (b"[" * 20_000, "cli.not_json"),
        (b'"\xff"', "cli.not_json"),
        (b"{}", "statement.malformed"),
        (
            b'{"act":{"do":"channel.reply","thread":"\\ud800","text":"t"},"clause":"charter","by":"XA/x"}',
            "cli.not_json",
        ),
        (
            b'{"act":{"do":"channel.reply","thread":"XA-2026-000001","text":"t","more":1},"clause":"charter","by":"XA/x"}',
            "statement.unknown_field",
        ),
        (b'{"act":{"do":"no.such"},"clause":"charter","by":"XA/x"}', "statement.unknown_act"),
        (b'{"act":{"do":"channel.reply"},"clause":"charter","by":"XA/x"}', "statement.malformed"),
        (b" " * 300_000, "statement.oversized"),
    ],
)
def test_malformed_json_is_answered_by_its_code_and_exit_4(
    terminal: Terminal, made: tuple[Homes, str], tmp_path: Path, raw: bytes, code: str
) -> None:
    file = tmp_path / "said.json"
    file.write_bytes(raw)
    told = terminal("say", "--json", file, "--home", made[0].xa)
    assert told.code == 4
    assert told.json["code"] == code
    assert told.json["exit"] == 4


def test_bytes_of_a_terminal_that_are_no_text_are_malformed(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, reference = made
    argv = message(reference, homes.xa)
    argv[argv.index("At noon.")] = os.fsdecode(b"caf\xe9")
    told = terminal(*argv)
    assert told.code == 4
    assert "text.not_utf8" in told.err


def test_json_behind_say_means_output_where_an_act_follows(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, reference = made
    told = terminal("say", "--json", *message(reference, homes.xa, "--check")[1:])
    assert told.json["checked"] is True


def test_an_option_that_is_missing_is_a_usage_error(terminal: Terminal, made: tuple[Homes, str]) -> None:
    told = terminal("say", "channel.reply", "--home", made[0].xa)
    assert told.code == 2
    assert "--thread" in told.err
    persian = terminal("say", "channel.reply", "--home", made[0].xa, "--language", "fa")
    assert "این آرگومان‌ها لازم‌اند" in persian.err


def test_a_field_that_every_act_has_as_an_option_is_told_apart() -> None:
    assert flag_of(CATALOGUE["agreements.suspend"], "clause") == "--suspend-clause"
    assert flag_of(CATALOGUE["channel.say"], "acknowledge_by") == "--acknowledge-by"


def test_an_office_made_by_init_is_opened_without_copying_its_key(
    terminal: Terminal, written: tuple[Homes, str]
) -> None:
    homes, _ = written
    argv = ["say", "charter.open_office", "--names", "en=Guard", "ar=حرس", "fa=مرزبانی", "--clause", "charter"]
    office = ["--office", "XA/border-guard", "--by", "XA/border-guard", "--home", homes.xa]
    assert terminal(*argv, *office).code == 0
    shown = terminal("show", "offices", "--home", homes.xa, "--language", "ar")
    assert "حرس" in shown.out


# --- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_everything_is_shown_in_each_language(terminal: Terminal, made: tuple[Homes, str], lang: str) -> None:
    homes, reference = made
    for what in parser.SHOWN:
        one = what in {"agreement", "statement"}
        if what == "thread":
            continue
        told = terminal("show", what, *([reference] if one else []), "--home", homes.xa, "--language", lang)
        assert told.code == 0, told
        assert told.out


def test_the_standing_of_an_agreement_is_said_in_the_readers_language(
    terminal: Terminal, made: tuple[Homes, str]
) -> None:
    homes, reference = made
    assert "in force since" in terminal("show", "agreements", "--home", homes.xa).out
    arabic = terminal("show", "agreements", "--home", homes.xa, "--language", "ar").out
    assert "نافذ منذ" in arabic
    assert f"\u2066{reference}\u2069" in arabic


def test_the_log_is_one_json_object_a_line_and_starts_where_asked(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, reference = made
    lines = terminal("log", "--home", homes.xb, "--party", "XA", "--json").out.splitlines()
    assert [json.loads(line)["n"] for line in lines] == list(range(len(lines)))
    assert json.loads(lines[0])["reference"] == reference
    assert terminal("log", "--home", homes.xb, "--party", "XA", "--json", "--from", "1").out.splitlines() == lines[1:]
    assert "agreements.propose" in terminal("log", "--home", homes.xa).out


def test_what_is_no_reference_is_malformed_and_one_of_nothing_is_refused(
    terminal: Terminal, made: tuple[Homes, str], tmp_path: Path
) -> None:
    homes, reference = made
    year = reference.split("-")[1]
    for wrong in ("nonsense", f"XA-1999-{reference[-6:]}"):
        assert terminal("show", "statement", wrong, "--home", homes.xa).code == 4
    for argv in (["show", "statement"], ["evidence"]):
        file = [tmp_path / "evidence.json"] if argv == ["evidence"] else []
        assert terminal(*argv, f"XA-{year}-000999", *file, "--home", homes.xa).code == 3


def test_a_hidden_character_is_told_with_its_field_and_its_place_there(
    terminal: Terminal, written: tuple[Homes, str]
) -> None:
    homes, reference = written
    told = terminal(*message(reference, homes.xa, "--text", "Gate\u202e 2"))
    assert told.code == 4
    assert "U+202E at place 5" in told.err
    assert "[Rule: text.forbidden_character; Field: act.text]" in told.err


def test_a_field_that_is_too_long_or_no_day_says_what_is_allowed(
    terminal: Terminal, written: tuple[Homes, str]
) -> None:
    homes, reference = written
    long = terminal(*message(reference, homes.xa, "--subject", "x" * 100_000))
    assert long.code == 4
    assert "100,000 characters" in long.err
    assert "[Rule: cli.too_long; Field: act.subject]" in long.err
    wrong = terminal(*message(reference, homes.xa, "--acknowledge-by", "2026-13-45"))
    assert wrong.code == 4
    assert "YYYY-MM-DDTHH:MM:SSZ" in wrong.err
    assert "[Rule: cli.form; Field: act.acknowledge_by]" in wrong.err


@pytest.mark.parametrize(
    "option, given, field, form",
    [
        ("--clause", "3", "clause", "agreement and clause, such as IR-2026-000005/3"),
        ("--by", "the guard", "by", "an office of a party, such as"),
        ("--subject", "", "act.subject", "one line of text"),
        ("--to", "xb", "act.to[0]", "an office of a party, such as"),
    ],
)
def test_a_field_of_another_form_says_which_form_is_needed(
    terminal: Terminal, made: tuple[Homes, str], option: str, given: str, field: str, form: str
) -> None:
    homes, reference = made
    argv = message(reference, homes.xa)
    argv[argv.index(option) + 1] = given
    told = terminal(*argv)
    assert told.code == 4
    assert f"[Rule: cli.value; Field: {field}]" in told.err
    assert form in told.err
    facts = terminal(*argv, "--json", "--language", "fa").json["facts"]
    assert form in facts["form"]  # for programs the same in every language


@pytest.mark.parametrize(
    "text, field, form",
    [
        ({"title": {"en": "x"}}, "act.text.parties", "ISO 3166"),
        ({"titel": {"en": "x"}}, "act.text.titel", "docs/agreements-as-data.md"),
        ({"title": {"English": "x"}}, "act.text.title[key]", "ISO 639"),
        (
            {"title": {"en": "x"}, "parties": ["XA", "XB"], "clauses": [{"number": "x"}]},
            "act.text.clauses[0].number",
            "3.1",
        ),
        ([], "act.text", "docs/agreements-as-data.md"),
    ],
)
def test_what_is_missing_within_a_proposed_text_is_named(
    terminal: Terminal, made: tuple[Homes, str], text: object, field: str, form: str
) -> None:
    argv = [
        "say",
        "agreements.propose",
        "--text",
        json.dumps(text),
        "--clause",
        "charter",
        "--by",
        "XA/foreign-affairs",
    ]
    told = terminal(*argv, "--home", made[0].xa)
    assert told.code == 4
    assert f"[Rule: cli.value; Field: {field}]" in told.err
    assert form in told.err


def test_a_text_by_language_without_its_language_says_how_it_is_written(
    terminal: Terminal, made: tuple[Homes, str]
) -> None:
    argv = ["say", "charter.open_office", "--office", "XA/border-guard", "--names", "Guard", "--clause", "charter"]
    told = terminal(*argv, "--by", "XA/border-guard", "--home", made[0].xa)
    assert told.code == 4
    assert "LANGUAGE=TEXT" in told.err


def test_an_option_that_an_act_does_not_have_shows_the_usage_of_the_act(
    terminal: Terminal, made: tuple[Homes, str]
) -> None:
    told = terminal(*message(made[1], made[0].xa, "--color", "red"))
    assert told.code == 2
    assert "usage: mithaq say channel.say" in told.err
    assert "--acknowledge-by" in told.err
    assert "--color red" in told.err


@pytest.mark.parametrize(
    "tag, wanted",
    [
        (
            "channel.say",
            ["--to OFFICE", "IQ/traffic-police/basra", "--urgent", "--acknowledge-by", "2026-01-05T08:00:00Z"],
        ),
        ("channel.say", ["300 characters at most", "8,000 characters at most"]),
        ("agreements.propose", ["docs/agreements-as-data.md"]),
        ("agreements.bring_into_force", ["--agreement REF", "IR-2026-000005", "first day"]),
        ("agreements.terminate", ["last day"]),
    ],
)
def test_the_help_of_an_act_shows_examples_and_limits(
    tag: str, wanted: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        parser.read(["say", tag, "--help"], "en")
    told = capsys.readouterr().out
    assert [each for each in wanted if each not in told] == []


def _term(text: object) -> list[str]:
    clause = msgspec.convert({"number": "1", "text": {"en": "x"}, **msgspec.to_builtins(text)}, Clause)
    return list(standing.terms(clause, Output("en", as_json=False)))


@pytest.mark.parametrize(
    "due, after, told",
    [
        ("2026-03-31", "", "due: 31 March 2026"),
        ("2026-02-31", "", "due: 2026-02-31"),
        ("2026-03", "", "due: 2026-03"),
        ("R/P6M", "", "due: every 6 months"),
        ("P1Y", "the first meeting", "due: within 1 year after the first meeting"),
        ("", "the first meeting", "due after the first meeting; no time was agreed"),
        ("", "", "due: no time was agreed"),
    ],
)
def test_a_duty_is_told_with_who_owes_it_to_whom_and_by_when(due: str, after: str, told: str) -> None:
    duty = {"owed_by": "XA", "owed_to": ["XB", "XC"], "what": {"en": "Report"}, "due": due, "after": after}
    lines = _term({"obliges": [{**duty, "verified": "a joint visit"}]})
    assert lines == ["duty of XA towards XB, XC: Report", f"    {told}", "    verified by: a joint visit"]


def test_a_permit_is_told_with_its_enclosures_and_how_long_they_are_kept() -> None:
    allowed = {"to": ["XB/guard"], "media": ["image/*"], "max_bytes": 2**20, "keep_days": 30, "max_count": 2}
    permit = {"act": "channel.say", "offices": ["XA/guard", "XB/guard"], "enclosures": allowed, "handling": "H1"}
    assert _term({"permits": [permit]}) == [
        "channel.say: XA/guard, XB/guard",
        "    handling: H1",
        "    enclosures: 2 at most, each up to 1 MiB, image/*; kept for 30 days",
        "    to be opened by: XB/guard",
    ]


@pytest.mark.parametrize("what", [["clauses"], ["agreement", "REF"]])
def test_what_a_clause_allows_to_be_enclosed_is_shown(
    terminal: Terminal, made: tuple[Homes, str], what: list[str]
) -> None:
    homes, reference = made
    argv = ["show", *(reference if each == "REF" else each for each in what), "--home", homes.xa]
    shown = terminal(*argv).out
    assert "enclosures: " in shown
    assert "kept for" in shown
    assert "to be opened by: " in shown
    assert all("obliges" in each for each in terminal(*argv, "--json").json["clauses"])


def test_the_log_names_a_proposed_text_and_counts_its_clauses(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, reference = made
    text = terminal("show", "agreement", reference, "--home", homes.xa, "--json").json["text"]
    for argv in (["log"], ["show", "statement", reference]):
        shown = terminal(*argv, "--home", homes.xa).out
        assert text["title"]["en"] in shown
        assert f"; {len(text['clauses'])} clauses" in shown or "; 1 clause" in shown


def test_days_are_in_the_readers_calendar(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, reference = made
    today = calendars.today()
    for argv in (["log"], ["show", "agreement", reference]):
        persian = terminal(*argv, "--home", homes.xa, "--language", "fa").out
        for calendar in ("solar_hijri", "gregorian"):
            assert calendars.written(today, calendar, "fa") in persian
        assert (
            calendars.written(today, "gregorian", "ar") in terminal(*argv, "--home", homes.xa, "--language", "ar").out
        )


def test_a_moment_has_the_gregorian_day_beside_it_in_persian() -> None:
    told = Output("fa", as_json=False).moment("2023-03-19T14:05:00Z")
    assert told == "۲۸ اسفند ۱۴۰۱، ۱۴:۰۵ UTC (۱۹ مارس ۲۰۲۳)"
    assert Output("ar", as_json=False).moment(0) == "١ كانون الثاني ١٩٧٠، ٠٠:٠٠ UTC"
    assert Output("fa", as_json=False).moment("no moment\x1b") == "no moment\ufffd"


@pytest.mark.parametrize("command", ["simulate", "bench"])
def test_the_help_of_other_programs_is_in_the_readers_language(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = set()
    for lang in words.LANGUAGES:
        with pytest.raises(SystemExit) as ended:
            run.main([command, "--help", "--language", lang])
        assert ended.value.code == 0
        told.add(capsys.readouterr().out)
    assert len(told) == 3
    assert sum("usage" in each for each in told) == 1


def test_names_in_a_list_are_cleaned_too() -> None:
    assert "\x1b" not in Output("en", as_json=False).word("to be opened by: {offices}", offices=["a\x1b[2J"])


def test_what_would_steer_a_terminal_is_not_printed() -> None:
    assert cleaned("a\x1b[2Jb\u202ec\u200cd") == "a\ufffd[2Jb\ufffdc\u200cd"


# --- proofs ---------------------------------------------------------------------------------------------------------


def test_evidence_is_verified_by_another_process_without_network(
    terminal: Terminal, made: tuple[Homes, str], tmp_path: Path
) -> None:
    homes, reference = made
    file = tmp_path / "evidence.json"
    assert terminal("evidence", reference, file, "--home", homes.xa).code == 0
    command = [sys.executable, "-m", "mithaq", "verify", str(file), "--json"]
    if shutil.which("unshare") and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:  # noqa: PLW1510
        command = ["unshare", "--net", *command]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "LANG": "C.UTF-8"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == "ok"
    keys = ["--keys", homes.file("XA"), homes.file("XB")]
    assert terminal("verify", file, *keys, "--json").json["verdict"] == "trusted"
    for lang in words.LANGUAGES:
        assert terminal("verify", file, *keys, "--language", lang).code == 0


def test_an_altered_evidence_file_is_refused_and_a_broken_one_malformed(
    terminal: Terminal, made: tuple[Homes, str], tmp_path: Path
) -> None:
    homes, reference = made
    file = tmp_path / "evidence.json"
    terminal("evidence", reference, file, "--home", homes.xa)
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b"XA/foreign-affairs", b"XA/foreign-affairz"))
    told = terminal("verify", file)
    assert told.code == 3
    assert "does not hold" in told.out
    file.write_bytes(raw[:-20])
    assert terminal("verify", file).code == 4
    assert terminal("verify", tmp_path / "absent").code == 5


def test_verify_does_not_load_the_database(tmp_path: Path) -> None:
    code = (
        "import sys; from mithaq.cli.run import main; main(['verify', 'absent']); sys.exit('sqlalchemy' in sys.modules)"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0


def test_a_paired_node_that_said_and_heard_nothing_yet_holds(terminal: Terminal, tmp_path: Path) -> None:
    homes = story.paired(tmp_path)
    told = terminal("check", "--home", homes.xa, "--json")
    assert (told.code, told.json["wrong"]) == (0, [])


def test_check_finds_a_record_that_the_logs_do_not_give(terminal: Terminal, written: tuple[Homes, str]) -> None:
    homes, _ = written
    before = terminal("check", "--home", homes.xa, "--json")
    assert before.code == 0
    assert before.json["receipts"] == 1
    assert before.json["not_asked"] == ["XB"]
    with sqlite3.connect(homes.xa / "node.db") as connection:
        connection.execute("UPDATE agreements_said SET reason = 'another'")
    connection.close()
    told = terminal("check", "--home", homes.xa, "--json")
    assert told.code == 3
    assert [each["code"] for each in told.json["wrong"]] == ["check.records_differ"]
    assert terminal("rebuild", "--home", homes.xa).code == 0
    assert terminal("check", "--home", homes.xa).code == 0
    assert not list(homes.xa.glob(".check-*"))


def test_check_finds_an_entry_that_was_changed(terminal: Terminal, written: tuple[Homes, str]) -> None:
    homes, _ = written
    with sqlite3.connect(homes.xb / "node.db") as connection:
        found = connection.execute("SELECT first, entries FROM bundles WHERE log = 'XA' ORDER BY first").fetchone()
        changed = bytes(found[1]).replace(b"foreign-affairs", b"foreign-affairz", 1)
        connection.execute("UPDATE bundles SET entries = ? WHERE log = 'XA' AND first = ?", (changed, found[0]))
    connection.close()
    told = terminal("check", "--home", homes.xb, "--json")
    assert told.code == 3
    assert {"check.root_differs", "check.checkpoint_differs"} <= {each["code"] for each in told.json["wrong"]}


def test_check_finds_an_enclosure_that_is_gone(terminal: Terminal, written: tuple[Homes, str], tmp_path: Path) -> None:
    homes, reference = written
    letter = tmp_path / "letter.txt"
    letter.write_text("sealed")
    assert terminal(*message(reference, homes.xa, "--enclose", f"{letter}:text/plain:XB/border-guard")).code == 0
    assert terminal("check", "--home", homes.xa, "--json").json["enclosures"] == 1
    for file in (homes.xa / "enclosures").iterdir():
        file.unlink()
    assert terminal("check", "--home", homes.xa).code == 3


# --- with a server --------------------------------------------------------------------------------------------------


def test_a_server_that_has_not_written_its_token_yet_is_waited_for(
    terminal: Terminal, written: tuple[Homes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes, reference = written
    home = Home(homes.xa)
    (homes.xa / "operator.token").unlink(missing_ok=True)
    monkeypatch.setattr(remote, "PATIENCE", 0.0)
    home.lock()
    try:
        told = terminal(*message(reference, homes.xa))
    finally:
        home.unlock()
    assert told.code == 5
    assert "[cli.server_starting]" in told.err


def test_a_server_that_holds_the_home_is_asked_instead(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path
) -> None:
    homes, reference = written
    with serving(Home(homes.xa), PASSPHRASE) as running, serving(Home(homes.xb), PASSPHRASE):
        _give_token(running.node.database, homes.xa)
        told = terminal(*message(reference, homes.xa, "--json"))
        assert told.code == 0, told
        assert told.json["by_server"] is True
        assert terminal(*message(reference, homes.xa, "--check", "--json")).json["checked"] is True
        argv = message(reference, homes.xa)
        argv[argv.index("XA/border-guard/north")] = "XA/interior"
        refused = terminal(*argv)
        assert refused.code == 3
        assert "mandate.office_not_entitled" in refused.err
        assert terminal("evidence", reference, tmp_path / "e.json", "--home", homes.xa).code == 0
        assert terminal("show", "messages", "--home", homes.xa, "--json").json["messages"]
        asked = terminal("check", "--ask-peers", "--home", homes.xa, "--json")
        assert asked.code == 0, asked
        assert asked.json["peers"] == 1
        held = terminal("rebuild", "--home", homes.xa)
        assert held.code == 3
        assert "[cli.stop_to_rebuild]" in held.err
        for way in (["out", tmp_path / "courier", "--to", "XB"], ["in", homes.file("XB")]):
            carried = terminal("carry", *way, "--home", homes.xa)
            assert carried.code == 3
            assert "[cli.stop_to_carry]" in carried.err
        assert not list(tmp_path.glob("courier*"))


def _give_token(database: object, folder: Path) -> None:
    from mithaq.kernel.database import Database

    assert isinstance(database, Database)
    file = folder / "operator.token"
    if not file.exists():
        with database.write() as connection:
            file.write_text(officials.enrol(connection, "operator-of-tests", "XA", ["lead"]))


def test_a_peer_that_is_down_was_not_asked(terminal: Terminal, made: tuple[Homes, str]) -> None:
    told = terminal("check", "--ask-peers", "--home", made[0].xa, "--json")
    assert told.code == 0
    assert told.json["not_asked"] == ["XB"]


# --- errors and habits ----------------------------------------------------------------------------------------------


def test_a_home_that_is_not_there_is_refused_in_each_language(terminal: Terminal, tmp_path: Path) -> None:
    sentences = {terminal("show", "peers", "--home", tmp_path, "--language", lang).err for lang in words.LANGUAGES}
    assert len(sentences) == 3
    assert all("home.missing" in each for each in sentences)


def test_the_language_of_the_locale_is_used(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "fa_IR.UTF-8")
    assert "گره" in terminal("show", "peers", "--home", tmp_path).err


def test_what_nobody_foresaw_is_one_line_with_an_incident(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "function_of", lambda _: 1 / 0)
    told = terminal("show", "peers", "--home", tmp_path)
    assert told.code == 70
    assert len(told.err.splitlines()) == 1
    assert "Traceback" not in told.err
    monkeypatch.setenv("MITHAQ_DEBUG", "1")
    assert "ZeroDivisionError" in terminal("show", "peers", "--home", tmp_path).err


def test_an_interrupt_ends_quietly(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: str) -> parser.Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(parser, "function_of", interrupted)
    told = terminal("show", "peers")
    assert (told.code, told.out, told.err) == (130, "", "")


def test_a_reader_that_closes_early_is_no_error(made: tuple[Homes, str]) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "mithaq", "log", "--home", str(made[0].xa)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_delegated_command_gets_its_arguments_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import mithaq.bench

    given: list[list[str]] = []
    monkeypatch.setattr(mithaq.bench, "main", lambda argv: given.append(argv) or 7)
    assert run.main(["--json", "--home", "x", "bench", "exchange", "--quick"]) == 7
    assert given == [["exchange", "--quick", "--json"]]


class _Listening(Output):
    """Remembers every sentence that is looked up."""

    def __init__(self, lang: str) -> None:
        super().__init__(lang, as_json=False)
        self.asked: set[str] = set()

    def word(self, msgid: str, **facts: object) -> str:
        self.asked.add(msgid)
        return super().word(msgid, **facts)


def test_the_help_of_every_command_and_act_exists_in_three_languages() -> None:
    listening = _Listening("en")
    parser.build(listening, with_acts=True)
    assert {kind.help for kind in CATALOGUE.kinds.values()} <= listening.asked
    assert [msgid for msgid in sorted(listening.asked) if not words.known(msgid)] == []


def _sentences() -> set[str]:
    """Every text that the modules of the command line look up, and every code that they raise."""
    found: set[str] = {
        *proofs._STEPS.values(),
        *proofs._MARKS.values(),
        "not compared",
        *checking._COUNTED.values(),
        *showing._STATES.values(),
    }
    found |= {"proposed", "amended", "signed", "declined", "notified", "suspended", "resumed", "terminated"}
    for file in sorted(Path(run.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", ""))
            if isinstance(node, ast.Call) and called in {"word", "line", "note", "Refused", "Malformed", "Unreachable"}:
                first = node.args[0] if node.args else None
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and file.stem == "standing":
                first = node.value.elts[0]
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and file.stem == "proofs":
                first = node.value.elts[1]
            else:
                continue
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found


def test_every_sentence_and_code_of_the_command_line_exists_in_three_languages() -> None:
    found = _sentences()
    assert len(found) > 80
    assert [each for each in sorted(found) if not words.known(each)] == []


def _subcommands(action: argparse.Action) -> list[str]:
    return list(action.choices) if isinstance(action, argparse._SubParsersAction) else []


def _actions(one: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.Action]]:
    """The options of a command and of the commands under it, each with the words that lead to it."""
    for action in one._actions:
        yield name, action
        for each in _subcommands(action):
            yield from _actions(action.choices[each], f"{name} {each}")  # type: ignore[index]


def test_every_command_option_and_exit_code_is_in_the_documentation() -> None:
    text = DOCS.read_text("utf-8")
    top = parser.build(_Listening("en"), with_acts=False)
    commands = next(action for action in top._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    for name, one in commands.choices.items():
        assert f"### `{name}" in text, name
        for path, action in _actions(one, name):
            assert all(flag in text or flag in {"-h", "--help"} for flag in action.option_strings), action
            assert all(f"{path} {each}" in text for each in _subcommands(action)), action
    for code in (
        run.DONE,
        run.FAILED,
        run.USAGE,
        run.REFUSED,
        run.MALFORMED,
        run.UNREACHABLE,
        run.FAULT,
        run.INTERRUPTED,
    ):
        assert f"| {code} |" in text
    for what in parser.SHOWN:
        assert f"`{what}" in text


def test_a_result_is_one_json_object_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("fa", as_json=True)
    output.line("yes")
    output.result({"raw": msgspec.Raw(b'{"a":1}'), "path": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"raw": {"a": 1}, "path": "x"}
