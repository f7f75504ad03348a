"""The dead letter desk: groups, filters, edits, replays at a rate."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, IllegalTransition, JobNotFound, PayloadError, Retry
from aiojobs_engine.core.instant import moment
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing import TestEngine as InTime

FAILING: set[int] = set()


@pytest.fixture(autouse=True)
def _all_fail() -> None:
    FAILING.clear()
    FAILING.update(range(10_000))


@pytest.fixture
def engine(engine: Engine) -> Engine:
    @engine.job(name="charge", retry=Retry.none())
    async def charge(number: int, word: str = "no") -> int:
        if number in FAILING:
            raise ValueError(f"{word} money for {number}")
        return number

    return engine


async def _die(engine: Engine, count: int, **arguments: Any) -> list[str]:
    charge = engine.registry.get("charge")
    handles = await engine.dispatch_many(
        charge.options(user_id=number, tags=[f"t{number % 2}"]).job(number=number, **arguments)
        for number in range(count)
    )
    await engine.worker(burst=True).run()
    return [handle.id for handle in handles]


@pytest.mark.seed("DJ-118", "DJ-119")
async def test_failures_that_are_alike_are_one_group(engine: Engine) -> None:
    async with engine:
        await _die(engine, 3)
        last = await _die(engine, 2, word="really no")

        first, second = await engine.dead.groups()
        assert (first.count, first.type, first.error, first.reason) == (
            3,
            "charge",
            "ValueError",
            "max_attempts",
        )
        assert (second.count, second.newest, second.message) == (2, last[-1], "really no money for 1")
        assert second.first_at is not None
        assert second.last_at is not None
        assert second.first_at <= second.last_at
        assert first.fingerprint != second.fingerprint
        assert await engine.dead.groups(queue="other") == []


async def test_filters_hold_for_lists_replays_and_purges(engine: Engine) -> None:
    async with engine:
        ids = await _die(engine, 4)
        other = await _die(engine, 1, word="other")
        mark = (await engine.dead.groups())[0].fingerprint
        soon = moment(engine.clock.now()) + timedelta(hours=1)

        assert [job.id async for job in engine.dead.list(fingerprint=mark)] == ids[::-1]
        assert [job.id async for job in engine.dead.list(fingerprint=mark, limit=1)] == ids[::-1]
        assert (await engine.dead.list(user_id=0, tag="t0")).items[0].id == other[0]
        assert [job.id async for job in engine.dead.list(since=soon)] == []
        assert len([job.id async for job in engine.dead.list(until=soon)]) == 5
        assert await engine.dead.purge(fingerprint=mark, tag="t1") == 2
        assert await engine.dead.replay(fingerprint=mark, limit=1) == 1
        assert await engine.dead.replay(fingerprint=mark) == 1
        assert len((await engine.dead.list()).items) == 1


@pytest.mark.parametrize("wrong", [{"since": datetime(2026, 1, 1)}, {"until": 7}, {"colour": "red"}])  # noqa: DTZ001
def test_a_wrong_filter_is_refused(engine: Engine, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        engine.dead.list(**wrong)


async def test_an_edited_job_runs_with_new_arguments_and_tells_where_it_comes_from(engine: Engine) -> None:
    async with engine:
        (dead,) = await _die(engine, 1)
        FAILING.remove(5)

        handle = await engine.dead.edit(dead, {"number": 5})
        await engine.worker(burst=True).run()

        assert handle.id != dead
        assert await handle.result() == 5
        job = await handle.status()
        assert (job.user_id, job.tags) == (0, ("t0",))
        origin = job.meta["edited_from"]
        assert (origin["id"], origin["arguments"]["number"]) == (dead, 0)
        assert origin["error"] == "ValueError: no money for 0"
        with pytest.raises(JobNotFound):
            await engine.jobs.get(dead)
        with pytest.raises(JobNotFound):
            await engine.dead.edit(dead, {"number": 5})


async def test_an_edit_that_does_not_fit_changes_nothing(engine: Engine) -> None:
    async with engine:
        (dead,) = await _die(engine, 1)

        with pytest.raises(PayloadError, match="nummer"):
            await engine.dead.edit(dead, {"nummer": 5})
        with pytest.raises(PayloadError, match="number"):
            await engine.dead.edit(dead, {"number": "five"})

        assert (await engine.dead.get(dead)).epoch == 0


async def test_a_member_of_a_batch_stays_where_it_is_counted(engine: Engine) -> None:
    charge = engine.registry.get("charge")
    async with engine:
        batch = await engine.dispatch(engine.batch([charge.job(number=1)]))
        await engine.worker(burst=True).run()
        (dead,) = (await engine.dead.list()).items

        handle = await engine.dead.edit(dead.id, {"number": 2})

        assert (await handle.status()).parent_id is None
        assert (await batch.status()).failed == 1
        assert (await engine.dead.get(dead.id)).id == dead.id


async def test_a_chunk_is_not_edited(engine: Engine) -> None:
    @engine.importer("rows", row=dict[str, str], chunk_size=1)
    async def rows(batch: list[dict[str, str]]) -> None:
        raise ValueError("no")

    async with engine:
        await engine.dispatch(rows.options(retry=Retry.none()), [{"a": str(n)} for n in range(1500)])
        await engine.worker(burst=True).run()
        dead = (await engine.dead.list(limit=1)).items
        for job in dead:
            with pytest.raises(IllegalTransition):
                await engine.dead.edit(job.id, {})


async def test_a_slow_replay_goes_at_its_rate(engine: Engine) -> None:
    async with InTime(engine) as t:
        charge = engine.registry.get("charge")
        await engine.dispatch_many(charge.job(number=number) for number in range(20))
        await t.drain()
        FAILING.clear()

        began = t.clock.monotonic()
        replay = start(engine.dead.replay_slowly(2, stop_after=3), "replay")
        while not replay.done():
            await t.clock.rest()
            if not replay.done():
                await t.clock.advance(0.1)

        done = replay.result()
        assert (done.count, done.failed, done.left, done.stopped) == (20, 0, 0, False)
        assert t.clock.monotonic() - began == pytest.approx(9.5, abs=0.3)


async def test_a_slow_replay_stops_when_failures_come_back(engine: Engine) -> None:
    async with InTime(engine) as t:
        charge = engine.registry.get("charge")
        await engine.dispatch_many(charge.job(number=number) for number in range(50))
        await t.drain()

        replay = start(engine.dead.replay_slowly(10, stop_after=3, limit=40), "replay")
        while not replay.done():
            await t.drain()
            if not replay.done():
                await t.clock.advance(0.1)

        done = replay.result()
        assert done.stopped
        assert 3 <= done.failed <= done.count < 12
        assert done.left == 40 - done.count
        assert len((await engine.dead.list()).items) >= 49


@pytest.mark.parametrize("wrong", [0, -1, True, "1", float("nan"), 1e9])
async def test_a_rate_is_a_number_of_jobs(engine: Engine, wrong: Any) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="rate is jobs a second"):
            await engine.dead.replay_slowly(wrong)
        with pytest.raises(ConfigError, match="stop_after"):
            await engine.dead.replay_slowly(1, stop_after=0)
