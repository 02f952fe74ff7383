"""What leaves for a peer, and to whom: the pinned certificate, addresses, redirects, and peers that answer badly."""

from __future__ import annotations

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import msgspec
import pytest

from mithaq.kernel import keys, peer, tls
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.exchange import Request
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.peer import Carrier, Status
from mithaq.node import Node

NAMES = {"ar": "X", "en": "X", "fa": "X"}
XA = keys.create("XA", "xa-xb.example", ["XA/border-guard"], ["127.0.0.1"])
XB = keys.create("XB", "xa-xb.example", ["XB/border-guard"], ["127.0.0.1"])
STRANGER = keys.create("XB", "xa-xb.example", ["XB/border-guard"], ["127.0.0.1"])
POST = Request("POST", "add-checkpoint", b"old 0\n")


def pairing(address: str) -> PairingFile:
    return XB.pairing(NAMES, address)


@contextmanager
def carrier(tmp_path: Path, address: str) -> Iterator[Carrier]:
    node = Node(Database(f"sqlite:///{tmp_path}/xa.db"), XA, [pairing(address)], lambda: 1_800_000_000.0)
    made = Carrier(node, "XB")
    try:
        yield made
    finally:
        made._client.close()
        node.database.close()


def failure(carrying: Carrier, kind: type[MithaqError]) -> MithaqError:
    """What sending fails with."""
    with pytest.raises(kind) as failed:
        carrying.send(POST)
    return failed.value


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listener that hands each connection to `answer` and closes it after; the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        pass

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def whole(connection: socket.socket) -> bytes:
    """What came, up to the end of `POST`: to close with unread bytes would cut off the answer."""
    read = part = connection.recv(65_536)
    while part and not read.endswith(POST.body):
        part = connection.recv(65_536)
        read += part
    return read


def secured(context: ssl.SSLContext, received: list[bytes]) -> Callable[[socket.socket], None]:
    """Shakes hands, keeps what comes, answers 200 to it."""

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            received.append(whole(wrapped))
            wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    return answer


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        whole(connection)
        connection.sendall(text)

    return answer


def test_the_pinned_certificate_is_enough_and_a_request_goes_through(tmp_path: Path) -> None:
    received: list[bytes] = []
    server = secured(tls.serving(XB.tls_key, XB.tls_certificate), received)
    with listening(server) as port, carrier(tmp_path, f"https://127.0.0.1:{port}") as carrying:
        assert carrying.send(POST).status == 200
    assert received[0].startswith(b"POST /exchange/add-checkpoint HTTP/1.1\r\n")


def test_another_certificate_is_refused_and_no_byte_of_the_request_left(tmp_path: Path) -> None:
    received: list[bytes] = []
    server = secured(tls.serving(STRANGER.tls_key, STRANGER.tls_certificate), received)
    with listening(server) as port, carrier(tmp_path, f"https://127.0.0.1:{port}") as carrying:
        refused = failure(carrying, Refused)
    assert refused.code == "peer.certificate"
    assert refused.facts["value"] == STRANGER.tls_certificate_sha256
    assert b"".join(received) == b""


def test_a_certificate_that_the_systems_authorities_would_take_is_refused_all_the_same(tmp_path: Path) -> None:
    """The pin alone counts: trusting the other certificate in the client's own store changes nothing."""
    received: list[bytes] = []
    pinned = tls.Pinned("XB", XB.tls_certificate_sha256)
    pinned.load_verify_locations(cadata=STRANGER.tls_certificate)
    server = secured(tls.serving(STRANGER.tls_key, STRANGER.tls_certificate), received)
    with (
        listening(server) as port,
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(Refused) as refused,
    ):
        pinned.wrap_socket(plain, server_hostname="127.0.0.1")
    assert refused.value.code == "peer.certificate"
    assert b"".join(received) == b""


def test_tls_below_1_3_is_not_spoken(tmp_path: Path) -> None:
    received: list[bytes] = []
    context = tls.serving(XB.tls_key, XB.tls_certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = secured(context, received)
    with listening(server) as port, carrier(tmp_path, f"https://127.0.0.1:{port}") as carrying:
        failed = failure(carrying, Unreachable)
    assert failed.code == "peer.unreachable"
    assert received == []


def test_there_is_no_way_round_the_pin() -> None:
    with pytest.raises(NotImplementedError):
        tls.Pinned("XB", XB.tls_certificate_sha256).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def test_plain_http_goes_to_this_machine_alone() -> None:
    elsewhere = msgspec.structs.replace(pairing("http://127.0.0.1:1"), address="http://192.0.2.7:8460")
    with pytest.raises(Refused) as refused:
        peer.connect(elsewhere)
    assert refused.value.code == "peer.plain_http"


@pytest.mark.parametrize(
    "address, here",
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("http://127.0.0.1.example:1", False),
        ("http://192.0.2.1:1", False),
        ("http://0.0.0.0:1", False),
    ],
)
def test_what_leads_to_this_machine_is_told_from_what_only_looks_so(address: str, here: bool) -> None:
    assert peer.is_loopback(address) is here


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    text = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with listening(saying(text)) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        assert carrying.send(POST).status == 307


def test_proxies_named_in_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with listening(saying(text)) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        assert carrying.send(POST).status == 200


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_peer_counts_as_one_that_does_not_answer(tmp_path: Path, status: int) -> None:
    text = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(saying(text)) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        failed = failure(carrying, Unreachable)
    assert failed.facts["reason"] == f"HTTP {status}"


@pytest.mark.parametrize("text", [b"", b"\x00\xff", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
def test_an_answer_that_is_no_http_counts_as_none(tmp_path: Path, text: bytes) -> None:
    with listening(saying(text)) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        failed = failure(carrying, Unreachable)
    assert failed.code == "peer.unreachable"


def test_an_endless_answer_is_cut_at_the_bound(tmp_path: Path) -> None:
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + bytes(peer.ANSWER_LIMIT + 1)
    with listening(saying(text)) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        refused = failure(carrying, Malformed)
    assert refused.code == "peer.answer"


def test_a_peer_that_says_409_for_ever_gets_a_rest(tmp_path: Path) -> None:
    text = (
        b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 2\r\nConnection: close\r\n\r\n0\n"
    )
    with listening(saying(text)) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        carrying._node.post.log.size = 1
        carrying._node.post.next_request = lambda *_: (POST, 1)  # type: ignore[method-assign]
        with pytest.raises(Unreachable) as failed:
            for _ in range(20):
                carrying.carry()
    assert failed.value.code == "peer.no_progress"


def test_a_carrier_that_waits_for_a_silent_peer_can_be_halted(tmp_path: Path) -> None:
    reached, release = threading.Event(), threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.recv(65_536)
        reached.set()
        release.wait()

    with listening(silent) as port, carrier(tmp_path, f"http://127.0.0.1:{port}") as carrying:
        carrying._node.post.next_request = lambda *_: (POST, 1)  # type: ignore[method-assign]
        carrying.start()
        assert reached.wait(20)
        carrying.halt()
        ended = carrying.join(5)
        release.set()
    assert ended


def test_a_rest_ends_early_when_the_peer_is_heard_of(tmp_path: Path) -> None:
    with carrier(tmp_path, "http://127.0.0.1:1") as carrying:
        carrying._status = Status("XB", failures=16)
        silence: MithaqError = Unreachable("peer.unreachable", party="XB", reason="ConnectError")
        resting = threading.Thread(target=carrying._failed, args=(silence,))
        resting.start()
        for _ in range(100):
            carrying.heard_from()
            resting.join(0.05)
            if not resting.is_alive():
                break
        carrying.halt()
        assert carrying.status.error == "peer.unreachable"
        assert carrying.status.failures == 17
        assert carrying.status.since is not None
        assert not resting.is_alive()


def test_a_closed_port_is_unreachable(tmp_path: Path) -> None:
    with carrier(tmp_path, "http://127.0.0.1:1") as carrying:
        failed = failure(carrying, Unreachable)
    assert failed.facts == {"party": "XB", "reason": "ConnectError"}


def test_packing_and_unpacking_give_the_same_bytes() -> None:
    body = b"statement " * 5_000
    assert peer.gunzip(peer.gzip(body), 10**6) == body
    assert len(peer.gzip(body)) < len(body) // 10


def test_a_bomb_is_unpacked_up_to_the_bound_and_no_further() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(64)) + packer.flush()
    assert len(peer.gunzip(bomb, 1024 * 1024)) == 1024 * 1024


@pytest.mark.parametrize("packed", [b"", b"plain", peer.gzip(b"statement" * 100)[:-9]], ids=["empty", "plain", "cut"])
def test_what_is_no_whole_gzip_is_malformed(packed: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        peer.gunzip(packed, 10**6)
    assert refused.value.code == "exchange.encoding"


def test_a_client_can_be_given(tmp_path: Path) -> None:
    node = Node(Database(f"sqlite:///{tmp_path}/xa.db"), XA, [pairing("http://127.0.0.1:1")], lambda: 1.0)
    with httpx2.Client(trust_env=False) as client:
        assert Carrier(node, "XB", client, threading.Event()).status.backlog == 0
    node.database.close()
