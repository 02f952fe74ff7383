"""What can be said about an agreement as such: its text, its signatures, its coming into force, its end."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from mithaq.kernel.act import Act, Digest, Reference, Words
from mithaq.kernel.mandate import Agreement

ClauseOrAll = Annotated[
    str,
    Meta(
        pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){0,3})?\Z",
        description="clause number; empty for the whole agreement",
    ),
]


AgreementReference = Annotated[
    Reference, Meta(description="the reference under which the agreement was proposed, such as IR-2026-000005")
]
Text = Annotated[Agreement, Meta(description="the agreement as data, written as docs/agreements-as-data.md tells")]
Hash = Annotated[Digest, Meta(description="the hash that show agreement prints, 64 lower-case hexadecimal digits")]
FirstDay = Annotated[dt.date, Meta(description="the first day on which the agreement binds the party, 2026-01-05")]
LastDay = Annotated[dt.date, Meta(description="the last day on which the agreement binds the party, 2026-12-31")]
Reason = Annotated[Words, Meta(description="why, in the language it was written in")]


class Propose(Act, frozen=True, tag="agreements.propose"):
    """A text is laid before the parties for their signature."""

    text: Text


class Sign(Act, frozen=True, tag="agreements.sign"):
    """The party signs a proposed text, or an amendment, by its hash."""

    agreement: AgreementReference
    hash: Hash


class Decline(Act, frozen=True, tag="agreements.decline"):
    """The party does not sign a proposed text, or its proposer takes it back."""

    agreement: AgreementReference
    reason: Reason


class BringIntoForce(Act, frozen=True, tag="agreements.bring_into_force"):
    """The party gives notice that its own law is satisfied and that the agreement binds it from a day."""

    agreement: AgreementReference
    day: FirstDay


class Amend(Act, frozen=True, tag="agreements.amend"):
    """A new version of the text is laid before the parties; the old one holds until all have signed."""

    agreement: AgreementReference
    text: Text


class Suspend(Act, frozen=True, tag="agreements.suspend"):
    """The party stops the operation of a clause, or of the whole agreement, until it says otherwise."""

    agreement: AgreementReference
    reason: Reason
    clause: ClauseOrAll = ""


class Resume(Act, frozen=True, tag="agreements.resume"):
    """The party lifts a suspension that it declared."""

    agreement: AgreementReference
    clause: ClauseOrAll = ""


class Terminate(Act, frozen=True, tag="agreements.terminate"):
    """The party ends the agreement for itself after a day; with only one party left it ends for all."""

    agreement: AgreementReference
    day: LastDay
    reason: Reason
