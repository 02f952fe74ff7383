"""Homes and a terminal for the tests of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli import homes as story
from tests.cli.homes import PASSPHRASE, Homes, Terminal


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "MITHAQ_HOME", "MITHAQ_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.setenv("MITHAQ_PASSPHRASE", PASSPHRASE)


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Homes, str]:
    """Two homes with an agreement in force, once for all; tests that write take a copy of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MITHAQ_PASSPHRASE", PASSPHRASE)
        root = tmp_path_factory.mktemp("homes")
        homes = story.paired(root)
        reference = story.concluded(homes, root)
    return homes, reference


@pytest.fixture
def written(made: tuple[Homes, str], tmp_path: Path) -> tuple[Homes, str]:
    """A copy that a test may write in."""
    homes, reference = made
    copied = Homes(tmp_path / "xa", tmp_path / "xb")
    shutil.copytree(homes.xa, copied.xa)
    shutil.copytree(homes.xb, copied.xb)
    return copied, reference
