"""The HTTP API: one POST for every act, GET for records and proofs, problem details in the caller's language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final, NamedTuple

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from mithaq.kernel import officials, words
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.officials import Official
from mithaq.kernel.peer import is_loopback
from mithaq.node import Node
from mithaq.register.answers import PARAMETERS
from mithaq.web import enclosures, feeds, metrics, openapi, problem, reading, records, register, saying
from mithaq.web.access import ACCESS, grant
from mithaq.web.call import Call, Folder, as_json, read_query
from mithaq.web.health import Writable, health
from mithaq.web.metrics import Running, Watch
from mithaq.web.openapi import Described

_log: Final = structlog.get_logger("mithaq.api")
Handler = Callable[[Call], Response]
Streamed = Callable[[Request, Call], Awaitable[Response]]

_PAGE: Final = frozenset({"from", "limit"})
_CHECK: Final = frozenset({"check"})
_SEAL: Final = frozenset({"to", "media", "by"})
_OPEN: Final = frozenset({"office", "reason"})
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ELSEWHERE: Final = "ANY /api/{rest:path}"
_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Served(NamedTuple):
    """A route with what answers it: a handler that is given the whole body, or one that reads it as it comes."""

    described: Described
    handler: Handler
    streamed: Streamed | None = None


def openapi_document(call: Call) -> Response:
    """The description of this API in the caller's language."""
    headers = {"Content-Language": call.language, "Vary": "Accept-Language"}
    return as_json(openapi.document(DESCRIBED, call.language), 200, headers)


def metrics_text(call: Call) -> Response:
    """Counters and gauges for Prometheus."""
    return Response(call.watch.exposition(), 200, {"Content-Type": metrics.MEDIA, "Cache-Control": "no-store"})


def health_answer(call: Call, writable: Writable) -> Response:
    """Whether the node is well: everything to those who are known to it, yes or no to anyone."""
    found = health(call, writable)
    shown = {"ok": found["ok"]} if call.bare else found
    return as_json(shown, 200 if found["ok"] else 503)


SERVED: Final = (
    Served(Described("POST /api/v1/say", "Say one act, or many.", _CHECK), saying.say),
    Served(Described("GET /api/v1/statements/{party}", "Entries of a log.", _PAGE), reading.statements),
    Served(Described("GET /api/v1/statements/{party}/{n}", "One entry of a log."), reading.statement),
    Served(
        Described("GET /api/v1/statements/{party}/{n}/proof", "The proof of one entry.", media="text/plain"),
        reading.proof,
    ),
    Served(
        Described("GET /api/v1/statements/{party}/{n}/evidence", "One entry with all that proves it."),
        reading.evidence_file,
    ),
    Served(Described("GET /api/v1/speakers/{n}", "Which official said an entry of our log."), reading.speaker),
    Served(Described("GET /api/v1/agreements", "The agreements as they stand."), records.agreements),
    Served(Described("GET /api/v1/agreements/{reference}", "One agreement with its history."), records.agreement),
    Served(Described("GET /api/v1/clauses", "The clauses, and which are in force today."), records.clauses),
    Served(Described("GET /api/v1/messages", "Threads of messages.", _PAGE), records.messages),
    Served(Described("GET /api/v1/messages/{reference}", "One thread of messages."), records.message),
    Served(Described("GET /api/v1/waiting", "Messages that wait to be acknowledged."), records.waiting),
    Served(Described("GET /api/v1/register/{question}", "A question to the register.", PARAMETERS), register.question),
    Served(Described("GET /api/v1/desk", "What lies on the own desk."), register.own_desk),
    Served(Described("POST /api/v1/desk", "Keep, drop or say what lies on the own desk.", body="Desk"), register.put),
    Served(Described("GET /api/v1/refusals", "The refusals that the parties said.", _PAGE), reading.refusals),
    Served(Described("GET /api/v1/receipts", "Receipts, given and received."), reading.receipts_list),
    Served(Described("GET /api/v1/peers", "How the exchange with each peer stands."), reading.peers),
    Served(
        Described("POST /api/v1/enclosures", "Seal a file to offices.", _SEAL, takes="application/octet-stream"),
        enclosures.listing,
        enclosures.seal,
    ),
    Served(Described("GET /api/v1/enclosures", "Enclosures, ours and for us.", _PAGE), enclosures.listing),
    Served(
        Described("GET /api/v1/enclosures/{digest}", "Open an enclosure.", _OPEN, media="application/octet-stream"),
        enclosures.open_one,
    ),
    Served(Described("GET /api/v1/openapi.json", "This description."), openapi_document),
    Served(
        Described("GET /feed/{secret}.ics", "The calendar feed of an official.", media="text/calendar"), feeds.calendar
    ),
    Served(Described("GET /metrics", "Counters and gauges for Prometheus.", media="text/plain"), metrics_text),
)
HEALTH: Final = Described("GET /health", "Whether the node is well.")
DESCRIBED: Final = (*(each.described for each in SERVED), HEALTH)


def routes(node: Node, home: Folder, running: Running) -> list[BaseRoute]:
    """All routes of the API over one node; those of the exchange and of the console stand beside them."""
    watch, writable = Watch(node, running), Writable()
    served = [*SERVED, Served(HEALTH, lambda call: health_answer(call, writable))]
    found: list[BaseRoute] = []
    for described, handler, streamed in served:
        method, _, path = described.key.partition(" ")
        endpoint = _Endpoint(node, home, watch, described, handler, streamed)
        found.append(Route(path, endpoint.answer, methods=[method], name=described.key))
    return [*found, Route("/api/{rest:path}", _elsewhere(found), methods=_METHODS, name=ELSEWHERE)]


def _elsewhere(served: list[BaseRoute]) -> Callable[[Request], Awaitable[Response]]:
    """What is no route, or no method of one, is a problem like any other; the last route, so that it hides none."""

    async def answer(request: Request) -> Response:
        there = any(route.matches(request.scope)[0] is Match.PARTIAL for route in served)
        failure = Refused("api.method" if there else "api.not_found", value=request.method if there else None)
        return problem.answer(failure, request)

    return answer


class _Endpoint:
    """What happens around every handler: who calls, what they get, the parameters, the body; failures to problems."""

    def __init__(
        self, node: Node, home: Folder, watch: Watch, described: Described, handler: Handler, streamed: Streamed | None
    ) -> None:
        if described.key not in ACCESS:
            raise LookupError(f"no authorisation decision for {described.key}")
        self._node, self._home, self._watch = node, home, watch
        self._described, self._handler, self._streamed = described, handler, streamed

    @property
    def answer(self) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint as a function, which is what Starlette calls with a request."""

        async def answer(request: Request) -> Response:
            route = self._described.key.partition(" ")[2]
            try:
                call = await self._call(request)
                if self._streamed is not None:
                    return await self._streamed(request, call)
                return await run_in_threadpool(self._handler, call)
            except Exception as failure:  # also what nobody foresaw is answered as a problem, without its cause
                code = failure.code if isinstance(failure, MithaqError) else problem.INTERNAL
                self._watch.refusals.labels(code).inc()
                _log.info("request.refused", code=code, method=request.method, route=route)
                return problem.answer(failure, request, route)

        return answer

    async def _call(self, request: Request) -> Call:
        official = await run_in_threadpool(self._identify, request)
        granted = grant(self._described.key, official, loopback=_is_loopback(request))
        return Call(
            self._node,
            self._home,
            self._watch,
            official,
            granted,
            words.language(accept=request.headers.get("accept-language")),
            request.path_params,
            read_query(request, self._described.query),
            await _body(request) if request.method == "POST" and self._streamed is None else b"",
        )

    def _identify(self, request: Request) -> Official | None:
        """Whose token came with the request (RFC 6750). A token that is no good is refused also where none is needed."""
        given = request.headers.get("authorization")
        if given is None:
            return None
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            raise Refused("official.no_token", field="authorization")
        with self._node.database.read() as connection:
            return officials.authenticate(connection, token.strip())


async def _body(request: Request) -> bytes:
    """The body, read no further than its limit whatever it says of its length."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > saying.MANY_LIMIT:
            raise Malformed("api.body_too_large", limit=saying.MANY_LIMIT)
        parts.append(part)
    return b"".join(parts)


def _is_loopback(request: Request) -> bool:
    """Whether the caller is on this machine itself. What came through a proxy is not, wherever the proxy is."""
    if request.client is None or any(name in request.headers for name in _PROXIED):
        return False
    try:
        # The name asked for as well: a page in a browser here can ask under its own name (DNS rebinding).
        return ip_address(request.client.host).is_loopback and is_loopback(f"//{request.headers.get('host', '')}")
    except ValueError:
        return False
