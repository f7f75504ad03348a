"""Chains, batches and callbacks through the engine, on both embedded stores."""

from typing import Any

import pytest

from aiojobs_engine import (
    BatchHandle,
    ConfigError,
    DependencyNotFound,
    Engine,
    IdConflict,
    JobCancelledError,
    JobContext,
    JobFailedError,
    JobRegistry,
    Need,
    Retry,
    When,
    group,
)
from aiojobs_engine.core.flow import Step

registry = JobRegistry()
ran: list[str] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    ran.clear()


@pytest.fixture
def engine(engine: Engine) -> Engine:
    engine.include(registry)
    return engine


@registry.job(name="add")
async def add(ctx: JobContext, number: int) -> int:
    formers = await ctx.formers()
    ran.append(f"add {number}")
    return number + sum(former.result for former in formers)


@registry.job(name="note")
async def note(word: str) -> None:
    ran.append(word)


@registry.job(name="fail", retry=Retry.none())
async def fail() -> None:
    ran.append("fail")
    raise ValueError("no")


@registry.job(name="report")
async def report(ctx: JobContext) -> str:
    (former,) = await ctx.formers()
    return f"{former.status}: {former.succeeded} of {former.total}, {former.error and former.error.message}"


@registry.job(name="spread")
async def spread(ctx: JobContext, depth: int) -> None:
    ran.append(f"spread {depth}")
    if depth:
        handles = await ctx.batch.add(spread.job(depth=depth - 1), note.job(word="leaf"))
        assert all(handle.created for handle in handles)


async def _work(engine: Engine) -> None:
    await engine.worker(burst=True).run()


async def test_a_chain_runs_in_order_and_hands_results_on(engine: Engine) -> None:
    async with engine:
        handle = await engine.dispatch(add.job(1) | add.job(10) | add.job(100))
        assert handle.created
        assert (await engine.queues.stats("default")).counts == {"pending": 1, "waiting": 2}
        await _work(engine)

        assert await handle.result() == 111
        assert ran == ["add 1", "add 10", "add 100"]


@pytest.mark.seed("DJ-42", "DJ-45")
async def test_a_chain_has_any_length_and_stops_loudly(engine: Engine) -> None:
    chain: Step = add.job(0) | fail.job()
    for number in range(20):
        chain = chain | add.job(number)
    async with engine:
        handle = await engine.dispatch(chain)
        await _work(engine)

        assert ran == ["add 0", "fail"]
        assert (await handle.status()).status == "cancelled"
        with pytest.raises(JobCancelledError):
            await handle.result()
        assert (await engine.queues.stats("default")).counts == {"cancelled": 20, "completed": 1, "failed": 1}


@pytest.mark.seed("DJ-40", "DJ-41", "DJ-47")
async def test_then_catch_and_finally_are_all_kept(engine: Engine) -> None:
    good = (
        note.job("good")
        .then(note.job("then"), note.job("then too"))
        .catch(note.job("catch"))
        .finally_(note.job("finally"))
    )
    bad = fail.job().then(note.job("b-then")).catch(note.job("b-catch")).finally_(note.job("b-finally"))
    async with engine:
        first, second = await engine.dispatch(good), await engine.dispatch(bad)
        await _work(engine)

        assert await first.result() is None
        with pytest.raises(JobFailedError):
            await second.result()
        assert sorted(ran) == sorted(["good", "then", "then too", "finally", "fail", "b-catch", "b-finally"])


@pytest.mark.seed("DJ-44")
async def test_a_callback_sees_how_the_former_ended_and_its_own_arguments_untouched(engine: Engine) -> None:
    callback = report.job()
    async with engine:
        await engine.dispatch(fail.job().catch(callback))
        await _work(engine)

        assert await engine.handle(callback.id).result() == "failed: 0 of 0, no"


@pytest.mark.seed("DJ-43")
async def test_a_callback_is_a_job_with_retries_of_its_own(engine: Engine) -> None:
    tries: list[int] = []

    @engine.job(retry=Retry.fixed(3, 0))
    async def flaky(ctx: JobContext) -> None:
        tries.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError("not yet")

    async with engine:
        await engine.dispatch(note.job("first").then(flaky.job()))
        await _work(engine)

    assert tries == [1, 2, 3]


async def test_a_job_comes_after_others_that_were_dispatched_before(engine: Engine) -> None:
    async with engine:
        one, two = add.job(1), await engine.dispatch(add, 2)
        await engine.dispatch(one)
        last = await engine.dispatch(add.options(after=[one, two, two.id]), 10)
        both = await engine.dispatch(add.options(after=Need(one.id, When.END)), 20)
        await _work(engine)

        assert await last.result() == 15
        assert await both.result() == 21


async def test_what_comes_after_nothing_is_refused_with_its_name(engine: Engine) -> None:
    async with engine:
        with pytest.raises(DependencyNotFound, match="nobody"):
            await engine.dispatch(add.options(after="nobody"), 1)
        with pytest.raises(DependencyNotFound, match="nobody"):
            await engine.dispatch(note.job("a") | add.options(after="nobody").job(1))
        with pytest.raises(DependencyNotFound, match="nobody") as caught:
            await engine.dispatch_many([note.job("b"), add.options(after="nobody").job(1)])

        assert caught.value.job_id == "nobody"
        assert (await engine.jobs.list()).items == []


@pytest.mark.parametrize("wrong", [7, None, [note], [object()]])
def test_after_takes_jobs(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="after takes handles, jobs, ids or Needs"):
        add.options(after=wrong)


async def test_a_batch_has_one_end_and_its_callbacks_see_it(engine: Engine) -> None:
    done, sorry, finally_ = report.job(), note.job("sorry"), report.job()
    batch = engine.batch([note.job("a"), note.job("b")], name="nightly", user_id=7, tags=["x"])
    async with engine:
        handle = await engine.dispatch(batch.then(done).catch(sorry).finally_(finally_))
        assert isinstance(handle, BatchHandle)
        status = await handle.status()
        assert (status.status, status.type, status.kind, status.total) == ("waiting", "nightly", "batch", 2)
        assert (status.user_id, status.tags) == (7, ("x",))
        await _work(engine)

        assert await handle.result() is None
        assert await engine.handle(done.id).result() == "completed: 2 of 2, None"
        assert await engine.handle(finally_.id).result() == "completed: 2 of 2, None"
        assert (await engine.handle(sorry.id).status()).status == "cancelled"


async def test_a_batch_with_failures_catches_the_first_and_finishes(engine: Engine) -> None:
    batch = engine.batch([fail.job(), fail.job(), note.job("good")])
    batch.then(note.job("then")).catch(note.job("catch")).finally_(note.job("finally"))
    async with engine:
        handle = await engine.dispatch(batch)
        await _work(engine)

        assert (await handle.status()).status == "partial"
        assert await handle.result() is None
        assert sorted(ran) == ["catch", "fail", "fail", "finally", "good"]


async def test_a_batch_may_be_filled_in_a_with_block(engine: Engine) -> None:
    async with engine:
        async with engine.batch() as batch:
            for number in range(3):
                batch.add(add.job(number))
            batch.finally_(note.job("over"))
            assert batch.handle is None
        assert batch.handle is not None
        await _work(engine)

        assert (await batch.handle.status()).succeeded == 3
        assert ran[-1] == "over"


async def test_a_with_block_that_raises_dispatches_nothing(engine: Engine) -> None:
    async with engine:
        with pytest.raises(KeyError):
            async with engine.batch([note.job("a")]):
                raise KeyError("a")

        assert (await engine.jobs.list()).items == []


async def test_members_add_members(engine: Engine) -> None:
    async with engine:
        handle = await engine.dispatch(engine.batch([spread.job(depth=3)]).finally_(note.job("over")))
        await _work(engine)

        status = await handle.status()
        assert (status.status, status.succeeded, status.total) == ("completed", 7, 7)
        assert ran[-1] == "over"
        with pytest.raises(DependencyNotFound, match="has ended"):
            await engine.batch_handle(handle.id).add(note.job("late"))


async def test_chains_and_batches_nest_in_each_other(engine: Engine) -> None:
    flow = (
        add.job(1)
        | group(add.job(10) | add.job(20), engine.batch([add.job(30)], queue="other"))
        | note.job("between")
        | group(note.job("x"), note.job("y"))
        | note.job("end")
    )
    async with engine:
        handle = await engine.dispatch(flow)
        await _work(engine)

        assert (await handle.status()).status == "completed"
        assert ran[0] == "add 1"
        assert ran.index("add 10") < ran.index("add 20") < ran.index("between")
        assert ran.index("add 30") < ran.index("between") < ran.index("x") < ran.index("end")


async def test_an_empty_batch_in_a_chain_is_passed_through(engine: Engine) -> None:
    async with engine:
        handle = await engine.dispatch(fail.job() | group() | note.job("never"))
        await _work(engine)

        assert (await handle.status()).status == "cancelled"


async def test_a_flow_that_is_dispatched_twice_is_one(engine: Engine) -> None:
    flow = note.job("a") | group(note.job("b")) | note.job("c")
    async with engine:
        first = await engine.dispatch(flow)
        second = await engine.dispatch(flow)
        await _work(engine)

        assert (first.created, second.created) == (True, False)
        assert first.id == second.id
        assert ran == ["a", "b", "c"]


async def test_a_unique_job_is_bound_to_no_other(engine: Engine) -> None:
    unique = note.options(unique="key")
    async with engine:
        first = await engine.dispatch(note.options(unique=False), "a")
        for refused in (unique.job("a") | note.job("b"), engine.batch([unique.job("a")])):
            with pytest.raises(ConfigError, match=r"unique=False"):
                await engine.dispatch(refused)
        with pytest.raises(ConfigError, match=r"unique=False"):
            await engine.dispatch_many([unique.job("a"), note.options(after=first).job("b")])

        assert (await engine.queues.stats("default")).counts == {"pending": 1}


async def test_a_taken_id_is_a_conflict(engine: Engine) -> None:
    async with engine:
        await engine.dispatch(note.options(id="taken"), "a")

        with pytest.raises(IdConflict, match="taken"):
            await engine.dispatch(note.job("b") | note.options(id="taken").job("c"))


async def test_a_job_stands_in_a_flow_once(engine: Engine) -> None:
    job = note.job("a")
    async with engine:
        with pytest.raises(ConfigError, match="stands twice"):
            await engine.dispatch(job | job)


async def test_a_batch_is_cancelled_with_all_that_is_in_it(engine: Engine) -> None:
    async with engine:
        handle = await engine.dispatch(
            engine.batch([note.job("a") | note.job("b"), group(note.job("c"))]).finally_(note.job("over"))
        )
        await handle.cancel()
        await _work(engine)

        assert ran == ["over"]
        assert (await handle.status()).status == "cancelled"


async def test_a_member_is_replayed_from_the_dead_letters(engine: Engine) -> None:
    async with engine:
        handle = await engine.dispatch(engine.batch([fail.job(), note.job("good")]))
        await _work(engine)
        assert await engine.dead.replay() == 1
        await _work(engine)

        assert ran.count("fail") == 2
        assert (await handle.status()).failed == 1


@pytest.mark.parametrize("wrong", [note, "note", None])
def test_only_steps_are_joined(wrong: Any, engine: Engine) -> None:
    with pytest.raises(ConfigError, match="no job, chain or batch"):
        note.job("a") | wrong
    with pytest.raises(ConfigError, match="no job, chain or batch"):
        engine.batch([wrong])
    with pytest.raises(ConfigError, match="no job, chain or batch"):
        note.job("a").then(wrong)


async def test_a_batch_has_a_bound_and_says_how_to_go_on(engine: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr("aiojobs_engine.dispatching.flows.MOST_JOBS", 3)
    async with engine:
        with pytest.raises(ConfigError, match=r"at most 3 jobs .* ctx.batch.add"):
            await engine.dispatch(engine.batch([note.job("a") for _ in range(3)]))


async def test_a_wrong_option_of_a_batch_has_the_right_one_beside_it(engine: Engine) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="tags"):
            await engine.dispatch(engine.batch([], tag="x"))  # type: ignore[call-arg]
