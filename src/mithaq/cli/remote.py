"""The server that holds a node's folder, asked over its own API: loopback HTTP, or TLS with our own certificate pinned."""

from __future__ import annotations

from typing import Any, Final

import httpx2
import msgspec

from mithaq.cli import files
from mithaq.kernel import pairing
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.tls import Pinned
from mithaq.node import Saying
from mithaq.settings import Home

TOKEN_FILE: Final = "operator.token"  # noqa: S105  # the file's name, not a secret
TOKEN_LIMIT: Final = 200
ANSWER_LIMIT: Final = 1024 * 1024
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


def _call(home: Home, method: str, path: str, body: bytes, lang: str) -> Any:
    try:
        return msgspec.json.decode(_send(home, method, path, body, lang))
    except msgspec.DecodeError as failure:
        raise Malformed("peer.answer", field=path) from failure


def _send(home: Home, method: str, path: str, body: bytes, lang: str) -> bytes:
    settings = home.settings()
    token = files.read(str(home.path / TOKEN_FILE), TOKEN_LIMIT).decode("ascii", "replace").strip()
    own = pairing.parse(files.read(str(home.own_pairing_file(settings.party)), pairing.MOST_BYTES))
    host, _, port = settings.listen.rpartition(":")
    scheme = "https" if settings.address.startswith("https:") else "http"
    headers = {"authorization": f"Bearer {token}", "accept-language": lang, "content-type": "application/json"}
    pinned = Pinned(settings.party, own.tls_certificate_sha256)
    try:
        with httpx2.Client(verify=pinned, trust_env=False, follow_redirects=False, timeout=60.0) as client:
            url = f"{scheme}://{_UNSPECIFIED.get(host, host)}:{port}{path}"
            answer = client.request(method, url, content=body or None, headers=headers)
    except httpx2.HTTPError as failure:
        raise Unreachable("cli.server_silent", value=settings.listen, reason=type(failure).__name__) from failure
    if answer.is_success:
        return answer.content
    raise _problem(answer)


def _problem(answer: httpx2.Response) -> MithaqError:
    """RFC 9457 problem details with a code: the kind of error that its status stands for."""
    try:
        told = msgspec.json.decode(answer.content[:ANSWER_LIMIT])
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = None
    code = told.get("code") if isinstance(told, dict) else None
    if not isinstance(code, str):
        return Unreachable("cli.server_silent", value=str(answer.status_code), reason="-")
    given = told.get("facts")
    facts = {str(name): value for name, value in given.items() if name != "code"} if isinstance(given, dict) else {}
    if answer.status_code >= 500:
        return Unreachable(code, **facts)
    malformed = answer.status_code in _BAD_REQUEST or code.startswith(("statement.malformed", "statement.unknown"))
    return Malformed(code, **facts) if malformed else Refused(code, **facts)
