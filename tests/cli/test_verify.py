"""`verify`: no network at all, and digits that a person can compare with what a paired node shows."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mithaq.cli import proofs
from mithaq.cli.offline import Online, offline
from mithaq.cli.output import Output
from mithaq.kernel import note, pairing, words
from mithaq.kernel.text import ascii_digits, digits
from tests.cli.homes import Homes, Terminal

ISOLATES = {"\u2066": 1, "\u2067": 1, "\u2068": 1, "\u2069": -1}
MARK = "\u200e"


@pytest.fixture
def file(terminal: Terminal, made: tuple[Homes, str], tmp_path: Path) -> Path:
    homes, reference = made
    written = tmp_path / "evidence.json"
    assert terminal("evidence", reference, written, "--home", homes.xa).code == 0
    return written


def depth(text: str) -> int:
    """The deepest nesting of isolates; each is closed."""
    depths = [0]
    for character in text:
        depths.append(depths[-1] + ISOLATES.get(character, 0))
    assert depths[-1] == 0
    return max(depths)


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_the_digits_are_those_that_show_peers_prints(
    terminal: Terminal, made: tuple[Homes, str], file: Path, lang: str
) -> None:
    homes, _ = made
    told = terminal("verify", file, "--json").json
    claimed = {each["facts"]["name"]: each["facts"]["fingerprint"] for each in told["steps"] if each["step"] == 5}
    assert set(claimed) == {"xa-xb.example/XA", "xa-xb.example/XB/mirror"}
    for folder, other in ((homes.xa, "XB"), (homes.xb, "XA")):
        shown = terminal("show", "peers", "--home", folder, "--json").json
        assert [each["party"] for each in shown["peers"]] == [other]
        keys = {**shown["own"]["keys"], **shown["peers"][0]["keys"]}
        assert len(set(keys.values())) == 4
        assert claimed.items() <= keys.items()
        text = terminal("show", "peers", "--home", folder, "--language", lang).out
        verified = terminal("verify", file, "--language", lang).out
        for groups in claimed.values():
            written = digits(groups, lang).replace(" ", " " if lang == "en" else f"{MARK} ")
            assert written in text
            assert written in verified


def test_pair_shows_the_digits_of_both_parties(terminal: Terminal, made: tuple[Homes, str]) -> None:
    homes, _ = made
    argv = ["pair", homes.file("XB"), "--home", homes.xa, "--yes-the-digits-are", homes.digits()]
    read = [pairing.parse(homes.file(party).read_bytes()) for party in ("XA", "XB")]
    told = terminal(*argv, "--json").json["keys"]
    assert told == {
        name: note.fingerprint(keys)
        for each in read
        for name, keys in ((each.origin, each.log_keys), (f"{each.origin}/mirror", each.mirror_keys))
    }
    out = terminal(*argv).out
    assert all(name in out and groups in out for name, groups in told.items())


@pytest.mark.parametrize("lang", ["ar", "fa"])
def test_digits_stand_from_left_to_right_isolated_once(terminal: Terminal, file: Path, lang: str) -> None:
    out = terminal("verify", file, "--language", lang).out
    assert "\ufffd" not in out
    assert all(depth(line) <= 1 for line in out.splitlines())
    found = re.findall(f"[\u2066\u2068]([^\u2066-\u2069]*{MARK} [^\u2066-\u2069]*)\u2069", out)
    assert len(found) == 2
    for each in found:
        assert re.fullmatch(rf"(\d{{5}}{MARK} ){{11}}\d{{5}}", each)
        assert ascii_digits(each) != each


@pytest.mark.parametrize("lang", ["ar", "fa"])
def test_a_sentence_within_a_sentence_keeps_its_isolates(lang: str) -> None:
    output = Output(lang, as_json=False)
    inner = output.sentence("home.missing", {"value": "/a\u202eb"})
    assert output.word("It had no effect: {reason}", reason=inner).count("\ufffd") == 1


def connecting() -> None:
    with socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))


def binding() -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))


def sending() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as opened:
        opened.sendto(b"x", ("127.0.0.1", 9))


def starting() -> None:
    subprocess.run([sys.executable, "-V"], check=True)


def asking() -> None:
    socket.getaddrinfo("localhost", 80)


def asking_the_old_way() -> None:
    socket.gethostbyname("localhost")


@pytest.mark.parametrize("attempt", [connecting, binding, sending, starting, asking, asking_the_old_way])
def test_nothing_leaves_the_process_while_a_file_is_verified(
    terminal: Terminal, file: Path, monkeypatch: pytest.MonkeyPatch, attempt: Callable[[], None]
) -> None:
    seen: list[BaseException] = []
    check = proofs.proof.check

    def curious(*given: object) -> object:
        with pytest.raises(Online) as raised:
            attempt()
        seen.append(raised.value)
        return check(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(proofs.proof, "check", curious)
    assert terminal("verify", file).code == 0
    assert len(seen) == 1
    binding()  # afterwards the rest of the process goes on as before


def test_an_attempt_that_nobody_catches_ends_verify_as_a_fault(
    terminal: Terminal, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs.proof, "check", lambda *_: connecting())
    told = terminal("verify", file)
    assert told.code == 70
    assert "Online" in told.err


def test_another_thread_is_refused_too() -> None:
    seen: list[BaseException] = []

    def attempt() -> None:
        try:
            connecting()
        except Online as refused:
            seen.append(refused)

    with offline():
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert len(seen) == 1


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_the_statement_that_is_shown_is_json_as_it_stands(terminal: Terminal, file: Path, lang: str) -> None:
    lines = terminal("verify", file, "--language", lang).out.splitlines()
    shown = "\n".join(lines[1 : lines.index("")])
    assert json.loads(shown) == terminal("verify", file, "--json").json["statement"]


@pytest.mark.parametrize("party, absent", [("XA", "XB/mirror"), ("XB", "XA")])
def test_keys_of_one_party_alone_leave_the_others_uncompared(
    terminal: Terminal, made: tuple[Homes, str], file: Path, party: str, absent: str
) -> None:
    told = terminal("verify", file, "--keys", made[0].file(party))
    assert told.code == 3
    verdict = told.out.splitlines()[-1]
    assert verdict.startswith("The file holds by itself. Not compared")
    assert f"xa-xb.example/{absent}." in verdict
    assert "whose keys these are: not compared" in told.out
    assert terminal("verify", file, "--keys", made[0].file(party), "--json").json["verdict"] == "not_compared"
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b"XA/foreign-affairs", b"XA/foreign-affairz"))
    altered = terminal("verify", file, "--keys", made[0].file(party))
    assert altered.code == 3
    assert altered.out.splitlines()[-1].startswith("Refused")
