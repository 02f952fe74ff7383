"""Two paired homes and a short story between them, made through the command line itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mithaq.cli.run import main
from mithaq.kernel import keys, pairing
from tests import fixtures

PASSPHRASE = "a passphrase of tests"
COMMISSION = "xa-xb.example"


@dataclass(frozen=True)
class Told:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


@dataclass(frozen=True)
class Terminal:
    """Runs commands in this process and hands back what they printed."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *argv: object) -> Told:
        self.capture.readouterr()
        code = main([str(each) for each in argv])
        out, err = self.capture.readouterr()
        return Told(code, out, err)


@dataclass(frozen=True)
class Homes:
    """The folders of XA and XB."""

    xa: Path
    xb: Path

    def file(self, party: str) -> Path:
        return (self.xa if party == "XA" else self.xb) / f"{party}.pairing.json"

    def digits(self) -> str:
        return pairing.fingerprint(*(pairing.parse(self.file(each).read_bytes()) for each in ("XA", "XB")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def init(folder: Path, party: str, extra: Sequence[str] = ()) -> list[str]:
    names = "en=Valley, of tests,ar=وادٍ,fa=دره"
    office, listen = f"{party}/border-guard", f"127.0.0.1:{free_port()}"
    start = ["init", "--home", str(folder), "--party", party, "--commission", COMMISSION, "--names", names]
    return [*start, "--office", office, "--listen", listen, *extra]


def cheapen(folder: Path) -> None:
    """The same keys under less scrypt: each command opens them, and the tests run many commands."""
    file = folder / "keys.age"
    keys.load(file, PASSPHRASE).save(file, PASSPHRASE, work=keys.LEAST_WORK, replace=True)


def paired(root: Path) -> Homes:
    homes = Homes(root / "xa", root / "xb")
    for folder, party in ((homes.xa, "XA"), (homes.xb, "XB")):
        assert main(init(folder, party)) == 0
        cheapen(folder)
    for folder, other in ((homes.xa, "XB"), (homes.xb, "XA")):
        pair = ["pair", str(homes.file(other)), "--home", str(folder), "--yes-the-digits-are", homes.digits()]
        assert main(pair) == 0
    return homes


def carry(homes: Homes, root: Path) -> None:
    """There and back by a file, until both have receipts."""
    for sender, folder, receiver, to in ((homes.xa, "XB", homes.xb, 1), (homes.xb, "XA", homes.xa, 2)) * 2:
        file = root / f"courier-{to}"
        assert main(["carry", "out", str(file), "--to", folder, "--home", str(sender)]) == 0
        assert main(["carry", "in", str(file), "--home", str(receiver)]) == 0


def concluded(homes: Homes, root: Path) -> str:
    """The fixture's agreement proposed, signed and in force on both sides; its reference."""
    text = fixtures.load("second_pair").agreements[0]
    (root / "agreement.json").write_bytes(msgspec.json.encode(text))
    charter = ["--clause", "charter", "--by"]
    proposal = ["say", "agreements.propose", "--text", f"@{root / 'agreement.json'}", *charter, "XA/foreign-affairs"]
    assert main([*proposal, "--home", str(homes.xa)]) == 0
    carry(homes, root)
    reference = _first_reference(homes, root)
    for folder, party in ((homes.xa, "XA"), (homes.xb, "XB")):
        sign = ["say", "agreements.sign", "--agreement", reference, "--hash", text.hash(), *charter]
        assert main([*sign, f"{party}/foreign-affairs", "--home", str(folder)]) == 0
        if text.entry.method == "notification":
            notify = ["say", "agreements.bring_into_force", "--agreement", reference, "--day", _today(), *charter]
            assert main([*notify, f"{party}/foreign-affairs", "--home", str(folder)]) == 0
    carry(homes, root)
    return reference


def _today() -> str:
    import datetime as dt

    return dt.datetime.now(dt.UTC).date().isoformat()


def _first_reference(homes: Homes, root: Path) -> str:
    from mithaq.cli.entries import spoken
    from mithaq.kernel.log import Log
    from mithaq.settings import Home

    database = Home(homes.xa).database()
    try:
        with database.read() as connection:
            log = Log("XA")
            log.load(connection)
            return spoken("XA", 0, log.entries(connection, 0, 1)[0]).reference
    finally:
        database.close()


def message(reference: str, home: Path, *more: str) -> list[str]:
    said = ["say", "channel.say", "--subject", "Patrol", "--text", "At noon.", "--to", "XB/border-guard"]
    return [*said, "--clause", f"{reference}/1", "--by", "XA/border-guard/north", "--home", str(home), *more]
