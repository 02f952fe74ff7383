"""A node's home: made once, read back, given to one process at a time, and never with another's keys."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mithaq.kernel.errors import Malformed, Refused
from mithaq.settings import Home, Settings
from tests.nodes import Clock, keys_of

COMMISSION = "xa-xb.example"
SETTINGS = Settings("XA", COMMISSION, {"ar": "XA", "en": "XA", "fa": "XA"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create(SETTINGS, keys_of("XA", COMMISSION), "a long passphrase", work=10)
    return made


def pairing(party: str, commission: str = COMMISSION, address: str = "http://127.0.0.1:1") -> object:
    return keys_of(party, commission).pairing(dict.fromkeys(("ar", "en", "fa"), party), address)


def test_a_home_is_made_once_and_read_back(home: Home) -> None:
    assert home.settings() == SETTINGS
    assert home.load_keys("a long passphrase").party == "XA"
    with pytest.raises(Refused, match=r"home\.exists"):
        home.create(SETTINGS, keys_of("XA", COMMISSION), "a long passphrase", work=10)
    assert home.keys_file.stat().st_mode & 0o077 == 0


def test_a_folder_without_a_node_says_so(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"home\.missing"):
        Home(tmp_path).settings()


@pytest.mark.parametrize("raw", [b"", b"{}", b"not json", b'{"party": "xa"}'])
def test_settings_that_cannot_be_read_are_malformed(home: Home, raw: bytes) -> None:
    home.settings_file.write_bytes(raw)
    with pytest.raises(Malformed, match=r"home\.settings"):
        home.settings()


def test_a_peer_is_accepted_once_and_its_keys_are_never_replaced_silently(home: Home) -> None:
    home.accept(pairing("XB"))  # type: ignore[arg-type]
    home.accept(pairing("XB"))  # type: ignore[arg-type]
    assert [peer.party for peer in home.peers()] == ["XB"]
    other = msgspec.structs.replace(pairing("XB"), address="http://127.0.0.1:2")  # type: ignore[type-var]
    with pytest.raises(Refused, match=r"pairing\.keys_differ"):
        home.accept(other)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"pairing\.another_commission"):
        home.accept(pairing("XC", "xa-xc.example"))  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"pairing\.ourselves"):
        home.accept(pairing("XA"))  # type: ignore[arg-type]
    assert [peer.party for peer in home.peers()] == ["XB"]


def test_one_process_holds_a_home_at_a_time(home: Home) -> None:
    home.lock()
    with pytest.raises(Refused, match=r"node\.already_running"):
        Home(home.path).lock()
    home.unlock()
    other = Home(home.path)
    other.lock()
    other.unlock()


def test_the_node_of_a_home_says_and_is_there_again(home: Home, clock: Clock) -> None:
    home.accept(pairing("XB"))  # type: ignore[arg-type]
    node = home.node("a long passphrase", clock)
    assert (node.party, list(node.peers)) == ("XA", ["XB"])
    node.database.close()
