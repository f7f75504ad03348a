"""The lock that one holder among all processes has."""

import asyncio

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import ConfigError, Engine, SingletonHeld, SingletonLost
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.testing import ManualClock
from tests.flow.passing import passing


async def test_one_holds_it_and_others_wait(engine: Engine) -> None:
    held: list[int] = []
    tokens: list[int] = []

    async def work() -> None:
        async with engine.singleton("nightly", lease=2) as lock:
            held.append(1)
            assert len(held) == 1
            tokens.append(lock.token)
            await checkpoint()
            held.pop()

    async with engine:
        await asyncio.gather(*[work() for _ in range(4)])

    assert tokens == [1, 2, 3, 4]


async def test_who_does_not_want_to_wait_is_told_who_holds_it(engine: Engine) -> None:
    async with engine:
        async with engine.singleton("nightly") as lock:
            with pytest.raises(SingletonHeld) as told:
                async with engine.singleton("nightly", timeout=0):
                    pass
            async with engine.singleton("weekly", timeout=0):
                pass

        assert (told.value.name, told.value.owner) == ("nightly", lock.owner)
        async with engine.singleton("nightly", timeout=0) as again:
            assert again.token == 2


@pytest.mark.seed("DJ-103")
async def test_it_is_renewed_as_long_as_it_is_held() -> None:
    clock = ManualClock()
    engine = Engine(backend=MemoryBackend(clock=clock), clock=clock)
    async with engine, passing(clock, 1.0), engine.singleton("nightly", lease=10):
        await clock.sleep(100)
        with pytest.raises(SingletonHeld):
            async with engine.singleton("nightly", timeout=0):
                pass


async def test_a_dead_holder_loses_it_with_its_lease() -> None:
    clock = ManualClock()
    engine = Engine(backend=MemoryBackend(clock=clock), clock=clock)
    async with engine, passing(clock, 1.0):
        await engine.store.hold_place("singleton/nightly", "dead", 10, "7 dead")
        async with engine.singleton("nightly", timeout=30) as lock:
            assert lock.token == 8


async def test_who_lost_it_is_cancelled_and_told() -> None:
    clock = ManualClock()
    engine = Engine(backend=MemoryBackend(clock=clock), clock=clock)
    async with engine, passing(clock, 1.0):

        async def lose() -> None:
            async with engine.singleton("nightly", lease=10):
                clock.reboot("later")
                await engine.store.hold_place("singleton/nightly", "thief", 60, "9 thief")
                await clock.sleep(1_000)

        with pytest.raises(SingletonLost, match="nightly"):
            await lose()
        await clock.sleep(1)


async def test_what_the_body_raises_goes_out_and_the_lock_is_free(engine: Engine) -> None:
    async with engine:
        with pytest.raises(ValueError, match="own"):
            async with engine.singleton("nightly"):
                raise ValueError("own")
        async with engine.singleton("nightly", timeout=0):
            pass


@pytest.mark.parametrize("wrong", [{"name": "a b"}, {"lease": -1}, {"timeout": -1}])
async def test_wrong_locks_are_refused(engine: Engine, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        engine.singleton(**{"name": "nightly", **wrong})  # type: ignore[arg-type]
