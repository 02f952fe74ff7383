"""One call of the API as its handler sees it: the node, who calls, what they get of this route, the parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mithaq.kernel.act import PARTY, REFERENCE
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.log import Log
from mithaq.kernel.officials import Official
from mithaq.node import Node
from mithaq.web.access import Grant
from mithaq.web.metrics import Watch

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")
PAGE: Final = 100
LARGEST_PAGE: Final = 500


class Folder(Protocol):
    """A node's home, as far as the API looks at it."""

    @property
    def path(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler is given. `grant` is never "no" here; a handler leaves bodies out when it is "bare"."""

    node: Node
    home: Folder
    watch: Watch
    official: Official | None
    grant: Grant
    language: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""

    @property
    def bare(self) -> bool:
        """Whether bodies must stay out."""
        return self.grant != "full"

    def party(self) -> str:
        """The party that the path names: ours or a peer's. Refused `peer.unknown` for any other."""
        party = _matching("party", self.path["party"], PARTY)
        if party != self.node.party and party not in self.node.peers:
            raise Refused("peer.unknown", party=party)
        return party

    def log(self) -> Log:
        """The log of that party, ours or our copy."""
        party = self.party()
        return self.node.log if party == self.node.party else self.node.post.mirror(party).log

    def n(self) -> int:
        """The place in a log that the path names."""
        return _number("n", self.path["n"])

    def reference(self) -> str:
        """The reference that the path names."""
        return _matching("reference", self.path["reference"], REFERENCE)

    def digest(self) -> str:
        """The enclosure that the path names."""
        return _matching("digest", self.path["digest"], r"[0-9a-f]{64}", 64)

    def page(self) -> tuple[int, int]:
        """(first, how many) of a list: `?from=0&limit=100`."""
        first = _number("from", self.query.get("from", "0"))
        limit = _number("limit", self.query.get("limit", str(PAGE)))
        if not 1 <= limit <= LARGEST_PAGE:
            raise Malformed("api.parameter", field="limit")
        return first, limit


def read_query(request: Request, allowed: frozenset[str]) -> dict[str, str]:
    """The query parameters; one that is not known or given twice is refused, so that a misspelt one is never ignored."""
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed or name in query:
            raise Malformed("api.parameter", field=name[:40])
        query[name] = value
    return query


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response that no cache keeps: it was made for one caller."""
    raw = msgspec.json.encode(value)
    return Response(raw, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def _matching(field: str, value: str, pattern: str, limit: int = 60) -> str:
    if len(value) > limit or not re.fullmatch(pattern, value):
        raise Malformed("api.parameter", field=field)
    return value


def _number(field: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise Malformed("api.parameter", field=field)
    return int(value)
