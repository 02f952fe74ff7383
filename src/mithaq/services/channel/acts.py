"""What officials can say to one another."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from mithaq.kernel.act import Act, Line, Office, Reference, Words

Addressees = Annotated[tuple[Office, ...], Meta(min_length=1, max_length=32)]


class Say(Act, frozen=True, tag="channel.say"):
    """A message to offices of the other side begins a thread; what concerns a person goes into a sealed enclosure."""

    subject: Line
    text: Words
    to: Addressees
    acknowledge_by: Annotated[dt.datetime, Meta(tz=True)] | None = None
    urgent: bool = False


class Reply(Act, frozen=True, tag="channel.reply"):
    """An answer within a thread, to all who take part in it."""

    thread: Reference
    text: Words


class Acknowledge(Act, frozen=True, tag="channel.acknowledge"):
    """An office that was written to has read the message."""

    message: Reference
