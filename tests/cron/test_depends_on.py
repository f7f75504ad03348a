"""Entries that fire only when others have done well, with any number of schedulers."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, JobRegistry, Retry, Status
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant, instant, moment
from aiojobs_engine.core.schedule import CronSpec, fire_id
from aiojobs_engine.ports.backend import Claim, Keep
from aiojobs_engine.ports.cron import CronEntry, Fire
from aiojobs_engine.runtime.scheduler import Scheduler
from aiojobs_engine.testing import TestEngine
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
WAITED = "skipped: waits for extract"


def entry(name: str, *depends_on: str, expression: str = "*/5 * * * *", **fields: Any) -> CronEntry:
    job = Envelope(id="", type="work", payload=msgspec.Raw(b"{}"), created_at=Instant(0))
    given: dict[str, Any] = {"overlap": "queue", "depends_on": depends_on, **fields}
    return CronEntry(name=name, spec=CronSpec(expression=expression), job=job, **given)


class Stand(Stage):
    """A store on which one entry, `load`, depends on another, `extract`."""

    def __init__(self, backend: Any, clock: ManualClock) -> None:
        super().__init__(backend, clock)
        self.runs: dict[str, Claim] = {}

    def scheduler(self, **options: Any) -> Scheduler:
        return Scheduler(self.backend, self.clock, **options)

    async def scheduling(self, *entries: CronEntry) -> Scheduler:
        """A scheduler that fires these entries from now on."""
        await self.backend.put_crons(entries)
        scheduler = self.scheduler()
        await self.tick(0, scheduler)
        return scheduler

    async def tick(self, minutes: float, *schedulers: Scheduler) -> None:
        await self.clock.advance(60 * minutes)
        await asyncio.gather(*[each.tick() for each in schedulers])

    async def outcomes(self, name: str = "load") -> list[str]:
        found, _ = await self.backend.cron_history(name, 1000, None)
        return [
            f"{moment(each.at):%H:%M} {each.outcome}"
            + (f": waits for {each.waits_for}" if each.waits_for else "")
            for each in reversed(found)
        ]

    async def end(self, name: str, minute: int, status: Status = Status.COMPLETED) -> None:
        """End a run; the other jobs that can be claimed run meanwhile."""
        self.runs |= {claim.envelope.id: claim for claim in await self.take()}
        assert await self.settle(self.runs.pop(self.id(name, minute)), status)

    async def end_all(self) -> list[str]:
        """Complete all runs, and those that can be claimed; which."""
        self.runs |= {claim.envelope.id: claim for claim in await self.take()}
        for claim in self.runs.values():
            assert await self.settle(claim, Status.COMPLETED)
        ended, self.runs = list(self.runs), {}
        return ended

    def id(self, name: str, minute: int) -> str:
        return fire_id(name, instant(NEW_YEAR + timedelta(minutes=minute)))


@pytest.fixture
def stand(opened: tuple[Any, ManualClock]) -> Stand:
    return Stand(*opened)


@pytest.mark.parametrize("number", [1, 6])
async def test_its_job_starts_when_that_of_the_same_instant_has_completed(stand: Stand, number: int) -> None:
    await stand.backend.put_crons([entry("extract"), entry("load", "extract")])
    schedulers = [stand.scheduler() for _ in range(number)]
    await stand.tick(0, *schedulers)

    await stand.tick(5, *schedulers)
    await stand.tick(1 / 60, *schedulers)
    assert await stand.is_at(stand.id("extract", 5), stand.id("load", 5)) == [Status.PENDING, Status.WAITING]
    await stand.end("extract", 5)

    assert await stand.is_at(stand.id("load", 5)) == [Status.PENDING]
    assert await stand.outcomes() == ["00:05 fired"]


async def test_a_chain_of_entries_fires_in_its_order_whatever_their_names_are(stand: Stand) -> None:
    scheduler = await stand.scheduling(entry("c"), entry("b", "c"), entry("a", "b", "c"))

    await stand.tick(5, scheduler)

    assert [await stand.end_all() for _ in range(3)] == [[stand.id(name, 5)] for name in "cba"]


@pytest.mark.seed("DJ-195")
async def test_it_does_not_start_when_that_fails_and_is_skipped_until_that_does_well(stand: Stand) -> None:
    scheduler = await stand.scheduling(
        entry("extract", expression="5,15 * * * *"), entry("load", "extract", expression="*/5 * * * *")
    )
    await stand.tick(5, scheduler)

    await stand.end("extract", 5, Status.FAILED)
    assert await stand.is_at(stand.id("load", 5)) == [Status.CANCELLED]
    await stand.tick(5, scheduler)
    assert await stand.outcomes() == ["00:05 fired", f"00:10 {WAITED}"]

    await stand.backend.retry([stand.id("extract", 5)])
    await stand.end("extract", 5)
    await stand.tick(5, scheduler)
    await stand.end("extract", 15)
    await stand.tick(5, scheduler)

    assert (await stand.outcomes())[2:] == ["00:15 fired", "00:20 fired"]
    assert await stand.is_at(stand.id("load", 20)) == [Status.PENDING]


async def test_it_waits_for_the_newest_fire_when_that_has_no_fire_of_its_own_instant(stand: Stand) -> None:
    scheduler = await stand.scheduling(
        entry("extract", expression="0 0 2 * *"), entry("load", "extract", expression="30 0,1 * * *")
    )
    await stand.tick(30, scheduler)
    assert await stand.outcomes() == [f"00:30 {WAITED}"]
    await stand.tick(60, scheduler)

    await stand.tick(60 * 22.5, scheduler)
    await stand.tick(30, scheduler)
    assert (await stand.outcomes())[2:] == ["00:30 fired"]
    assert await stand.is_at(stand.id("load", 1470)) == [Status.WAITING]
    await stand.end("extract", 1440)
    await stand.end_all()
    await stand.tick(60, scheduler)

    assert await stand.is_at(stand.id("load", 1530)) == [Status.PENDING]


async def test_it_waits_for_other_schedulers_to_fire_what_it_depends_on(stand: Stand) -> None:
    await stand.backend.put_crons(
        [entry("extract", environments=("elsewhere",)), entry("load", "extract", missed="one")]
    )
    here, there = stand.scheduler(), stand.scheduler(environment="elsewhere")
    await stand.tick(0, here, there)

    await stand.tick(5, here)
    await stand.tick(1 / 60, here)
    assert await stand.outcomes() == []
    await there.tick()
    await here.tick()

    assert await stand.outcomes() == ["00:05 fired"]
    assert await stand.is_at(stand.id("load", 5)) == [Status.WAITING]


async def test_what_a_person_fired_counts(stand: Stand) -> None:
    scheduler = await stand.scheduling(entry("extract", expression="5 0 * * *"), entry("load", "extract"))
    await stand.tick(5, scheduler)
    await stand.end("extract", 5, Status.FAILED)
    (record, _) = await stand.backend.crons()

    await stand.clock.advance(60)
    again = stand.envelope("by-hand")
    await stand.backend.fire([_by_hand(record.entry, record.revision, again, stand.clock.now())])
    await stand.settle(await stand.take_one(), Status.COMPLETED)
    await stand.tick(4, scheduler)

    assert await stand.outcomes() == ["00:05 fired", "00:10 fired"]


async def test_a_job_that_is_no_longer_stored_counts_as_completed(stand: Stand) -> None:
    scheduler = await stand.scheduling(entry("extract", expression="5 0 * * *"), entry("load", "extract"))
    await stand.tick(5, scheduler)
    await stand.end("extract", 5)
    await stand.end_all()
    await stand.backend.prune([Keep((Status.COMPLETED,), 0.0, 0)], 10)

    await stand.tick(5, scheduler)

    assert await stand.outcomes() == ["00:05 fired", "00:10 fired"]
    assert await stand.is_at(stand.id("load", 10)) == [Status.PENDING]


@pytest.mark.parametrize("how", ["disabled", "unknown", "missed"])
async def test_it_is_skipped_when_that_does_not_fire(stand: Stand, how: str) -> None:
    entries = [entry("load", "extract"), entry("extract", missed="skip", expression="1 * * * *")]
    await stand.backend.put_crons(entries[: 1 if how == "unknown" else 2])
    if how == "disabled":
        await stand.backend.enable_crons(["extract"], is_enabled=False)
    scheduler = stand.scheduler()

    await stand.tick(5, scheduler)

    assert await stand.outcomes() == [f"00:05 {WAITED}"]


async def test_an_instant_that_was_skipped_as_overlap_waits_for_the_run_that_goes_on(stand: Stand) -> None:
    scheduler = await stand.scheduling(entry("extract", overlap="skip"), entry("load", "extract"))
    await stand.tick(5, scheduler)
    await stand.tick(5, scheduler)

    assert await stand.outcomes("extract") == ["00:05 fired", "00:10 skipped"]
    assert await stand.is_at(stand.id("load", 5), stand.id("load", 10)) == [Status.WAITING] * 2
    await stand.end("extract", 5)

    assert await stand.is_at(stand.id("load", 5), stand.id("load", 10)) == [Status.PENDING] * 2


async def test_entries_in_a_circle_fire_never_and_say_so(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    await stand.backend.put_crons([entry("a", "b"), entry("b", "a"), entry("c", "a"), entry("d")])
    scheduler = stand.scheduler()

    with caplog.at_level(logging.ERROR):
        await stand.tick(0, scheduler)
        await stand.tick(5, scheduler)

    assert [len(await stand.outcomes(name)) for name in "abcd"] == [0, 0, 0, 1]
    assert scheduler.broken == {
        "a": "it waits for itself: a waits for b waits for a",
        "b": "it waits for itself: b waits for a waits for b",
    }


async def test_ten_schedulers_fire_each_instant_of_dependent_entries_once(stand: Stand) -> None:
    names = ["a", "b", "c"]
    await stand.backend.put_crons([entry("c"), entry("a", "c"), entry("b", "a", "c")])
    schedulers = [stand.scheduler() for _ in range(10)]
    await stand.tick(0, *schedulers)

    for _ in range(12):
        await stand.tick(5, *schedulers)
        await stand.tick(1 / 60, *schedulers)
        for _ in range(3):
            await stand.end_all()

    for name in names:
        assert await stand.outcomes(name) == [
            f"{moment(instant(NEW_YEAR + timedelta(minutes=5 * each))):%H:%M} fired" for each in range(1, 13)
        ]
    assert {job.status for job in await stand.all_jobs()} == {Status.COMPLETED}


def _by_hand(of: CronEntry, revision: str, job: Envelope, at: Instant) -> Fire:
    return Fire(name=of.name, revision=revision, at=at, job=job, by_hand=True)


# --- as users have it


async def test_a_test_of_a_user_sees_the_order_and_the_reason() -> None:
    engine = Engine("memory://", config={"listeners": {"log": False}})
    seen: list[str] = []
    fails = True

    @engine.cron("0 3 * * *", name="extract", retry=Retry.none())
    async def extract() -> None:
        seen.append("extract")
        if fails:
            raise ValueError("no source")

    @engine.cron("0 3,4 * * *", name="load", depends_on="extract")
    async def load() -> None:
        seen.append("load")

    async with TestEngine(engine, start=NEW_YEAR) as t:
        await t.advance(5 * 3600)
        runs = (await engine.cron.history("load")).items
        assert [(run.outcome, run.waits_for, run.status) for run in runs] == [
            ("skipped", "extract", None),
            ("fired", None, Status.CANCELLED),
        ]
        fails = False
        await t.advance(24 * 3600)
        assert seen == ["extract", "extract", "load", "load"]


async def test_the_desk_refuses_what_can_never_fire_and_says_what_holds_an_entry_back() -> None:
    engine = Engine("memory://", clock=ManualClock(), config={"listeners": {"log": False}})

    @engine.job(name="work")
    async def work() -> None: ...

    async with engine:
        await engine.cron.add("extract", "@daily", work)
        added = await engine.cron.add("load", "@daily", work, depends_on=["extract"])
        assert (added.depends_on, added.problem) == (("extract",), None)
        with pytest.raises(ConfigError, match=r"depends on 'extrakt', which is no entry.*'extract'"):
            await engine.cron.add("other", "@daily", work, depends_on="extrakt")
        with pytest.raises(ConfigError, match="extract waits for load waits for extract"):
            await engine.cron.add("extract", "@daily", work, depends_on="load")
        await engine.cron.disable("extract")
        problems = {each.name: each.problem async for each in engine.cron.list()}
        assert problems == {"extract": None, "load": "it waits for 'extract', which is disabled"}
        await engine.cron.remove("extract")
        assert (await engine.cron.list()).items[0].problem == "it waits for 'extract', which is no entry"


def test_entries_in_code_that_wait_for_themselves_are_refused() -> None:
    registry = JobRegistry()

    @registry.cron("@daily", name="a", depends_on="b")
    async def first() -> None: ...

    with pytest.raises(ConfigError, match="b waits for a waits for b"):

        @registry.cron("@daily", name="b", depends_on=["a"])
        async def second() -> None: ...

    with pytest.raises(ConfigError, match="c waits for c"):

        @registry.cron("@daily", name="c", depends_on="c")
        async def third() -> None: ...

    with pytest.raises(ConfigError, match="depends_on must be a list of names"):
        registry.cron("@daily", depends_on=7)  # type: ignore[arg-type]
