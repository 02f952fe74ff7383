"""Agreements assembled from public reports, as data: illustrative, and marked so in three languages on every one."""

from __future__ import annotations

from importlib import resources
from typing import Final

import msgspec

from mithaq.kernel.act import Office, PartyCode, Texts
from mithaq.kernel.mandate import Agreement

NAMES: Final = ("security-pact", "interior-memorandum", "border-memorandum", "trade-energy-draft")
"""The agreements in the order in which the demo concludes them; each is a file `NAME.json` beside this module."""


def _read(name: str) -> bytes:
    return resources.files(__name__).joinpath(f"{name}.json").read_bytes()


def load() -> list[tuple[str, Agreement]]:
    """Every agreement with its name, in the order of `NAMES`."""
    return [(name, msgspec.json.decode(_read(name), type=Agreement)) for name in NAMES]


def parties() -> dict[PartyCode, Texts]:
    """The parties of these agreements: code -> name by language."""
    return msgspec.json.decode(_read("parties"), type=dict[PartyCode, Texts])


def offices() -> dict[PartyCode, dict[Office, Texts]]:
    """The offices that the demo sets up: party -> office -> name by language."""
    return msgspec.json.decode(_read("offices"), type=dict[PartyCode, dict[Office, Texts]])
