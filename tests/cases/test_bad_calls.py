"""Bad input when an engine is made, job types are registered and workers are asked for."""

import math
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import Engine, JobRegistry
from aiojobs_engine.core.errors import ConfigError, IllegalTransition
from aiojobs_engine.core.state import Status
from tests.cases.conftest import MakeEngine
from tests.cases.invariants import every_job
from tests.cases.stores import store_of, work_off


@pytest.mark.parametrize("url", [5, Path("jobs.db"), b"sqlite:///jobs.db"])
def test_a_url_is_text(url: Any) -> None:
    with pytest.raises(ConfigError, match=r"a URL is text like 'sqlite:///jobs\.db', got"):
        Engine(url)


def test_a_registry_and_what_is_included_are_registries() -> None:
    wrong: Any = ["app.job"]
    with pytest.raises(ConfigError, match="a JobRegistry, got"):
        Engine("memory://", registry=wrong)
    with pytest.raises(ConfigError, match="a JobRegistry, got"):
        Engine("memory://").include(wrong)
    with pytest.raises(ConfigError, match="a clock, got 5"):
        Engine("memory://", clock=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", [5, "app.job", None, Path])
def test_only_functions_are_registered(what: Any) -> None:
    with pytest.raises(ConfigError, match="decorates a function, got"):
        JobRegistry().job(name="app.job")(what)


def test_a_job_type_has_a_name_of_its_own_or_is_told_to_take_one() -> None:
    with pytest.raises(ConfigError, match=r"lambda.*can't be the name of a job type; give it one by name="):
        JobRegistry().job()(lambda: None)
    with pytest.raises(ConfigError, match="must be 1 to 128 of"):
        JobRegistry().job(name="")(test_a_url_is_text)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1, got 0"),
        ({"concurrency": -1}, "concurrency must be a whole number of at least 1, got -1"),
        ({"concurrency": 2.5}, r"concurrency must be a whole number of at least 1, got 2\.5"),
        ({"concurrency": "5"}, "concurrency must be a whole number of at least 1, got '5'"),
        ({"queues": "mail"}, "queues is a list of names, got 'mail'"),
        ({"queues": ["a b"]}, "a queue must be 1 to 128"),
        ({"queues": [5]}, "a queue must be 1 to 128"),
    ],
)
async def test_a_worker_that_could_not_work_is_refused(options: dict[str, Any], message: str) -> None:
    engine = Engine("memory://")

    @engine.job()
    async def any_job() -> None: ...

    async with engine:
        with pytest.raises(ConfigError, match=message):
            engine.worker(**options)


async def test_a_worker_without_job_types_is_refused() -> None:
    async with Engine("memory://") as engine:
        with pytest.raises(ConfigError, match="nothing to run"):
            engine.worker()


@pytest.mark.parametrize("status", [5, "done", ["pending", "done"], [5]])
async def test_what_is_no_status_is_refused(make_engine: MakeEngine, status: Any) -> None:
    engine = make_engine()
    async with engine:
        with pytest.raises(ConfigError, match=r"no job has the status"):
            await engine.jobs.list(status=status)
        with pytest.raises(ConfigError, match=r"no job has the status"):
            await engine.jobs.purge(status=status)


@pytest.mark.parametrize("timeout", ["5", math.nan, []])
async def test_a_timeout_is_a_number(make_engine: MakeEngine, timeout: Any) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    async with engine:
        handle = await engine.dispatch(any_job)
        with pytest.raises(ConfigError, match="timeout is a number of seconds or None, got"):
            await handle.result(timeout=timeout)


async def test_arguments_may_have_any_name(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job(name="app.named")
    async def named(what: int, args: int, kwargs: int, name: int, options: int) -> int:
        return what + args + kwargs + name + options

    given = {"what": 1, "args": 2, "kwargs": 3, "name": 4, "options": 5}
    async with engine:
        handles = [await engine.dispatch(named, **given), await engine.dispatch("app.named", **given)]
        elsewhere = await engine.dispatch("app.elsewhere", queue="other", self=1, job=2, **given)
        await work_off(engine)
        assert [await handle.result(timeout=0) for handle in handles] == [15, 15]
        (envelope,) = await store_of(engine).envelopes([elsewhere.id])

    assert bytes(envelope.payload) == b'{"self":1,"job":2,"what":1,"args":2,"kwargs":3,"name":4,"options":5}'


async def test_only_what_is_dead_is_replayed(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    async with engine:
        handle = await engine.dispatch(any_job)
        await handle.cancel()
        with pytest.raises(IllegalTransition, match="cancelled, so it can't"):
            await engine.dead.replay(id=handle.id)
        (job,) = await every_job(store_of(engine))

    assert (job.status, job.epoch) == (Status.CANCELLED, 0)
