"""What runs beside the workers of an engine."""

import os
import secrets
import socket
from collections.abc import Iterable

from aiojobs_engine.events.bus import Subscription
from aiojobs_engine.events.durable import Follower
from aiojobs_engine.lifetime.session import Session


def followers(session: Session, subscriptions: Iterable[Subscription]) -> list[Follower]:
    """One for each durable listener."""
    holder = f"{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(4)}"
    return [
        Follower(each.durable, each, session.store, session.clock, holder=holder)
        for each in subscriptions
        if each.durable is not None
    ]
