"""The SQLite store without an engine: enqueue, then claim and settle in batches, beside a bare loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import msgspec
from harness import bare
from harness.figures import Figure, Options, Scenario, figure, main, share_below

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobCompleted, event_of
from aiojobs_engine.core.instant import later
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Claim, Settlement, Watch
from aiojobs_engine.runtime.system_clock import SystemClock

BATCHES = (50, 100, 200)
_SPIN = 0.002
_BUSY_SHARE = 10
_WATCH = Watch("bench", ("default",), ("empty",))
_CLOCK = SystemClock()


async def measure(options: Options) -> list[Figure]:
    """Each round does every batch size and the bare loop once, in turn."""
    enqueued: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    drained: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    cpu: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    inserts: list[float] = []
    drains: list[float] = []
    waits: list[float] = []
    for _ in range(options.repeats):
        for batch in BATCHES:
            async with _new_store() as store:
                enqueued[batch].append(await _enqueue(store, options.jobs, batch))
                rate, micros = await _drain(store, options.jobs, batch)
                drained[batch].append(rate)
                cpu[batch].append(micros)
        async with _new_store() as store:
            waits += await _claims_beside_a_busy_loop(store, options.jobs // _BUSY_SHARE)
        with TemporaryDirectory() as folder:
            inserts.append(bare.insert_per_second(Path(folder), options.jobs))
            drains.append(bare.drain_per_second(Path(folder), options.jobs))
    milliseconds = [wait * 1000 for wait in waits]
    return [
        *[figure(f"enqueue, batches of {batch}", enqueued[batch], "jobs/s") for batch in BATCHES],
        figure("enqueue in batches of 200, over a bare loop's 1,000", _over(enqueued[200], inserts), "x"),
        *[figure(f"claim and settle, batches of {batch}", drained[batch], "jobs/s") for batch in BATCHES],
        figure("claim and settle in batches of 100, over a bare loop's", _over(drained[100], drains), "x"),
        *[figure(f"CPU of claim and settle, batches of {batch}", cpu[batch], "µs") for batch in BATCHES],
        figure("claim of 100 beside a busy loop, median", [share_below(milliseconds, 0.5)], "ms"),
        figure("claim of 100 beside a busy loop, p99", [share_below(milliseconds, 0.99)], "ms"),
    ]


@asynccontextmanager
async def _new_store() -> AsyncIterator[SqliteBackend]:
    with TemporaryDirectory() as folder:
        store = SqliteBackend(Path(folder) / "jobs.db", clock=_CLOCK)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


async def _enqueue(store: SqliteBackend, jobs: int, batch: int) -> float:
    started = time.perf_counter()
    for first in range(0, jobs, batch):
        await store.enqueue([_envelope(number) for number in range(first, min(jobs, first + batch))])
    return jobs / (time.perf_counter() - started)


async def _drain(store: SqliteBackend, jobs: int, batch: int) -> tuple[float, float]:
    """Jobs per second, and CPU per job in µs, of one caller that claims a batch and settles it."""
    started, cpu = time.perf_counter(), time.process_time()
    settled = 0
    while claims := await store.claim(_WATCH, batch, 30.0):
        settled += sum(await store.settle([_settlement(claim) for claim in claims]))
    assert settled == jobs
    return jobs / (time.perf_counter() - started), (time.process_time() - cpu) / jobs * 1e6


async def _claims_beside_a_busy_loop(store: SqliteBackend, jobs: int) -> list[float]:
    """Seconds per claim of 100 while other tasks of the loop compute for 2 ms at a time."""
    await _enqueue(store, jobs, 200)
    waits: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_compute)
        while True:
            started = time.perf_counter()
            claims = await store.claim(_WATCH, 100, 30.0)
            waits.append(time.perf_counter() - started)
            if not claims:
                break
        group.cancel_scope.cancel()
    return waits


async def _compute() -> None:
    while True:
        until = time.perf_counter() + _SPIN
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


def _envelope(number: int) -> Envelope:
    payload = msgspec.Raw(b'{"n":%d}' % number)
    return Envelope(id=f"01J{number:023d}", type="empty", payload=payload, created_at=_CLOCK.now())


def _settlement(claim: Claim) -> Settlement:
    now = _CLOCK.now()
    return Settlement(
        lease=claim.lease,
        status=Status.COMPLETED,
        attempts=claim.attempts + 1,
        crashes=claim.crashes,
        result=b"null",
        result_until=later(now, 3600),
        event=event_of(JobCompleted, claim.envelope, Status.COMPLETED, claim.counters, 1, now),
    )


def _over(ours: list[float], loops: list[float]) -> list[float]:
    return [one / loop for one, loop in zip(ours, loops, strict=True)]


SCENARIO = Scenario(
    name="sqlite_store",
    about="One caller on an SQLite store with full durability: results, events and retention index as usual.",
    measure=measure,
    options=Options(jobs=20_000, repeats=5),
    quick=Options(jobs=5_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
