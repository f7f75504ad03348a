"""Dispatching inside a transaction of the application's own."""

from typing import Any

from aiojobs_engine.core.errors import ConfigError, DependencyNotFound, IdConflict
from aiojobs_engine.core.job import Job
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.ports.transactional import Transactional


async def dispatch_in(open_session: OpenSession, connection: object, job: Job[Any]) -> JobHandle[Any]:
    """Store a job in the transaction that is open on `connection`.

    Raises:
        ConfigError: the store can't do that, or not with this connection.
        DependencyNotFound, IdConflict, PayloadError, UnknownJobType: as in `Engine.dispatch`.
    """
    session = open_session()
    store = session.store
    if not isinstance(store, Transactional):
        raise ConfigError(
            f"{type(store).__name__} shares no database with the application; use an outbox and its relay"
        )
    envelope = session.templates.envelope(job) or await session.templates.looked_up(job)
    (answer,) = await store.enqueue_in(connection, [envelope])
    if answer.missing is not None:
        raise DependencyNotFound(answer.missing)
    if answer.conflict:
        raise IdConflict(answer.job_id)
    return JobHandle(answer.job_id, open_session, created=answer.created)
