"""A node on the network: the web server, a carrier for each peer, and the threads that hear and erase."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mithaq.kernel import journal, tls
from mithaq.kernel.errors import Malformed, MithaqError, Unreachable
from mithaq.kernel.peer import Carrier, Status
from mithaq.node import Node
from mithaq.settings import Home
from mithaq.web import api, exchange

ERASE_EVERY: Final = 3600.0
STOP_SECONDS: Final = 5.0
HEAD_SECONDS: Final = 20.0
"""Seconds in which the head of a request must come, twice that at most: a silent stranger holds no place for ever."""
_log: Final = structlog.get_logger("mithaq.serve")


class Running:
    """A node at work: what it says is carried, what it holds is heard, what is due is erased. `stop` ends all of it."""

    def __init__(self, node: Node, home: Home) -> None:
        self.node: Final = node
        self.home: Final = home
        self.carriers: Final = {party: Carrier(node, party) for party in node.peers}
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._hear, name="hear", daemon=True)]
        if hasattr(node, "erase_due"):
            self._threads.append(threading.Thread(target=self._erase, name="erase", daemon=True))

    @property
    def statuses(self) -> dict[str, Status]:
        """How carrying to each peer stands."""
        return {party: carrier.status for party, carrier in self.carriers.items()}

    def heard_from(self, party: str) -> None:
        """A request of that party was proved to be its own."""
        if party in self.carriers:
            self.carriers[party].heard_from()

    def start(self) -> None:
        """Start every thread."""
        self.node.writer.after_commit.extend([self._news.set, *(each.wake.set for each in self.carriers.values())])
        self._news.set()
        for thread in self._threads:
            thread.start()
        for carrier in self.carriers.values():
            carrier.start()

    def stop(self) -> None:
        """Ask all to stop and wait for them, five seconds at most; what was not carried is carried another time."""
        self._stopping.set()
        self._news.set()
        for carrier in self.carriers.values():
            carrier.halt()
        until = time.monotonic() + STOP_SECONDS
        for carrier in self.carriers.values():
            carrier.join(max(0.0, until - time.monotonic()))
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def _hear(self) -> None:
        """Judge what came, once for each state of the logs: what must wait for more does not keep us busy."""
        judged: tuple[tuple[int, bool], ...] = ()
        rest = 0.2
        while not self._stopping.is_set():
            self._news.clear()
            held = self.node.post.mirrors.values()
            logs = ((self.node.log.size, False), *((mirror.log.size, mirror.conflicting) for mirror in held))
            if logs != judged and self.node.unheard():
                try:
                    self.node.hear()
                except Exception as failure:  # nothing else may stop for it; by type, a message could quote a statement
                    code = failure.code if isinstance(failure, MithaqError) else type(failure).__name__
                    _log.error("hearing_failed", error=code)
                    self._stopping.wait(rest)
                    rest = min(60.0, rest * 2)
                    self._news.set()
                    continue
            judged, rest = logs, 0.2
            self._news.wait()

    def _erase(self) -> None:
        erase_due: Callable[[], Any] = self.node.erase_due
        while not self._stopping.is_set():
            try:
                erase_due()
            except Exception as failure:  # tried again in an hour; by type, as above
                _log.error("erasing_failed", error=type(failure).__name__)
            self._stopping.wait(ERASE_EVERY)


def application(running: Running) -> Starlette:
    """All routes of a node."""
    node, home = running.node, running.home
    return Starlette(
        routes=[
            *exchange.routes(node, running.heard_from, home.settings().address),
            *api.routes(node, home, running),
        ]
    )


def bind(listen: str) -> socket.socket:
    """A listening socket for `host:port`. Malformed("serve.listen"), Unreachable("serve.port_taken", value, reason)."""
    url = urlsplit(f"//{listen}")
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host or port is None or url.path or url.query or url.username is not None:
        raise Malformed("serve.listen", value=listen)
    opened = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as failure:
        if opened is not None:
            opened.close()
        raise Unreachable("serve.port_taken", value=listen, reason=failure.strerror or "") from failure
    return opened


class _Connection(HttpToolsProtocol):
    """Uvicorn's connection that ends when no request comes: its own clock runs only between two requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """As uvicorn's, and a first look."""
        super().connection_made(transport)
        self._stuck: object = self
        self._look()

    def _look(self) -> None:
        """Cut what waited for the same request at the last look already; look again after a while."""
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn says of its type
        due = self.timeout_keep_alive_task is None and (cycle is None or cycle.response_complete)
        if due and self._stuck is cycle:
            self.transport.abort()
            return
        self._stuck = cycle if due else self
        self._looking = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        self._looking.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """Uvicorn's server that tells when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, then `ready`."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but an idle TLS connection is cut at once: its peer would not answer the farewell for a while."""
        self._cut(idle=True)
        await super().shutdown(sockets)
        self._cut(idle=False)
        await asyncio.sleep(0)  # the loop takes leave of what was cut

    def _cut(self, *, idle: bool) -> None:
        for connection in list(self.server_state.connections):
            cycle, transport = getattr(connection, "cycle", None), getattr(connection, "transport", None)
            if transport is not None and not (idle and cycle is not None and not cycle.response_complete):
                transport.abort()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order. Uvicorn's own would raise the signal again at its end, and so cut off what we do after it."""
        del sig, frame
        self.should_exit = True


def _server(running: Running, ready: Callable[[], None]) -> _Server:
    keys = running.node.keys
    secure = running.home.settings().address.startswith("https:")

    def context(*_: Any) -> ssl.SSLContext:
        return tls.serving(keys.tls_key, keys.tls_certificate)

    return _Server(
        uvicorn.Config(
            application(running),
            loop="uvloop",
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=512,
            timeout_keep_alive=75,  # longer than the carriers keep an idle connection, so that none is cut in their hands
            timeout_graceful_shutdown=3,
            ssl_context_factory=context if secure else None,
        ),
        ready,
    )


def serve(home: Home, passphrase: str, ready: Callable[[Running], None] | None = None) -> None:
    """Run a home's node until SIGTERM or SIGINT. `ready` is called once connections are accepted."""
    log_to_stderr()
    with _open(home, passphrase, None) as (running, listening):
        server = _server(running, lambda: ready(running) if ready else None)
        gc.freeze()  # what was loaded stays: looking through it again and again would hold up answers for 50 ms and more
        _log.info("serving", party=running.node.party, listen=home.settings().listen)
        server.run(sockets=[listening])
    _log.info("stopped", party=running.node.party)


@contextmanager
def serving(home: Home, passphrase: str, listening: socket.socket | None = None) -> Iterator[Running]:
    """A home's node on the network within this process, in threads: for the demo, the benchmarks and the tests.

    `listening` is a socket that listens already, where the caller needed the port beforehand.
    """
    with _open(home, passphrase, listening) as (running, opened):
        accepting = threading.Event()
        server = _server(running, accepting.set)
        thread = threading.Thread(target=server.run, args=([opened],), name="serve", daemon=True)
        thread.start()
        try:
            while not accepting.wait(0.1):
                if not thread.is_alive():
                    raise Unreachable("serve.failed")
            yield running
        finally:
            server.should_exit = True
            thread.join(STOP_SECONDS)


@contextmanager
def _open(home: Home, passphrase: str, listening: socket.socket | None) -> Iterator[tuple[Running, socket.socket]]:
    """The home locked, the port taken, the node's threads at work; all given back at the end."""
    try:
        home.lock()
    except BaseException:
        if listening is not None:
            listening.close()
        raise
    opened = listening
    try:
        opened = listening or bind(home.settings().listen)
        node = home.node(passphrase)
        try:
            home.write_operator_token(node)
            running = Running(node, home)
            running.start()
            try:
                yield running, opened
            finally:
                running.stop()
        finally:
            node.database.close()
    finally:
        if opened is not None:
            opened.close()
        home.unlock()


def log_to_stderr() -> None:
    """JSON lines to stderr through the journal's allow-list: of uvicorn's lines the level and the logger's name remain."""
    journal.configure()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Named())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


class _Named(logging.Formatter):
    """Another library's line as one of ours: a text that we did not write may quote what was said, so it is left out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the name of the exception's class if there is one."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        return journal.line(f"library.{record.name.split('.')[0]}", record.levelname.lower(), error)
