import asyncio
import threading
from datetime import UTC, datetime

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine.core.instant import Instant, instant
from aiojobs_engine.ports.clock import Wake
from aiojobs_engine.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_time_stands_still_by_itself(clock: ManualClock) -> None:
    before = clock.now(), clock.monotonic(), clock.boot()

    await clock.rest()

    assert (clock.now(), clock.monotonic(), clock.boot()) == before


async def test_all_three_clocks_move_together(clock: ManualClock) -> None:
    wall, (_, boot) = clock.now(), clock.boot()

    await clock.advance(1.25)

    assert clock.now() == wall + 1250
    assert clock.monotonic() == 1.25
    assert clock.boot() == ("boot-1", boot + 1250)


async def test_the_wall_starts_where_it_is_told() -> None:
    start = datetime(2030, 5, 1, 12, tzinfo=UTC)

    assert ManualClock(start).now() == instant(start)
    assert ManualClock(Instant(77)).now() == 77


async def test_many_small_steps_make_one_large_one(clock: ManualClock) -> None:
    wall = clock.now()

    for _ in range(1000):
        await clock.advance(0.001)

    assert clock.monotonic() == 1.0
    assert clock.now() == wall + 1000


async def test_timers_fire_in_order_each_at_its_time(clock: ManualClock) -> None:
    fired: list[tuple[str, float]] = []
    for name, seconds in [("c", 3.0), ("a", 1.0), ("b", 1.0), ("late", 3.001)]:
        clock.call_later(seconds, lambda name=name: fired.append((name, clock.monotonic())))

    await clock.advance(3)

    assert fired == [("a", 1.0), ("b", 1.0), ("c", 3.0)]


async def test_a_timer_that_was_called_off_does_not_fire(clock: ManualClock) -> None:
    fired: list[str] = []
    timer = clock.call_later(1, lambda: fired.append("a"))
    clock.call_later(1, lambda: fired.append("b"))

    timer.cancel()
    await clock.advance(2)
    timer.cancel()

    assert fired == ["b"]


async def test_a_timer_of_no_delay_needs_no_advance(clock: ManualClock) -> None:
    await clock.sleep(0)

    assert clock.monotonic() == 0


async def test_whoever_wakes_runs_before_the_clock_moves_on(clock: ManualClock) -> None:
    seen: list[tuple[str, float]] = []

    async def tick(name: str, period: float) -> None:
        while True:
            await clock.sleep(period)
            for _ in range(5):
                await checkpoint()
            seen.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(tick("fast", 2)), group.create_task(tick("slow", 3))]
        await clock.advance(6)
        for task in tasks:
            task.cancel()

    assert seen == [("fast", 2.0), ("slow", 3.0), ("fast", 4.0), ("slow", 6.0), ("fast", 6.0)]


async def test_an_hour_of_seconds_passes_within_one_advance(clock: ManualClock) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await clock.sleep(1)
            ticks += 1

    async with asyncio.TaskGroup() as group:
        task = group.create_task(tick())
        await clock.advance(3600)
        task.cancel()

    assert ticks == 3600


async def test_a_sleep_that_is_cancelled_leaves_no_timer(clock: ManualClock) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(10))
        await clock.rest()
        task.cancel()

    await clock.advance(20)

    assert task.cancelled()


async def test_a_bell_that_nobody_rings_is_heard_at_its_timeout(clock: ManualClock) -> None:
    bell = Wake(clock)

    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(bell.wait(5))
        await clock.advance(4.999)
        assert not waiter.done()
        await clock.advance(0.001)

    assert waiter.result() is False


async def test_only_the_wall_jumps(clock: ManualClock) -> None:
    fired: list[float] = []
    clock.call_later(10, lambda: fired.append(clock.monotonic()))

    clock.set_wall(Instant(5))

    assert (clock.now(), clock.monotonic(), clock.boot()) == (5, 0.0, ("boot-1", 0))
    await clock.advance(10)
    assert (clock.now(), fired) == (10_005, [10.0])


async def test_a_reboot_starts_boot_time_anew_and_nothing_else(clock: ManualClock) -> None:
    await clock.advance(100)
    wall = clock.now()

    clock.reboot("next")

    assert (clock.boot(), clock.now(), clock.monotonic()) == (("next", 0), wall, 100.0)
    await clock.advance(1)
    assert clock.boot() == ("next", 1000)


async def test_work_in_threads_can_be_waited_for() -> None:
    done = threading.Event()
    pending: list[asyncio.Future[None]] = []

    async def unseen() -> bool:
        if not pending:
            return False
        await asyncio.wait([pending.pop()])
        return True

    clock = ManualClock(unseen=unseen)
    clock.call_later(1, lambda: pending.append(asyncio.get_running_loop().run_in_executor(None, done.set)))

    await clock.advance(1)

    assert done.is_set()


async def test_a_task_that_never_rests_is_an_error_and_no_hang(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiojobs_engine.testing.clock._TURNS", 500)

    async def spin() -> None:
        while True:
            await checkpoint()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(spin())
        with pytest.raises(RuntimeError, match="still busy"):
            await clock.advance(1)
        task.cancel()
