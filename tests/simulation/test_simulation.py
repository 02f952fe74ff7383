"""The simulated days: nothing breaks, the same seed tells the same story, and what is planted is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mithaq.node import Node
from mithaq.simulation.faults import START, Crash, Weather
from mithaq.simulation.invariants import BROKEN_TREE, FALSE_RECEIPT, WITHOUT_CLAUSE, Audit
from mithaq.simulation.liar import Liar
from mithaq.simulation.run import main
from mithaq.simulation.site import Build, Site, keys_of, remove
from mithaq.simulation.world import World, exchange, scratch
from tests.simulation.plants import CredulousNode, HastyNode, LawlessNode

TWO, THREE = ("XA", "XB"), ("XA", "XB", "XC")
STORM = Weather(loss=0.3, repetition=0.2, crash_every=400.0, cut_every=1200.0, cut_lasts=300.0, down_lasts=60.0)


def live(seed: int, hours: float, parties: tuple[str, ...] = TWO, build: Build = Node, **more: Any) -> World:
    world = World(seed, parties, build=build, **more)
    world.run(hours)
    return world


@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_two_nodes_breaks_nothing(seed: int) -> None:
    world = live(seed, 24)
    assert world.audit.violations == []
    assert world.statements > 500
    assert world.crashes > 5


@pytest.mark.parametrize("seed", range(2))
def test_eight_hours_of_three_nodes_break_nothing(seed: int) -> None:
    world = live(seed, 8, THREE)
    assert world.audit.violations == []
    assert world.statements > 300


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_of_crashes_breaks_nothing(seed: int) -> None:
    world = live(seed, 4, THREE if seed % 2 else TWO, weather=STORM)
    assert world.audit.violations == []
    assert world.crashes > 20


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    first, again, other = live(7, 3), live(7, 3), live(8, 3)
    assert first.trace == again.trace
    assert first.trace != other.trace


def test_a_receipt_signed_before_the_commit_is_found() -> None:
    found = [live(seed, 6, build=HastyNode, weather=STORM).audit.violations for seed in range(2)]
    assert any(FALSE_RECEIPT in line for lines in found for line in lines), found


def test_a_judge_that_asks_for_no_clause_is_found() -> None:
    world = live(1, 2, build=LawlessNode)
    assert any(WITHOUT_CLAUSE in line for line in world.audit.violations), world.audit.violations


@pytest.mark.parametrize("build, found", [(CredulousNode, True), (Node, False)])
def test_a_mirror_that_forgets_the_consistency_proof_is_found(build: Build, found: bool) -> None:
    folder = scratch()
    sites = [Site("XA", TWO, folder, lambda: START, build), Site("XB", TWO, folder, lambda: START, honest=False)]
    audit = Audit(sites)
    try:
        for site in sites:
            site.start()
        first = Liar(sites[1])
        first.append(*[b"one story %d" % n for n in range(300)])
        exchange(sites[1], sites[0], audit)
        sites[1].crash()
        second = Site("XB", TWO, second_folder := scratch(), lambda: START, honest=False)
        second.start()
        Liar(second).append(*[b"another story %d" % n if n < 3 else b"one story %d" % n for n in range(600)])
        second.node.post.uploads["XA"].start(300)
        exchange(second, sites[0], audit)
        second.stop()
        remove(second_folder)
        assert any(BROKEN_TREE in line or FALSE_RECEIPT in line for line in audit.violations) is found
    finally:
        audit.close()
        for site in sites:
            site.stop()
        remove(folder)


def test_a_crash_before_the_commit_leaves_nothing_and_one_after_it_everything() -> None:
    folder = scratch()
    site = Site("XA", TWO, folder, lambda: START)
    try:
        site.start()
        liar = Liar(site)
        for where, size in (("statement", 0), ("commit", 0), ("committed", 1)):
            site.trap.arm(where, 0)
            with pytest.raises(Crash):
                liar.append(b"an entry")
            site.crash()
            site.start()
            assert site.node.log.size == size
    finally:
        site.stop()
        remove(folder)


def test_the_keys_of_a_simulation_are_the_same_in_every_run() -> None:
    seed = "328582aa"
    assert keys_of("XA", "xa-xb.example").log_ed25519.hex().startswith(seed)


def test_the_command_prints_a_table_and_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--hours", "1", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    summary = json.loads(lines[-1])
    assert list(summary) == ["seeds", "hours", "statements", "crashes", "violations", "seconds"]
    assert (summary["seeds"], summary["violations"]) == (2, 0)
    assert len(lines) == 5


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_two_hundred_days_break_nothing(seed: int) -> None:
    world = live(seed, 24, THREE if seed % 3 == 2 else TWO)
    assert world.audit.violations == []
