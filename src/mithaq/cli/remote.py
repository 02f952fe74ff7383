"""The server that holds a node's folder, asked over its own API: loopback HTTP, or TLS with our own certificate pinned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import httpx2
import msgspec

from mithaq.cli import files
from mithaq.kernel import pairing
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.statement import Enclosure
from mithaq.kernel.tls import Pinned
from mithaq.node import Saying
from mithaq.settings import Home

TOKEN_FILE: Final = "operator.token"  # noqa: S105  # the file's name, not a secret
TOKEN_LIMIT: Final = 200
ANSWER_LIMIT: Final = 1024 * 1024
PATIENCE: Final = 15.0
"""Seconds that a server may take between holding the folder for the first time and writing the token."""
_PIECE: Final = 64 * 1024
_PAUSE: Final = 0.1
_BAD_REQUEST: Final = frozenset({400, 413})
_UNSPECIFIED: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # to call, not to bind


def say(home: Home, saying: Saying, *, check: bool, lang: str) -> dict[str, object]:
    """POST /api/v1/say. The server's problem details come back as the error that they describe."""
    body: dict[str, object] = {"act": saying.act, "clause": saying.clause, "by": saying.by}
    if saying.enclosures:
        body["enclosures"] = saying.enclosures
    path = "/api/v1/say?check=1" if check else "/api/v1/say"
    told = _call(home, "POST", path, msgspec.json.encode(body), lang)
    if not isinstance(told, dict):
        raise Malformed("peer.answer", field="say")
    would = told.get("would_be")
    if isinstance(would, dict):
        return {"checked": True, "reference": would.get("reference"), "by_server": True}
    return {"reference": told.get("reference"), "n": told.get("n"), "by_server": True}


def get(home: Home, path: str, lang: str) -> bytes:
    """What the API answers to a GET, as it stands."""
    return _send(home, "GET", path, b"", lang)


def seal(home: Home, source: BinaryIO, to: Sequence[str], media: str, by: str, lang: str) -> Enclosure:
    """POST /api/v1/enclosures with the file as it is read; the server seals it, and erases it when it is never said."""
    query = {"to": ",".join(to), "media": media, "by": by}
    with _answered(home, "POST", "/api/v1/enclosures", lang, query, iter(lambda: source.read(_PIECE), b"")) as answer:
        try:
            return msgspec.json.decode(_whole(answer), type=Enclosure)
        except msgspec.DecodeError as failure:
            raise Malformed("peer.answer", field="enclosures") from failure


def download(home: Home, path: str, query: Mapping[str, str], sink: BinaryIO, lang: str) -> None:
    """What the API answers to a GET, into the sink as it comes."""
    with _answered(home, "GET", path, lang, query) as answer:
        sink.writelines(answer.iter_bytes())


def _call(home: Home, method: str, path: str, body: bytes, lang: str) -> Any:
    try:
        return msgspec.json.decode(_send(home, method, path, body, lang))
    except msgspec.DecodeError as failure:
        raise Malformed("peer.answer", field=path) from failure


def _send(home: Home, method: str, path: str, body: bytes, lang: str) -> bytes:
    with _answered(home, method, path, lang, body=body or None) as answer:
        return _whole(answer)


@contextmanager
def _answered(
    home: Home,
    method: str,
    path: str,
    lang: str,
    query: Mapping[str, str] | None = None,
    body: bytes | Iterator[bytes] | None = None,
) -> Iterator[httpx2.Response]:
    """The server's answer while its body comes; an answer that is no success is raised as the error that it tells."""
    settings = home.settings()
    token = _token(home)
    own = pairing.parse(files.read(str(home.own_pairing_file(settings.party)), pairing.MOST_BYTES))
    host, _, port = settings.listen.rpartition(":")
    scheme = "https" if settings.address.startswith("https:") else "http"
    media = "application/json" if isinstance(body, bytes) else "application/octet-stream"
    headers = {"authorization": f"Bearer {token}", "accept-language": lang, "content-type": media}
    pinned = Pinned(settings.party, own.tls_certificate_sha256)
    url = f"{scheme}://{_UNSPECIFIED.get(host, host)}:{port}{path}"
    try:
        with (
            httpx2.Client(verify=pinned, trust_env=False, follow_redirects=False, timeout=60.0) as client,
            client.stream(method, url, params=query, content=body, headers=headers) as answer,
        ):
            if not answer.is_success:
                raise _problem(answer.status_code, _whole(answer))
            yield answer
    except httpx2.HTTPError as failure:
        raise Unreachable("cli.server_silent", value=settings.listen, reason=type(failure).__name__) from failure


def _token(home: Home) -> str:
    """The operator's token; a server that starts for the first time writes it only after it holds the folder."""
    file, until = home.path / TOKEN_FILE, time.monotonic() + PATIENCE
    while not file.exists():
        if time.monotonic() >= until:
            raise Unreachable("cli.server_starting", value=str(home.path))
        time.sleep(_PAUSE)
    return files.read(str(file), TOKEN_LIMIT).decode("ascii", "replace").strip()


def _whole(answer: httpx2.Response) -> bytes:
    answer.read()
    return answer.content


def _problem(status: int, content: bytes) -> MithaqError:
    """RFC 9457 problem details with a code: the kind of error that its status stands for."""
    try:
        told = msgspec.json.decode(content[:ANSWER_LIMIT])
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = None
    code = told.get("code") if isinstance(told, dict) else None
    if not isinstance(code, str):
        return Unreachable("cli.server_silent", value=str(status), reason="-")
    given = told.get("facts")
    facts = {str(name): value for name, value in given.items() if name != "code"} if isinstance(given, dict) else {}
    if status >= 500:
        return Unreachable(code, **facts)
    malformed = status in _BAD_REQUEST or code.startswith(("statement.malformed", "statement.unknown"))
    return Malformed(code, **facts) if malformed else Refused(code, **facts)
