"""What passes between nodes, as values: a request, an answer. HTTP, a file and a simulated wire all carry these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
SIZE: Final = "text/x.tlog.size"
MIRROR_INFO: Final = "text/x.tlog.mirror-info"

BODY_LIMIT: Final = 48 * 1024 * 1024
"""Bytes of a request that are looked at: what follows the last whole package within them is sent again by the client."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a node, `path` relative to its exchange address. `party` is the peer that signed the request."""

    method: str
    path: str
    body: bytes = b""
    media: str = TEXT
    party: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: HTTP status, body and media type. `lasting`: the resource never changes and may be kept."""

    status: int
    body: bytes = b""
    media: str = TEXT
    lasting: bool = False
