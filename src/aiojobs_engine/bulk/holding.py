"""Imports that are paused: their chunks are held and let go again, a page at a time."""

from collections.abc import Awaitable, Callable, Sequence

from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.inspector import JobFilter

_PAGE = 500
_OPEN = (Status.PENDING, Status.SCHEDULED, Status.RETRYING, Status.PROCESSING)
_HELD = (Status.PAUSED, Status.PROCESSING)


async def hold_chunks(store: Store, job_id: str) -> int:
    """Pause the chunks of a bulk job, and those that run between two rows or at their end; how many."""
    return await _each(store, job_id, _OPEN, store.pause)


async def release_chunks(store: Store, job_id: str) -> int:
    """Let the paused chunks of a bulk job run again, and those go on that were to pause; how many."""
    return await _each(store, job_id, _HELD, store.resume)


async def _each(
    store: Store,
    job_id: str,
    status: tuple[Status, ...],
    act: Callable[[Sequence[str]], Awaitable[list[bool]]],
) -> int:
    chosen = JobFilter(parent_id=job_id, status=status)
    count = 0
    after: str | None = None
    while True:
        page, after = await store.find(chosen, _PAGE, after)
        count += sum(await act([job.id for job in page]))
        if after is None:
            return count
