"""What runs beside the workers of an engine."""

import dataclasses
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.options import resolve
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.events.bus import Subscription
from aiojobs_engine.events.durable import Follower
from aiojobs_engine.events.listeners.notify import Notifier, notify_subscription
from aiojobs_engine.events.listeners.recipients import FindRecipients
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.companion import Companion
from aiojobs_engine.ports.observer import ListenerLoad
from aiojobs_engine.runtime.observing import Observing
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.telemetry.execution_log import ExecutionHandler, ExecutionLog


class Beside(NamedTuple):
    """What a worker is given to live with."""

    companions: list[Companion]
    observing: Observing


def beside_worker(
    session: Session,
    durable: Iterable[Subscription],
    handlers: Mapping[str, ExecutionHandler],
    recipients: FindRecipients | None,
) -> Beside:
    """The durable listeners, `notify` among them, and the execution log where it has handlers."""
    notifier = Notifier(session.settings, session.clock, recipients)
    notify = notify_subscription(notifier, session.settings)
    companions: list[Companion] = [*followers(session, [*durable, *([notify] if notify else [])])]
    observing, settings = session.observing, session.settings
    if not handlers:
        return Beside(companions, _with_loads(observing, companions, notifier if notify else None))
    log = ExecutionLog(
        handlers,
        settings.execution_log,
        settings.masker,
        session.clock,
        _policies(settings, session.registry),
    )
    companions.append(log)
    observing = dataclasses.replace(observing, observers=(*observing.observers, log))
    return Beside(companions, _with_loads(observing, companions, notifier if notify else None))


def _with_loads(
    observing: Observing, companions: Iterable[Companion], notifier: Notifier | None
) -> Observing:
    """Look at what runs beside the worker as at the other listeners."""

    def loads() -> dict[str, ListenerLoad]:
        beside = {each.name: each.load for each in companions}
        told = {} if notifier is None else {"notify": notifier.load}
        return {**observing.listeners(), **beside, **told}

    return dataclasses.replace(observing, listeners=loads)


def _policies(settings: Settings, registry: JobRegistry) -> Callable[[Envelope], RetrySpec]:
    known: dict[str, RetrySpec] = {}

    def retry_of(envelope: Envelope) -> RetrySpec:
        if envelope.type not in known:
            job_type = registry.types.get(envelope.type)
            decorated = {} if job_type is None else job_type.decorated
            known[envelope.type] = resolve(envelope.type, envelope.kind, decorated, settings).retry.spec
        return known[envelope.type]

    return retry_of


def followers(session: Session, subscriptions: Iterable[Subscription]) -> list[Follower]:
    """One for each durable listener."""
    holder = f"{socket.gethostname()[:40]}.{os.getpid()}.{secrets.token_hex(4)}"
    return [
        Follower(each.durable, each, session.store, session.clock, holder=holder)
        for each in subscriptions
        if each.durable is not None
    ]
