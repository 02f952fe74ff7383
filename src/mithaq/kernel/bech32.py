"""Bech32 (BIP173) without its length limit, as the age format uses it: bytes as text that a person can copy and check."""

from __future__ import annotations

from collections.abc import Sequence

from mithaq.kernel.errors import Malformed

MOST_CHARACTERS = 4096  # bounds the work; a hybrid age recipient, the longest in use here, has 1,959
_CHECKSUM = 6  # characters
_WORD = 5  # bits a character
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP173


def _polymod(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check


def _expanded(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def encode(prefix: str, data: bytes) -> str:
    """BIP173 without its length limit, as age.md says; upper case when the prefix is."""
    bits = len(data) * 8
    padded = int.from_bytes(data, "big") << (-bits % 5)
    words = [padded >> shift & 31 for shift in range(bits + (-bits % 5) - 5, -1, -5)]
    check = _polymod([*_expanded(prefix.lower()), *words, *[0] * _CHECKSUM]) ^ 1
    words += [check >> 5 * (5 - at) & 31 for at in range(_CHECKSUM)]
    text = f"{prefix.lower()}1{''.join(_CHARSET[word] for word in words)}"
    return text.upper() if prefix.isupper() else text


def decode(prefix: str, text: str, code: str) -> bytes:
    """The bytes behind `prefix`, in that very case; Malformed(code) for any other text, checksum or padding."""
    head = f"{prefix}1"
    lower = text.lower() if text.isascii() else ""
    wanted = lower.upper() if prefix.isupper() else lower
    words = [_CHARSET.find(character) for character in lower[len(head) : MOST_CHARACTERS]]
    if (
        not text.startswith(head)
        or text != wanted
        or len(text) > MOST_CHARACTERS
        or len(words) < _CHECKSUM
        or -1 in words
    ):
        raise Malformed(code)
    if _polymod([*_expanded(prefix.lower()), *words]) != 1:
        raise Malformed(code)
    spare = len(words[:-_CHECKSUM]) * 5 % 8
    value = 0
    for word in words[:-_CHECKSUM]:
        value = value << 5 | word
    if spare >= _WORD or value & (1 << spare) - 1:
        raise Malformed(code)
    return (value >> spare).to_bytes(len(words[:-_CHECKSUM]) * 5 // 8, "big")
