"""The execution log: one record per run, masked, written beside the worker in batches."""

import asyncio
import hashlib
import hmac
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from anyio import to_thread

from aiojobs_engine.core.config import ExecutionLogSettings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.masking import Masker
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import UserId
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.observer import Execution, ListenerLoad, Load

logger = logging.getLogger(__name__)

QUEUE = 10_000
"""How many runs wait to be written; the oldest give way."""

_BATCH = 500
_QUIET = 60.0
_CLOSING = 10.0
_CRON = "cron:"

_encode = msgspec.json.Encoder(order="deterministic").encode


class ExecutionError(msgspec.Struct, frozen=True):
    """Why a run failed, masked; `reason` says why no further one follows."""

    type: str
    message: str
    reason: str | None = None


class ExecutionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one job.

    Attributes:
        execution_id: unique; the job's id and the token of the run.
        name: of the cron entry, or of the job type.
        source: what stored the job.
        status: the job's, after this run.
        retry: the policy in force.
        payload: the arguments, masked; cut ones are text.
        payload_hash: SHA-256 in hex, of the masked payload, or with `hash_secret` keyed and of the whole one.
        duration: seconds.
        output: the result as masked JSON text, cut; `output_length` counts the bytes of all of it.
    """

    execution_id: str
    job_id: str
    name: str
    type: str
    kind: str
    queue: str
    source: Literal["queue", "cron"]
    attempt: int
    status: Status
    user_id: UserId | None
    retry: RetrySpec
    payload: Any
    payload_hash: str
    started_at: datetime
    ended_at: datetime
    duration: float
    output: str | None
    output_length: int
    error: ExecutionError | None


ExecutionHandler = Callable[[Sequence[ExecutionRecord]], Awaitable[object]]
"""Takes records in the order of their ends; what it raises is logged, and those records are lost to it."""


class ExecutionLog:
    """Takes settled runs on the loop, makes records in a thread, and hands them to handlers.

    Attributes:
        dropped: runs that gave way because writing was too slow.
        failed: batches that a handler raised at, by its name.
    """

    name = "execution-log"

    def __init__(
        self,
        handlers: Mapping[str, ExecutionHandler],
        settings: ExecutionLogSettings,
        masker: Masker,
        clock: Clock,
        retry_of: Callable[[Envelope], RetrySpec],
    ) -> None:
        """Write to `handlers`; `retry_of` says which policy a job of this worker has."""
        self._retry_of = retry_of
        self._handlers = dict(handlers)
        self._settings = settings
        self._masker = masker
        self._clock = clock
        self._waiting: deque[Execution] = deque(maxlen=QUEUE)
        self._wake = Wake(clock)
        self._told_at = float("-inf")
        self._writing: asyncio.Task[None] | None = None
        self.dropped = 0
        self.failed: dict[str, int] = {}
        self._errors: Counter[str] = Counter()

    def fetched(self, claims: Sequence[Claim], seconds: float) -> None:
        """Do nothing."""

    def sampled(self, load: Load) -> None:
        """Do nothing."""

    def lagged(self, seconds: float) -> None:
        """Do nothing."""

    def settled(self, executions: Sequence[Execution], seconds: float) -> None:
        """Take runs over that the store settled; never waits."""
        del seconds
        waiting = self._waiting
        ended = [each for each in executions if each.accepted and _has_run(each)]
        over = len(waiting) + len(ended) - QUEUE
        if over > 0:
            if not self.dropped:
                logger.warning("the execution log is too slow; runs are dropped from it")
            self.dropped += over
        waiting.extend(ended)
        self._wake.set()

    def fired(self, name: str, seconds: float) -> None:
        """Do nothing."""

    @property
    def load(self) -> ListenerLoad:
        """How writing keeps up; failures are batches that a handler raised at."""
        return ListenerLoad(dropped=self.dropped, waiting=len(self._waiting), failed=dict(self._errors))

    async def prepare(self) -> None:
        """Do nothing: files and tables are made with the first record."""

    async def run(self) -> None:
        """Write until cancelled; a batch under way is written to its end, see `finish`."""
        while True:
            while self._waiting:
                await asyncio.shield(self._begin())
            await self._wake.wait()

    async def finish(self, *, catches_up: bool) -> None:
        """Write what is left, for at most 10 seconds."""
        del catches_up
        timer = self._clock.call_later(_CLOSING, self._cut_off)
        try:
            while (writing := self._writing) is not None or self._waiting:
                await asyncio.wait([writing or self._begin()])
        finally:
            timer.cancel()

    def _begin(self) -> asyncio.Task[None]:
        """Write a batch in a task of its own, so that being cancelled neither loses nor repeats it."""
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        loop = asyncio.get_running_loop()
        self._writing = loop.create_task(self._write(batch), name="aiojobs:execution-log-batch")
        return self._writing

    def _cut_off(self) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()
        logger.error("the execution log took too long at the end; what is left is not written")
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self, batch: Sequence[Execution]) -> None:
        try:
            records = await to_thread.run_sync(self._records, batch)
            for name, handler in self._handlers.items():
                try:
                    await handler(records)
                except Exception as error:  # noqa: BLE001 - a full disk must not stop the worker
                    self._note_failure(name, error)
        finally:
            self._writing = None

    def _note_failure(self, name: str, error: Exception) -> None:
        self.failed[name] = self.failed.get(name, 0) + 1
        self._errors[type(error).__qualname__] += 1
        now = self._clock.monotonic()
        if now - self._told_at >= _QUIET:
            self._told_at = now
            logger.error(
                "the execution log can't write to %s, %d batches so far: %s", name, self.failed[name], error
            )

    def _records(self, batch: Sequence[Execution]) -> list[ExecutionRecord]:
        return [record_of(each, self._settings, self._masker, self._retry_of) for each in batch]


def _has_run(execution: Execution) -> bool:
    """Whether a handler saw the job; one that went back before it began has not run."""
    return execution.seconds is not None or execution.settlement.attempts > execution.claim.attempts


def record_of(
    execution: Execution,
    settings: ExecutionLogSettings,
    masker: Masker,
    retry_of: Callable[[Envelope], RetrySpec],
) -> ExecutionRecord:
    """What the log says of one run."""
    claim, settlement = execution.claim, execution.settlement
    envelope, error = claim.envelope, settlement.error
    payload = masker.encoded(envelope.payload)
    shown = _encode(payload)
    ended_at = settlement.event.at
    seconds = execution.seconds
    if seconds is None:
        seconds = max(0, ended_at - claim.started_at) / 1000
    started_at = Instant(ended_at - round(seconds * 1000))
    entry = _cron_name(envelope.id)
    return ExecutionRecord(
        execution_id=f"{envelope.id}.{claim.lease.token}",
        job_id=envelope.id,
        name=entry or envelope.type,
        type=envelope.type,
        kind=envelope.kind,
        queue=envelope.queue,
        source="queue" if entry is None else "cron",
        attempt=claim.attempts + 1,
        status=settlement.status,
        user_id=envelope.user_id,
        retry=envelope.retry or retry_of(envelope),
        payload=payload if len(shown) <= settings.payload_chars else _cut(shown, settings.payload_chars),
        payload_hash=_hashed(envelope.payload, shown, settings.hash_secret),
        started_at=moment(started_at),
        ended_at=moment(ended_at),
        duration=round(seconds, 6),
        output=_output(settlement.result, settings.output_chars, masker),
        output_length=len(settlement.result or b""),
        error=None if error is None else ExecutionError(error.type, error.message, error.reason),
    )


def _cron_name(job_id: str) -> str | None:
    """The entry in `cron:{name}:{instant}`."""
    if not job_id.startswith(_CRON):
        return None
    return job_id.removeprefix(_CRON).rpartition(":")[0] or None


def _output(result: bytes | None, limit: int, masker: Masker) -> str | None:
    return None if result is None else _cut(_encode(masker.encoded(result)), limit)


def _cut(encoded: bytes, limit: int) -> str:
    text = encoded.decode()
    return text if len(text) <= limit else f"{text[:limit]}... {len(text) - limit:,} more"


def _hashed(payload: msgspec.Raw, shown: bytes, secret: str | None) -> str:
    if secret is None:
        return hashlib.sha256(shown).hexdigest()
    canonical = _encode(msgspec.json.decode(payload))
    return hmac.new(secret.encode(), canonical, hashlib.sha256).hexdigest()
