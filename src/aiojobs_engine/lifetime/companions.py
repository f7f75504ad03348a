"""What runs beside the workers of an engine."""

import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiojobs_engine.events.bus import Subscription
from aiojobs_engine.events.durable import Follower
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.companion import Companion, OnSettled
from aiojobs_engine.telemetry.execution_log import ExecutionHandler, ExecutionLog


class Beside(NamedTuple):
    """What a worker is given to live with."""

    companions: list[Companion]
    on_settled: OnSettled | None


def beside_worker(
    session: Session, durable: Iterable[Subscription], handlers: Mapping[str, ExecutionHandler]
) -> Beside:
    """The durable listeners and, where it has handlers, the execution log."""
    companions: list[Companion] = [*followers(session, durable)]
    if not handlers:
        return Beside(companions, None)
    settings = session.settings
    log = ExecutionLog(handlers, settings.execution_log, settings.masker, session.clock)
    return Beside([*companions, log], log.put)


def followers(session: Session, subscriptions: Iterable[Subscription]) -> list[Follower]:
    """One for each durable listener."""
    holder = f"{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(4)}"
    return [
        Follower(each.durable, each, session.store, session.clock, holder=holder)
        for each in subscriptions
        if each.durable is not None
    ]
