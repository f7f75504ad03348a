"""Dispatching by name: with the code here, with what workers published, or with nothing but a queue."""

from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, PayloadError, UnknownJobType
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing import ManualClock


def worker_side(store: MemoryBackend) -> Engine:
    engine = Engine(backend=store)

    @engine.job(name="mail.send", queue="mail", priority=3)
    async def send(account_id: int, text: str = "hello") -> str:
        return f"{account_id} {text}"

    @engine.job(name="move")
    async def move(queue: str) -> str:
        return queue

    return engine


async def published(store: MemoryBackend) -> None:
    engine = worker_side(store)
    async with engine:
        await engine.worker(burst=True).run()


async def test_a_registered_name_is_checked_like_its_type(engine: Engine) -> None:
    @engine.job(name="add")
    async def add(a: int) -> int:
        return a + 1

    async with engine.running():
        assert await (await engine.dispatch("add", a=1)).result(timeout=10) == 2
        with pytest.raises(PayloadError):
            await engine.dispatch("add", a="x")


async def test_a_published_name_goes_to_its_queue() -> None:
    store = MemoryBackend(clock=SystemClock())
    await published(store)
    front = Engine(backend=store)

    async with front:
        handle = await front.dispatch("mail.send", account_id=42)
        status = await handle.status()
        async with worker_side(store).running():
            assert await handle.result(timeout=10) == "42 hello"

    assert (status.queue, status.priority, status.type) == ("mail", 3, "mail.send")


@pytest.mark.parametrize(
    "arguments, at_fault, hint",
    [
        ({"acount_id": 1}, "acount_id", "did you mean 'account_id'"),
        ({}, "account_id", "is missing"),
        ({"account_id": {1, 2}}, "account_id", "pass plain JSON data"),
    ],
)
async def test_the_names_of_arguments_are_checked_against_what_was_published(
    arguments: dict[str, Any], at_fault: str, hint: str
) -> None:
    store = MemoryBackend(clock=SystemClock())
    await published(store)
    front = Engine(backend=store)

    async with front:
        with pytest.raises(PayloadError, match=hint) as caught:
            await front.dispatch("mail.send", **arguments)

    assert caught.value.argument == at_fault


async def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    store = MemoryBackend(clock=SystemClock())
    await published(store)
    front = Engine(backend=store)

    async with front:
        with pytest.raises(UnknownJobType, match=r"'mail.sent'; did you mean 'mail.send'\?") as caught:
            await front.dispatch("mail.sent", account_id=1)

    assert caught.value.name == "mail.sent"


async def test_a_queue_lets_a_name_through_that_nobody_knows_yet(engine: Engine) -> None:
    async with engine:
        handle = await engine.dispatch("coming.soon", queue="later", number=1)
        status = await handle.status()

    assert (status.queue, status.type) == ("later", "coming.soon")


async def test_an_argument_that_is_called_queue_stays_an_argument() -> None:
    store = MemoryBackend(clock=SystemClock())
    await published(store)
    front = Engine(backend=store)

    async with front:
        handle = await front.dispatch("move", queue="a")
        assert (await handle.status()).queue == "default"
        async with worker_side(store).running():
            assert await handle.result(timeout=10) == "a"


async def test_queue_is_an_option_of_a_registered_name_too(engine: Engine) -> None:
    @engine.job(name="add")
    async def add(a: int) -> int:
        return a

    async with engine:
        assert (await (await engine.dispatch("add", queue="other", a=1)).status()).queue == "other"


async def test_options_go_with_a_name(engine: Engine) -> None:
    named = engine.named("coming.soon").options(queue="later", priority=7).options(user_id=5)

    async with engine:
        status = await (await engine.dispatch(named.job(number=1))).status()
        from_json = await (await engine.dispatch(named.job_from_json(b'{"number": 2}'))).status()

    assert (status.queue, status.priority, status.user_id) == ("later", 7, 5)
    assert from_json.id != status.id


@pytest.mark.parametrize(
    "encoded", [b"[1]", b"{", b'"x"', b"", b'{"a": \xff}', b'{"a":' * 70 + b"1" + b"}" * 70]
)
async def test_arguments_that_are_no_json_object_are_refused(engine: Engine, encoded: bytes) -> None:
    async with engine:
        with pytest.raises(PayloadError):
            await engine.dispatch(engine.named("x").options(queue="q").job_from_json(encoded))


async def test_positions_need_the_code(engine: Engine) -> None:
    async with engine:
        with pytest.raises(PayloadError, match="by name"):
            await engine.dispatch("coming.soon", 1, queue="q")


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "ü"])
async def test_a_name_has_the_form_of_names(engine: Engine, name: str) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="name of a job type"):
            await engine.dispatch(name, queue="q")


async def test_a_wrong_queue_is_refused(engine: Engine) -> None:
    async with engine:
        with pytest.raises(ConfigError, match="queue"):
            await engine.dispatch("coming.soon", queue=5)
        with pytest.raises(ConfigError, match="a queue"):
            await engine.dispatch("coming.soon", queue="a b")


async def test_what_was_published_says_where_and_when() -> None:
    clock = ManualClock()
    store = MemoryBackend(clock=clock)
    back = Engine(backend=store, clock=clock)

    @back.job(
        name="nightly", delay=60, expires=600, tags=["night"], meta={"by": "type"}, user_id=5, priority=2
    )
    async def nightly() -> None: ...

    async with back:
        await back.worker(burst=True).run()
    front = Engine(backend=store, clock=clock, config={"jobs": {"nightly": {"priority": 8}}})
    async with front:
        status = await (await front.dispatch("nightly")).status()

    assert (status.status, status.priority, status.user_id) == ("scheduled", 8, 5)
    assert (status.tags, status.meta) == (("night",), {"by": "type"})


async def test_published_types_are_read_once_in_a_while_not_for_every_dispatch() -> None:
    reads: list[int] = []

    class Counting(MemoryBackend):
        async def types(self) -> Any:
            reads.append(1)
            return await super().types()

    clock = ManualClock()
    store = Counting(clock=clock)
    await published(store)
    front = Engine(backend=store, clock=clock)

    async with front:
        for _ in range(100):
            await front.dispatch("mail.send", account_id=1)
        assert len(reads) == 1
        await clock.advance(6)
        await front.dispatch("mail.send", account_id=1)

    assert len(reads) == 2
