"""The API over two real nodes: saying, reading, evidence, problems in three languages, bad bodies, health, metrics."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
from sqlalchemy import event, insert

from mithaq.kernel import journal, merkle, officials, proof, tables, words
from mithaq.kernel.errors import MithaqError, Refused
from mithaq.node import CATALOGUE
from mithaq.web import api, health, problem, saying
from tests.nodes import carry
from tests.web import CANARY, GUARD, World, body

SAY = "/api/v1/say"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path, f"sqlite:///{tmp_path}")
    yield found
    found.close()


@pytest.fixture
def agreement(world: World) -> str:
    return world.conclude()


# --- saying -----------------------------------------------------------------------------------------------------


def test_an_act_is_said_and_stands_in_our_log(world: World, agreement: str) -> None:
    response = world.call("POST", SAY, json=body(agreement))
    assert response.status_code == 201
    said = response.json()
    assert response.headers["Location"] == said["location"] == f"/api/v1/statements/XA/{said['n']}"
    found = world.call("GET", said["location"]).json()
    assert found["statement"]["act"]["text"] == "The gate opens at six."
    assert found["reference"] == said["reference"]
    assert found["digest"] == merkle.leaf_hash(world.a.entry("XA", said["n"])).hex()


def test_checking_judges_and_says_nothing(world: World, agreement: str) -> None:
    size = world.a.log.size
    good = world.call("POST", f"{SAY}?check=1", json=body(agreement))
    bad = world.call("POST", f"{SAY}?check=1", json={**body(agreement), "clause": f"{agreement}/2"})
    assert (good.status_code, good.json()["ok"]) == (200, True)
    assert (bad.status_code, bad.json()["code"]) == (403, "mandate.act_not_named")
    assert world.a.log.size == size


def test_of_many_each_has_its_own_outcome(world: World, agreement: str) -> None:
    sayings = [
        body(agreement),
        {**body(agreement), "clause": f"{agreement}/2"},
        {"act": {"do": "no.such"}},
        {**body(agreement), "by": "XA/interior"},
        body(agreement, "A second one."),
    ]
    size = world.a.log.size
    answer = world.call("POST", SAY, json={"sayings": sayings})
    told = answer.json()
    assert (answer.status_code, told["said"], told["refused"]) == (200, 2, 3)
    assert [each["status"] for each in told["outcomes"]] == [201, 403, 422, 403, 201]
    assert [each.get("code") for each in told["outcomes"]][1:4] == [
        "mandate.act_not_named",
        "statement.unknown_act",
        "official.another_office",
    ]
    assert world.a.log.size == size + 2
    checked = world.call("POST", f"{SAY}?check=1", json={"sayings": sayings}).json()
    assert (checked["said"], checked["refused"], world.a.log.size) == (0, 3, size + 2)


def test_an_official_says_nothing_for_another_office_even_where_the_clause_lets_that_office(
    world: World, agreement: str
) -> None:
    response = world.call("POST", SAY, json={**body(agreement), "by": "XA/border-guard/low-ford"})
    assert (response.status_code, response.json()["code"]) == (403, "official.another_office")
    assert (
        world.call("POST", SAY, "lead", json={**body(agreement), "by": "XA/border-guard/low-ford"}).status_code == 201
    )


def test_one_whose_time_has_ended_is_not_known_any_more(world: World, agreement: str) -> None:
    world.a.writer.do(lambda connection: officials.end(connection, "official", int(world.now)))
    response = world.call("POST", SAY, json=body(agreement))
    assert (response.status_code, response.json()["code"]) == (401, "official.ended")


DEEP = b'{"act":' + b'{"do":' * 50_000 + b"1" + b"}" * 50_001


@pytest.mark.parametrize(
    "raw, status, code",
    [
        (b"", 400, "api.not_json"),
        (b"not json", 400, "api.not_json"),
        (b"\xff\xfe", 400, "api.not_json"),
        (b"[]", 400, "statement.malformed"),
        (b"{}", 400, "statement.malformed"),
        (b"1" * 6000, 400, "statement.malformed"),
        (b"[" * 100_000, 400, "statement.malformed"),
        (DEEP, 400, "statement.too_deep"),
        (b'{"sayings": 7}', 400, "statement.malformed"),
        (b'{"sayings": [], "more": 1}', 422, "statement.unknown_field"),
        (b'{"sayings": [' + b"1," * 10_000 + b"1]}", 413, "api.too_many"),
    ],
)
def test_a_body_that_is_none_is_answered_with_its_code(world: World, raw: bytes, status: int, code: str) -> None:
    response = world.call("POST", SAY, content=raw)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["Content-Type"] == problem.MEDIA


@pytest.mark.parametrize(
    "change, status, code",
    [
        ({"act": {"do": "no.such_act"}}, 422, "statement.unknown_act"),
        ({"act": {"do": 7}}, 422, "statement.malformed"),
        ({"act": {}}, 422, "statement.malformed"),
        ({"act": None}, 422, "statement.malformed"),
        ({"clause": 3}, 422, "statement.malformed"),
        ({"clause": "nowhere"}, 422, "statement.malformed"),
        ({"by": "someone"}, 422, "statement.malformed"),
        ({"by": "XA/border-guard/high-pass\n"}, 422, "statement.malformed"),
        ({"more": 1}, 422, "statement.unknown_field"),
        ({"enclosures": [{"digest": "x"}]}, 422, "statement.malformed"),
        ({"enclosures": "x"}, 422, "statement.malformed"),
    ],
)
def test_a_saying_of_the_wrong_shape_is_answered_with_its_code(
    world: World, agreement: str, change: dict[str, Any], status: int, code: str
) -> None:
    response = world.call("POST", SAY, json={**body(agreement), **change})
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "text, code",
    [
        ("left\u202eright", "text.forbidden_character"),
        ("bell\u0007", "text.forbidden_character"),
        ("e\u0301", "text.not_nfc"),
        ("", "statement.malformed"),
        ("x" * 8001, "statement.malformed"),
    ],
)
def test_a_text_that_must_not_stand_in_a_statement_is_refused(
    world: World, agreement: str, text: str, code: str
) -> None:
    size = world.a.log.size
    response = world.call("POST", SAY, json=body(agreement, text))
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert world.a.log.size == size


def test_a_lone_surrogate_and_a_huge_number_are_refused_and_no_failure_of_ours(world: World, agreement: str) -> None:
    raw = json.dumps(body(agreement, "PLACE")).encode()
    for wrong in (b'"\\ud800"', b"1e999", b"9" * 6000, b'"\xff"'):
        response = world.call("POST", SAY, content=raw.replace(b'"PLACE"', wrong))
        assert response.status_code in {400, 422}
        assert response.json()["code"] in {"statement.malformed", "api.not_json"}


def test_too_large_a_body_is_refused(world: World, agreement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = world.call("POST", SAY, json=body(agreement, "x" * saying.ONE_LIMIT))
    assert (one.status_code, one.json()["code"]) == (413, "api.body_too_large")
    monkeypatch.setattr(saying, "MANY_LIMIT", 2000)
    many = world.call("POST", SAY, json={"sayings": [body(agreement)] * 20})
    assert (many.status_code, many.json()["code"]) == (413, "api.body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/statements/XA?from=x",
        "/api/v1/statements/XA?from=-1",
        "/api/v1/statements/XA?from=٣",
        "/api/v1/statements/XA?limit=0",
        "/api/v1/statements/XA?limit=501",
        "/api/v1/statements/XA?form=1",
        "/api/v1/statements/XA?from=1&from=2",
        "/api/v1/statements/XA/99999999999999999999",
        "/api/v1/statements/XA/1x/proof",
        "/api/v1/statements/xa",
        "/api/v1/agreements/XA",
        "/api/v1/messages/%0A",
    ],
)
def test_a_parameter_of_the_wrong_shape_is_named(world: World, path: str) -> None:
    response = world.call("GET", path)
    assert (response.status_code, response.json()["code"]) == (422, "api.parameter")


@pytest.mark.parametrize(
    "path, code",
    [
        ("/api/v1/statements/XA/9", "log.no_such_entry"),
        ("/api/v1/statements/XB/9/evidence", "log.no_such_entry"),
        ("/api/v1/statements/ZZ", "peer.unknown"),
        ("/api/v1/agreements/XA-2026-000099", "api.not_found"),
        ("/api/v1/messages/XA-2026-000099", "api.not_found"),
    ],
)
def test_what_is_not_there_is_not_found(world: World, path: str, code: str) -> None:
    response = world.call("GET", path)
    assert (response.status_code, response.json()["code"]) == (404, code)


# --- problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_refusal_is_told_in_the_callers_language(world: World, agreement: str, language: str) -> None:
    headers = {"Accept-Language": f"{language};q=0.9, de"}
    response = world.call("POST", SAY, headers=headers, json={**body(agreement), "clause": f"{agreement}/2"})
    told = response.json()
    assert set(told) == {"type", "title", "status", "detail", "code", "facts", "instance"}
    assert told["detail"] == words.sentence(told["code"], told["facts"], language)
    assert told["title"] == words.say("Not permitted", language)
    assert told["type"] == "urn:mithaq:mandate.act_not_named"
    assert told["facts"]["clause"] == f"{agreement}/2"
    assert response.headers["Content-Language"] == language
    assert response.headers["Vary"] == "Accept-Language"


def test_every_code_and_title_of_the_interface_has_its_sentence_in_three_languages() -> None:
    codes = problem._UNREADABLE | problem._NOT_IDENTIFIED | problem._NOT_FOUND | problem._CONFLICTS | problem._TOO_LARGE
    msgids = {*codes, *problem.TITLES.values(), *(each.about for each in api.DESCRIBED), problem.INTERNAL, "api.method"}
    assert sorted(each for each in msgids if not words.known(each)) == []


def test_what_nobody_foresaw_is_a_number_and_nothing_else(
    world: World, agreement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    journal.configure(written)

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(world.a, "say_all", lambda *_, **__: fail())
    response = world.call("POST", SAY, json=body(agreement))
    structlog.reset_defaults()
    assert response.status_code == 500
    incident = response.json()["facts"]["incident"]
    assert response.json()["instance"] == f"urn:mithaq:incident:{incident}"
    assert CANARY not in response.text + written.getvalue()
    assert incident in written.getvalue()
    assert "RuntimeError" in written.getvalue()


def test_a_database_that_cannot_be_written_is_not_available_now(world: World, agreement: str) -> None:
    read_only(world)
    response = world.call("POST", SAY, json=body(agreement))
    assert (response.status_code, response.json()["code"]) == (503, "database.unwritable")
    assert response.headers["Retry-After"]


# --- reading ----------------------------------------------------------------------------------------------------


def test_a_log_is_read_page_by_page(world: World, agreement: str) -> None:
    for i in range(3):
        world.write_to(world.a, agreement, f"Message {i}.")
    first = world.call("GET", "/api/v1/statements/XA?from=0&limit=4").json()
    rest = world.call("GET", f"/api/v1/statements/XA?from={first['next']}").json()
    assert [each["n"] for each in first["entries"] + rest["entries"]] == list(range(world.a.log.size))
    assert world.call("GET", "/api/v1/statements/XA?from=999").json()["next"] is None


def test_an_entry_of_a_peer_that_is_not_readable_is_shown_as_bytes_with_its_verdict(
    world: World, agreement: str
) -> None:
    world.b.writer.do(lambda connection: world.b.log.append(connection, [b"\xff not a statement"]))
    carry(world.b, world.a)
    found = world.call("GET", f"/api/v1/statements/XB/{world.b.log.size - 1}").json()
    assert found["verdict"]["code"] == "statement.malformed"
    assert "statement" not in found
    assert found["bytes"]
    refused = world.call("GET", "/api/v1/refusals").json()["refusals"]
    assert [(each["party"], each["log"], each["code"]) for each in refused] == [("XA", "XB", "statement.malformed")]


def test_an_agreement_tells_who_has_said_what_of_it_and_what_is_in_force(world: World, agreement: str) -> None:
    found = world.call("GET", f"/api/v1/agreements/{agreement}").json()
    assert set(found["signed"]) == set(found["notified"]) == {"XA", "XB"}
    assert found["binds_from"]
    assert [each["what"] for each in found["history"]] == ["proposed", "signed", "notified", "signed", "notified"]
    assert found["text"]["parties"] == ["XA", "XB"]
    world.enrol("minister", "XA/interior", "official")
    act = {"do": "agreements.suspend", "agreement": agreement, "reason": "Floods.", "clause": "1"}
    said = {"act": act, "clause": f"{agreement}/3", "by": "XA/interior"}
    assert world.call("POST", SAY, "lead", json=said).status_code == 201
    clauses = {each["reference"]: each for each in world.call("GET", "/api/v1/clauses").json()["clauses"]}
    assert clauses[f"{agreement}/1"]["in_force"] is False
    assert clauses[f"{agreement}/1"]["suspended_by"] == ["XA"]
    assert clauses[f"{agreement}/2"]["in_force"] is True


def test_a_message_waits_until_it_is_acknowledged(world: World, agreement: str) -> None:
    reference = world.write_to(world.b, agreement)
    carry(world.b, world.a)
    assert [each["reference"] for each in world.call("GET", "/api/v1/waiting").json()["waiting"]] == [reference]
    read = {"do": "channel.acknowledge", "message": reference}
    assert world.call("POST", SAY, json={**body(agreement), "act": read}).status_code == 201
    assert world.call("GET", "/api/v1/waiting").json()["waiting"] == []
    again = world.call("POST", SAY, json={**body(agreement), "act": read})
    assert (again.status_code, again.json()["code"]) == (409, "channel.acknowledged_twice")
    thread = world.call("GET", f"/api/v1/messages/{reference}").json()
    assert [each["by"] for each in thread["messages"][0]["acknowledged"]] == [GUARD["XA"]]


# --- evidence ---------------------------------------------------------------------------------------------------


def trusted(world: World, *, log: str, mirror: str) -> dict[str, list[str]]:
    keys = {"XA": world.a.keys, "XB": world.b.keys}
    return {
        keys[log].origin: [each.vkey for each in keys[log].log_verifiers()],
        keys[mirror].mirror_name: [each.vkey for each in keys[mirror].mirror_verifiers()],
    }


@pytest.mark.parametrize("log, mirror", [("XA", "XB"), ("XB", "XA")])
def test_an_evidence_file_convinces_whoever_has_the_keys(world: World, agreement: str, log: str, mirror: str) -> None:
    raw = world.call("GET", f"/api/v1/statements/{log}/1/evidence").content
    evidence = proof.Evidence.parse(raw)
    assert evidence.statement == world.a.entry(log, 1)
    assert proof.check(evidence, trusted(world, log=log, mirror=mirror)).trusted
    text = world.call("GET", f"/api/v1/statements/{log}/1/proof", "auditor").content
    parsed = proof.parse(text)
    digest = world.call("GET", f"/api/v1/statements/{log}/1", "auditor").json()["digest"]
    keys = {"XA": world.a.keys, "XB": world.b.keys}
    cosigners = {"mirror": keys[mirror].mirror_verifiers()}
    proof.verify(parsed, bytes.fromhex(digest), keys[log].log_verifiers(), cosigners, 1)


def test_evidence_of_what_nobody_has_receipted_yet_says_so(world: World, agreement: str) -> None:
    world.write_to(world.a, agreement)
    raw = world.call("GET", f"/api/v1/statements/XA/{world.a.log.size - 1}/evidence").content
    findings = proof.check(proof.Evidence.parse(raw))
    assert findings.ok
    assert "evidence.no_receipt" in [each.code for each in findings.items]


def test_an_old_backup_signs_no_evidence(world: World, agreement: str) -> None:
    world.a.post.rolled_back = Refused("node.rolled_back", value=9, limit=3, party="XB")
    response = world.call("GET", "/api/v1/statements/XA/1/evidence")
    assert (response.status_code, response.json()["code"]) == (409, "node.rolled_back")


# --- the description --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_the_description_names_every_act_with_its_help(world: World, language: str) -> None:
    response = world.call("GET", "/api/v1/openapi.json", None, headers={"Accept-Language": language})
    told = response.json()
    schemas = told["components"]["schemas"]
    mapping = schemas["Act"]["discriminator"]["mapping"]
    assert told["openapi"] == "3.1.0"
    assert set(mapping) == set(CATALOGUE.kinds)
    for tag, reference in mapping.items():
        schema = schemas[reference.rpartition("/")[2]]
        assert schema["description"] == words.say(CATALOGUE[tag].help, language)
    refs = set(_references(told))
    assert {each.rpartition("/")[2] for each in refs} <= set(schemas)
    identifiers = [operation["operationId"] for path in told["paths"].values() for operation in path.values()]
    assert len(set(identifiers)) == len(identifiers) == len(api.DESCRIBED)


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


# --- health, metrics, journal -----------------------------------------------------------------------------------


def read_only(world: World) -> None:
    event.listen(world.a.database.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA query_only=1"))


def test_a_node_that_is_well_says_what_it_knows(world: World, agreement: str) -> None:
    world.now += 40
    found = world.call("GET", "/health", "administrator").json()
    assert found["ok"] is True
    assert found["log"] == {"size": world.a.log.size, "root": world.a.log.root().hex()}
    peer = found["peers"]["XB"]
    assert peer["receipt"] == {"size": world.a.log.size, "age_seconds": 40}
    assert (peer["backlog"], peer["clock_skew_seconds"]) == (0, 0)
    assert world.client().get("/health").json() == {"ok": True}


def test_a_peers_fast_clock_is_seen_in_its_receipt(world: World, agreement: str) -> None:
    clock, world.b.post._clock = world.b.post._clock, lambda: world.now + 90
    world.write_to(world.a, agreement)
    carry(world.a, world.b)
    world.b.post._clock = clock
    assert world.call("GET", "/health").json()["peers"]["XB"]["clock_skew_seconds"] == 90


def test_a_node_is_not_well_when_its_database_cannot_be_written(world: World, agreement: str) -> None:
    read_only(world)
    response = world.call("GET", "/health", None)
    assert (response.status_code, response.json()) == (503, {"ok": False})


def test_a_node_is_not_well_when_it_is_an_old_backup(world: World) -> None:
    world.a.post.rolled_back = Refused("node.rolled_back", value=9, limit=3, party="XB")
    found = world.call("GET", "/health")
    assert (found.status_code, found.json()["rolled_back"]) == (503, True)


def test_a_node_is_not_well_when_two_stories_were_told(world: World) -> None:
    row = {"id": "1", "log": "XB", "at": 1, "conclusive": 1, "kept": b"", "offered": b""}
    world.a.writer.do(lambda connection: connection.execute(insert(tables.conflicts), row))
    found = world.call("GET", "/health")
    assert (found.status_code, found.json()["conflicts"]) == (503, ["XB"])


def test_a_node_is_not_well_when_its_disk_is_nearly_full_or_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: SimpleNamespace(free=health.LEAST_DISK - 1))
    assert world.call("GET", "/health").status_code == 503
    monkeypatch.undo()
    world.home.path /= "no such folder"
    found = world.call("GET", "/health")
    assert (found.status_code, found.json()["disk_free_bytes"]) == (503, None)


def test_the_metrics_count_what_was_said_heard_and_refused_and_hold_no_body(world: World, agreement: str) -> None:
    world.write_to(world.a, agreement, CANARY)
    world.b.writer.do(lambda connection: world.b.log.append(connection, [b"{" + CANARY.encode()]))
    carry(world.b, world.a)
    world.status.last_success = world.now - 12
    world.call("POST", SAY, json={**body(agreement, CANARY), "clause": f"{agreement}/2"})
    text = world.call("GET", "/metrics", "auditor").text
    for line in (
        'mithaq_statements_said_total{act="channel.say",party="XA"} 1.0',
        'mithaq_statements_heard_total{act="agreements.sign",party="XB"} 1.0',
        'mithaq_statements_refused_total{act="unknown",party="XB"} 1.0',
        'mithaq_requests_refused_total{code="mandate.act_not_named"} 1.0',
        f'mithaq_log_size{{party="XA"}} {world.a.log.size}.0',
        'mithaq_backlog{peer="XB"} 2.0',
        'mithaq_last_contact_seconds{peer="XB"} 12.0',
        'mithaq_conflict{peer="XB"} 0.0',
    ):
        assert line in text.splitlines()
    received = [
        float(line.split()[1]) for line in text.splitlines() if line.startswith("mithaq_receipts_received_total")
    ]
    assert received[0] > 0
    assert CANARY not in text
    assert "border-guard" not in text


def test_a_second_look_at_the_metrics_counts_nothing_twice(world: World, agreement: str) -> None:
    before = world.call("GET", "/metrics", "auditor").text
    after = world.call("GET", "/metrics", "auditor").text
    counts = [[line for line in text.splitlines() if line.startswith("mithaq_statements")] for text in (before, after)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("made", ["configured", "own"])
def test_the_journal_never_holds_a_body(made: str) -> None:
    written, sentence = io.StringIO(), f"a sentence with {CANARY}"
    if made == "configured":
        journal.configure(written)
        log = structlog.get_logger()
    else:
        log = journal.journal(written)
    log.info("heard.entry", party="XB", n=7, act="channel.say", text=CANARY, body={"x": CANARY}, seconds=0.25)
    log.info(sentence, party=f"XB {CANARY}", n=CANARY, code=f"{CANARY} said", size=[CANARY])
    log.bind(subject=CANARY).warning("peer.late", count=3, listen="127.0.0.1:8460")
    try:
        raise RuntimeError(CANARY)
    except RuntimeError:
        log.exception("request.failed", reason="RuntimeError")
    structlog.reset_defaults()
    assert CANARY not in written.getvalue()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert all(set(line) <= journal.KEYS for line in lines)
    assert [line["event"] for line in lines] == ["heard.entry", journal.UNNAMED, "peer.late", "request.failed"]
    kept = {key: lines[0][key] for key in ("party", "n", "act", "seconds", "level")}
    assert kept == {"party": "XB", "n": 7, "act": "channel.say", "seconds": 0.25, "level": "info"}
    assert set(lines[1]) == {"event", "level", "timestamp"}


def test_a_problem_of_whatever_code_can_be_written() -> None:
    for code in words.codes():
        if "." in code and " " not in code:
            found = problem.describe(MithaqError(code, value=b"\xff", at=object()), "ar", "/")
            assert msgspec.json.decode(msgspec.json.encode(found))["code"] == code


def test_the_own_overseer_learns_which_official_said_what_and_the_other_side_does_not(
    world: World, agreement: str
) -> None:
    said = world.call("POST", "/api/v1/say", json=body(agreement)).json()
    assert world.call("GET", f"/api/v1/speakers/{said['n']}", "auditor").json()["official"] == "official"
    assert world.call("GET", "/api/v1/speakers/0", "auditor").json()["official"] is None
    assert b'"official"' not in world.a.entry("XA", said["n"])


@pytest.mark.parametrize("act", [{"do": "charter.refuse", "log": "XB", "entry": 0, "code": "statement.seen_ahead"}])
def test_no_official_can_say_what_only_the_node_says(world: World, act: dict[str, Any]) -> None:
    answer = world.call("POST", "/api/v1/say", json={"act": act, "clause": "charter", "by": GUARD["XA"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "official.node_says")
