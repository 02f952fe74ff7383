"""A dishonest party: it signs properly, serves and carries, and puts into its own log whatever it likes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from mithaq.kernel.act import Act
from mithaq.kernel.statement import Statement
from mithaq.simulation.site import Site, append_raw


class Liar:
    """Writes the log of `site` by no rule; the site's node neither says nor hears, it only carries and receipts."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.honest = False

    def entry(self, act: Act, clause: str, **wrong: Any) -> bytes:
        """A canonical entry for the next place of its log, with any field as it pleases (`n`, `seen`, `by`, `at` …)."""
        node, site = self.site.node, self.site
        fields: dict[str, Any] = {
            "act": act,
            "at": dt.datetime.fromtimestamp(int(site.clock()), dt.UTC),
            "by": f"{site.party}/border",
            "clause": clause,
            "commission": site.commission,
            "n": node.log.size,
            "seen": {party: mirror.log.size for party, mirror in node.post.mirrors.items() if mirror.log.size},
        }
        return msgspec.json.encode(Statement(**{**fields, **wrong}), order="sorted")

    def append(self, *entries: bytes) -> int:
        """Put them into the log as they are; returns the place of the first."""
        first = self.site.node.log.size
        append_raw(self.site, entries)
        return first

    def say(self, act: Act, clause: str, **wrong: Any) -> int:
        """`entry` and `append` in one."""
        return self.append(self.entry(act, clause, **wrong))
