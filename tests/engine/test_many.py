"""Dispatching many jobs: in slices, lazily, each slice whole."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from aiojobs_engine import BackendUnavailable, ConfigError, Engine, IdConflict, Job, PayloadError
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.runtime.system_clock import SystemClock


class Slices(MemoryBackend):
    """Notes the sizes of writes, and fails from the n-th on."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        super().__init__(clock=SystemClock())
        self.sizes: list[int] = []
        self.fails_at = fails_at

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        if len(self.sizes) == self.fails_at:
            raise BackendUnavailable("gone")
        self.sizes.append(len(envelopes))
        return await super().enqueue(envelopes)


def adding(engine: Engine) -> Any:
    @engine.job(name="add")
    async def add(a: int) -> int:
        return a

    return add


async def test_handles_come_in_the_order_of_the_jobs(engine: Engine) -> None:
    add = adding(engine)
    jobs = [add.job(a=number) for number in range(2_500)]

    async with engine:
        handles = await engine.dispatch_many(jobs)

        assert [handle.id for handle in handles] == [job.id for job in jobs]
        assert all(handle.created for handle in handles)
        assert (await engine.queues.stats("default")).counts == {"pending": 2_500}


async def test_slices_have_a_thousand_jobs() -> None:
    store = Slices()
    engine = Engine(backend=store)
    add = adding(engine)

    async with engine:
        await engine.dispatch_many(add.job(a=number) for number in range(2_500))

    assert store.sizes == [1000, 1000, 500]


async def test_the_jobs_may_come_asynchronously(engine: Engine) -> None:
    add = adding(engine)

    async def jobs() -> AsyncIterator[Job[int]]:
        for number in range(1_200):
            yield add.job(a=number)

    async with engine:
        assert len(await engine.dispatch_many(jobs())) == 1_200


async def test_no_jobs_are_no_write() -> None:
    store = Slices()
    engine = Engine(backend=store)

    async with engine:
        assert await engine.dispatch_many([]) == []

    assert store.sizes == []


async def test_repeating_the_same_jobs_stores_none_twice(engine: Engine) -> None:
    add = adding(engine)
    jobs = [add.job(a=number) for number in range(10)]

    async with engine:
        await engine.dispatch_many(jobs[:5])
        handles = await engine.dispatch_many(jobs)

    assert [handle.created for handle in handles] == [False] * 5 + [True] * 5


@pytest.mark.parametrize("bad", [0, 999, 1_000, 1_700])
async def test_an_error_in_the_making_names_the_index_and_its_slice_is_not_written(bad: int) -> None:
    store = Slices()
    engine = Engine(backend=store)
    add = adding(engine)

    async with engine:
        with pytest.raises(PayloadError, match=f"job {bad}: ") as caught:
            await engine.dispatch_many(add.job(a="x" if number == bad else 1) for number in range(3_000))

    assert (caught.value.index, caught.value.argument) == (bad, "a")
    assert store.sizes == [1000] * (bad // 1000)


async def test_what_is_no_job_is_refused_by_its_index(engine: Engine) -> None:
    add = adding(engine)
    jobs: list[Any] = [add.job(a=1), add]

    async with engine:
        with pytest.raises(ConfigError, match="is no job") as caught:
            await engine.dispatch_many(jobs)

        assert caught.value.index == 1
        assert caught.value.__notes__ == ["the job at index 1"]
        assert (await engine.jobs.list()).items == []


@pytest.mark.parametrize("jobs", [7, "add", {"a": 1}, None])
async def test_what_is_no_iterable_of_jobs_is_refused(engine: Engine, jobs: Any) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="takes an iterable of jobs"):
            await engine.dispatch_many(jobs)


async def test_a_taken_id_is_named_with_its_index(engine: Engine) -> None:
    add = adding(engine)

    async with engine:
        await engine.dispatch(add.options(id="one"), a=1)
        with pytest.raises(IdConflict, match="'one'") as caught:
            await engine.dispatch_many([add.job(a=5), add.options(id="one").job(a=2), add.job(a=6)])

        assert caught.value.index == 1
        assert caught.value.__notes__ == ["the job at index 1"]
        assert len((await engine.jobs.list()).items) == 3


async def test_a_store_that_fails_between_slices_leaves_the_earlier_ones_and_says_so() -> None:
    store = Slices(fails_at=1)
    engine = Engine(backend=store)
    add = adding(engine)

    async with engine:
        with pytest.raises(BackendUnavailable) as caught:
            await engine.dispatch_many(add.job(a=number) for number in range(2_500))

    assert "before index 1000 are stored" in caught.value.__notes__[0]
    assert store.sizes == [1000]


async def test_an_iterator_that_raises_passes_its_error_on(engine: Engine) -> None:
    add = adding(engine)

    def jobs() -> Iterator[Job[int]]:
        yield add.job(a=1)
        raise KeyError("source")

    async with engine:
        with pytest.raises(KeyError, match="source"):
            await engine.dispatch_many(jobs())

        assert (await engine.jobs.list()).items == []
