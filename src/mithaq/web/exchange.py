"""The exchange over HTTP: `/exchange/…`, for the peers alone. Bounds and signature first, then `Post.answer`.

A stranger's request costs us its head: the signature is verified before any of the body is read. No body is ever logged.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mithaq.kernel import signature
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.exchange import BODY_LIMIT, TEXT, Answer, Request
from mithaq.kernel.mirror import refused
from mithaq.kernel.peer import gunzip
from mithaq.kernel.signature import Signed
from mithaq.node import Node

_MIB: Final = 1024 * 1024
_log: Final = structlog.get_logger("mithaq.exchange")


class Bucket:
    """A token bucket: `rate` tokens a second up to `burst`; debts are allowed once, so that one big request passes."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._at = burst, clock()

    def wait(self) -> float:
        """Seconds until something may be taken again; 0 when now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, -self._left / self._rate)

    def take(self, amount: float) -> None:
        """Take it, into debt if need be."""
        self._left -= amount


class Budgets:
    """What each peer may ask of us: requests by the address that claims to be it, bytes by the party that proved it.

    Requests are counted by claim AND address, so that a stranger who claims a peer's name spends its own budget only. The
    numbers are some ten times what a node that carries 40,000 statements a second needs.
    """

    REQUESTS: Final = (2_000.0, 10_000.0)
    BYTES: Final = (256.0 * _MIB, 2048.0 * _MIB)
    KEPT: Final = 1024
    AT_ONCE: Final = 4
    """Requests of one party at work: the body of each is held in memory, packed and unpacked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        self._bytes: dict[str, Bucket] = {}
        self._open: Counter[str] = Counter()

    @contextmanager
    def at_work(self, party: str) -> Iterator[None]:
        """Count a request of that party while its body comes and it is answered. Refused("exchange.budget", seconds)."""
        if self._open[party] >= self.AT_ONCE:
            raise Refused("exchange.budget", seconds=1)
        self._open[party] += 1
        try:
            yield
        finally:
            self._open[party] -= 1

    def request(self, host: str, party: str) -> None:
        """Count a request before anything of it is looked at. Refused("exchange.budget", seconds)."""
        bucket = self._claims.pop((host, party), None) or Bucket(*self.REQUESTS, self._clock)
        self._claims[host, party] = bucket
        if len(self._claims) > self.KEPT:
            self._claims.popitem(last=False)
        _spend(bucket, 1)

    def body(self, party: str, size: int) -> None:
        """Count the bytes of a body that came."""
        _spend(self._bytes.setdefault(party, Bucket(*self.BYTES, self._clock)), size)


def _spend(bucket: Bucket, amount: float) -> None:
    seconds = bucket.wait()
    if seconds > 0:
        raise Refused("exchange.budget", seconds=int(seconds) + 1)
    bucket.take(amount)


class Exchange:
    """The endpoint of one node. `heard_from` is told of every party that proved that it sent a request."""

    def __init__(self, node: Node, heard_from: Callable[[str], None], prefix: str, budgets: Budgets) -> None:
        self._node: Final = node
        self._heard_from: Final = heard_from
        self._prefix: Final = prefix
        self._budgets: Final = budgets
        self._keys: Final[Mapping[str, bytes]] = {party: peer.request_public() for party, peer in node.peers.items()}

    async def endpoint(self, http: HTTPRequest) -> Response:
        """Answer one request; whatever goes wrong is a code of ours, or a fault that is logged by its type."""
        try:
            return _response(await self._answer(http))
        except MithaqError as failure:
            return _refusal(failure)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as failure:  # a message could quote a statement: the type alone is logged
            _log.error("exchange_fault", error=type(failure).__name__)
            return Response("node.fault\n", 500, media_type=TEXT)

    async def _answer(self, http: HTTPRequest) -> Answer:
        """(1) budget, (2) the signature of the head, (3) the body within its bounds, (4) its digest, (5) the mirror."""
        headers = http.headers.items()
        host = http.client.host if http.client else ""
        self._budgets.request(host, signature.claimed_party(headers))
        if http.url.query:
            raise Malformed("exchange.query")
        path = http.path_params["path"]
        now, full = self._node.clock(), f"{self._prefix}/exchange/{path}"
        signed = signature.verify_head(http.method, full, headers, self._keys, now, to=self._node.party)
        with self._budgets.at_work(signed.party):
            body = await self._body(http, signed)
            self._heard_from(signed.party)
            media = http.headers.get("content-type", TEXT)
            return await run_in_threadpool(self._ask, Request(http.method, path, body, media, signed.party))

    async def _body(self, http: HTTPRequest, signed: Signed) -> bytes:
        digest, parts, size = hashlib.sha256(), list[bytes](), 0
        async for part in http.stream():
            size += len(part)
            if size > BODY_LIMIT:
                raise Malformed("exchange.too_large", limit=BODY_LIMIT)
            digest.update(part)
            parts.append(part)
        self._budgets.body(signed.party, size)
        signed.check_body(digest.digest())
        body, encoding = b"".join(parts), http.headers.get("content-encoding", "")
        if encoding == "gzip":
            return await run_in_threadpool(gunzip, body, BODY_LIMIT)
        if encoding:
            raise Malformed("exchange.encoding", value=encoding[:20])
        return body

    def _ask(self, request: Request) -> Answer:
        with self._node.database.read() as connection:
            return self._node.post.answer(request, connection)


def routes(
    node: Node, heard_from: Callable[[str], None], address: str = "", budgets: Budgets | None = None
) -> list[BaseRoute]:
    """The routes under /exchange. `address` is the URL that the peers were told: its path stands before what they sign."""
    exchange = Exchange(node, heard_from, urlsplit(address).path.rstrip("/"), budgets or Budgets())
    return [Route("/exchange/{path:path}", exchange.endpoint, methods=["GET", "POST"])]


def _response(answer: Answer) -> Response:
    """Immutable resources may be kept by the peer that asked, and by nobody between (logs are for members only)."""
    cached = "private, max-age=31536000, immutable" if answer.lasting else "no-store"
    return Response(answer.body, answer.status, {"cache-control": cached}, answer.media)


def _refusal(failure: MithaqError) -> Response:
    if failure.code.startswith("signature."):
        status = 401
    else:
        status = {"exchange.budget": 429, "exchange.too_large": 413, "exchange.encoding": 415}.get(failure.code, 400)
    response = _response(refused(status, failure))
    if status == 429:
        response.headers["retry-after"] = str(failure.facts["seconds"])
    return response
