"""Ten thousand schedules that are due at once, over as many bare enqueues, in CPU time of all threads."""

import time
from datetime import UTC, datetime

import msgspec
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import Place, new_place

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant, instant
from aiojobs_engine.core.schedule import CronSpec
from aiojobs_engine.ports.cron import CronEntry
from aiojobs_engine.runtime.scheduler import Scheduler
from aiojobs_engine.testing import ManualClock

START = datetime(2026, 1, 1, 11, 59, 30, tzinfo=UTC)
_SLICE = 1_000
_MICROSECONDS = 1e6


async def measure(options: Options) -> list[Figure]:
    """Each round stores the entries, lets their minute come, and fires; then it enqueues as many jobs."""
    above: list[float] = []
    firing: list[float] = []
    bare: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            bare.append(await _enqueue(place, options.jobs))
        with new_place() as place:
            firing.append(await _fire(place, options.jobs))
        above.append(firing[-1] - bare[-1])
    return [
        figure("CPU of a schedule that is due, above a bare enqueue", above, "µs", at_most=60),
        figure("CPU of a schedule that is due", firing, "µs"),
        figure("CPU of a bare enqueue", bare, "µs"),
    ]


async def _enqueue(place: Place, jobs: int) -> float:
    clock = ManualClock(START)
    store = SqliteBackend(place.database, clock=clock)
    await store.open()
    envelopes = [_job(f"job-{number}", clock.now()) for number in range(jobs)]
    started = time.process_time()
    for start in range(0, jobs, _SLICE):
        await store.enqueue(envelopes[start : start + _SLICE])
    seconds = time.process_time() - started
    await store.close()
    return seconds / jobs * _MICROSECONDS


async def _fire(place: Place, jobs: int) -> float:
    clock = ManualClock(START)
    store = SqliteBackend(place.database, clock=clock)
    await store.open()
    entries = [
        CronEntry(name=f"entry-{number}", spec=CronSpec(expression="0 12 * * *"), job=_job("", Instant(0)))
        for number in range(jobs)
    ]
    await store.put_crons(entries)
    scheduler = Scheduler(store, clock)
    await scheduler.tick()
    clock.set_wall(instant(START.replace(hour=12, minute=0, second=0)))
    started = time.process_time()
    await scheduler.tick()
    seconds = time.process_time() - started
    fired = sum((await store.counts()).values())
    await store.close()
    if fired != jobs:
        raise RuntimeError(f"{fired:,} of {jobs:,} schedules fired")
    return seconds / jobs * _MICROSECONDS


def _job(job_id: str, now: Instant) -> Envelope:
    return Envelope(id=job_id, type="empty", payload=msgspec.Raw(b'{"n":1}'), created_at=now)


SCENARIO = Scenario(
    name="crons",
    about="Schedules due in the same minute on one SQLite file, one scheduler, synchronous=FULL.",
    measure=measure,
    options=Options(jobs=10_000, repeats=5),
    quick=Options(jobs=2_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
