"""Two nodes in one process with an agreement in force, and the first one's API with an official of every role."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from mithaq.kernel import officials
from mithaq.kernel.database import Database
from mithaq.kernel.enclosure import Store
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.web import api
from tests.fixtures import load
from tests.nodes import carry, keys_of

NAMES = {"en": "Valley", "ar": "الوادي", "fa": "دره"}
GUARD = {"XA": "XA/border-guard/high-pass", "XB": "XB/border-guard/high-pass"}
OFFICES = ("border-guard", "border-guard/high-pass")
CANARY = "canary-4f1d7a"


class World:
    """The nodes, a clock that stands still until it is moved, and how to call the API of XA."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.now = 1_790_000_000.0
        self.sealed = tempfile.TemporaryDirectory()
        own = {party: keys_of(party, "xa-xb.example", OFFICES) for party in ("XA", "XB")}
        found = {p: k.pairing(NAMES, "http://127.0.0.1:8460") for p, k in own.items()}
        self.a, self.b = (
            Node(
                Database(f"{url}/{p}.db" if url else "sqlite://"),
                own[p],
                [found[q] for q in found if q != p],
                lambda: self.now,
                Store(Path(self.sealed.name) / p, lambda: self.now),
            )
            for p in ("XA", "XB")
        )
        self.home = SimpleNamespace(path=folder)
        self.message = self.agreement = self.digest = ""
        self.status = SimpleNamespace(last_success=None)
        self.running = SimpleNamespace(carriers={"XB": SimpleNamespace(status=self.status)})
        self.routes = api.routes(self.a, self.home, self.running)
        self.app = Starlette(routes=self.routes)
        self.tokens: dict[str, str] = {}
        for role in officials.ROLES:
            self.tokens[role] = self.enrol(role, GUARD["XA"] if role == "official" else "XA", role)

    def enrol(self, id_: str, office: str, *roles: str) -> str:
        return self.a.writer.do(lambda connection: officials.enrol(connection, id_, office, roles))

    def client(self, host: str = "192.0.2.7") -> TestClient:
        return TestClient(self.app, "http://localhost", client=(host, 50000))

    def call(self, method: str, path: str, role: str | None = "official", **more: Any) -> Any:
        headers = dict(more.pop("headers", {}))
        if role:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return self.client().request(method, path, headers=headers, **more)

    def conclude(self) -> str:
        """The fixture's memorandum, signed and notified by both; returns its reference."""
        text = load("second_pair").agreements[0]
        day = agreements.dt.datetime.fromtimestamp(self.now, agreements.dt.UTC).date()
        said = self.a.say(agreements.Propose(text), clause="charter", by="XA/foreign-affairs")
        carry(self.a, self.b)
        for node, other in ((self.a, self.b), (self.b, self.a)):
            by = f"{node.party}/foreign-affairs"
            node.say(agreements.Sign(said.reference, text.hash()), clause="charter", by=by)
            node.say(agreements.BringIntoForce(said.reference, day), clause="charter", by=by)
            carry(node, other)
        carry(self.a, self.b)
        return said.reference

    def write_to(self, speaker: Node, reference: str, text: str = "The gate opens at six.", enclosed: str = "") -> str:
        """A message from one border guard to the other; `enclosed` is sealed to both of them."""
        sealed = []
        if enclosed:
            sealed = [speaker.seal(io.BytesIO(enclosed.encode()), sorted(GUARD.values()), "text/plain")]
            self.digest = sealed[0].digest
        to = GUARD["XB" if speaker.party == "XA" else "XA"]
        act = channel.Say("Opening hours", text, (to,))
        return speaker.say(act, clause=f"{reference}/1", by=GUARD[speaker.party], enclosures=sealed).reference

    def close(self) -> None:
        self.a.database.close()
        self.b.database.close()
        self.sealed.cleanup()


def body(reference: str, text: str = "The gate opens at six.", **more: Any) -> dict[str, Any]:
    """A message as the API takes it."""
    act = {"do": "channel.say", "subject": "Opening hours", "text": text, "to": [GUARD["XB"]]}
    return {"act": act, "clause": f"{reference}/1", "by": GUARD["XA"], **more}


def folder() -> Path:
    """The system's own temporary folder: only its free space is looked at."""
    return Path(tempfile.gettempdir())
