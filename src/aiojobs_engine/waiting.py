"""Waiting for results: one reader of the stream for all who wait, and a bound on how long each does."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from math import isnan
from types import TracebackType

from aiojobs_engine.core.errors import BackendClosed, BackendUnavailable, ConfigError, JobNotFound
from aiojobs_engine.core.events import TERMINAL_EVENTS
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.events.stream import Tail
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock, Timer
from aiojobs_engine.ports.inspector import Result
from aiojobs_engine.runtime.batcher import Batcher
from aiojobs_engine.runtime.outage import Outage
from aiojobs_engine.runtime.task_group import join, start

logger = logging.getLogger(__name__)

_PAUSE = 0.5
_LOOK_AGAIN = 30.0
_HINT_AFTER = 5.0
_MOST_LOOKED_AT = 100
_SILENT_MS = 30_000


class Follower:
    """Waits for the ends of jobs without asking again and again.

    A waiter is registered before the stored state is read, and the reader's place in the stream is taken
    before that, so no end can fall in between. The reader runs while somebody waits. Every 30 s it lets all
    waiters look for themselves, since jobs that are deleted leave no event.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        """Read from `store`; nothing is read before the first `result`."""
        self._store = store
        self._clock = clock
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._reads: Batcher[str, Result | None] = Batcher(self._read)
        self._reader: asyncio.Task[None] | None = None
        self._placed: asyncio.Future[None] | None = None
        self._outage = Outage(clock, "results are waited for until it answers again")
        self._is_closed = False

    async def look(self, job_id: str) -> Result:
        """The job's stored state, read together with those of other callers.

        Raises:
            JobNotFound: it is not stored.
        """
        found = await self._reads.submit(job_id)
        if found is None:
            raise JobNotFound(job_id)
        return found

    async def result(self, job_id: str) -> Result:
        """The job's state as soon as it is final. Cancelling leaves nothing behind.

        Raises:
            JobNotFound: it is not stored, or was deleted meanwhile.
            BackendClosed: the engine was closed meanwhile.
        """
        found = await self.look(job_id)
        while found.status not in FINAL:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(job_id, set()).add(future)
            try:
                await self._start_reading()
                found = await self._look_patiently(job_id)
                if found.status not in FINAL:
                    await future
                    found = await self._look_patiently(job_id)
            finally:
                self._forget(job_id, future)
        return found

    async def close(self) -> None:
        """Stop reading; those who still wait get `BackendClosed`."""
        self._is_closed = True
        if self._reader is not None:
            self._reader.cancel()
            await join(self._reader)
        for future in self._futures(list(self._waiters)):
            future.set_exception(BackendClosed("the engine was closed while somebody waited for a result"))
        await self._reads.close()

    async def _read(self, ids: Sequence[str]) -> Sequence[Result | None]:
        return await self._store.results(ids)

    async def _look_patiently(self, job_id: str) -> Result:
        while True:
            try:
                found = await self.look(job_id)
            except BackendUnavailable as error:
                self._outage.note(error)
                await self._clock.sleep(_PAUSE)
            else:
                self._outage.over()
                return found

    def _forget(self, job_id: str, future: asyncio.Future[None]) -> None:
        waiting = self._waiters.get(job_id, set())
        waiting.discard(future)
        if not waiting:
            self._waiters.pop(job_id, None)

    async def _start_reading(self) -> None:
        if self._is_closed:
            raise BackendClosed("the engine is closed")
        if self._reader is None or self._placed is None:
            self._placed = asyncio.get_running_loop().create_future()
            self._reader = start(self._follow(self._placed), "aiojobs:follower")
        await asyncio.shield(self._placed)
        if self._is_closed:
            raise BackendClosed("the engine was closed while somebody waited for a result")

    async def _follow(self, placed: asyncio.Future[None]) -> None:
        try:
            tail = Tail(self._store, self._clock, await self._place())
            placed.set_result(None)
            began_at = looked_at = self._clock.monotonic()
            has_hinted = False
            while self._waiters:
                ended = {event.job_id for event in await tail.batch() if isinstance(event, TERMINAL_EVENTS)}
                self._tell(ended & self._waiters.keys())
                if self._clock.monotonic() - looked_at >= _LOOK_AGAIN:
                    looked_at = self._clock.monotonic()
                    self._tell(list(self._waiters))
                if tail.is_caught_up and self._waiters:
                    await tail.wait(_LOOK_AGAIN if has_hinted else _HINT_AFTER)
                if not has_hinted and self._clock.monotonic() - began_at >= _HINT_AFTER:
                    has_hinted = True
                    await self._hint()
        except Exception:
            logger.exception("the reader of ends of jobs failed; those who wait look for themselves")
            await self._clock.sleep(_PAUSE)
            self._tell(list(self._waiters))
        finally:
            self._reader = None
            if not placed.done():
                placed.set_result(None)

    async def _hint(self) -> None:
        """Say so when somebody waits for jobs of queues that no worker serves."""
        try:
            jobs = await self._store.get(list(self._waiters)[:_MOST_LOOKED_AT])
            workers = await self._store.workers()
        except BackendUnavailable as error:
            self._outage.note(error)
            return
        alive = [worker for worker in workers if self._clock.now() - worker.beat_at <= _SILENT_MS]
        served = {queue for worker in alive for queue in worker.queues}
        waiting = {job.queue for job in jobs if job is not None and job.status not in FINAL}
        for queue in sorted(waiting - served):
            logger.warning(
                "somebody waits for a job in queue %r, which no worker serves; start one with "
                "`aiojobs-engine worker`, or open the engine with `engine.running()`",
                queue,
            )

    async def _place(self) -> str:
        while True:
            try:
                return await self._store.tail()
            except BackendUnavailable as error:
                self._outage.note(error)
                await self._clock.sleep(_PAUSE)

    def _tell(self, ids: Iterable[str]) -> None:
        for future in self._futures(ids):
            future.set_result(None)

    def _futures(self, ids: Iterable[str]) -> list[asyncio.Future[None]]:
        return [future for job_id in ids for future in self._waiters.get(job_id, ()) if not future.done()]


def checked_timeout(timeout: float) -> float:
    """`timeout` itself.

    Raises:
        ConfigError: it is no number.
    """
    if not isinstance(timeout, int | float) or isnan(timeout):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"timeout is a number of seconds or None, got {timeout!r:.80}")
    return timeout


class Deadline:
    """`async with Deadline(...):` raises `TimeoutError` when its body takes longer; None is no bound."""

    __slots__ = ("_before", "_clock", "_is_over", "_seconds", "_task", "_timer", "_what")

    def __init__(self, clock: Clock, seconds: float | None, what: str) -> None:
        """Bound the body; `what` says in the error what did not happen in time."""
        self._clock = clock
        self._seconds = seconds
        self._what = what
        self._is_over = False
        self._timer: Timer | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0
        if self._seconds is not None:
            self._timer = self._clock.call_later(max(0.0, self._seconds), self._end)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_over and self._task is not None:
            is_ours = self._task.uncancel() <= self._before
            if is_ours and isinstance(error, asyncio.CancelledError):
                raise TimeoutError(f"{self._what} within {self._seconds:g} s") from error

    def _end(self) -> None:
        self._is_over = True
        if self._task is not None:
            self._task.cancel()
