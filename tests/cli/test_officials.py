"""Officials by the command line: beside a running server, without a passphrase, tokens shown once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx2
import pytest

from mithaq.kernel import officials, words
from mithaq.kernel.errors import Refused
from mithaq.serve import serving
from mithaq.settings import Home
from tests.cli.homes import PASSPHRASE, Homes, Terminal, message

LOGIN = ["layla-7", "--office", "XA/border-guard", "--role", "official", "--role", "lead"]


def opens(folder: Path, token: str) -> officials.Official:
    database = Home(folder).database()
    try:
        with database.read() as connection:
            return officials.authenticate(connection, token)
    finally:
        database.close()


def test_an_official_is_added_renewed_listed_and_ended_without_a_passphrase(
    terminal: Terminal, written: tuple[Homes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MITHAQ_PASSPHRASE")
    home = ["--home", written[0].xa]
    added = terminal("official", "add", *LOGIN, *home, "--json")
    assert added.code == 0, added
    assert added.json["roles"] == ["lead", "official"]
    first = added.json["token"]
    assert opens(written[0].xa, first).office == "XA/border-guard"
    renewed = terminal("official", "renew", "layla-7", *home)
    assert renewed.code == 0
    second = renewed.out.splitlines()[-1].strip()
    assert opens(written[0].xa, second).id == "layla-7"
    with pytest.raises(Refused, match=r"official\.unknown_token"):
        opens(written[0].xa, first)
    listed = terminal("official", "list", *home, "--json").json["officials"]
    assert listed == [{"id": "layla-7", "office": "XA/border-guard", "roles": ["lead", "official"], "ended": None}]
    assert terminal("official", "end", "layla-7", *home).code == 0
    with pytest.raises(Refused, match=r"official\.ended"):
        opens(written[0].xa, second)
    assert "ended on" in terminal("official", "list", *home).out
    assert terminal("official", "renew", "layla-7", *home).code == 3
    assert terminal("official", "add", *LOGIN, *home).code == 3


def test_only_the_digest_of_a_token_is_kept(terminal: Terminal, written: tuple[Homes, str]) -> None:
    token = terminal("official", "add", *LOGIN, "--home", written[0].xa, "--json").json["token"]
    assert token not in terminal("official", "list", "--home", written[0].xa, "--json").out
    for file in written[0].xa.iterdir():
        if file.is_file():
            assert token.encode() not in file.read_bytes()


def test_what_cannot_stand_is_refused_and_nobody_is_taken_in(terminal: Terminal, written: tuple[Homes, str]) -> None:
    home = ["--home", written[0].xa, "--json"]
    for argv, code, ends in (
        (["Layla", "--office", "XA/border-guard", "--role", "lead"], "official.id", 4),
        (["layla", "--office", "XA/Border", "--role", "lead"], "official.office", 4),
        (["layla", "--office", "XA/border-guard", "--role", "king"], "official.role", 4),
        (["layla", "--office", "XB/border-guard", "--role", "lead"], "cli.office_of_another", 3),
        (["operator", "--office", "XA", "--role", "auditor"], "cli.operator", 3),
    ):
        told = terminal("official", "add", *argv, *home)
        assert (told.code, told.json["code"]) == (ends, code)
    assert terminal("official", "list", *home).json == {"officials": []}
    assert terminal("official", "end", "nobody", *home).json["code"] == "official.unknown"
    assert terminal("official", "add", "layla", *home).code == 2


def test_officials_need_a_home_that_is_there(terminal: Terminal, tmp_path: Path) -> None:
    assert "home.missing" in terminal("official", "list", "--home", tmp_path).err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_runs_knows_of_it_at_once(terminal: Terminal, written: tuple[Homes, str]) -> None:
    homes, _ = written
    with serving(Home(homes.xa), PASSPHRASE):
        address = f"http://{Home(homes.xa).settings().listen}/api/v1/peers"
        token = terminal("official", "add", *LOGIN, "--home", homes.xa, "--json").json["token"]
        headers = {"authorization": f"Bearer {token}"}
        assert httpx2.get(address, headers=headers, trust_env=False).status_code == 200
        assert terminal("official", "end", "layla-7", "--home", homes.xa).code == 0
        assert httpx2.get(address, headers=headers, trust_env=False).status_code == 401


def test_the_operator_cannot_be_ended_and_is_renewed_where_the_command_line_reads_it(
    terminal: Terminal, written: tuple[Homes, str]
) -> None:
    homes, reference = written
    file = homes.xa / "operator.token"
    with serving(Home(homes.xa), PASSPHRASE):
        before = file.read_text()
        for lang in words.LANGUAGES:
            told = terminal("official", "end", "operator", "--home", homes.xa, "--language", lang)
            assert told.code == 3
            assert "cli.operator" in told.err
        renewed = terminal("official", "renew", "operator", "--home", homes.xa)
        assert renewed.code == 0
        assert file.read_text() != before
        assert file.read_text().strip() not in renewed.out
        assert file.stat().st_mode & 0o777 == 0o600
        assert terminal(*message(reference, homes.xa, "--json")).json["by_server"] is True


def test_a_database_that_others_keep_locked_is_waited_for_then_told(
    terminal: Terminal, written: tuple[Homes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The busy timeout is 30 seconds; here it is none, so that the test does not wait for it."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: connect(*given, **{**options, "timeout": 0}))
    monkeypatch.setattr(sqlite3.dbapi2, "connect", sqlite3.connect)
    holding = connect(written[0].xa / "node.db", isolation_level=None)
    try:
        holding.execute("BEGIN IMMEDIATE")
        told = terminal("official", "add", *LOGIN, "--home", written[0].xa)
        assert told.code == 5
        assert "database.unwritable" in told.err
        holding.execute("ROLLBACK")
        assert terminal("official", "add", *LOGIN, "--home", written[0].xa).code == 0
    finally:
        holding.close()
