"""What a person who starts the demonstration is told when it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mithaq.cli.run import main
from mithaq.kernel import words


@pytest.mark.parametrize("ports", [["8461"], ["8461,8461"], ["0,8461"], ["8461,70000"], ["8461", "8462", "8463"]])
def test_ports_that_are_not_two_are_a_usage_error(
    ports: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--folder", str(tmp_path / "demo"), "--ports", *ports])
    assert ended.value.code == 2
    assert "two numbers" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_taken_port_is_told_with_the_option_that_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "en")
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
            each.listen()
        ports = [str(each.getsockname()[1]) for each in (first, second)]
        assert main(["demo", "--once", "--folder", str(tmp_path / "demo"), "--ports", *ports]) == 1
    told = capsys.readouterr().err
    assert told.startswith(words.sentence("demo.port_taken", {"value": f"127.0.0.1:{ports[0]}"}, "en"))
    assert f"Another program uses 127.0.0.1:{ports[0]}." in told
    assert "--ports" in told
    assert "Step" not in told


@pytest.mark.parametrize("lang, word", [("ar", "المنفذان"), ("fa", "درگاه")])
def test_the_help_of_the_demonstration_is_in_the_readers_language(
    lang: str, word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", lang)
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    told = capsys.readouterr().out
    assert word in told
    assert "usage" not in told
    assert "show this help" not in told
