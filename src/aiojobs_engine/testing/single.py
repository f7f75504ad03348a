"""One attempt of one job, apart from all others: the real worker on a store of its own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import JobFailedError, PayloadError
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.state import Status
from aiojobs_engine.engine import Engine
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.registry import JobRegistry, JobType
from aiojobs_engine.runtime.worker import Worker

R = TypeVar("R")

_QUEUE = "run"


async def prepared(
    engine: Engine, job_type: JobType[..., R], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Job[R]:
    """The job of one call; what an importer reads is stored."""
    if isinstance(job_type, ImportType):
        job: Job[Any] = await job_type.prepared(
            engine.storage, engine.settings, engine.clock.now(), args, kwargs
        )
        return job
    return job_type.job(*args, **kwargs)


async def run_alone(engine: Engine, clock: Clock, job: Job[R], job_type: JobType[..., R]) -> Any:
    """What the handler returned, carried as the store would carry it; what it raised is raised itself."""
    raised: list[BaseException] = []

    async def watch(context: JobContext, call_next: Callable[[], Awaitable[Any]]) -> Any:
        del context
        try:
            return await call_next()
        except BaseException as error:
            raised.append(error)
            raise

    registry = JobRegistry(clock)
    registry.add(job_type)
    store = MemoryBackend(clock=clock)
    await store.open()
    worker = Worker(
        store,
        registry,
        engine.settings,
        clock,
        engine=engine,
        storage=engine.storage,
        resources=engine.entered_by_workers,
        middleware=(watch, *engine.wrapping_runs),
        queues=(_QUEUE,),
        concurrency=1,
        burst=True,
        await_retries=False,
    )
    payload = msgspec.Raw(job.payload)
    envelope = Envelope(
        id=job.id, type=job.type, kind=job.kind, payload=payload, created_at=clock.now(), queue=_QUEUE
    )
    await store.enqueue([envelope])
    await worker.run()
    if raised:
        raise raised[0]
    (found,) = await store.results([job.id])
    await store.close()
    if found is None or found.status not in (Status.COMPLETED, Status.PARTIAL) or found.error is not None:
        detail = "" if found is None or found.error is None else found.error.message
        unfit = found is not None and found.status is Status.COMPLETED
        raise PayloadError(detail) if unfit else JobFailedError(job.id, detail)
    return job_type.results.decode(found.result)
