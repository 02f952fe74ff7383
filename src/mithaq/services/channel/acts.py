"""What officials can say to one another."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from mithaq.kernel.act import Act, Line, Office, Reference, Words

Addressees = Annotated[
    tuple[Office, ...],
    Meta(
        min_length=1,
        max_length=32,
        description="the offices written to, one at least of another party, such as IQ/traffic-police/basra",
    ),
]
Deadline = Annotated[
    dt.datetime, Meta(tz=True, description="by when an urgent message is to be acknowledged: 2026-01-05T08:00:00Z")
]
Urgent = Annotated[bool, Meta(description="the message is urgent: it needs a moment in acknowledge_by")]
Thread = Annotated[Reference, Meta(description="the reference of the thread's first message, such as IR-2026-000123")]
Received = Annotated[Reference, Meta(description="the reference of the message that was read, such as IR-2026-000123")]


class Say(Act, frozen=True, tag="channel.say"):
    """A message to offices of the other side begins a thread; what concerns a person goes into a sealed enclosure."""

    subject: Line
    text: Words
    to: Addressees
    acknowledge_by: Deadline | None = None
    urgent: Urgent = False


class Reply(Act, frozen=True, tag="channel.reply"):
    """An answer within a thread, to all who take part in it."""

    thread: Thread
    text: Words


class Acknowledge(Act, frozen=True, tag="channel.acknowledge"):
    """An office that was written to has read the message."""

    message: Received
