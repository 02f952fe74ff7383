"""Every route and every role: each pair has a decision, and the server keeps to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from starlette.routing import Route

from mithaq.kernel import officials
from mithaq.register import feeds
from mithaq.web import api
from mithaq.web.access import ACCESS, ANYONE, CALLERS, LOOPBACK, Grant, grant
from tests.nodes import carry
from tests.web import CANARY, GUARD, World, body, folder

DOC = Path(__file__).resolve().parents[2] / "docs" / "api.md"
PAIRS = [(key, caller) for key in ACCESS if key != api.ELSEWHERE for caller in CALLERS]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World(folder())
    reference = found.conclude()
    found.message = found.write_to(found.a, reference, f"A message with a {CANARY} in it.", f"A {CANARY}.")
    found.agreement = reference
    carry(found.a, found.b)
    found.write_to(found.b, reference, f"An answer with a {CANARY} in it.")
    carry(found.b, found.a)
    yield found
    found.close()


def ask(world: World, key: str, caller: str) -> Any:
    method, _, path = key.partition(" ")
    party = "XA" if "{n}" in path else "XB"
    reference = world.agreement if "agreements" in path else world.message
    if "{secret}" in path:
        path = path.replace("{secret}", world.a.writer.do(lambda connection: feeds.open_feed(connection, "official")))
    path = path.replace("{party}", party).replace("{n}", "3").replace("{reference}", reference)
    path = path.replace("{question}", "unanswered")
    if "{digest}" in path:
        path = f"{path.replace('{digest}', world.digest)}?office={GUARD['XA']}&reason=to+look"
    elif key == "POST /api/v1/enclosures":
        path = f"{path}?to={GUARD['XB']}&media=text/plain&by={GUARD['XA']}"
    token = world.tokens.get(caller)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    client = world.client("127.0.0.1" if caller == LOOPBACK else "192.0.2.7")
    sent = {"do": "note", "text": "To look."} if path.endswith("/desk") else None
    sent = sent or body(world.agreement, by="XA/border-guard/high-pass")
    given = {"json": sent} if method == "POST" else {}
    return client.request(method, path, headers=headers, **given)


def test_every_route_has_a_decision_for_every_role_and_every_decision_a_route(world: World) -> None:
    made = {route.name for route in world.routes if isinstance(route, Route)}
    assert made == set(ACCESS)
    for row in ACCESS.values():
        assert set(row) == set(CALLERS) == {*officials.ROLES, ANYONE, LOOPBACK}
        assert set(row.values()) <= set(get_args(Grant))


@pytest.mark.parametrize("key, caller", PAIRS)
def test_a_route_answers_each_caller_as_the_table_says(world: World, key: str, caller: str) -> None:
    response = ask(world, key, caller)
    decision = ACCESS[key][caller]
    if decision == "no":
        assert response.status_code == (403 if caller in officials.ROLES else 401)
        assert response.json()["code"] == (
            "official.role_not_enough" if caller in officials.ROLES else "official.no_token"
        )
        return
    assert response.status_code in {200, 201}
    if decision == "bare":
        assert CANARY not in response.text


@pytest.mark.parametrize("key", [key for key in ACCESS if key.startswith("GET")])
def test_an_auditor_never_gets_a_body(world: World, key: str) -> None:
    assert CANARY not in ask(world, key, "auditor").text


def test_those_who_may_read_get_the_bodies(world: World) -> None:
    for path in ("/api/v1/messages", f"/api/v1/messages/{world.message}", "/api/v1/statements/XA", "/api/v1/waiting"):
        assert CANARY in world.call("GET", path).text


def test_of_several_roles_the_best_counts(world: World) -> None:
    token = world.enrol("two-roles", "XA", "auditor", "lead")
    with world.a.database.read() as connection:
        both = officials.authenticate(connection, token)
    assert grant("GET /api/v1/messages", both, loopback=False) == "full"


def test_metrics_need_a_token_when_they_are_asked_for_through_a_proxy(world: World) -> None:
    client = world.client("127.0.0.1")
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 401


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8460", "[", ""])
def test_metrics_need_a_token_when_they_are_asked_for_under_a_strangers_name(world: World, host: str) -> None:
    """A page whose name was made to lead to 127.0.0.1 is read by a browser on this machine (DNS rebinding)."""
    assert world.client("127.0.0.1").get("/metrics", headers={"Host": host}).status_code == 401


def test_a_wrong_token_is_refused_even_where_none_is_needed(world: World) -> None:
    response = world.client().get("/health", headers={"Authorization": "Bearer " + "a" * 43})
    assert response.status_code == 401
    assert response.json()["code"] == "official.unknown_token"
    assert "invalid_token" in response.headers["WWW-Authenticate"]


def test_what_is_no_route_and_what_is_no_method_are_problems(world: World) -> None:
    nowhere = world.client().get("/api/v1/nothing")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "api.not_found")
    deleted = world.client().delete("/api/v1/say")
    assert (deleted.status_code, deleted.json()["code"]) == (405, "api.method")


def test_a_route_without_a_decision_cannot_be_made(world: World) -> None:
    with pytest.raises(LookupError):
        api._Endpoint(world.a, world.home, None, api.Described("GET /api/v1/new", ""), lambda _: None, None)


def test_the_page_lists_the_routes_that_there_are() -> None:
    listed = set(re.findall(r"^\| `((?:GET|POST) [^`]+)` \|", DOC.read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {key for key in ACCESS if key != api.ELSEWHERE}
