"""`init`, `pair`, `serve`: making a node, knowing its peers, running it."""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from typing import Final
from urllib.parse import urlsplit

from mithaq.cli import files
from mithaq.cli.fingerprints import fingerprints
from mithaq.cli.home import home_of, passphrase
from mithaq.cli.output import Output
from mithaq.cli.parser import UsageError
from mithaq.kernel import keys, pairing
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.text import ascii_digits
from mithaq.settings import Home, Settings

_LISTEN: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_NEXT_NAME: Final = re.compile(r",(?=[a-z]{2}=)")
_GROUPS_A_ROW: Final = 4


def init(arguments: argparse.Namespace, output: Output) -> int:
    """Make the folder, the keys and the pairing file; nothing is written when one of the answers cannot stand."""
    home = home_of(arguments)
    if home.exists():
        raise Refused("home.exists", value=str(home.path))
    address = arguments.address or _address_of(arguments.listen, output)
    chosen = {"database": arguments.database} if arguments.database else {}
    settings = Settings(
        arguments.party,
        arguments.commission,
        _names(arguments.names),
        listen=arguments.listen,
        address=address,
        **chosen,
    )
    try:
        own = keys.create(settings.party, settings.commission, arguments.office, _hosts(arguments.listen, address))
        own.pairing(settings.names, address)  # refuses what cannot stand in a pairing file before anything is written
    except Malformed as reason:
        raise _answer(reason) from reason
    home.create(settings, own, passphrase(output, new=True))
    _prepare(home, own)
    file = home.own_pairing_file(settings.party)
    output.line("The node of {party} in the commission {commission} is made: {value}", **_told(settings, home))
    output.line("Give the peers this pairing file, and take theirs: {value}", value=str(file))
    output.result({"home": str(home.path), "party": settings.party, "pairing_file": str(file), "address": address})
    return 0


def pair(arguments: argparse.Namespace, output: Output) -> int:
    """Accept a peer's pairing file once a person has said that the digits were read aloud and are the same."""
    home = home_of(arguments)
    settings = home.settings()
    peer = pairing.parse(files.read(arguments.file, pairing.MOST_BYTES))
    own = pairing.parse(files.read(str(home.own_pairing_file(settings.party)), pairing.MOST_BYTES))
    if peer.commission != settings.commission:
        raise Refused("pairing.another_commission", value=peer.commission, limit=settings.commission)
    if peer.party == settings.party:
        raise Refused("pairing.ourselves", party=peer.party)
    groups = pairing.fingerprint(own, peer).split()
    _show_fingerprint(peer, groups, output)
    _confirm(groups, arguments.yes_the_digits_are, output)
    home.accept(peer)
    output.line(
        "{party} is a peer of this node now. A node that is running takes it up when it starts again.", party=peer.party
    )
    output.line("In evidence files the keys of the two parties are shown with these digits:")
    shown = {name: digits for each in (own, peer) for name, digits in fingerprints(each, output).items()}
    told = {"party": peer.party, "address": peer.address, "fingerprint": " ".join(groups), "accepted": True}
    output.result({**told, "keys": shown})
    return 0


def serve(arguments: argparse.Namespace, output: Output) -> int:
    """Run the node until it is stopped."""
    from mithaq import serve as server

    home = home_of(arguments)
    home.settings()
    server.serve(home, passphrase(output))
    return 0


def _prepare(home: Home, own: keys.NodeKeys) -> None:
    """Make the database's tables now, so that a wrong address of it is told now."""
    from mithaq.node import Node

    database = home.database()
    try:
        Node(database, own, [], lambda: 0.0)
    finally:
        database.close()


def _told(settings: Settings, home: Home) -> dict[str, object]:
    return {"party": settings.party, "commission": settings.commission, "value": str(home.path)}


def _answer(reason: Malformed) -> Malformed:
    """What cannot stand in our own pairing file, told as the answer that a person gave here."""
    if reason.code != "pairing.field":
        return reason
    name = str(reason.facts.get("field")).partition(".")[0]
    return Malformed("cli.answer", field="--office" if name == "offices" else f"--{name}")


def _names(given: list[str]) -> dict[str, str]:
    """`en=...,ar=...,fa=...` in one word or in several; a comma within a name stays."""
    names: dict[str, str] = {}
    for part in (part for word in given for part in _NEXT_NAME.split(word)):
        language, sign, name = part.partition("=")
        if not sign or language in names:
            raise Malformed("cli.answer", field="--names")
        names[language] = name
    return names


def _listen(listen: str, output: Output) -> str:
    found = _LISTEN.fullmatch(listen)
    if found is None or not 0 < int(found[2]) <= 65_535:
        raise UsageError("", output.word("--listen must be HOST:PORT, such as 127.0.0.1:8460"))
    return found[1].strip("[]")


def _address_of(listen: str, output: Output) -> str:
    """Plain HTTP on loopback alone (design section 6); elsewhere TLS, and an address that others can reach."""
    host = _listen(listen, output)
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{listen}" if host == "localhost" else f"https://{listen}"
    if number.is_unspecified:
        raise UsageError("", output.word("--address is needed when the node listens on every address of the machine"))
    return f"http://{listen}" if number.is_loopback else f"https://{listen}"


def _hosts(listen: str, address: str) -> list[str]:
    """The names of the certificate: what the peers call, and what the node listens on."""
    found = _LISTEN.fullmatch(listen)
    named = [urlsplit(address).hostname, found[1].strip("[]") if found else None]
    return list(dict.fromkeys(host for host in named if host and host not in {"0.0.0.0", "::"}))  # noqa: S104  # not bound here


def _show_fingerprint(peer: pairing.PairingFile, groups: list[str], output: Output) -> None:
    output.line("The pairing file of {party}:", party=peer.party)
    output.text(f"  {output.chosen(peer.names)}")
    output.text(f"  {output.code(peer.address)}")
    output.line("Read these digits aloud with the other side, by a way that you trust. They must be the same there:")
    for start in range(0, len(groups), _GROUPS_A_ROW):
        output.text("  " + output.digits("  ".join(groups[start : start + _GROUPS_A_ROW])))


def _confirm(groups: list[str], given: str | None, output: Output) -> None:
    """Only who has the digits before the eyes can repeat them."""
    wanted = "".join(groups)
    if given is not None:
        typed = "".join(character for character in ascii_digits(given) if character.isdigit())
    elif sys.stdin.isatty() and not output.as_json:
        wanted = groups[0]
        typed = ascii_digits(input(output.word("If they are the same, type the first group:") + " ")).strip()
    else:
        raise Refused("pairing.not_confirmed", value=" ".join(groups))
    if typed != wanted:
        raise Refused("pairing.digits_differ", value=" ".join(groups))
