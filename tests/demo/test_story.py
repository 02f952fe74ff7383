"""What a person who starts the demonstration is told when it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mithaq.cli.run import main
from mithaq.demo import agreements
from mithaq.demo.story import Story
from mithaq.kernel import words
from mithaq.kernel.text import check_lines


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


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_a_line_of_the_story_runs_in_the_readers_direction_and_names_who_speaks(
    lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(tmp_path, (8461, 8462), lang)
    story.tell("{party} is stopped", party=story.named("IQ"))
    line = capsys.readouterr().out
    assert line.startswith("\u200f") is (words.direction(lang) == "rtl")
    assert agreements.parties()["IQ"][lang] in line
    assert "IQ" in line
    assert agreements.offices()["IR"]["IR/border-guard/mehran"][lang] in story.named("IR/border-guard/mehran")
    assert "XX/post" in story.named("XX/post")  # an office that nobody named is told by its code


@pytest.mark.parametrize("lang", words.LANGUAGES)
@pytest.mark.parametrize(
    "msgid",
    [
        "Lane 3",
        "Please see the enclosure.",
        "This must not be said.",
        "Works at the post.",
        "A bus has passed.",
        "to prepare the lane",
        "Count {n}",
    ],
)
def test_what_the_officials_of_the_story_write_is_in_the_readers_language_and_fit_for_a_log(
    msgid: str, lang: str, tmp_path: Path
) -> None:
    written = Story(tmp_path, (8461, 8462), lang).written(msgid, n=7)
    check_lines(written)
    assert words.known(msgid)
    assert (written == msgid.format(n=7)) is (lang == "en")
