"""What can go wrong, as codes with facts; the sentence for a person is looked up from the code (see `words`).

MithaqError
├── Refused      understood, but against a rule, a clause or a proof: saying it again changes nothing
├── Malformed    the bytes are not what they claim to be: shape, size, encoding, signature format
└── Unreachable  the other side, the disk or the network did not answer: try again later
"""

from __future__ import annotations

from typing import Self


class MithaqError(Exception):
    """The one base. `code` is dotted and lower case (`mandate.not_in_force`), `facts` fill the sentence's places."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        super().__init__(code)

    def again(self) -> Self:
        """The same to be raised once more: one instance raised twice would gather both tracebacks."""
        return type(self)(self.code, **self.facts)

    def __str__(self) -> str:
        if not self.facts:
            return self.code
        return f"{self.code} ({', '.join(f'{name}={value}' for name, value in sorted(self.facts.items()))})"


class Refused(MithaqError):
    """A rule, a clause or a proof stands against it. HTTP 403, 409 or 422; never retried."""


class Malformed(MithaqError):
    """Not readable as what it claims to be. HTTP 400 or 422; nothing was stored."""


class Unreachable(MithaqError):
    """No answer, or not now. HTTP 503; retried with back-off."""
