"""One of three parties signs two different logs: it is found, proved, and what it said from there on counts nowhere."""

from __future__ import annotations

import dataclasses
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mithaq.kernel.errors import Refused
from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.tables import RECORDS, mirrored
from mithaq.node import Node
from mithaq.services.channel import acts
from mithaq.services.charter import acts as charter
from tests import nodes
from tests.nodes import Clock

PARTIES = ("XC", "XD", "XE")


def sending(sender: Node, receiver: Node) -> Callable[[Request], Answer]:
    return lambda request: nodes.ask(receiver, dataclasses.replace(request, party=sender.party))


def dump(node: Node) -> dict[str, list[str]]:
    with node.database.read() as connection:
        return {
            table.name: sorted(str(tuple(row)) for row in connection.execute(select(table)))
            for table in RECORDS.sorted_tables
            if table.name != "progress"
        }


@dataclasses.dataclass
class Scene:
    """XC told one story to XD and, as `other`, another story to XE; both honest nodes built on what they were told."""

    liar: Node
    other: Node
    xd: Node
    xe: Node
    clause: str
    fork: int


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = Clock()
    urls = {party: f"sqlite:///{tmp_path}/{party}.db" for party in (*PARTIES, "XC2")}
    liar, xd, xe = (nodes.start(party, PARTIES, urls[party], clock) for party in PARTIES)
    reference = nodes.conclude(nodes.treaty(*PARTIES), liar, xd, xe)
    clause, fork = f"{reference}/1", liar.log.size
    liar.database.close()
    shutil.copy(tmp_path / "XC.db", tmp_path / "XC2.db")
    liar, other = (nodes.start("XC", PARTIES, urls[name], clock) for name in ("XC", "XC2"))
    for count in range(5):
        liar.say(acts.Say(f"story one {count}", "x", ("XD/border-guard",)), clause=clause, by="XC/border-guard")
    for count in range(9):
        other.say(acts.Say(f"story two {count}", "x", ("XE/border-guard",)), clause=clause, by="XC/border-guard")
    nodes.carry(liar, xd)
    nodes.carry(other, xe)
    heard = acts.Acknowledge(f"XC-2026-{fork:06d}")
    xd.say(heard, clause=clause, by="XD/border-guard")
    nodes.carry(xd, xe)
    xe.say(acts.Say("built on story two", "x", ("XD/border-guard",)), clause=clause, by="XE/border-guard")
    nodes.carry(xe, xd)
    yield Scene(liar, other, xd, xe, clause, fork)
    for node in (liar, other, xd, xe):
        node.database.close()


def settle_by_comparing(scene: Scene) -> None:
    for one, two in ((scene.xe, scene.xd), (scene.xd, scene.xe)):
        one.compare(two.party, sending(one, two))
    nodes.settle(scene.xd, scene.xe)


def test_both_honest_nodes_find_the_first_entry_that_differs(scene: Scene) -> None:
    settle_by_comparing(scene)
    assert scene.xd.disputes.end("XC") == scene.xe.disputes.end("XC") == scene.fork


def test_after_the_exposure_both_honest_nodes_have_equal_records_again(scene: Scene) -> None:
    assert dump(scene.xd) != dump(scene.xe)
    settle_by_comparing(scene)
    assert dump(scene.xd) == dump(scene.xe)
    assert scene.xd.judge.progress["XC"].heard == scene.fork


def test_a_rebuild_from_the_logs_gives_the_same_records(scene: Scene) -> None:
    settle_by_comparing(scene)
    before = dump(scene.xe)
    scene.xe.rebuild()
    assert dump(scene.xe) == before


def test_the_exchange_with_the_liar_stops_and_the_others_go_on(scene: Scene) -> None:
    settle_by_comparing(scene)
    scene.liar.say(acts.Say("more", "x", ("XD/border-guard",)), clause=scene.clause, by="XC/border-guard")
    with pytest.raises(Refused) as refusal:
        nodes.carry(scene.liar, scene.xd)
    assert refusal.value.facts["reason"] == "mirror.two_stories"
    said = scene.xd.say(acts.Say("go on", "x", ("XE/border-guard",)), clause=scene.clause, by="XD/border-guard")
    nodes.settle(scene.xd, scene.xe)
    assert scene.xe.entry("XD", said.n)
    with scene.xd.database.read() as connection:
        assert scene.xd.post.next_request("XC", connection) is None


def test_a_liar_that_pads_its_notes_with_strangers_lines_is_exposed_all_the_same(scene: Scene) -> None:
    """Lines of unknown keys are ignored wherever a note is verified; in an exposure they would fill the entry."""
    line = "\u2014 stranger\u200b " + b64encode(bytes(3000)).decode() + "\n"
    with scene.xe.database.write() as connection:
        kept = connection.execute(select(mirrored.c.note).where(mirrored.c.log == "XC")).scalar_one()
        connection.execute(update(mirrored).where(mirrored.c.log == "XC").values(note=kept + line.encode() * 8))
    scene.xe.compare("XD", sending(scene.xe, scene.xd))
    assert scene.xe.disputes.end("XC") == scene.fork


def test_nobody_is_exposed_who_told_one_story(scene: Scene) -> None:
    scene.xe.compare("XC", sending(scene.xe, scene.liar))  # of XD, whose log the liar has not heard wrongly
    assert scene.xe.disputes.sealed() == ()


def test_an_exposure_without_two_signed_stories_is_refused(scene: Scene) -> None:
    settle_by_comparing(scene)
    found = next(
        said.act
        for n in range(scene.xe.log.size)
        if isinstance((said := scene.xe.judge.codec.decode(scene.xe.entry("XE", n))).act, charter.Expose)
    )
    for forged in (
        charter.Expose("XC", found.entry, found.one, found.one),
        charter.Expose("XC", found.entry + 1, found.one, found.other),
        charter.Expose("XD", found.entry, found.one, found.other),
        charter.Expose("XE", found.entry, found.one, found.other),
    ):
        with pytest.raises(Refused, match=r"charter\.same_story"):
            scene.xe.say(forged, clause="charter", by="XE")
