"""Schedulers without a leader: each instant once, whoever lives, sleeps, or sees the clock jump."""

import asyncio
import logging
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant, instant, moment
from aiojobs_engine.core.schedule import CronSpec, Schedule, fire_id
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import JobFilter, Keep
from aiojobs_engine.ports.cron import CronEntry, CronFire, Fire, Fired, FireOutcome
from aiojobs_engine.runtime.scheduler import Scheduler
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.faults import FaultyBackend

HOUR = 3600.0
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
IS_CI = os.environ.get("AIOJOBS_CI") == "1"


def entry(
    name: str = "nightly", expression: str = "*/5 * * * *", tz: str = "UTC", **fields: Any
) -> CronEntry:
    job = Envelope(id="", type="work", payload=msgspec.Raw(b"{}"), created_at=Instant(0))
    spec = CronSpec(expression=expression, tz=tz, jitter=fields.pop("jitter", 0.0))
    return CronEntry(name=name, spec=spec, job=job, **{"overlap": "queue", **fields})


class Stand:
    """A store, its clock, and any number of schedulers."""

    def __init__(self, store: Any, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock

    def scheduler(self, **options: Any) -> Scheduler:
        return Scheduler(self.store, self.clock, **options)

    async def history(self, name: str = "nightly") -> list[CronFire]:
        found: list[CronFire] = (await self.store.cron_history(name, 1000, None))[0]
        return found[::-1]

    async def outcomes(self, name: str = "nightly") -> list[tuple[str, str]]:
        return [(f"{moment(each.at):%H:%M}", str(each.outcome)) for each in await self.history(name)]

    async def ids(self) -> list[str]:
        return [job.id for job in (await self.store.find(JobFilter(), 1000, None))[0]]


@pytest.fixture
def stand(opened: tuple[Any, ManualClock]) -> Stand:
    return Stand(*opened)


@pytest.mark.seed("DJ-193")
@pytest.mark.case("C1")
@pytest.mark.parametrize("number", [2, 10])
async def test_any_number_of_schedulers_fires_each_instant_of_an_hour_once(stand: Stand, number: int) -> None:
    await stand.store.put_crons([entry(), entry("often", "* * * * *", "Europe/Berlin", jitter=20.0)])
    schedulers = [stand.scheduler() for _ in range(number)]

    for _ in range(120):
        await stand.clock.advance(30)
        await asyncio.gather(*[scheduler.tick() for scheduler in schedulers])

    ats = [moment(each.at) for each in await stand.history()]
    assert ats == [NEW_YEAR + timedelta(minutes=5 * each) for each in range(1, 13)]
    assert len(await stand.history("often")) == 60
    assert len(await stand.ids()) == len(set(await stand.ids())) == 72


@pytest.mark.case("C1")
async def test_schedulers_sleep_from_fire_to_fire_and_hear_of_changes_within_a_second(stand: Stand) -> None:
    tasks = [asyncio.get_running_loop().create_task(stand.scheduler().run()) for _ in range(2)]
    await stand.clock.advance(10)

    await stand.store.put_crons([entry(expression="*/15 * * * * *")])
    await stand.clock.advance(50)

    assert [f"{moment(each.fired_at):%S.%f}" for each in await stand.history()] == [
        f"{second:02}.000000" for second in (15, 30, 45, 0)
    ]
    for task in tasks:
        task.cancel()


@pytest.mark.case("C2")
async def test_a_scheduler_that_stood_still_for_long_fires_nothing_again(stand: Stand) -> None:
    await stand.store.put_crons([entry()])
    slow, quick = stand.scheduler(), stand.scheduler()
    await slow.tick()
    for _ in range(6):
        await stand.clock.advance(300)
        await quick.tick()

    await slow.tick()

    assert await stand.outcomes() == [(f"00:{minute:02}", "fired") for minute in range(5, 35, 5)]


@pytest.mark.case("C3")
@pytest.mark.parametrize("after", [False, True])
async def test_a_fire_whose_answer_is_lost_is_asked_for_again_and_fires_once(*, after: bool) -> None:
    clock = ManualClock()
    store = FaultyBackend(MemoryBackend(clock=clock))
    await store.open()
    stand = Stand(store, clock)
    await store.put_crons([entry()])
    scheduler = stand.scheduler()
    await scheduler.tick()
    await clock.advance(300)
    store.fail("fire", after=after)

    with pytest.raises(Exception, match="on cue"):
        await scheduler.tick()
    await scheduler.tick()

    assert await stand.outcomes() == [("00:05", "fired")]


@pytest.mark.seed("DJ-192")
@pytest.mark.case("C6")
@pytest.mark.parametrize(
    "policy, expected",
    [
        ({"missed": "one"}, [("03:00", "fired")]),
        ({"missed": "skip"}, [("03:00", "missed")]),
        (
            {"missed": "all", "missed_within": 1200.0},
            [("02:45", "fired"), ("02:50", "fired"), ("02:55", "fired"), ("03:00", "fired")],
        ),
        ({"missed": "one", "missed_within": 30.0}, [("03:00", "missed")]),
    ],
)
async def test_what_was_missed_in_three_hours_is_made_up_for_by_the_policy(
    stand: Stand, policy: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    await stand.store.put_crons([entry(**policy)])
    await stand.clock.advance(3 * HOUR + 60)
    scheduler = stand.scheduler()

    await scheduler.tick()
    await scheduler.tick()

    assert await stand.outcomes() == expected
    (first, *_) = await stand.history()
    assert first.missed_from == instant(NEW_YEAR + timedelta(minutes=5))
    await stand.clock.advance(240)
    await scheduler.tick()
    assert (await stand.outcomes())[-1] == ("03:05", "fired")


@pytest.mark.case("C6")
async def test_a_fire_that_is_on_time_makes_up_for_all_that_were_missed(stand: Stand) -> None:
    await stand.store.put_crons([entry()])
    await stand.clock.advance(3 * HOUR + 5)

    await stand.scheduler().tick()

    (only,) = await stand.history()
    assert (moment(only.at).hour, only.missed_from) == (3, instant(NEW_YEAR + timedelta(minutes=5)))


@pytest.mark.case("C6")
async def test_a_thousand_missed_fires_are_made_up_for_in_portions(stand: Stand) -> None:
    await stand.store.put_crons([entry(expression="*/10 * * * * *", missed="all", missed_within=4 * HOUR)])
    await stand.clock.advance(3 * HOUR)

    await stand.scheduler().tick()

    counts = await stand.store.counts()
    assert sum(counts.values()) == 1080


@pytest.mark.case("C7")
async def test_a_clock_that_jumps_ahead_and_back_fires_no_instant_twice(stand: Stand) -> None:
    await stand.store.put_crons([entry()])
    scheduler = stand.scheduler()
    for _ in range(2):
        await stand.clock.advance(300)
        await scheduler.tick()

    true = stand.clock.now()
    stand.clock.set_wall(Instant(true + 600_000))
    await scheduler.tick()
    stand.clock.set_wall(true)
    for _ in range(4):
        await stand.clock.advance(300)
        await scheduler.tick()

    ats = [each.at for each in await stand.history()]
    assert len(ats) == len(set(ats))
    assert [time for time, _ in await stand.outcomes()] == ["00:05", "00:10", "00:20", "00:25", "00:30"]


@pytest.mark.case("C8")
async def test_an_entry_whose_zone_is_gone_disables_only_itself(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    await stand.store.put_crons([entry("broken", tz="Mars/Olympus"), entry()])
    scheduler = stand.scheduler()

    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await stand.clock.advance(300)
            await scheduler.tick()

    assert (len(await stand.history()), await stand.history("broken")) == (3, [])
    assert scheduler.broken.keys() == {"broken"}
    assert ["broken" in each.getMessage() for each in caplog.records] == [True]


@pytest.mark.case("C10")
async def test_an_entry_that_is_changed_when_it_is_due_fires_as_the_new_one(stand: Stand) -> None:
    await stand.store.put_crons([entry()])
    old = stand.scheduler()
    await old.tick()
    await stand.clock.advance(301)
    changed = msgspec.structs.replace(entry().job, queue="other")
    await stand.store.put_crons([msgspec.structs.replace(entry(), job=changed)])

    due = [followed.due(stand.clock.now()) for followed in old._followed.values()]
    assert [answer.outcome for answer in await stand.store.fire(due[0])] == [FireOutcome.REFUSED]
    await old.tick()

    assert await stand.outcomes() == [("00:05", "fired")]
    (job,) = await stand.store.get([fire_id("nightly", instant(NEW_YEAR + timedelta(minutes=5)))])
    assert job.queue == "other"


@pytest.mark.case("C10")
async def test_an_entry_that_fired_and_is_changed_then_does_not_fire_that_instant_again(stand: Stand) -> None:
    await stand.store.put_crons([entry()])
    scheduler = stand.scheduler()
    await stand.clock.advance(300)
    await scheduler.tick()
    await stand.store.put_crons([entry(expression="*/5 * * * *", missed="skip")])

    await scheduler.tick()

    assert await stand.outcomes() == [("00:05", "fired")]


async def test_code_that_nobody_runs_any_more_fires_no_more(stand: Stand) -> None:
    old, new = entry(is_code=True), entry(expression="*/20 * * * *", is_code=True)
    first, second, stranger = stand.scheduler(own=[old]), stand.scheduler(own=[new]), stand.scheduler()
    await first.announce()
    await second.announce()

    for _ in range(4):
        await stand.clock.advance(300)
        for scheduler in (first, second, stranger):
            await scheduler.tick()

    assert await stand.outcomes() == [("00:20", "fired")]


async def test_older_code_takes_over_again_when_the_newer_is_gone(stand: Stand) -> None:
    old, new = entry(is_code=True), entry(expression="*/20 * * * *", is_code=True)
    first, second = stand.scheduler(own=[old]), stand.scheduler(own=[new])
    await first.announce()
    await second.announce()
    await stand.clock.advance(100)

    await first.announce(takes_over=False)
    await stand.clock.advance(200)
    await first.tick()

    assert await stand.outcomes() == [("00:05", "fired")]


async def test_an_entry_of_an_environment_fires_only_there(stand: Stand) -> None:
    await stand.store.put_crons([entry(environments=("production",))])
    await stand.clock.advance(300)

    await stand.scheduler(environment="test").tick()
    await stand.scheduler().tick()
    assert await stand.history() == []
    await stand.scheduler(environment="production").tick()

    assert await stand.outcomes() == [("00:05", "fired")]


async def test_jitter_puts_a_job_off_and_leaves_its_instant(stand: Stand) -> None:
    await stand.store.put_crons([entry(jitter=120.0)])
    await stand.clock.advance(300)

    await stand.scheduler().tick()

    (told,) = await stand.history()
    (job,) = await stand.store.get([told.job_id])
    assert job.status is Status.SCHEDULED
    assert 0 < (job.scheduled_at - moment(told.at)).total_seconds() <= 120


async def test_an_instant_whose_job_was_pruned_long_ago_is_not_fired_again(stand: Stand) -> None:
    await stand.store.put_crons([entry()])
    await stand.clock.advance(300)
    await stand.scheduler().tick()
    (job_id,) = await stand.ids()
    await stand.store.cancel([job_id])
    await stand.store.prune([Keep((Status.CANCELLED,), 0.0, 0)], 10)

    await stand.scheduler().tick()

    assert await stand.ids() == []


# --- a year of ten schedulers


class Watched(MemoryBackend):
    """Counts what fired, and keeps no jobs."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock, max_events=100)
        self.fired: Counter[tuple[str, Instant]] = Counter()

    async def fire(self, fires: Any) -> list[Fired]:
        answers = await super().fire(fires)
        done: list[Fire] = [
            each for each, answer in zip(fires, answers, strict=True) if answer.outcome == FireOutcome.FIRED
        ]
        self.fired.update((each.name, each.at) for each in done)
        ids = [each.job.id for each in done if each.job]
        await self.cancel(ids)
        await self.delete(ids)
        return answers


YEAR_ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe"]
YEAR_ENTRIES = ["30 2 * * *", "15 1 * * 0", "0 0 1 * *", "@yearly", "5 1 * * mon-fri"]


async def test_ten_schedulers_fire_each_instant_of_a_year_once() -> None:
    clock = ManualClock(NEW_YEAR)
    store = Watched(clock)
    await store.open()
    expressions = [*YEAR_ENTRIES, "0 */12 * * *"] if IS_CI else YEAR_ENTRIES
    entries = [
        entry(f"{tz}.{number}".replace("/", "."), expression, tz)
        for tz in YEAR_ZONES
        for number, expression in enumerate(expressions)
    ]
    await store.put_crons(entries)
    schedulers = [Scheduler(store, clock) for _ in range(10)]
    end = instant(NEW_YEAR + timedelta(days=365))
    rng = Random(1)

    due: list[Instant | None] = [await scheduler.tick() for scheduler in schedulers]
    while (next_at := min(at for at in due if at is not None)) <= end:
        clock.set_wall(next_at)
        awake = rng.sample(range(10), rng.choice([1, 2, 10]))
        for number in awake:
            due[number] = await schedulers[number].tick()
        due = [next_at if at is None else at for at in due]
        for number, at in enumerate(due):
            if at is not None and at <= next_at:
                due[number] = await schedulers[number].tick()

    expected = {(each.name, at) for each in entries for at in _instants(Schedule(each.spec), end)}
    assert max(store.fired.values()) == 1
    assert {fired for fired in store.fired if fired[1] <= end} == expected


def _instants(schedule: Schedule, end: Instant) -> list[Instant]:
    found: list[Instant] = []
    at = schedule.next_fire(instant(NEW_YEAR))
    while at is not None and at <= end:
        found.append(at)
        at = schedule.next_fire(at)
    return found
