"""The step of the story about the register: told once, and at a second start shown as it stands."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mithaq.demo import agreements, register_step
from mithaq.demo.story import Story
from mithaq.kernel import words
from mithaq.kernel.text import check_lines


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def test_the_duty_of_the_report_is_followed_up_once_and_shown_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(tmp_path, free_ports(), "en")
    try:
        story.pair()
        story.agree()
        capsys.readouterr()
        register_step.FollowUp(story).tell()
        first = capsys.readouterr().out
        register_step.FollowUp(story).tell()
        second = capsys.readouterr().out
    finally:
        for side in story.sides:
            side.close()
    says = [line.strip() for line in first.splitlines() if "The sides say" in line]
    assert [line.partition(": ")[2].partition(" (")[0] for line in says] == [
        "nothing claimed",
        "claimed",
        "confirmed in part",
        "joint verification asked for",
        "joint verification asked for",
        "found jointly",
    ]
    assert first.count("The clock says: overdue by") == first.count("It is: violated") == 6
    assert first.count("illustrative") == second.count("illustrative") == 1
    assert second.count("The sides say: found jointly (carried out halfway") == 1
    assert " says I" not in second


def test_the_step_is_about_the_duty_and_the_day_of_the_report() -> None:
    name, number, place = register_step.PLACE
    pact = dict(agreements.load())[name]
    clause = next(each for each in pact.clauses if each.number == number)
    assert clause.obliges[place - 1].due == "2023-09-19"
    assert any("by September 19" in each.sentence for each in clause.cites)
    assert register_step.CLAIMED.isoformat() == "2023-09-23"


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_what_is_said_in_the_step_is_in_the_readers_language_and_fit_for_a_log(lang: str, tmp_path: Path) -> None:
    assert words.known(register_step.TITLE)
    for *_, msgid in register_step._SAYINGS:
        assert words.known(msgid)
        written = Story(tmp_path, (8461, 8462), lang).written(msgid)
        check_lines(written)
        assert (written == msgid) is (lang == "en")
