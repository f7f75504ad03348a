"""Who is told when a job has ended, and how."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that gets the event as signed JSON; `secret` signs it, and is never shown."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Email:
    """A mailbox that gets a few lines of text."""

    address: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is called with the event: async on the loop, plain in a thread."""

    function: Callable[[JobEvent], object]


Recipient = Webhook | Email | Call
FindRecipients = Callable[[JobEvent], Iterable[Recipient] | Awaitable[Iterable[Recipient]]]
"""Says who is told of an event, most often by its `user_id`; nobody when it answers nothing."""


def checked_recipients(found: object) -> list[Recipient]:
    """`found` as a list of recipients; None is nobody.

    Raises:
        ConfigError: it holds something else.
    """
    if found is None:
        return []
    listed = list(cast("Iterable[object]", found)) if isinstance(found, Iterable) else [found]
    recipients = [each for each in listed if isinstance(each, Recipient)]
    if len(recipients) < len(listed):
        raise ConfigError(f"recipients are Webhook, Email or Call objects, got {listed!r:.80}")
    return recipients
