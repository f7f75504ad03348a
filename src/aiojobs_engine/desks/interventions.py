"""What can be done to one job by hand; each says why when the job's status doesn't allow it."""

from aiojobs_engine.bulk.holding import hold_chunks, release_chunks
from aiojobs_engine.core.errors import IllegalTransition, JobNotFound, TooLate
from aiojobs_engine.core.limits import is_name
from aiojobs_engine.core.state import FINAL, Status, Trigger
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.inspector import JobFilter


def checked_id(job_id: str) -> str:
    """`job_id` itself, when a job can have it.

    Raises:
        JobNotFound: it is no name, so no job does.
    """
    if not is_name(job_id):
        raise JobNotFound(job_id)
    return job_id


async def status_of(store: Store, job_id: str) -> JobStatus:
    """The job as it stands.

    Raises:
        JobNotFound: it is not stored.
    """
    (status,) = await store.get([checked_id(job_id)])
    if status is None:
        raise JobNotFound(job_id)
    return status


async def cancel(store: Store, job_id: str) -> None:
    """End a queued job at once, tell a running one; repeating it is fine.

    Raises:
        JobNotFound: it is not stored.
        TooLate: it had ended.
        IllegalTransition: it is a chunk, which is cancelled with its bulk job.
    """
    (met,) = await store.cancel([checked_id(job_id)])
    if met.before is None:
        raise JobNotFound(job_id)
    if not met.done:
        raise _refused(job_id, met.before, Trigger.CANCEL)


async def pause(store: Store, job_id: str) -> None:
    """Park a queued job; a running one stops at its next checkpoint, an import between rows.

    The chunks of an import, and parts of an export that are jobs of their own, are held.

    Raises:
        JobNotFound, TooLate, IllegalTransition: as in `cancel`.
    """
    (done,) = await store.pause([checked_id(job_id)])
    status = await status_of(store, job_id)
    if await _has_chunks(store, status):
        await hold_chunks(store, job_id)
        done = done or status.status is Status.WAITING
    if not done:
        raise _refused(job_id, status.status, Trigger.PAUSE)


async def resume(store: Store, job_id: str) -> None:
    """Make a paused job pending again.

    Raises:
        JobNotFound, TooLate, IllegalTransition: as in `cancel`.
    """
    (done,) = await store.resume([checked_id(job_id)])
    status = await status_of(store, job_id)
    if await _has_chunks(store, status):
        released = await release_chunks(store, job_id)
        done = done or released > 0
    if not done:
        raise _refused(job_id, status.status, Trigger.RESUME)


async def retry(store: Store, job_id: str) -> None:
    """Start a job that ended without success anew: same id, attempts from 0, `epoch` one more.

    Raises:
        JobNotFound: it is not stored.
        IllegalTransition: it has not ended, or it ended well, or it is a chunk.
    """
    (done,) = await store.retry([checked_id(job_id)])
    if not done:
        status = await status_of(store, job_id)
        raise IllegalTransition(job_id, status.status, Trigger.RETRY)


async def delete(store: Store, job_id: str) -> None:
    """Remove a job that nobody runs, with its failed rows and chunks.

    Raises:
        JobNotFound: it is not stored.
        IllegalTransition: it runs, or it is a chunk, which goes with its bulk job.
    """
    (done,) = await store.delete([checked_id(job_id)])
    if not done:
        status = await status_of(store, job_id)
        raise IllegalTransition(job_id, status.status, "delete")


async def _has_chunks(store: Store, status: JobStatus) -> bool:
    if status.parent_id is not None or not (status.strategy == "batch" or status.status is Status.WAITING):
        return False
    if status.kind != "export":
        return status.kind == "import"
    parts, _ = await store.find(JobFilter(parent_id=status.id), 1, None)  # only some exports have any
    return bool(parts)


def _refused(job_id: str, status: Status, trigger: Trigger) -> IllegalTransition:
    kind = TooLate if status in FINAL else IllegalTransition
    return kind(job_id, status, trigger)
