"""A node's home: one folder with its settings, its keys, the peers' pairing files, its database and its enclosures."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from mithaq.kernel import keys, officials, pairing
from mithaq.kernel.act import PARTY
from mithaq.kernel.database import Database
from mithaq.kernel.enclosure import Store
from mithaq.kernel.errors import Malformed, Refused, Unreachable
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.pairing import PairingFile
from mithaq.node import Node

HOME_VARIABLE: Final = "MITHAQ_HOME"
PASSPHRASE_VARIABLE: Final = "MITHAQ_PASSPHRASE"  # noqa: S105  # the variable's name, not a secret


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator sets, read once. `listen` is host:port, `address` the URL that the peers are told."""

    party: Annotated[str, Meta(pattern=PARTY)]
    commission: str
    names: dict[str, str]
    listen: str = "127.0.0.1:8460"
    address: str = "http://127.0.0.1:8460"
    database: str = "sqlite:///{home}/node.db"


class Home:
    """The folder of one node. Nothing in it is read by two nodes at once: `lock` sees to that."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._lock: int | None = None

    @property
    def settings_file(self) -> Path:
        return self.path / "node.json"

    @property
    def keys_file(self) -> Path:
        return self.path / "keys.age"

    @property
    def pairing_folder(self) -> Path:
        return self.path / "pairing"

    @property
    def enclosures_folder(self) -> Path:
        return self.path / "enclosures"

    def exists(self) -> bool:
        """Whether a node was made here; a folder that cannot be looked into is said as such."""
        try:
            return self.settings_file.is_file() and self.keys_file.is_file()
        except OSError as failure:
            raise Unreachable("home.unreadable", value=str(self.path), reason=failure.strerror) from failure

    def create(self, settings: Settings, own: NodeKeys, passphrase: str, *, work: int = keys.DEFAULT_WORK) -> None:
        """Make the folder, the keys and the own pairing file; refused when there is a node already."""
        if self.exists():
            raise Refused("home.exists", value=str(self.path))
        try:
            for folder in (self.path, self.pairing_folder, self.enclosures_folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            own.save(self.keys_file, passphrase, work=work)
            self.own_pairing_file(settings.party).write_bytes(own.pairing(settings.names, settings.address).encode())
            self.settings_file.write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n")
        except OSError as failure:
            raise Unreachable("home.unwritable", value=str(self.path), reason=failure.strerror) from failure

    def own_pairing_file(self, party: str) -> Path:
        """What the peers are given."""
        return self.path / f"{party}.pairing.json"

    def settings(self) -> Settings:
        """The settings, or a refusal that says where they were looked for."""
        try:
            return msgspec.json.decode(self.settings_file.read_bytes(), type=Settings)
        except FileNotFoundError as failure:
            raise Refused("home.missing", value=str(self.path)) from failure
        except OSError as failure:
            raise Unreachable("home.unreadable", value=str(self.path), reason=failure.strerror) from failure
        except msgspec.MsgspecError as failure:
            raise Malformed("home.settings", value=str(self.settings_file), reason=str(failure)) from failure

    def peers(self) -> list[PairingFile]:
        """The pairing files that were accepted, by party."""
        files = sorted(self.pairing_folder.glob("*.json"))
        return [pairing.parse(file.read_bytes()) for file in files]

    def accept(self, peer: PairingFile) -> None:
        """Keep a peer's pairing file after its fingerprint was read aloud. A known party's keys are never replaced so."""
        settings = self.settings()
        if peer.commission != settings.commission:
            raise Refused("pairing.another_commission", value=peer.commission, limit=settings.commission)
        if peer.party == settings.party:
            raise Refused("pairing.ourselves", party=peer.party)
        file = self.pairing_folder / f"{peer.party}.json"
        if file.exists():
            if file.read_bytes() != peer.encode():
                raise Refused("pairing.keys_differ", party=peer.party)
            return
        file.write_bytes(peer.encode())

    def write_operator_token(self, node: Node) -> None:
        """Keep the operator's token in this folder, for the command line on this machine (mode 0600)."""
        file = self.path / "operator.token"
        known = file.read_text(encoding="ascii", errors="replace").strip() if file.is_file() else ""
        token = node.writer.do(lambda writing: officials.operator_token(writing, node.party, known))
        if token != known:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as opened:
                opened.write(token + "\n")

    def load_keys(self, passphrase: str) -> NodeKeys:
        """The node's keys."""
        return keys.load(self.keys_file, passphrase)

    def lock(self) -> None:
        """Hold the folder for this process; refused `node.already_running` when another one holds it."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            raise Unreachable("home.unwritable", value=str(self.path), reason=failure.strerror) from failure
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            os.close(handle)
            raise Refused("node.already_running", value=str(self.path)) from failure
        self._lock = handle

    def unlock(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def database(self) -> Database:
        """The node's database, as set."""
        return Database(self.settings().database.replace("{home}", str(self.path.resolve())))

    def node(self, passphrase: str, clock: Callable[[], float] = time.time) -> Node:
        """The node, ready to say and to hear."""
        store, own = Store(self.enclosures_folder, clock), self.load_keys(passphrase)
        database = self.database()
        try:
            database.hold()
            return Node(database, own, self.peers(), clock, store)
        except BaseException:
            database.close()
            raise
