"""Unique jobs as users declare and dispatch them."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, PayloadError, Status, Unique
from tests.flow.published import until_published


def adding(engine: Engine, **options: Any) -> Any:
    @engine.job(name="add", **options)
    async def add(a: int, b: int = 1) -> int:
        return a + b

    return add


async def test_the_loser_gets_the_handle_of_the_job_that_is_there(engine: Engine) -> None:
    add = adding(engine, unique=Unique(by="a"))

    async with engine.running():
        await engine.queues.pause("default")
        first = await engine.dispatch(add, 1, b=2)
        second = await engine.dispatch(add, 1, b=3)
        other = await engine.dispatch(add, 2)
        await engine.queues.resume("default")

        assert (first.created, second.created, other.created) == (True, False, True)
        assert second.id == first.id
        assert await second.result(timeout=10) == 3
        assert (await engine.dispatch(add, 1)).created


async def test_concurrent_dispatches_make_one_job(engine: Engine) -> None:
    add = adding(engine, unique=True)

    async with engine:
        handles = await asyncio.gather(*[engine.dispatch(add, 1, b=n % 2) for n in range(40)])

        assert sum(handle.created for handle in handles) == 2
        assert len({handle.id for handle in handles}) == 2


async def test_dispatch_many_tells_each(engine: Engine) -> None:
    add = adding(engine, unique=Unique(by=["a"]))

    async with engine:
        handles = await engine.dispatch_many(add.job(n % 3, b=n) for n in range(9))

        assert [handle.created for handle in handles] == [True] * 3 + [False] * 6
        assert [handle.id for handle in handles[3:6]] == [handle.id for handle in handles[:3]]


async def test_a_default_counts_like_the_same_value_given(engine: Engine) -> None:
    add = adding(engine, unique=True)

    async with engine:
        await engine.dispatch(add, 1)

        assert not (await engine.dispatch(add, a=1, b=1)).created
        assert not (await engine.dispatch("add", b=1, a=1)).created


async def test_a_key_at_the_call_wins_over_the_decorator(engine: Engine) -> None:
    add = adding(engine, unique=True)

    async with engine:
        assert (await engine.dispatch(add.options(unique="nightly"), 1)).created
        assert not (await engine.dispatch(add.options(unique="nightly"), 2)).created
        assert (await engine.dispatch(add.options(unique=False), 1)).created
        assert (await engine.dispatch(add.options(unique=False), 1)).created


async def test_a_dispatch_by_name_follows_what_workers_published(engine: Engine) -> None:
    adding(engine, unique=Unique(by=["a"], window=timedelta(hours=1)))

    async with engine.running():
        await until_published(engine)
        async with Engine(backend=engine.store) as other:
            first = await other.dispatch("add", a=1)
            second = await other.dispatch("add", a=1, b=5)
            with pytest.raises(PayloadError, match="'a'"):
                await other.dispatch("add", b=1)

        assert first.created
        assert not second.created


async def test_a_debounced_job_runs_once_with_the_last_arguments(engine: Engine) -> None:
    add = adding(engine, unique=Unique(by=["a"], mode="debounce", delay=0.2, max_wait=30))

    async with engine.running():
        handles = [await engine.dispatch(add, 1, b=n) for n in range(5)]

        assert await handles[0].result(timeout=10) == 5
        assert len({handle.id for handle in handles}) == 1
        assert (await handles[0].status()).attempts == 1


async def test_a_replaced_job_has_the_new_arguments(engine: Engine) -> None:
    add = adding(engine, unique=Unique(key="only", mode="replace"))

    async with engine.running():
        await engine.queues.pause("default")
        await engine.dispatch(add, 1)
        last = await engine.dispatch(add.options(priority=3), 40)
        assert (await last.status()).priority == 3
        await engine.queues.resume("default")

        assert await last.result(timeout=10) == 41


async def test_the_window_is_of_the_configuration_too() -> None:
    engine = Engine("memory://", config={"jobs": {"add": {"unique": {"by": ["b"], "window": "1h"}}}})
    add = adding(engine)

    async with engine.running():
        first = await engine.dispatch(add, 1)
        await first.result(timeout=10)

        assert not (await engine.dispatch(add, 2)).created
        assert (await first.status()).status is Status.COMPLETED


@pytest.mark.parametrize(
    "unique, said",
    [
        (Unique(by="c"), "by 'c', no argument"),
        (Unique(by=("a",), key="x"), "exclude each other"),
        (Unique(mode="debounce"), "needs delay"),
        (Unique(delay=1), "belong to mode='debounce'"),
        (Unique(states=()), "must not be empty"),
        (Unique(window=-1), "is wrong"),
        (Unique(mode="often"), "is wrong"),  # type: ignore[arg-type]
        ("", "1 to 200 characters"),
        ("x" * 201, "1 to 200 characters"),
        (7, "must be a key, True or Unique"),
    ],
)
def test_a_wrong_rule_is_refused_where_it_is_declared(unique: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        adding(Engine("memory://"), unique=unique)


async def test_an_import_is_not_replaced_but_may_be_kept_out(engine: Engine) -> None:
    @engine.importer("people", row=dict[str, str])
    async def people(ctx: JobContext, rows: list[dict[str, str]]) -> None:
        del ctx, rows

    async with engine:
        first = await engine.dispatch(people.options(unique="people"), [{"a": "1"}])
        second = await engine.dispatch(people.options(unique="people"), [{"a": "2"}])
        with pytest.raises(ConfigError, match="kind import can't be replaced"):
            await engine.dispatch(people.options(unique=Unique(key="x", mode="replace")), [{"a": "1"}])

    assert second.id == first.id
    assert len(list(Path("aiojobs-files").iterdir())) == 1
