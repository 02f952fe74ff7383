"""Carrying our log to one peer over HTTP: a thread that asks for the next request, sends it, and learns from the answer.

What is to be carried is not kept here: it is what the peer has not receipted (`Post.next_request`).
"""

from __future__ import annotations

import ipaddress
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx2
import structlog

from mithaq.kernel import signature
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.post import Post
from mithaq.kernel.tls import Pinned

FIRST_REST: Final = 0.2
LONGEST_REST: Final = 60.0
REFUSED_REST: Final = 5.0
"""Seconds of rest: after a first failure, at most, and at least where the peer refused (then nothing soon changes)."""

ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of an answer to a POST that are read: receipts and resumptions are below 8 KiB."""

READ_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of an answer to a GET: an entry bundle has 16.8 MB at most (tlog-tiles)."""

COMPARE_SECONDS: Final = 30.0
"""How often a peer is asked what it holds of the others' logs, when there is nothing else to carry."""

ANSWER_SECONDS: Final = 60.0
SAME_AGAIN: Final = 4
"""How often the same request, or a 409, may come in a row before it is a failure: a peer must not keep us spinning."""

_TIMEOUTS: Final = httpx2.Timeout(connect=4.0, read=30.0, write=30.0, pool=4.0)
_log: Final = structlog.get_logger("mithaq.peer")


class Speaker(Protocol):
    """What of a node a carrier needs."""

    @property
    def party(self) -> str: ...
    @property
    def keys(self) -> NodeKeys: ...
    @property
    def peers(self) -> dict[str, PairingFile]: ...
    @property
    def database(self) -> Database: ...
    @property
    def post(self) -> Post: ...
    def compare(self, peer: str, send: Callable[[Request], Answer]) -> None: ...
    @property
    def clock(self) -> Callable[[], float]: ...


@dataclass(frozen=True, slots=True)
class Status:
    """How carrying to one peer stands; times are Unix seconds. `error` is the last failure's code, empty after a success.

    `since` is when the failing began, `backlog` how many of our statements the peer has not receipted.
    """

    party: str
    backlog: int = 0
    last_success: float | None = None
    error: str = ""
    reason: str = ""
    since: float | None = None
    failures: int = 0


class Carrier:
    """Carries to one party. `wake` is set after each of our commits; the carrier's own clears it."""

    def __init__(
        self,
        node: Speaker,
        party: str,
        client: httpx2.Client | None = None,
        wake: threading.Event | None = None,
        *,
        compress: bool | None = None,
    ) -> None:
        peer = node.peers[party]
        self.party: Final = party
        self.wake: Final = wake or threading.Event()
        self._node: Final = node
        self._address: Final = peer.address.rstrip("/")
        self._client: Final = client or connect(peer)
        self._compress: Final = not is_loopback(self._address) if compress is None else compress
        self._key: Final = node.keys.request_key
        self._status = Status(party)
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._compared = -COMPARE_SECONDS
        self._socket: socket.socket | None = None
        self._last: tuple[str, bytes] = ("", b"")
        self._again = 0
        self._thread = threading.Thread(target=self._run, name=f"carry-{party}", daemon=True)

    @property
    def status(self) -> Status:
        """How it stands now."""
        post = self._node.post
        return replace(self._status, backlog=max(0, post.log.size - post.uploads[self.party].receipted))

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def heard_from(self) -> None:
        """The peer sent us something, so it is up: a rest ends early."""
        self._up.set()

    def halt(self) -> None:
        """Ask to stop, and cut a request that waits for its answer; what it carried is carried again another time."""
        self._stopping.set()
        self.wake.set()
        self._up.set()
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # the plain one: TLS would wait for its own lock
            except OSError:
                pass  # closed already

    def join(self, seconds: float) -> bool:
        """Whether the thread ended within that time."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    # --- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.wake.clear()  # before looking: what is committed from here on sets it again
                try:
                    carried = self.carry()
                except MithaqError as failure:
                    self._failed(failure)
                except Exception as failure:  # a fault of ours must not end the carrying: recorded by type, tried again
                    self._failed(Unreachable("peer.fault", party=self.party, reason=type(failure).__name__))
                else:
                    if not carried:
                        self._compare()
                        self.wake.wait(COMPARE_SECONDS if len(self._node.peers) > 1 else None)
        finally:
            self._client.close()

    def carry(self) -> bool:
        """Send the next request and learn from its answer; False when nothing is to be carried."""
        post, database = self._node.post, self._node.database
        with database.read() as connection:
            following = post.next_request(self.party, connection)
        if following is None:
            return self._fetch()
        request, size = following
        self._check_progress(request)
        answer = self.send(request)
        with database.read() as connection:
            post.answered(self.party, request, size, answer, connection)
        if answer.status == 409:
            self._again += 1
        self._status = Status(self.party, last_success=self._node.clock())
        return True

    def _compare(self) -> None:
        """Among three or more: now and then, whether this peer was told the same stories by the others as we were."""
        now = time.monotonic()
        if len(self._node.peers) > 1 and now - self._compared >= COMPARE_SECONDS:
            self._compared = now
            try:
                self._node.compare(self.party, self.send)
            except MithaqError as failure:
                self._failed(failure)

    def _fetch(self) -> bool:
        """With our log receipted: the next piece of an enclosure that the peer owes us; False when there is none."""
        post, database = self._node.post, self._node.database
        with database.read() as connection:
            request = post.next_fetch(self.party, connection)
        if request is None:
            return False
        self._check_progress(request)
        answer = self.send(request)
        with database.read() as connection:
            post.fetched(self.party, request, answer, connection)
        self._status = Status(self.party, last_success=self._node.clock())
        return True

    def send(self, request: Request) -> Answer:
        """One signed request. Unreachable("peer.unreachable", party, reason) when there is no answer, or one of 5xx or 429."""
        try:
            return self._send(request)
        except httpx2.HTTPError as failure:
            raise Unreachable("peer.unreachable", party=self.party, reason=type(failure).__name__) from failure

    def _send(self, request: Request) -> Answer:
        body, encoding = request.body, ""
        if self._compress and len(body) > 1024:
            body, encoding = gzip(body), "gzip"
        url = f"{self._address}/exchange/{request.path}"
        headers = signature.sign(
            request.method,
            urlsplit(url).path,
            body,
            self._node.party,
            self._key,
            int(self._node.clock()),
            to=self.party,
            encoding=encoding,
        )
        headers |= {"accept-encoding": "identity"} | ({"content-type": request.media} if body else {})
        deadline = time.monotonic() + ANSWER_SECONDS
        extensions = {"trace": self._traced}
        with self._client.stream(request.method, url, content=body, headers=headers, extensions=extensions) as response:
            answer = self._read(response, ANSWER_LIMIT if request.method == "POST" else READ_LIMIT, deadline)
        if answer.status in {408, 429} or answer.status >= 500:
            raise Unreachable("peer.unreachable", party=self.party, reason=f"HTTP {answer.status}")
        return answer

    def _read(self, response: httpx2.Response, limit: int, deadline: float) -> Answer:
        parts, total = [], 0
        for part in response.iter_raw():
            total += len(part)
            if total > limit:
                raise Malformed("peer.answer", field="size")
            if time.monotonic() > deadline:
                raise Unreachable("peer.unreachable", party=self.party, reason="too slow")
            parts.append(part)
        return Answer(response.status_code, b"".join(parts), response.headers.get("content-type", ""))

    def _check_progress(self, request: Request) -> None:
        """A peer whose answers lead nowhere gets a rest, as one that is down does."""
        asked = (request.path, request.body)
        self._again = self._again + 1 if asked == self._last else max(0, self._again - 1)
        self._last = asked
        if self._again >= SAME_AGAIN:
            self._again, self._last = 0, ("", b"")
            raise Unreachable("peer.no_progress", party=self.party)

    def _traced(self, event: str, info: dict[str, Any]) -> None:
        """Keeps the connection's socket, so that `halt` can cut a request short."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")

    # --- failing ------------------------------------------------------------------------------------------------

    def _failed(self, failure: MithaqError) -> None:
        if self._stopping.is_set():
            return
        refused = not isinstance(failure, Unreachable)
        before = self._status
        self._status = replace(
            before,
            error=failure.code,
            reason=str(failure.facts.get("reason", ""))[:80],
            since=self._node.clock() if before.since is None else before.since,
            failures=before.failures + 1,
        )
        if before.error != failure.code:
            _log.warning("carrying_failed", party=self.party, code=failure.code, reason=self._status.reason)
        rest = LONGEST_REST if refused else min(LONGEST_REST, FIRST_REST * 2.0 ** min(before.failures, 16))
        rest *= random.uniform(0.5, 1.0)  # noqa: S311  # jitter, so that two nodes do not keep step
        least = REFUSED_REST if refused else FIRST_REST / 2
        self._up.clear()
        if not self._stopping.wait(min(least, rest)):
            self._up.wait(max(0.0, rest - least))


def connect(peer: PairingFile) -> httpx2.Client:
    """A client for one peer: its address alone, TLS 1.3 with its pinned certificate, plain HTTP on loopback alone."""
    scheme = urlsplit(peer.address).scheme
    if scheme != "https" and not (scheme == "http" and is_loopback(peer.address)):
        raise Refused("peer.plain_http", party=peer.party)
    return httpx2.Client(
        verify=Pinned(peer.party, peer.tls_certificate_sha256),
        trust_env=False,
        follow_redirects=False,
        timeout=_TIMEOUTS,
        limits=httpx2.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=60.0),
        headers={"user-agent": "mithaq"},
    )


def is_loopback(address: str) -> bool:
    """Whether a URL leads to this machine alone."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def gzip(body: bytes) -> bytes:
    """Level 1: statements are repetitive texts, and the line is slow rather than the processor."""
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


def gunzip(body: bytes, limit: int) -> bytes:
    """At most `limit` bytes of what was packed: the rest is not unpacked. Malformed("exchange.encoding")."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, limit)
    except zlib.error:
        raise Malformed("exchange.encoding", value="gzip") from None
    if len(plain) < limit and not unpacker.eof:
        raise Malformed("exchange.encoding", value="gzip")
    return plain
