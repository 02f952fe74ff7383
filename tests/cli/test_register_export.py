"""`register export`, `register minutes` and `register feed` on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.homes import Homes, Terminal


@pytest.mark.parametrize("form", ["json", "csv", "xlsx", "html"])
def test_the_register_is_exported_without_a_passphrase(
    terminal: Terminal, written: tuple[Homes, str], tmp_path: Path, form: str
) -> None:
    homes, _ = written
    out = tmp_path / "out"
    told = terminal("--home", homes.xa, "register", "export", "--form", form, out, "--json")
    assert told.code == 0, told.err
    assert told.json["written"] == str(out)
    assert out.exists()
    again = terminal("--home", homes.xa, "register", "export", "--form", form, out, "--json")
    assert (again.code, again.json["code"]) == (3, "register.export_exists")


def test_minutes_that_are_not_there_are_refused(terminal: Terminal, written: tuple[Homes, str], tmp_path: Path) -> None:
    homes, _ = written
    out = tmp_path / "minutes.pdf"
    told = terminal("--home", homes.xa, "register", "minutes", "XA-2026-000999", "--form", "pdf", out, "--json")
    assert (told.code, told.json["code"]) == (3, "register.no_minutes")
    assert not out.exists()


def test_a_feed_is_opened_and_closed(terminal: Terminal, written: tuple[Homes, str]) -> None:
    homes, _ = written
    added = terminal("--home", homes.xa, "official", "add", "clerk", "--office", "XA", "--role", "lead", "--json")
    assert added.code == 0, added.err
    told = terminal("--home", homes.xa, "register", "feed", "open", "clerk", "--json")
    assert re.search(r"/feed/[A-Za-z0-9_-]{43}\.ics\Z", told.json["url"])
    assert terminal("--home", homes.xa, "register", "feed", "close", "clerk").code == 0
    assert (
        terminal("--home", homes.xa, "register", "feed", "close", "clerk", "--json").json["code"] == "register.no_feed"
    )
