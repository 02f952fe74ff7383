"""Enclosures by the command line: sealed, shown and opened, with and without a server on the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mithaq.kernel import words
from mithaq.kernel.tables import openings
from mithaq.serve import serving
from mithaq.settings import Home
from tests.cli import homes as story
from tests.cli.homes import PASSPHRASE, Homes, Terminal, message

OFFICE = "XB/border-guard"
TEXT = "sealed, and long enough to be more than one piece\n" * 4000


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    file = tmp_path / "a letter: first.txt"
    file.write_text(TEXT)
    return file


def said(terminal: Terminal, homes: Homes, reference: str, letter: Path) -> str:
    """Say a message with the letter; the digest of what was sealed."""
    told = terminal(*message(reference, homes.xa, "--enclose", f"{letter}:text/plain:{OFFICE}", "--json"))
    assert told.code == 0, told
    shown = terminal("show", "enclosures", "--home", homes.xa, "--json").json["enclosures"]
    assert [each["reference"] for each in shown] == [told.json["reference"]]
    digest: str = shown[0]["digest"]
    return digest


def opening(digest: str, home: Path, to: Path, *more: object) -> list[object]:
    return ["open", digest, "--office", OFFICE, "--reason", "to answer it", "--to", to, "--home", home, *more]


def opened_how_often(home: Path) -> int:
    database = Home(home).database()
    try:
        with database.read() as connection:
            return len(connection.execute(openings.select()).all())
    finally:
        database.close()


def test_an_enclosure_is_shown_and_opened_into_a_new_file_for_its_owner_alone(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path, letter: Path
) -> None:
    homes, reference = written
    digest = said(terminal, homes, reference, letter)
    story.carry(homes, tmp_path)
    shown = terminal("show", "enclosures", "--home", homes.xb, "--json").json["enclosures"][0]
    assert (shown["digest"], shown["log"], shown["state"]) == (digest, "XA", "held")
    assert shown["size"] == shown["held"] > len(TEXT)
    for lang in words.LANGUAGES:
        assert digest in terminal("show", "enclosures", "--home", homes.xb, "--language", lang).out
    file = tmp_path / "opened.txt"
    told = terminal(*opening(digest, homes.xb, file, "--json"))
    assert told.code == 0, told
    assert told.json["bytes"] == len(TEXT)
    assert file.read_text() == TEXT
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.with_name("opened.txt.part").exists()
    assert opened_how_often(homes.xb) == 1


def test_a_file_that_is_there_is_never_written_over_and_nothing_is_opened(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path, letter: Path
) -> None:
    homes, reference = written
    digest = said(terminal, homes, reference, letter)
    story.carry(homes, tmp_path)
    file, dangling = tmp_path / "mine.txt", tmp_path / "dangling"
    file.write_text("mine")
    dangling.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "other.txt.part").write_text("half")
    for path in (file, dangling, tmp_path / "other.txt"):
        told = terminal(*opening(digest, homes.xb, path))
        assert told.code == 3
        assert "cli.file_exists" in told.err
    assert file.read_text() == "mine"
    assert (tmp_path / "other.txt.part").read_text() == "half"
    assert not (tmp_path / "elsewhere").exists()
    assert terminal(*opening(digest, homes.xb, tmp_path / "no" / "folder")).code == 5
    assert opened_how_often(homes.xb) == 0


def test_a_file_that_came_while_it_was_opened_stays(tmp_path: Path) -> None:
    from mithaq.cli import files
    from mithaq.kernel.errors import Refused

    with pytest.raises(Refused, match=r"cli\.file_exists"), files.new(str(tmp_path / "new")) as sink:
        sink.write(b"ours")
        (tmp_path / "new").write_bytes(b"theirs")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("new", b"theirs")]


def test_a_disk_without_links_still_gets_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mithaq.cli import files

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuses)
    with files.new(str(tmp_path / "new")) as sink:
        sink.write(b"whole")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("new", b"whole")]


def test_what_may_not_be_opened_leaves_no_file(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path, letter: Path
) -> None:
    homes, reference = written
    digest = said(terminal, homes, reference, letter)
    story.carry(homes, tmp_path)
    file = tmp_path / "opened.txt"
    assert "enclosure.no_key" in terminal(*opening(digest, homes.xa, file)).err
    assert "enclosure.unknown" in terminal(*opening("0" * 64, homes.xb, file)).err
    assert terminal(*opening("../../etc/passwd", homes.xb, file)).code == 4
    argv = opening(digest, homes.xb, file)
    for reason, code in ((" ", "enclosure.no_reason"), (os.fsdecode(b"caf\xe9"), "text.not_utf8")):
        argv[argv.index("--reason") + 1] = reason
        assert code in terminal(*argv).err
    assert list(tmp_path.glob("opened*")) == []


def test_a_server_seals_and_opens_what_it_is_asked_for(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path, letter: Path
) -> None:
    homes, reference = written
    with serving(Home(homes.xa), PASSPHRASE):
        digest = said(terminal, homes, reference, letter)
        checked = terminal(*message(reference, homes.xa, "--check", "--enclose", f"{letter}:text/plain:{OFFICE}"))
        assert checked.code == 0, checked
        absent = terminal(*message(reference, homes.xa, "--enclose", f"{tmp_path / 'absent'}:text/plain:{OFFICE}"))
        assert absent.code == 5
        assert "cli.file_unreadable" in absent.err
        unknown = terminal(*message(reference, homes.xa, "--enclose", f"{letter}:text/plain:XB/no-such"))
        assert unknown.code == 3
        assert "enclosure.no_key" in unknown.err
    story.carry(homes, tmp_path)
    file = tmp_path / "opened.txt"
    with serving(Home(homes.xb), PASSPHRASE):
        told = terminal(*opening(digest, homes.xb, file, "--json"))
        assert told.code == 0, told
        assert file.read_text() == TEXT
        assert terminal(*opening(digest, homes.xb, file)).code == 3
        refused = terminal(*opening("0" * 64, homes.xb, tmp_path / "other"))
        assert refused.code == 3
        assert "enclosure.unknown" in refused.err
    assert sorted(each.name for each in tmp_path.glob("o*")) == ["opened.txt"]
    assert opened_how_often(homes.xb) == 1


def test_what_was_sealed_for_a_statement_that_is_refused_does_not_stay(
    terminal: Terminal, written: tuple[Homes, str], letter: Path
) -> None:
    homes, reference = written
    argv = message(reference, homes.xa, "--enclose", f"{letter}:text/plain:{OFFICE}")
    argv[argv.index("XA/border-guard/north")] = "XA/interior"
    assert terminal(*argv).code == 3
    assert list((homes.xa / "enclosures").iterdir()) == []


def test_a_file_that_no_clause_allows_is_refused_by_a_server_while_it_still_comes(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path
) -> None:
    homes, reference = written
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    with serving(Home(homes.xa), PASSPHRASE):
        told = terminal(*message(reference, homes.xa, "--enclose", f"{large}:text/plain:{OFFICE}"))
    assert told.code == 4
    assert "api.body_too_large" in told.err
