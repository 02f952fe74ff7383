"""Failures as RFC 9457 problem details, in the caller's language; what is not foreseen tells an incident number only."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from mithaq.kernel import words
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable

MEDIA: Final = "application/problem+json"
TYPE: Final = "urn:mithaq:"
INTERNAL: Final = "api.internal"
_LONGEST_FACT: Final = 300

TITLES: Final = {
    400: "The request cannot be read",
    401: "Not identified",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    409: "In conflict with what stands",
    413: "Too large",
    422: "Refused",
    500: "Internal error",
    503: "Not available now",
}
_UNREADABLE: Final = frozenset({"api.not_json", "api.parameter", "statement.malformed", "statement.too_deep"})
_NOT_IDENTIFIED: Final = frozenset({"official.ended", "official.no_token", "official.unknown_token"})
_NOT_FOUND: Final = frozenset(
    {"api.not_found", "desk.unknown", "enclosure.unknown", "log.no_such_entry", "peer.unknown", "register.no_question"}
)
_CONFLICTS: Final = frozenset(
    {
        "agreements.declined",
        "agreements.not_suspended",
        "agreements.terminated",
        "charter.key_unchanged",
        "evidence.not_covered",
        "mirror.conflicting_checkpoint",
        "mirror.two_stories",
        "node.rolled_back",
        "official.exists",
        "statement.seen_backwards",
        "statement.time_backwards",
    }
)
_RIGHTS: Final = ("mandate.", "official.", "rights.", "enclosure.not_named")
_TOO_LARGE: Final = frozenset({"api.body_too_large", "api.too_many", "statement.oversized"})


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457 section 3.1, with the refusal's code and facts as extension members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    facts: dict[str, Any]
    instance: str


def status_of(failure: MithaqError) -> int:
    """The HTTP status that a failure is answered with."""
    code = failure.code
    if isinstance(failure, Unreachable):
        return 503
    if code in _TOO_LARGE:
        return 413
    if code in _NOT_IDENTIFIED:
        return 401
    if code in _NOT_FOUND:
        return 404
    if code == "api.method":
        return 405
    if code.startswith(_RIGHTS) and isinstance(failure, Refused):
        return 403 if code not in _CONFLICTS else 409
    if code in _CONFLICTS or code.endswith("_twice") or ".already_" in code:
        return 409
    # A field that is known by name was read and refused; without one the text itself is not JSON or not of this shape.
    if isinstance(failure, Malformed) and code in _UNREADABLE and failure.facts.get("field", "-") == "-":
        return 400
    return 422


def describe(failure: MithaqError, language: str, instance: str, status: int | None = None) -> Problem:
    """The problem details of a failure; `detail` is the sentence that the code stands for."""
    status = status or status_of(failure)
    facts = {name: _plain(value) for name, value in failure.facts.items()}
    detail = words.sentence(failure.code, facts, language)
    title = words.say(TITLES[status], language)
    return Problem(TYPE + failure.code, title, status, detail, failure.code, facts, instance)


def answer(failure: Exception, request: Request, route: str = "") -> Response:
    """The response to whatever was raised. Unforeseen: a random number for the operator, and nothing of the cause."""
    language = words.language(accept=request.headers.get("accept-language"))
    if isinstance(failure, MithaqError):
        return respond(describe(failure, language, request.url.path), language)
    incident = secrets.token_hex(16)
    structlog.get_logger().error(
        "request.failed", incident=incident, reason=type(failure).__name__, method=request.method, route=route
    )
    found = describe(Unforeseen(incident), language, f"urn:mithaq:incident:{incident}", 500)
    return respond(found, language)


class Unforeseen(MithaqError):
    """What nobody foresaw, by the number under which the journal has its class."""

    def __init__(self, incident: str) -> None:
        super().__init__(INTERNAL, incident=incident)


def respond(problem: Problem, language: str) -> Response:
    """A problem as a response, with the headers that its status asks for."""
    headers = {"Content-Language": language, "Vary": "Accept-Language", "Cache-Control": "no-store"}
    if problem.status == HTTPStatus.UNAUTHORIZED:  # RFC 6750 section 3
        error = "" if problem.code == "official.no_token" else ', error="invalid_token"'
        headers["WWW-Authenticate"] = f'Bearer realm="mithaq"{error}'
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "30"
    return Response(msgspec.json.encode(problem), problem.status, headers, MEDIA)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)[:_LONGEST_FACT]
