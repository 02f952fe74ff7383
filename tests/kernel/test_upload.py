"""The client of tlog-mirror: it resumes wherever it was stopped, and believes no peer more than its signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.exchange import MIRROR_INFO, Answer, Request
from mithaq.kernel.tables import receipts
from mithaq.kernel.upload import reason_of
from mithaq.node import Node, Saying
from mithaq.services.agreements import acts as agreements
from tests.nodes import Clock, MakeDatabase, ask, carry, paired, step, treaty

SAYING = Saying(agreements.Propose(treaty("XA", "XB")), "charter", "XA/foreign-affairs")
Pair = tuple[Node, Node]


@pytest.fixture
def two(sqlite: MakeDatabase, clock: Clock) -> Iterator[Pair]:
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        yield a, b


def request(a: Node) -> tuple[Request, int]:
    with a.database.read() as connection:
        found = a.post.next_request("XB", connection)
    assert found is not None
    return replace(found[0], party="XA"), found[1]


def learn(a: Node, asked: tuple[Request, int], answer: Answer) -> None:
    with a.database.read() as connection:
        a.post.answered("XB", *asked, answer, connection)


def test_a_long_log_goes_in_requests_of_32_packages_and_is_receipted_once(two: Pair) -> None:
    a, b = two
    a.say_all([SAYING] * 8300)
    answers: list[int] = []
    while (answer := step(a, b)) is not None:
        answers.append(answer.status)
    assert answers == [200, 202, 200]  # add-checkpoint, 8,192 entries, the rest
    assert b.post.mirror("XA").log.root() == a.log.root()
    with a.database.read() as connection:
        row = connection.execute(select(receipts)).one()
    assert (row.peer, row.size, bytes(row.root)) == ("XB", 8300, a.log.root())


def test_new_entries_while_an_upload_runs_come_after_it(two: Pair) -> None:
    a, b = two
    a.say_all([SAYING] * 3)
    step(a, b)  # the checkpoint of size 3
    a.say_all([SAYING] * 2)
    step(a, b)
    assert a.post.uploads["XB"].receipted == 3
    carry(a, b)
    assert a.post.uploads["XB"].receipted == 5


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["say", "carry", "lose request", "lose answer", "twice", "forget"]), max_size=25))
def test_whatever_is_lost_or_repeated_everything_arrives_once(two: Pair, acts: list[str]) -> None:
    a, b = two
    for act in acts:
        if act == "say":
            a.say_all([SAYING] * 2)
            continue
        if act == "forget":  # a restart: only the receipts survive
            a.writer.do(a._load)
            continue
        with a.database.read() as connection:
            found = a.post.next_request("XB", connection)
        if found is None or act == "lose request":
            continue
        asked = (replace(found[0], party="XA"), found[1])
        answer = ask(b, asked[0])
        if act == "twice":
            answer = ask(b, asked[0])
        if act != "lose answer":
            learn(a, asked, answer)
    carry(a, b)
    assert b.post.mirror("XA").log.root() == a.log.root()
    assert a.post.uploads["XB"].receipted == a.log.size
    assert b.judge.progress["XA"].heard == a.log.size


def test_a_receipt_with_a_wrong_signature_is_not_believed(two: Pair) -> None:
    a, b = two
    a.say_all([SAYING])
    step(a, b)
    asked = request(a)
    answer = ask(b, asked[0])
    for body in (
        b"",
        b"\xe2\x80\x94 x y\n",
        answer.body.replace(b"XB", b"XC"),
        answer.body[:-8] + b"AAAA=\n\n\n",
        b"\xff",
    ):
        with pytest.raises(MithaqError):
            learn(a, asked, replace(answer, body=body))
        assert a.post.uploads["XB"].receipted == 0
    learn(a, asked, answer)
    assert a.post.uploads["XB"].receipted == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(409, b"1000\n", "text/x.tlog.size"),
        Answer(409, b"99999999999\n", "text/x.tlog.size"),
    ],
)
def test_a_peer_that_claims_a_checkpoint_of_more_than_we_have_is_asked_to_show_it_and_stops_nobody_else(
    two: Pair, answer: Answer
) -> None:
    a, _ = two
    a.say_all([SAYING])
    with pytest.raises(Refused, match=r"peer\.claims_more"):
        learn(a, request(a), answer)
    asked = request(a)
    assert (asked[0].method, asked[0].path.partition("/")[2]) == ("GET", "checkpoint")
    with pytest.raises(Refused, match=r"peer\.claims_more"):
        learn(a, asked, Answer(404))
    a.say_all([SAYING])
    assert a.rolled_back is None, "an unsigned number stops nobody"


@pytest.mark.parametrize("body", [b"1000\n1\n\n", b"1\n1000\n\n"])
@pytest.mark.parametrize("status", [202, 409])
def test_a_peer_that_claims_entries_that_we_do_not_have_says_so_too(two: Pair, status: int, body: bytes) -> None:
    a, b = two
    a.say_all([SAYING])
    step(a, b)
    with pytest.raises(Refused, match=r"peer\.claims_more"):
        learn(a, request(a), Answer(status, body, MIRROR_INFO))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"1\n1\n",
        b"1\n1\n\n\n",
        b"x\n1\n\n",
        b"-1\n1\n\n",
        b"1\n01\n\n",
        b"1\n1\n!!!\n",
        b"1\n1\nA\n",
        b"1\n1\n" + b"AAAA" * 30_000 + b"\n",
        "1\n1\n\u0663\n".encode(),
        b"\xff\n\xff\n\xff\n",
    ],
)
def test_a_mirror_info_that_cannot_be_read_is_refused_and_the_upload_goes_on_later(two: Pair, body: bytes) -> None:
    a, b = two
    a.say_all([SAYING])
    step(a, b)
    with pytest.raises(Malformed):
        learn(a, request(a), Answer(409, body, MIRROR_INFO))
    carry(a, b)
    assert a.post.uploads["XB"].receipted == 1


def test_a_ticket_is_sent_back_as_it_came(two: Pair) -> None:
    a, b = two
    a.say_all([SAYING])
    step(a, b)
    learn(a, request(a), Answer(409, b"1\n0\ndGlja2V0\n", MIRROR_INFO))
    asked = request(a)
    assert b"\0\6ticket" in asked[0].body
    assert ask(b, asked[0]).status == 200


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
def test_any_other_answer_is_a_refusal_that_names_the_peers_reason(two: Pair, status: int) -> None:
    a, b = two
    a.say_all([SAYING])
    with pytest.raises(Refused, match=r"peer\.refused_checkpoint") as caught:
        learn(a, request(a), Answer(status, b"mirror.two_stories\n"))
    assert caught.value.facts["reason"] == "mirror.two_stories"
    step(a, b)
    with pytest.raises(Refused, match=r"peer\.refused_entries"):
        learn(a, request(a), Answer(status, b"x"))
    carry(a, b)
    assert a.post.uploads["XB"].receipted == 1


@given(st.binary(max_size=200))
def test_the_reason_that_a_peer_gives_is_a_code_or_nothing(body: bytes) -> None:
    reason = reason_of(Answer(500, body))
    assert reason == "-" or reason.replace(".", "").replace("_", "").isalnum()
    assert reason.isascii()


def test_a_mirror_that_fell_back_is_brought_forward_again(two: Pair, sqlite: MakeDatabase, clock: Clock) -> None:
    a, b = two
    a.say_all([SAYING] * 5)
    carry(a, b)
    other: Any
    with paired(lambda name: sqlite(f"other-{name}"), ("XA", "XB"), clock) as (_, other):
        a.post.uploads["XB"].start(0)
        carry(a, other)  # the peer restored nothing: its mirror is empty
        assert other.post.mirror("XA").log.root() == a.log.root()
