"""One side of the demonstration: a node's home, its process, and a caller of its API."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from mithaq.kernel import keys
from mithaq.kernel.errors import Malformed, Refused, Unreachable
from mithaq.settings import PASSPHRASE_VARIABLE, Home, Settings

PATIENCE: Final = 60.0
"""Seconds that a node of the demonstration may take to start or to answer before the step counts as failed."""
_LISTENING: Final = 0.05


@dataclass(frozen=True)
class Problem(Exception):  # RFC 9457's own word
    """What the API answered instead of doing it: the status and the problem details."""

    status: int
    details: Mapping[str, Any]


class Side:
    """A party of the demonstration."""

    def __init__(self, party: str, folder: Path, port: int) -> None:
        self.party: Final = party
        self.home: Final = Home(folder / party)
        self.port: Final = port
        self.address: Final = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Final = httpx2.Client(base_url=self.address, timeout=PATIENCE, trust_env=False)

    @property
    def _passphrase_file(self) -> Path:
        return self.home.path / "demo-passphrase"

    def make(self, commission: str, names: dict[str, str], offices: list[str]) -> bool:
        """Make keys and folder, or reuse what is there; True when they were made now."""
        if self.home.exists():
            self._check_reusable(commission)
            return False
        passphrase = secrets.token_urlsafe(24)
        own = keys.create(self.party, commission, offices, ["127.0.0.1", "localhost"])
        listen = f"127.0.0.1:{self.port}"
        self.home.create(Settings(self.party, commission, names, listen, self.address), own, passphrase)
        self._passphrase_file.touch(mode=0o600)
        self._passphrase_file.write_text(passphrase, encoding="utf-8")
        return True

    def _check_reusable(self, commission: str) -> None:
        settings = self.home.settings()
        if (settings.party, settings.commission, settings.address) != (self.party, commission, self.address):
            raise Refused("demo.another_setup", value=str(self.home.path), limit=settings.address)

    def start(self) -> None:
        """Start the node as a process of its own and wait until it answers."""
        check_free(self.port)
        passphrase = self._passphrase_file.read_text(encoding="utf-8")
        environment = {**os.environ, PASSPHRASE_VARIABLE: passphrase}
        journal = (self.home.path / "journal.jsonl").open("ab")
        command = [sys.executable, "-m", "mithaq", "--home", str(self.home.path), "serve"]
        with journal:
            self._process = subprocess.Popen(command, stdout=journal, stderr=journal, env=environment)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                self._client.get("/health")
            except httpx2.TransportError:
                time.sleep(_LISTENING)
                continue
            return
        raise Unreachable("demo.not_started", party=self.party, value=str(self.home.path / "journal.jsonl"))

    def stop(self) -> None:
        """End the process that `start` began."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop and let go of everything."""
        self.stop()
        self._client.close()

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    # --- the API ------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One call as this side's operator; a problem is raised as `Problem`."""
        token = (self.home.path / "operator.token").read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        try:
            response = self._client.request(method, path, headers=headers, **options)
        except httpx2.TransportError as failure:
            raise Unreachable("peer.unreachable", party=self.party, reason=type(failure).__name__) from failure
        if response.status_code >= 400:
            raise Problem(response.status_code, _details(response))
        return response

    def get(self, path: str, **options: Any) -> Any:
        """A query's answer."""
        return msgspec.json.decode(self.call("GET", path, **options).content)

    def say(self, act: Any, clause: str, by: str, enclosures: list[Any] | None = None, lang: str = "en") -> str:
        """Say one act; its reference."""
        body = {"act": act, "clause": clause, "by": by, "enclosures": enclosures or []}
        answer = self.call("POST", "/api/v1/say", content=msgspec.json.encode(body), headers={"Accept-Language": lang})
        return str(msgspec.json.decode(answer.content)["reference"])

    def wait_for(self, path: str, holds: Any) -> Any:
        """Ask until the answer satisfies `holds`, or fail when patience ends."""
        until = time.monotonic() + PATIENCE
        answer = None
        while time.monotonic() < until:
            answer = self.get(path)
            if holds(answer):
                return answer
            time.sleep(_LISTENING)
        raise Unreachable("demo.waited_in_vain", party=self.party, value=path)


def _details(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        details = msgspec.json.decode(response.content)
    except msgspec.DecodeError as failure:
        raise Malformed("peer.answer", field=f"HTTP {response.status_code}") from failure
    return details if isinstance(details, dict) else {}


def check_free(port: int) -> None:
    """One clear line for a port that somebody else uses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as failure:
            raise Unreachable("demo.port_taken", value=f"127.0.0.1:{port}") from failure
