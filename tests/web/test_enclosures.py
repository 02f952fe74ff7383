"""Enclosures over the API: sealed as they come, opened with a reason, and refused to whom they are not sealed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from mithaq.kernel.tables import openings
from mithaq.web.passage import Broken, Passage
from tests.web import CANARY, GUARD, World, body, folder

SEAL = f"/api/v1/enclosures?to={GUARD['XB']}&media=text/plain&by={GUARD['XA']}"


@pytest.fixture
def world() -> Iterator[World]:
    found = World(folder())
    found.agreement = found.conclude()
    yield found
    found.close()


def open_path(digest: str, office: str = GUARD["XA"], reason: str = "to+prepare") -> str:
    return f"/api/v1/enclosures/{digest}?office={office}&reason={reason}"


def test_a_file_is_sealed_named_and_listed(world: World) -> None:
    sealed = world.call("POST", SEAL, content=b"Twelve buses." * 1000).json()
    assert sealed["to"] == [GUARD["XB"]]
    said = world.call("POST", "/api/v1/say", json=body(world.agreement, enclosures=[sealed]))
    assert said.status_code == 201
    listed = world.call("GET", "/api/v1/enclosures").json()["enclosures"]
    assert [(each["digest"], each["state"], each["size"]) for each in listed] == [
        (sealed["digest"], "held", sealed["size"])
    ]


def test_it_is_opened_as_it_was_and_the_opening_stands_in_the_book(world: World) -> None:
    world.write_to(world.a, world.agreement, enclosed=CANARY * 20_000)
    answer = world.call("GET", open_path(world.digest))
    assert answer.text == CANARY * 20_000
    assert answer.headers["content-disposition"] == "attachment"
    with world.a.database.read() as connection:
        row = connection.execute(select(openings)).one()
    assert (row.office, row.reason) == (GUARD["XA"], "to prepare")


@pytest.mark.parametrize(
    "path, status, code",
    [
        (open_path("0" * 64), 404, "enclosure.unknown"),
        (open_path("{digest}", reason=""), 422, "enclosure.no_reason"),
        (open_path("{digest}", office="XA/border-guard"), 403, "official.another_office"),
        (open_path("{digest}", office=GUARD["XB"]), 403, "official.another_office"),
    ],
)
def test_what_cannot_be_opened_is_a_problem_with_its_reason(world: World, path: str, status: int, code: str) -> None:
    world.write_to(world.a, world.agreement, enclosed=CANARY)
    answer = world.call("GET", path.replace("{digest}", world.digest))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert CANARY not in answer.text


@pytest.mark.parametrize("query", ["", "?to=&media=text/plain", f"?to={GUARD['XB']},{GUARD['XB']}&media=text/plain"])
def test_a_file_sealed_to_nobody_or_twice_to_one_is_refused(world: World, query: str) -> None:
    answer = world.call("POST", f"/api/v1/enclosures{query}", content=b"x")
    assert (answer.status_code, answer.json()["facts"]["field"]) == (422, "to")


def test_a_file_larger_than_any_clause_allows_is_refused_as_soon_as_it_is(world: World) -> None:
    answer = world.call("POST", SEAL, content=bytes(1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")


def test_an_office_without_a_key_is_refused(world: World) -> None:
    answer = world.call("POST", SEAL.replace(GUARD["XB"], "XB/customs"), content=b"x" * 100_000)
    assert answer.json()["code"] == "enclosure.no_key"


def test_a_passage_hands_pieces_on_and_a_failure_with_them() -> None:
    passage, got = Passage(), list[Any]()
    reader = threading.Thread(target=lambda: got.extend([passage.read(3), passage.read(10), passage.read()]))
    reader.start()
    for piece in (b"ab", b"", b"cdefg", b"h"):
        passage.write(piece)
    passage.end()
    reader.join()
    assert got == [b"abc", b"defgh", b""]
    broken = Passage()
    broken.write(b"x")
    broken.fail(ValueError("stopped"))
    with pytest.raises(ValueError, match="stopped"):
        broken.read()


def test_a_writer_learns_that_the_reader_has_gone() -> None:
    passage = Passage()
    passage.write(b"x")
    passage.abandon()
    with pytest.raises(Broken):
        passage.write(b"y")
