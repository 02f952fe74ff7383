"""The private desk: notes and drafts stay on the own node until somebody says them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect, literal_column, select
from sqlalchemy import table as sql_table

from mithaq.kernel.errors import MithaqError
from mithaq.kernel.tables import RECORDS
from mithaq.node import Node
from mithaq.register import desk
from mithaq.register.desk import Kind
from tests.nodes import conclude, settle, treaty
from tests.web import CANARY, World, body

Pair = tuple[Node, Node]


def keep(node: Node, official: str, kind: Kind, content: str, about: str = "") -> int:
    return node.writer.do(lambda connection: desk.keep(connection, official, kind, content, about=about, now=1))


def kept(node: Node, official: str) -> list[str]:
    with node.database.read() as connection:
        return [each.content for each in desk.kept(connection, official)]


def everything(node: Node) -> str:
    """Every value of every table, as text."""
    found = []
    with node.database.read() as connection:
        for table in inspect(node.database.engine).get_table_names():
            for row in connection.execute(select(literal_column("*")).select_from(sql_table(table))):
                found += [
                    bytes(each).decode("latin-1") if isinstance(each, bytes | memoryview) else str(each) for each in row
                ]
    return "\n".join(found)


def test_each_sees_and_drops_the_own_desk_alone(pair: Pair) -> None:
    node, _ = pair
    number = keep(node, "layla", "note", "Ask about the camps.", "XA-2026-000000/1")
    assert kept(node, "layla") == ["Ask about the camps."]
    assert kept(node, "omar") == []
    for official in ("omar", "layla"):
        with pytest.raises(MithaqError) as reason, node.database.read() as connection:
            desk.find(connection, official, number, "draft")
        assert reason.value.code == "desk.unknown"
    with pytest.raises(MithaqError) as reason:
        node.writer.do(lambda connection: desk.drop(connection, "omar", number))
    assert reason.value.code == "desk.unknown"
    node.writer.do(lambda connection: desk.drop(connection, "layla", number))
    assert kept(node, "layla") == []


def test_what_lies_on_the_desk_is_in_no_log_no_carriage_and_no_database_of_a_peer(pair: Pair) -> None:
    a, b = pair
    conclude(treaty("XA", "XB"), a, b)
    keep(a, "layla", "note", f"A note with {CANARY}.")
    keep(a, "layla", "draft", f'{{"act": {{"do": "channel.say", "text": "{CANARY}"}}}}')
    a.writer.do(lambda connection: desk.remember_visit(connection, "layla", {"XA": 3}, 5))
    settle(a, b)
    assert all(CANARY.encode() not in a.entry("XA", n) for n in range(a.log.size))
    assert CANARY in everything(a)
    assert CANARY not in everything(b)
    assert "desk" not in RECORDS.tables
    a.rebuild()
    assert len(kept(a, "layla")) == 2
    with a.database.read() as connection:
        visit = desk.last_visit(connection, "layla")
    assert visit is not None
    assert visit.heard == {"XA": 3}


@pytest.mark.parametrize(
    "kind, content, about, code, field",
    [
        ("note", "", "", "desk.empty", "text"),
        ("note", " \n", "", "desk.empty", "text"),
        ("note", "x" * 8001, "", "desk.too_long", "text"),
        ("note", "x", "y" * 65, "desk.too_long", "about"),
        ("note", "\ud800", "", "text.not_utf8", "text"),
        ("draft", "not JSON", "", "desk.not_a_draft", "draft"),
        ("draft", "[]", "", "desk.not_a_draft", "draft"),
        ("draft", '{"a":' * 100_000, "", "desk.not_a_draft", "draft"),
        ("draft", f'{{"text": "{"ب" * 600_000}"}}', "", "desk.too_long", "text"),
    ],
)
def test_what_is_none_or_too_much_is_refused(
    pair: Pair, kind: Kind, content: str, about: str, code: str, field: str
) -> None:
    with pytest.raises(MithaqError) as reason:
        keep(pair[0], "layla", kind, content, about)
    assert (reason.value.code, reason.value.facts["field"]) == (code, field)
    assert kept(pair[0], "layla") == []


def test_a_desk_is_not_a_store_without_end(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MOST", 2)
    for _ in range(2):
        keep(pair[0], "layla", "note", "x")
    with pytest.raises(MithaqError) as reason:
        keep(pair[0], "layla", "note", "x")
    assert reason.value.code == "desk.full"
    keep(pair[0], "omar", "note", "x")


# --- over HTTP -----------------------------------------------------------------------------------------------------------


def test_a_draft_is_kept_said_by_the_same_checks_and_leaves_the_desk(tmp_path: Path) -> None:
    world = World(tmp_path, f"sqlite:///{tmp_path}")
    try:
        agreement = world.conclude()
        path = "/api/v1/desk"
        note = world.call("POST", path, json={"do": "note", "text": "Remember.", "about": agreement})
        good = world.call("POST", path, json={"do": "draft", "saying": body(agreement)})
        bad = world.call("POST", path, json={"do": "draft", "saying": {**body(agreement), "clause": f"{agreement}/2"}})
        half = world.call("POST", path, json={"do": "draft", "saying": {"act": {"do": "channel.say"}}})
        assert [each.status_code for each in (note, good, bad, half)] == [201] * 4
        size = world.a.log.size
        desk_ = world.call("GET", path).json()["desk"]
        assert [each["kind"] for each in desk_] == ["note", "draft", "draft", "draft"]
        assert world.call("GET", path, "lead").json()["desk"] == []
        refused = world.call("POST", path, json={"do": "say", "id": bad.json()["id"]})
        assert (refused.status_code, refused.json()["code"]) == (403, "mandate.act_not_named")
        unfinished = world.call("POST", path, json={"do": "say", "id": half.json()["id"]})
        assert (unfinished.status_code, unfinished.json()["code"]) == (422, "statement.malformed")
        strange = world.call("POST", path, "lead", json={"do": "say", "id": good.json()["id"]})
        assert (strange.status_code, strange.json()["code"]) == (404, "desk.unknown")
        assert world.a.log.size == size
        said = world.call("POST", path, json={"do": "say", "id": good.json()["id"]})
        assert (said.status_code, said.json()["n"], world.a.log.size) == (201, size, size + 1)
        assert good.json()["id"] not in {each["id"] for each in world.call("GET", path).json()["desk"]}
        for each in (note, bad, half):
            assert world.call("POST", path, json={"do": "drop", "id": each.json()["id"]}).status_code == 200
        assert world.call("GET", path).json()["desk"] == []
    finally:
        world.close()


@pytest.mark.parametrize(
    "raw, status, code",
    [
        (b"", 400, "api.not_json"),
        (b"{}", 422, "desk.malformed"),
        (b'{"do": "note"}', 422, "desk.malformed"),
        (b'{"do": "note", "text": ""}', 422, "desk.malformed"),
        (b'{"do": "note", "text": " "}', 422, "desk.empty"),
        (b'{"do": "note", "text": "x", "more": 1}', 422, "desk.malformed"),
        (b'{"do": "drop", "id": 7}', 404, "desk.unknown"),
        (b'{"do": "drop", "id": -7}', 422, "desk.malformed"),
        (b'{"do": "visit", "upto": {"XA": -1}}', 422, "desk.malformed"),
        (b"[" * 100_000, 422, "desk.malformed"),
    ],
)
def test_a_body_that_is_none_is_answered_with_its_code(tmp_path: Path, raw: bytes, status: int, code: str) -> None:
    world = World(tmp_path)
    try:
        response = world.call("POST", "/api/v1/desk", content=raw)
        assert (response.status_code, response.json()["code"]) == (status, code)
        too_large = world.call("POST", "/api/v1/desk", content=b" " * (1024 * 1024 + 1))
        assert (too_large.status_code, too_large.json()["code"]) == (413, "api.body_too_large")
    finally:
        world.close()


def test_questions_are_asked_over_http_and_a_visit_is_remembered_for_the_official_alone(tmp_path: Path) -> None:
    world = World(tmp_path, f"sqlite:///{tmp_path}")
    try:
        agreement = world.conclude()
        world.write_to(world.b, agreement, f"Hear {CANARY}.")
        settle(world.a, world.b)
        path = "/api/v1/register"
        (letter,) = world.call("GET", f"{path}/unanswered").json()["letters"]
        assert (letter["by"], letter["days"], letter["subject"]) == ("XA", 0, "Opening hours")
        assert "Opening hours" not in world.call("GET", f"{path}/unanswered", "auditor").text
        first = world.call("GET", f"{path}/since").json()
        assert first["since"] is None
        visited = world.call("POST", "/api/v1/desk", json={"do": "visit", "upto": first["upto"]})
        assert visited.status_code == 200
        assert world.call("GET", f"{path}/since?moment=last").json()["entries"] == []
        assert world.call("GET", f"{path}/since", "lead").json()["since"] is None
        history = world.call("GET", f"{path}/clause?clause={agreement}/1").json()
        assert letter["reference"] in history["references"]
        for query, status, code in (
            ("owed?side=ZZ", 422, "register.unknown"),
            ("owed?month=x", 422, "register.bad_filter"),
            ("nothing", 404, "register.no_question"),
            ("owed?sides=XA", 422, "api.parameter"),
        ):
            answer = world.call("GET", f"{path}/{query}")
            assert (answer.status_code, answer.json()["code"]) == (status, code), query
        assert world.call("GET", f"{path}/owed", "administrator").status_code == 403
    finally:
        world.close()
