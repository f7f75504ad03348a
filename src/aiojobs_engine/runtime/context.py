"""What a handler sees of its own run."""

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sized,
)
from contextvars import ContextVar
from logging import Logger, LoggerAdapter
from typing import Any, TypeVar

import msgspec

from aiojobs_engine.core.codec import encode_plain
from aiojobs_engine.core.errors import ConfigError, EngineError
from aiojobs_engine.core.events import JobProgressed, event_of
from aiojobs_engine.core.limits import checked_count, checked_message, shortened
from aiojobs_engine.core.outcome import RowsKept
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, JobStatus, UserId
from aiojobs_engine.ports.backend import Claim, Record
from aiojobs_engine.runtime.iterating import Build, CursorT, Rows, each_of, iterated
from aiojobs_engine.runtime.offload import in_its_place
from aiojobs_engine.runtime.run_port import RunPort

_PROGRESS_PER_SECOND = 4

T = TypeVar("T")


class JobContext:
    """The first parameter of a handler that wants to know about its run.

    Attributes:
        stopping: whether the worker shuts down, or the job is to pause: the next `checkpoint` of a long
            handler hands the job back.
        pausing: whether that is because the job is to pause.
    """

    __slots__ = (
        "_claim",
        "_counters",
        "_cursor",
        "_logger",
        "_message",
        "_port",
        "_rows",
        "_shown_at",
        "pausing",
        "rows_kept",
        "stopping",
    )

    def __init__(self, claim: Claim, port: RunPort) -> None:
        """Belong to the run of `claim`."""
        self._claim = claim
        self._port = port
        self._counters = claim.counters
        self._message: str | None = None
        self._cursor = claim.cursor
        self._rows: Rows | None = None
        self._logger: LoggerAdapter[Logger] | None = None
        self._shown_at = float("-inf")
        self.rows_kept: RowsKept | None = None
        self.stopping = False
        self.pausing = False

    @property
    def id(self) -> str:
        """The job's id."""
        return self._claim.envelope.id

    @property
    def type(self) -> str:
        """The name of the job type."""
        return self._claim.envelope.type

    @property
    def queue(self) -> str:
        """The queue that the job came from."""
        return self._claim.envelope.queue

    @property
    def attempt(self) -> int:
        """1 on the first run; counted attempts before this one, plus 1."""
        return self._claim.attempts + 1

    @property
    def crashes(self) -> int:
        """How many workers died while they ran this job."""
        return self._claim.crashes

    @property
    def user_id(self) -> UserId | None:
        """Whose job it is, as given at the dispatch."""
        return self._claim.envelope.user_id

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the dispatcher put beside the arguments; not to be changed."""
        return self._claim.envelope.meta

    @property
    def tags(self) -> tuple[str, ...]:
        """The job's tags."""
        return self._claim.envelope.tags

    @property
    def token(self) -> int:
        """Rises by one per claim of this job: pass it to systems that should refuse a stale run."""
        return self._claim.lease.token

    @property
    def idempotency_key(self) -> str:
        """The same in all attempts and after retries by hand: pass it to systems that should act once."""
        return self._claim.envelope.id

    @property
    def engine(self) -> Any:
        """The engine, to dispatch more jobs."""
        return self._port.engine

    @property
    def batch(self) -> Any:
        """The `BatchHandle` of the batch that the job is a member of, to add more members; None without."""
        batch_id = self._claim.envelope.parent_id
        return None if batch_id is None else self._port.engine.batch_handle(batch_id)

    async def formers(self) -> list[JobStatus]:
        """The jobs that this one came after, in the order given, with their results and errors.

        Those that are not stored any more are left out, and a result is None once its `result_ttl` is over.
        """
        ids = [need.job_id for need in self._claim.envelope.needs]
        found: list[JobStatus | None] = await self._port.engine.store.get(ids) if ids else []
        return [job for job in found if job is not None]

    @property
    def resources(self) -> Any:
        """What `@engine.resources` yielded in this worker process, None without."""
        return self._port.resources

    @property
    def logger(self) -> "LoggerAdapter[Logger]":
        """A logger whose records carry `job_id`, `job_type` and `attempt`."""
        if self._logger is None:
            extra = {"job_id": self.id, "job_type": self.type, "attempt": self.attempt}
            self._logger = LoggerAdapter(self._port.logger, extra)
        return self._logger

    @property
    def cursor(self) -> Any:
        """What the last attempt gave to `checkpoint`, as plain JSON data; None on a fresh start."""
        return None if not self._cursor else msgspec.json.decode(self._cursor)

    @property
    def part(self) -> Any:
        """Which part of an export this call makes, as its `parts=` named it; None elsewhere."""
        return None

    def progress(
        self, processed: int, total: int | None = None, message: str | None = None
    ) -> Awaitable[None]:
        """Say how far the job is; shown and stored at most four times a second, the last one always.

        Await it in the loop; in the thread of a plain function it is done when the call returns.

        Args:
            processed: things done so far in this job, at least 0; counts as succeeded.
            total: things there are; left out, the last total stays. Never below `processed`.
            message: cut to 16,384 characters.

        Raises:
            LeaseLostError: another worker holds the job now.
            ConfigError: a number is negative or no whole number, or the message is no text.
        """
        return in_its_place(self.tell, processed, total, message)

    async def tell(self, processed: int, total: int | None = None, message: str | None = None) -> None:
        """What `progress` does, in the loop; for job types of the engine, not for handlers."""
        done = checked_count(processed, "processed")
        known = self._counters.total if total is None else checked_count(total, "total")
        self._message = self._message if message is None else checked_message(message)
        counters = Counters(done, 0, 0, max(known, done))
        await self._show(counters, is_last=total is not None and done >= known)

    async def _show(self, counters: Counters, *, is_last: bool) -> None:
        self._counters = counters
        now = self._port.monotonic()
        if now - self._shown_at >= 1 / _PROGRESS_PER_SECOND or is_last:
            self._shown_at = now
            await self._port.record(self._report())

    def checkpoint(self, value: Any) -> Awaitable[None]:
        """Keep `value` (JSON data), and the progress so far, for the next attempt.

        Where the worker stops or the job is to pause, this call doesn't return: the job goes back with no
        attempt counted and starts again with `ctx.cursor == value`. The job's deadline starts anew. Await it
        in the loop; in the thread of a plain function it is done when the call returns.

        Raises:
            PayloadError: the value is no plain JSON data, or takes more than `limits.payload_bytes`.
            LeaseLostError: another worker holds the job now.
            ConfigError: this call of an importer has reported rows; `track` keeps the place there.
        """
        return in_its_place(self.keep, value)

    async def keep(self, value: Any) -> None:
        """What `checkpoint` does, in the loop; for job types of the engine, not for handlers."""
        if self._rows is not None and self._rows.has_reports:
            raise ConfigError(
                "a checkpoint would forget the rows that ctx.fail_row reported before it; "
                "go through the rows by ctx.track, which keeps the place by itself"
            )
        self._cursor = encode_plain(value, "the checkpoint", self._port.settings.limits.payload_bytes)
        await self._port.record(self._report(self._cursor))
        self._port.touch(self._claim)
        if self.stopping:
            raise StopAtCheckpoint

    async def track(
        self, items: Iterable[T] | AsyncIterable[T], total: int | None = None
    ) -> AsyncIterator[T]:
        """The same items, with one `progress` each; without `total` it is their number where they know it.

        Over the rows of an importer, in their order, each one is counted as it is done: where the worker
        stops, or the job is paused or cancelled, the loop ends the run between two rows, and the next run
        begins behind them.
        """
        if self._rows is not None:
            async for item in self._tracked(items, self._rows):
                yield item
            return
        if total is None and isinstance(items, Sized):
            total = len(items)
        count = 0
        async for item in each_of(items):
            yield item
            count += 1
            await self.tell(count, total)

    async def _tracked(self, items: Iterable[T] | AsyncIterable[T], rows: Rows) -> AsyncIterator[T]:
        async for item in each_of(items):
            rows.begin(item)
            yield item
            counters = rows.end()
            if counters is None:
                continue
            if self._claim.envelope.parent_id is None:
                await self._show(counters, is_last=counters.processed >= counters.total)
            if self.stopping:
                raise StopAtCheckpoint

    def iterate(self, build: Build[CursorT, T], total: int | None = None) -> AsyncIterator[T]:
        """Items of a long job, which goes on where it was: `async for item in ctx.iterate(build)`.

        The place is kept about once a second, between items, and the progress with it. Where the worker stops
        or the job is to pause, the loop ends the run there; the next one, also after a crash or a failure,
        begins behind the last item whose place was kept. So an item may come again, and none is left out.

        Args:
            build: gives, from a cursor on (None is the beginning), pairs of an item and the cursor behind it,
                plainly or asynchronously. The annotation of its parameter says of what type cursors are.
            total: how many items there are in all, the earlier ones too.

        Raises:
            PayloadError: a cursor would not come back equal.
            ConfigError: `build` gives no pairs, or a cursor None.
            LeaseLostError: another worker holds the job now.
        """
        return iterated(self, build, total)

    @property
    def processed(self) -> int:
        """How many things the last checkpoint counted, at the start of this run."""
        return self._claim.counters.processed

    def monotonic(self) -> float:
        """Seconds of the engine's clock, for durations."""
        return self._port.monotonic()

    def fail_row(self, row: object, message: str, *, field: str | None = None) -> None:
        """Report a row of this chunk that can't be used; the others go on.

        Raises:
            ConfigError: this job has no rows, or `row` is none of them.
        """
        if self._rows is None:
            raise ConfigError("ctx.fail_row is for the rows of an importer; this job has none")
        self._rows.fail(row, message, field)

    def takes_rows(self, rows: Rows) -> None:
        """Tell `rows` what the handler says of its rows; for job types of the engine, not for handlers."""
        self._rows = rows

    @property
    def is_between_rows(self) -> bool:
        """Whether the handler takes rows one by one, so that it ends by itself when it is asked to."""
        return self._rows is not None and self._rows.is_under_way

    @property
    def claim(self) -> Claim:
        """The claim of this run; for job types of the engine, not for handlers."""
        return self._claim

    @property
    def port(self) -> RunPort:
        """The worker around this run; for job types of the engine, not for handlers."""
        return self._port

    @property
    def final_counters(self) -> Counters | None:
        """The progress to settle with; None when the handler reported none."""
        return None if self._counters is self._claim.counters else self._counters

    @property
    def message(self) -> str | None:
        """The last message given to `progress`, masked."""
        return self._message and shortened(self._port.settings.masker.text(self._message))

    def _report(self, cursor: bytes | None = None) -> Record:
        claim, message = self._claim, self.message
        event = event_of(
            JobProgressed,
            claim.envelope,
            Status.PROCESSING,
            self._counters,
            self.attempt,
            self._port.now(),
            message,
        )
        return Record(lease=claim.lease, counters=self._counters, message=message, cursor=cursor, event=event)


class StopAtCheckpoint(BaseException):
    """Ends a run that checkpointed while its worker stops, or its job is to pause."""


_current: ContextVar[JobContext | None] = ContextVar("aiojobs_engine_job", default=None)


def job_here() -> JobContext | None:
    """The context of the job that runs in this task or thread, None elsewhere."""
    return _current.get()


def current_job() -> JobContext:
    """The context of the job that runs in this task or thread.

    Raises:
        EngineError: no job runs here.
    """
    context = _current.get()
    if context is None:
        raise NoCurrentJob("current_job() works inside a handler only")
    return context


def job_of(task: "asyncio.Task[Any]") -> Claim | None:
    """The claim of the job that a task works for, also one that the handler started; from any thread.

    None for other tasks, and before Python 3.12, where a task doesn't tell its context.
    """
    get_context = getattr(task, "get_context", None)
    context = None if get_context is None else get_context().get(_current)
    return None if context is None else context.claim


def enter_context(context: JobContext) -> None:
    """Make `context` the current one for the rest of the task."""
    _current.set(context)


class NoCurrentJob(EngineError):
    """`current_job()` was called outside of a handler."""


Middleware = Callable[[JobContext, Callable[[], Awaitable[Any]]], Awaitable[Any]]
