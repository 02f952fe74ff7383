"""Stories of nodes on the network: two homes over loopback HTTP and TLS, strangers, outages, signals, taken ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from mithaq import serve
from mithaq.kernel import keys, peer, signature
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.exchange import BODY_LIMIT
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.mandate import Agreement, Clause, Entry, Permit
from mithaq.kernel.mirror import format_add_checkpoint
from mithaq.kernel.tables import receipts
from mithaq.node import Node, Saying
from mithaq.serve import Running
from mithaq.services.agreements import acts as agreements
from mithaq.settings import Home, Settings
from mithaq.web.exchange import Bucket, Budgets

COMMISSION = "xa-xb.example"
KEYS = {party: keys.create(party, COMMISSION, [f"{party}/border-guard"], ["127.0.0.1"]) for party in ("XA", "XB")}
PATIENCE = 30.0
"""Seconds after which a story that does not come to its end has failed."""


def text(word: str) -> dict[str, str]:
    return {"ar": word, "en": word, "fa": word}


@dataclass
class Place:
    """A home with the port that was taken for it."""

    home: Home
    own: NodeKeys
    listening: socket.socket
    address: str


@contextmanager
def places(folder: Path, scheme: str = "http") -> Iterator[dict[str, Place]]:
    """Two homes that know one another, each with a listening socket."""
    made: dict[str, Place] = {}
    with ExitStack() as stack:
        for party, own in KEYS.items():
            listening = stack.enter_context(serve.bind("127.0.0.1:0"))
            listen = f"127.0.0.1:{listening.getsockname()[1]}"
            home = Home(folder / party)
            home.create(Settings(party, COMMISSION, text(party), listen, f"{scheme}://{listen}"), own, "word", work=10)
            made[party] = Place(home, own, listening, f"{scheme}://{listen}")
        for party, other in (("XA", "XB"), ("XB", "XA")):
            made[party].home.accept(made[other].own.pairing(text(other), made[other].address))
        yield made


@contextmanager
def open_place(place: Place) -> Iterator[Running]:
    """The node of a place, serving; its port is taken again for the next time."""
    if place.listening.fileno() < 0:
        place.listening = serve.bind(place.home.settings().listen)
    with serve.serving(place.home, "word", place.listening) as running:
        yield running


def agreement(title: str) -> Agreement:
    permit = Permit("channel.say", ("XA/border-guard", "XB/border-guard"))
    return Agreement(text(title), ("XA", "XB"), (Clause("1", text("clause"), permits=(permit,)),), Entry("signature"))


def propose(node: Node, count: int = 1) -> None:
    sayings = [
        Saying(agreements.Propose(agreement(f"{node.party} {n}")), "charter", f"{node.party}/foreign-affairs")
        for n in range(count)
    ]
    assert not [outcome for outcome in node.say_all(sayings) if isinstance(outcome, MithaqError)]


def eventually(node: Node, condition: Callable[[], bool]) -> None:
    """Wait until it is so after some commit of the node."""
    changed = threading.Condition()

    def notify() -> None:
        with changed:
            changed.notify_all()

    node.writer.after_commit.append(notify)
    with changed:
        assert changed.wait_for(condition, PATIENCE)
    node.writer.after_commit.remove(notify)


def receipted(running: Running, by: str, size: int) -> Callable[[], bool]:
    def kept() -> bool:
        with running.node.database.read() as connection:
            found = connection.execute(select(receipts.c.size).where(receipts.c.peer == by)).scalar()
        return found is not None and found >= size

    return kept


def heard(running: Running, party: str, size: int) -> Callable[[], bool]:
    return lambda: running.node.judge.progress[party].heard >= size


# --- two nodes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_each_says_is_receipted_and_heard_by_the_other(tmp_path: Path, scheme: str) -> None:
    with places(tmp_path, scheme) as all_places, open_place(all_places["XA"]) as xa, open_place(all_places["XB"]) as xb:
        propose(xa.node, 3)
        propose(xb.node, 2)
        eventually(xa.node, receipted(xa, "XB", 3))
        eventually(xb.node, receipted(xb, "XA", 2))
        eventually(xa.node, heard(xa, "XB", 2))
        eventually(xb.node, heard(xb, "XA", 3))
        for n in range(3):
            assert xb.node.entry("XA", n) == xa.node.entry("XA", n)
        assert xa.statuses["XB"].backlog == 0


def test_a_node_that_was_away_gets_all_that_was_said_meanwhile(tmp_path: Path) -> None:
    with places(tmp_path) as both:
        both["XB"].listening.close()
        with open_place(both["XA"]) as xa:
            propose(xa.node, 600)
            with open_place(both["XB"]) as xb:
                propose(xb.node)  # what it sends tells the other that it is up again
                eventually(xb.node, heard(xb, "XA", 600))
                eventually(xa.node, receipted(xa, "XB", 600))


def test_a_node_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]) as xb:
        for size in (1, 2):
            with open_place(both["XA"]) as xa:
                propose(xa.node)
                eventually(xa.node, receipted(xa, "XB", size))
        eventually(xb.node, heard(xb, "XA", 2))


def test_a_compressed_upload_is_taken(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]) as xb:
        node = both["XA"].home.node("word")
        propose(node, 50)
        carrier = peer.Carrier(node, "XB", compress=True)
        while carrier.carry():
            pass
        carrier._client.close()
        node.database.close()
        eventually(xb.node, heard(xb, "XA", 50))


def test_a_peer_that_does_not_know_us_is_not_asked_without_end(tmp_path: Path) -> None:
    with places(tmp_path) as both:
        (both["XB"].home.pairing_folder / "XA.json").unlink()
        with open_place(both["XB"]), open_place(both["XA"]) as xa:
            node = xa.node
            carrier = peer.Carrier(node, "XB")
            propose(node)
            with pytest.raises(Refused) as refused:
                carrier.carry()
            carrier._client.close()
            assert refused.value.facts["reason"] == "signature.unknown_party"


# --- strangers ------------------------------------------------------------------------------------------------------


def ask(place: Place, body: bytes = b"", path: str = "add-checkpoint", **changed: Any) -> httpx2.Response:
    """A request of XA to the node of XB, signed as it should be but for what is changed."""
    full = f"/exchange/{path}"
    encoding = changed.pop("encoding", "")
    headers = signature.sign(
        "POST", full, body, "XA", KEYS["XA"].request_key, int(time.time()), to="XB", encoding=encoding
    )
    headers |= changed
    with httpx2.Client(trust_env=False) as client:
        return client.post(place.address + full, content=body, headers={k: v for k, v in headers.items() if v})


def test_an_unsigned_request_is_refused_with_its_code_and_nothing_is_stored(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]) as xb:
        answer = ask(both["XB"], b"x", signature="")
        assert (answer.status_code, answer.text) == (401, "signature.missing\n")
        assert xb.node.post.mirrors["XA"].log.size == 0


@pytest.mark.parametrize(
    "changed, status, code",
    [
        ({"mithaq-party": "XQ"}, 401, "signature.unknown_party"),
        ({"mithaq-to": "XC"}, 401, "signature.recipient"),
        ({"content-digest": "sha-256=:" + "A" * 43 + "=:"}, 401, "signature.wrong"),
        ({"content-encoding": "br"}, 401, "signature.component"),
        ({"encoding": "br"}, 415, "exchange.encoding"),
        ({"encoding": "gzip"}, 415, "exchange.encoding"),
        ({}, 404, "peer.unknown_log"),
    ],
    ids=["party", "recipient", "digest", "unsigned-encoding", "unknown-encoding", "not-gzip", "log"],
)
def test_what_is_not_as_it_must_be_is_refused(tmp_path: Path, changed: dict[str, str], status: int, code: str) -> None:
    with places(tmp_path) as both, open_place(both["XB"]):
        answer = ask(both["XB"], b"x", **changed)
        assert (answer.status_code, answer.text) == (status, code + "\n")
        assert answer.headers["cache-control"] == "no-store"


def test_a_body_is_read_up_to_the_bound_only(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]):
        answer = ask(both["XB"], bytes(BODY_LIMIT + 1))
        assert (answer.status_code, answer.text) == (413, "exchange.too_large\n")


def test_a_stranger_is_answered_before_the_body_was_sent(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]):
        host, port = both["XB"].listening.getsockname()
        with socket.create_connection((host, port), PATIENCE) as connection:
            connection.sendall(b"POST /exchange/add-entries HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
            assert connection.recv(1024).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("begun", [b"", b"POST /exchange/add-entries HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.parametrize("before", [b"", b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_whoever_connects_and_sends_no_request_is_soon_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes, begun: bytes
) -> None:
    """Else a stranger's silent connections would fill all places, and every peer would be told to come back later."""
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.05)
    with places(tmp_path) as both, open_place(both["XB"]):
        host, port = both["XB"].listening.getsockname()
        with socket.create_connection((host, port), PATIENCE) as connection:
            connection.sendall(before)
            if before:
                assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
                connection.sendall(begun or b"G")
            else:
                connection.sendall(begun)
            try:
                assert connection.recv(4096) == b""
            except ConnectionResetError:
                pass


def test_a_bomb_costs_no_more_than_the_bound_and_is_judged_by_what_was_unpacked(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]):
        answer = ask(both["XB"], peer.gzip(bytes(BODY_LIMIT * 2)), encoding="gzip")
        assert (answer.status_code, answer.text) == (404, "peer.unknown_log\n")


def test_another_partys_checkpoint_is_no_checkpoint_of_ours_whoever_carries_it(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]) as xb:
        propose(xb.node)
        answer = ask(both["XB"], format_add_checkpoint(0, [], xb.node.post.checkpoint()[1]))
        assert (answer.status_code, answer.text) == (404, "peer.unknown_log\n")


def test_a_query_is_refused_for_no_signature_covers_it(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]):
        answer = ask(both["XB"], b"x", "add-checkpoint?x=1")
        assert (answer.status_code, answer.text) == (400, "exchange.query\n")


def test_reading_takes_a_signature_too_and_what_never_changes_may_be_kept_by_the_peer(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]) as xb, httpx2.Client(trust_env=False) as client:
        propose(xb.node, 256)
        path = f"/exchange/{xb.node.post._own_hash}/tile/0/000"
        assert client.get(both["XB"].address + path).status_code == 401
        headers = signature.sign("GET", path, b"", "XA", KEYS["XA"].request_key, int(time.time()), to="XB")
        answer = client.get(both["XB"].address + path, headers=headers)
        assert (answer.status_code, len(answer.content)) == (200, 256 * 32)
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_the_programs_interface_stands_beside_the_exchange(tmp_path: Path) -> None:
    with places(tmp_path) as both, open_place(both["XB"]), httpx2.Client(trust_env=False) as client:
        assert client.get(both["XB"].address + "/health").status_code == 200


# --- budgets --------------------------------------------------------------------------------------------------------


def test_a_bucket_gives_until_it_is_empty_and_fills_again_with_time() -> None:
    now = [0.0]
    bucket = Bucket(10, 20, lambda: now[0])
    bucket.take(50)
    assert bucket.wait() == pytest.approx(3)
    now[0] = 3.0
    assert bucket.wait() == 0


def test_a_peer_beyond_its_budget_is_told_when_to_come_back_and_others_are_not_held_up() -> None:
    budgets = Budgets(lambda: 0.0)
    budgets.body("XA", 4 * 1024**3)
    with pytest.raises(Refused) as refused:
        budgets.body("XA", 1)
    assert refused.value.facts["seconds"] > 1
    budgets.body("XC", 1)


def test_a_stranger_who_claims_a_partys_name_spends_no_budget_of_that_party() -> None:
    budgets = Budgets(lambda: 0.0)
    with pytest.raises(Refused):
        for _ in range(int(Budgets.REQUESTS[1]) + 2):
            budgets.request("192.0.2.66", "XA")
    budgets.request("192.0.2.1", "XA")


def test_claims_without_number_do_not_fill_the_memory() -> None:
    budgets = Budgets(lambda: 0.0)
    for n in range(Budgets.KEPT * 3):
        budgets.request(f"192.0.2.{n}", "XA")
    assert len(budgets._claims) == Budgets.KEPT


def test_a_peer_has_no_more_than_a_few_requests_at_work_at_once() -> None:
    """The body of each lies in memory while it comes, as slowly as the peer likes."""
    budgets = Budgets(lambda: 0.0)
    with ExitStack() as open_, budgets.at_work("XC"):
        for _ in range(Budgets.AT_ONCE):
            open_.enter_context(budgets.at_work("XA"))
        with pytest.raises(Refused, match=r"exchange\.budget"), budgets.at_work("XA"):
            pass
    with budgets.at_work("XA"):
        pass


# --- processes ------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from mithaq import serve
from mithaq.settings import Home
serve.serve(Home(Path(sys.argv[1])), "word", lambda running: print("ready", flush=True))
"""


@contextmanager
def process(home: Home) -> Iterator[subprocess.Popen[str]]:
    """The node of a home in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(serve.__file__).parents[1])}
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
    finally:
        started.kill()
        started.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_told_to_stop_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with places(tmp_path) as both:
        both["XB"].listening.close()
        with open_place(both["XA"]) as xa, process(both["XB"].home) as other:
            propose(xa.node)
            eventually(xa.node, receipted(xa, "XB", 1))
            other.send_signal(number)
            _, errors = other.communicate(timeout=PATIENCE)
            assert other.returncode == 0
            assert '"event": "stopped"' in errors
            assert "Traceback" not in errors


def test_a_killed_process_loses_nothing_that_it_receipted(tmp_path: Path) -> None:
    with places(tmp_path) as both:
        both["XB"].listening.close()
        with open_place(both["XA"]) as xa:
            with process(both["XB"].home) as other:
                propose(xa.node, 300)
                eventually(xa.node, receipted(xa, "XB", 300))
                other.kill()
            with open_place(both["XB"]) as xb:
                assert xb.node.post.mirrors["XA"].size == 300


def test_a_taken_port_is_said_plainly(tmp_path: Path) -> None:
    with places(tmp_path) as both, pytest.raises(Unreachable) as failed:
        serve.bind(both["XA"].home.settings().listen)
    assert failed.value.code == "serve.port_taken"


@pytest.mark.parametrize(
    "listen", ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "a@127.0.0.1:1", "127.0.0.1:1/x"]
)
def test_a_listening_address_that_is_none_is_malformed(listen: str) -> None:
    with pytest.raises(Malformed) as refused:
        serve.bind(listen)
    assert refused.value.code == "serve.listen"


def test_one_home_is_served_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        both = stack.enter_context(places(tmp_path))
        stack.enter_context(open_place(both["XA"]))
        with pytest.raises(Refused) as refused:
            stack.enter_context(serve.serving(Home(both["XA"].home.path), "word", serve.bind("127.0.0.1:0")))
    assert refused.value.code == "node.already_running"
