"""Cron: each instant of an entry is fired once, in one write with its job, its history and its next state."""

import asyncio
from typing import Any

import msgspec
import pytest

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.schedule import CronSpec, fire_id
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.ports.backend import Keep
from aiojobs_engine.ports.cron import (
    HISTORY_KEPT,
    ON_TIME,
    UNSEEN_AFTER,
    CronEntry,
    CronFire,
    CronRecord,
    Fire,
    Fired,
    FireOutcome,
)
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

NAME = "nightly"
SCHEDULERS = 6


def entry(stage: Stage, name: str = NAME, *, expression: str = "* * * * *", **fields: Any) -> CronEntry:
    """An entry that fires a job of the type `work` each minute, with what `fields` change."""
    job = stage.envelope("", created_at=Instant(0))
    return CronEntry(name=name, spec=CronSpec(expression=expression), job=job, **fields)


def fire(stage: Stage, of: CronEntry, at: Instant, **fields: Any) -> Fire:
    """A fire of an entry, with its job."""
    job = stage.envelope(fire_id(of.name, at))
    given: dict[str, Any] = {"name": of.name, "revision": of.revision, "at": at, "job": job, **fields}
    return Fire(**given)


async def put(stage: Stage, **fields: Any) -> CronEntry:
    """A new entry."""
    made = entry(stage, **fields)
    assert await stage.backend.put_crons([made]) == [True]
    return made


async def fired(stage: Stage, *fires: Fire) -> list[FireOutcome]:
    """What became of fires."""
    return [answer.outcome for answer in await stage.backend.fire(fires)]


async def record(stage: Stage, name: str = NAME) -> CronRecord:
    """A stored entry."""
    return {each.entry.name: each for each in await stage.backend.crons()}[name]


async def history(stage: Stage, name: str = NAME) -> list[CronFire]:
    """All that is kept of the fires of an entry."""
    return (await stage.backend.cron_history(name, 1000, None))[0]


class CronContract(Contract):
    """`CronStore`."""

    async def test_a_new_cron_entry_is_enabled_and_settled_up_to_now(self, stage: Stage) -> None:
        made = await put(stage, missed="all", missed_within=60.0, overlap="queue", environments=("a", "b"))

        now = stage.clock.now()
        assert await record(stage) == CronRecord(
            entry=made,
            revision=made.revision,
            is_enabled=True,
            settled_to=now,
            seen_at=now,
            last=None,
        )

    async def test_cron_entries_are_read_by_name(self, stage: Stage) -> None:
        await stage.backend.put_crons([entry(stage, name) for name in ("b", "a", "c")])

        assert [each.entry.name for each in await stage.backend.crons()] == ["a", "b", "c"]

    async def test_a_fire_stores_its_job_history_and_next_state_together(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)
        await stage.clock.advance(61)

        answers = await stage.backend.fire([fire(stage, made, at)])

        assert answers == [Fired(FireOutcome.FIRED, at)]
        job_id = fire_id(NAME, at)
        told = CronFire(
            name=NAME, at=at, fired_at=stage.clock.now(), outcome=FireOutcome.FIRED, job_id=job_id
        )
        assert await history(stage) == [told]
        stored = await record(stage)
        assert (stored.settled_to, stored.last) == (at, told)
        assert (await stage.told(job_id), await stage.is_at(job_id)) == (["JobCreated"], [Status.PENDING])
        assert (await stage.take_one()).envelope.id == job_id

    async def test_an_instant_is_fired_once_however_often_it_is_asked_for(self, stage: Stage) -> None:
        made, at = await put(stage, overlap="queue"), stage.after(60)

        outcomes = await fired(stage, fire(stage, made, at), fire(stage, made, at))
        outcomes += await fired(stage, fire(stage, made, at))

        assert outcomes == [FireOutcome.FIRED, FireOutcome.SETTLED, FireOutcome.SETTLED]
        assert len(await history(stage)) == len(await stage.all_jobs()) == 1

    async def test_of_many_schedulers_one_fires(self, stage: Stage) -> None:
        made, at = await put(stage, overlap="queue"), stage.after(60)
        ask = fire(stage, made, at)

        outcomes = await asyncio.gather(*[fired(stage, ask) for _ in range(SCHEDULERS)])

        assert sorted(outcomes) == [[FireOutcome.FIRED]] + [[FireOutcome.SETTLED]] * (SCHEDULERS - 1)

    async def test_an_instant_is_not_fired_again_when_its_job_is_long_gone(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)
        await fired(stage, fire(stage, made, at))
        await stage.settle(await stage.take_one(), Status.COMPLETED)
        assert await stage.backend.prune([Keep(tuple(FINAL), 0.0, 0)], 10) == [fire_id(NAME, at)]

        assert await fired(stage, fire(stage, made, at)) == [FireOutcome.SETTLED]

        assert await stage.all_jobs() == []

    async def test_an_instant_before_a_settled_one_is_not_fired_any_more(self, stage: Stage) -> None:
        made = await put(stage, overlap="queue")
        late = fire(stage, made, stage.after(60))
        await fired(stage, fire(stage, made, stage.after(120)))

        assert await stage.backend.fire([late]) == [Fired(FireOutcome.SETTLED, stage.after(120))]

    async def test_a_job_that_is_there_already_is_kept_and_the_instant_settled(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)
        await stage.put(fire_id(NAME, at), priority=7)

        assert await fired(stage, fire(stage, made, at)) == [FireOutcome.FIRED]

        assert (await stage.status(fire_id(NAME, at))).priority == 7
        assert (await record(stage)).settled_to == at

    async def test_a_fire_of_many_entries_answers_in_order_each_for_itself(self, stage: Stage) -> None:
        first, second = await put(stage), await put(stage, name="b")
        at = stage.after(60)
        unknown = entry(stage, "unknown")
        await stage.backend.enable_crons(["b"], is_enabled=False)

        answers = await stage.backend.fire([fire(stage, each, at) for each in (unknown, second, first)])

        assert answers == [
            Fired(FireOutcome.REFUSED, Instant(0)),
            Fired(FireOutcome.REFUSED, stage.clock.now()),
            Fired(FireOutcome.FIRED, at),
        ]
        assert [job.id for job in await stage.all_jobs()] == [fire_id(NAME, at)]

    async def test_a_fire_with_the_overlap_skip_is_skipped_while_its_last_job_goes_on(
        self, stage: Stage
    ) -> None:
        made = await put(stage, overlap="skip")
        first, second, third = (stage.after(60 * number) for number in (1, 2, 3))
        await fired(stage, fire(stage, made, first))
        claim = await stage.take_one()

        assert await fired(stage, fire(stage, made, second)) == [FireOutcome.SKIPPED]
        await stage.settle(claim, Status.COMPLETED)
        assert await fired(stage, fire(stage, made, third)) == [FireOutcome.FIRED]

        assert [(each.at, each.outcome, each.job_id) for each in await history(stage)] == [
            (third, FireOutcome.FIRED, fire_id(NAME, third)),
            (second, FireOutcome.SKIPPED, None),
            (first, FireOutcome.FIRED, fire_id(NAME, first)),
        ]

    async def test_two_fires_of_one_write_overlap_too(self, stage: Stage) -> None:
        made = await put(stage, overlap="skip")

        outcomes = await fired(stage, *[fire(stage, made, stage.after(60 * number)) for number in (1, 2)])

        assert outcomes == [FireOutcome.FIRED, FireOutcome.SKIPPED]

    async def test_a_fire_with_the_overlap_queue_waits_behind(self, stage: Stage) -> None:
        made = await put(stage, overlap="queue")

        outcomes = await fired(stage, *[fire(stage, made, stage.after(60 * number)) for number in (1, 2)])

        assert outcomes == [FireOutcome.FIRED] * 2
        claims = await stage.take()
        assert [claim.envelope.id for claim in claims] == [
            fire_id(NAME, stage.after(60 * number)) for number in (1, 2)
        ]

    async def test_a_fire_with_the_overlap_cancel_running_cancels_what_goes_on(self, stage: Stage) -> None:
        made = await put(stage, overlap="cancel_running")
        ids = [fire_id(NAME, stage.after(60 * number)) for number in (1, 2, 3)]
        await fired(stage, fire(stage, made, stage.after(60)))
        claim = await stage.take_one()

        await fired(stage, fire(stage, made, stage.after(120)))
        await fired(stage, fire(stage, made, stage.after(180)))

        (told,) = await stage.backend.extend([claim.lease], 30.0)
        assert told.cancelling
        assert await stage.is_at(*ids) == [Status.PROCESSING, Status.CANCELLED, Status.PENDING]

    async def test_a_fire_without_a_job_passes_its_instant_over_as_missed(self, stage: Stage) -> None:
        made, first, at = await put(stage), stage.after(60), stage.after(120)

        ask = fire(stage, made, at, job=None, missed_from=first)
        assert await stage.backend.fire([ask]) == [Fired(FireOutcome.MISSED, at)]

        (told,) = await history(stage)
        assert (told.outcome, told.at, told.missed_from, told.job_id) == (
            FireOutcome.MISSED,
            at,
            first,
            None,
        )
        assert await stage.all_jobs() == []

    async def test_a_fire_by_hand_leaves_the_schedule_alone(self, stage: Stage) -> None:
        made = await put(stage, overlap="skip")
        await stage.backend.enable_crons([NAME], is_enabled=False)
        before = await record(stage)
        asks = [
            fire(stage, made, stage.after(60), job=stage.envelope(job_id), by_hand=True) for job_id in "ab"
        ]

        assert await fired(stage, *asks) == [FireOutcome.BY_HAND] * 2

        after = await record(stage)
        assert (after.settled_to, after.is_enabled) == (before.settled_to, False)
        assert await stage.is_at("a", "b") == [Status.PENDING] * 2
        assert [each.job_id for each in await history(stage)] == ["b", "a"]

    async def test_a_disabled_entry_refuses_until_it_is_enabled_and_then_goes_on_from_now(
        self, stage: Stage
    ) -> None:
        made, at = await put(stage), stage.after(60)

        assert await stage.backend.enable_crons([NAME, "unknown"], is_enabled=False) == [True, False]
        assert await fired(stage, fire(stage, made, at)) == [FireOutcome.REFUSED]
        await stage.clock.advance(90)
        assert await stage.backend.enable_crons([NAME], is_enabled=True) == [True]

        assert await fired(stage, fire(stage, made, at)) == [FireOutcome.SETTLED]
        assert await fired(stage, fire(stage, made, stage.after(30))) == [FireOutcome.FIRED]

    async def test_to_enable_what_is_enabled_changes_nothing(self, stage: Stage) -> None:
        await put(stage)
        before, version = await record(stage), await stage.backend.crons_version()
        await stage.clock.advance(90)

        assert await stage.backend.enable_crons([NAME], is_enabled=True) == [True]

        assert (await record(stage), await stage.backend.crons_version()) == (before, version)

    async def test_a_changed_entry_refuses_the_fires_of_the_old_one(self, stage: Stage) -> None:
        old, at = await put(stage), stage.after(60)
        new = await put(stage, expression="*/5 * * * *")

        assert await fired(stage, fire(stage, old, at)) == [FireOutcome.REFUSED]
        assert await fired(stage, fire(stage, new, at)) == [FireOutcome.FIRED]

    async def test_a_changed_entry_makes_up_for_no_more_than_what_is_on_time(self, stage: Stage) -> None:
        await put(stage)
        await stage.clock.advance(3600)

        await put(stage, expression="*/5 * * * *")

        assert (await record(stage)).settled_to == stage.after(-ON_TIME)

    async def test_a_changed_entry_keeps_its_history_and_whether_it_is_enabled(self, stage: Stage) -> None:
        made = await put(stage)
        await fired(stage, fire(stage, made, stage.after(60)))
        await stage.backend.enable_crons([NAME], is_enabled=False)

        await put(stage, expression="*/5 * * * *")

        assert not (await record(stage)).is_enabled
        assert (await record(stage)).settled_to == stage.after(60)
        assert len(await history(stage)) == 1

    async def test_the_same_entry_again_is_announced_and_nothing_else(self, stage: Stage) -> None:
        await put(stage)
        before, version = await record(stage), await stage.backend.crons_version()
        await stage.clock.advance(20)

        await put(stage)

        assert await record(stage) == msgspec.structs.replace(before, seen_at=stage.clock.now())
        assert await stage.backend.crons_version() == version

    async def test_another_entry_gives_way_only_when_nobody_announces_it_any_more(self, stage: Stage) -> None:
        await put(stage, is_code=True)
        other = entry(stage, expression="*/5 * * * *", is_code=True)

        await stage.clock.advance(UNSEEN_AFTER - 1)
        assert await stage.backend.put_crons([other], takes_over=False) == [False]
        await stage.clock.advance(2)
        assert await stage.backend.put_crons([other], takes_over=False) == [True]

        assert (await record(stage)).entry == other

    async def test_entries_in_code_and_added_ones_do_not_replace_each_other(self, stage: Stage) -> None:
        made = await put(stage, is_code=True)

        assert await stage.backend.put_crons([entry(stage), entry(stage, "b")]) == [False, True]

        assert (await record(stage)).entry == made

    async def test_a_removed_entry_leaves_its_jobs_and_nothing_else(self, stage: Stage) -> None:
        made, at = await put(stage), stage.after(60)
        await fired(stage, fire(stage, made, at))

        assert await stage.backend.remove_crons([NAME, "unknown"]) == [True, False]

        assert (await stage.backend.crons(), await history(stage)) == ([], [])
        assert await fired(stage, fire(stage, made, stage.after(120))) == [FireOutcome.REFUSED]
        assert await stage.is_at(fire_id(NAME, at)) == [Status.PENDING]

    async def test_the_version_tells_every_change_of_entries_and_no_fire(self, stage: Stage) -> None:
        seen = [await stage.backend.crons_version()]
        made = await put(stage)
        seen.append(await stage.backend.crons_version())
        await put(stage, expression="*/5 * * * *")
        seen.append(await stage.backend.crons_version())
        await stage.backend.enable_crons([NAME], is_enabled=False)
        seen.append(await stage.backend.crons_version())
        await fired(stage, fire(stage, made, stage.after(60)))
        assert await stage.backend.crons_version() == seen[-1]
        await stage.backend.remove_crons([NAME])
        seen.append(await stage.backend.crons_version())

        assert len(set(seen)) == 5

    async def test_the_history_keeps_the_newest_fires_of_each_entry(self, stage: Stage) -> None:
        made, other = await put(stage, overlap="queue"), await put(stage, name="b", overlap="queue")
        await fired(stage, fire(stage, other, stage.after(60)))
        ats = [stage.after(60 * number) for number in range(1, HISTORY_KEPT + 6)]
        for start in range(0, len(ats), 50):
            await fired(stage, *[fire(stage, made, at) for at in ats[start : start + 50]])

        assert [each.at for each in await history(stage)] == ats[: -HISTORY_KEPT - 1 : -1]
        assert len(await history(stage, "b")) == 1

    async def test_the_history_is_read_page_by_page(self, stage: Stage) -> None:
        made = await put(stage, overlap="queue")
        await fired(stage, *[fire(stage, made, stage.after(60 * number)) for number in range(1, 6)])

        pages: list[list[CronFire]] = []
        cursor: str | None = None
        while not pages or cursor is not None:
            page, cursor = await stage.backend.cron_history(NAME, 2, cursor)
            pages.append(page)

        assert [len(page) for page in pages] == [2, 2, 1]
        assert [each for page in pages for each in page] == await history(stage)
        with pytest.raises(ConfigError, match="no cursor"):
            await stage.backend.cron_history(NAME, 2, "x")
