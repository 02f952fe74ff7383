"""The digits by which a person knows a party's keys again, wherever they are shown: in a list, at pairing, in evidence."""

from __future__ import annotations

from mithaq.cli.output import Output
from mithaq.kernel import note
from mithaq.kernel.pairing import PairingFile


def fingerprints(party: PairingFile, output: Output) -> dict[str, str]:
    """Print the fingerprint of a party's log keys and of its mirror keys; {the name they sign under: digits}.

    The same digits as in step 5 of `verify` (`proof.check`), for a reader of an evidence file who asks a paired node.
    """
    found = {
        party.origin: note.fingerprint(party.log_keys),
        f"{party.origin}/mirror": note.fingerprint(party.mirror_keys),
    }
    for msgid, (name, digits) in zip(
        ("keys of the log {name}:", "keys of the receipts {name}:"), found.items(), strict=True
    ):
        output.text("    " + output.word(msgid, name=name))
        output.text("        " + output.digits(digits))
    return found
