"""Dispatching: many callers at once, many jobs in one call, and one caller while a worker drains."""

import time
from collections.abc import Iterator

import anyio
from harness import bare
from harness.app import empty
from harness.figures import Figure, Options, Scenario, figure, main, share_below
from harness.place import Place, new_place, until_ran, until_working
from harness.tally import prove

from aiojobs_engine import Engine, Job

CALLERS = 50
PAUSE = 0.005
_COMMITS = 300
_AHEAD = 5


async def measure(options: Options) -> list[Figure]:
    """Each round does all three on fresh files, and the bare driver beside them."""
    callers: list[float] = []
    singles: list[float] = []
    many: list[float] = []
    inserts: list[float] = []
    waits: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            callers.append(await _by_callers(place, options.jobs // 2))
            singles.append(bare.commits_per_second(place.folder, _COMMITS))
        with new_place() as place:
            many.append(await _in_one_call(place, options.jobs))
            inserts.append(bare.insert_per_second(place.folder, options.jobs))
        with new_place() as place:
            waits += await _while_draining(place, options.jobs // 40)
    shares = [one / bare for one, bare in zip(many, inserts, strict=True)]
    gains = [one / bare for one, bare in zip(callers, singles, strict=True)]
    milliseconds = [wait * 1000 for wait in waits]
    return [
        figure(f"{CALLERS} concurrent callers", callers, "jobs/s", at_least=5_000),
        figure(f"{CALLERS} concurrent callers, over bare commits", gains, "x"),
        figure("dispatch_many, over bare batched inserts", shares, "x", at_least=0.3),
        figure("dispatch_many", many, "jobs/s"),
        figure("bare inserts in batches of 1,000", inserts, "jobs/s"),
        figure("bare commits of one job", singles, "jobs/s"),
        figure("one dispatch while a worker drains, median", [share_below(milliseconds, 0.5)], "ms"),
        figure("one dispatch while a worker drains, p99", [share_below(milliseconds, 0.99)], "ms"),
    ]


async def _by_callers(place: Place, jobs: int) -> float:
    async with place.engine() as engine:
        numbers = iter(range(jobs))
        started = time.perf_counter()
        async with anyio.create_task_group() as callers:
            for _ in range(CALLERS):
                callers.start_soon(_call, engine, numbers)
        return jobs / (time.perf_counter() - started)


async def _call(engine: Engine, numbers: Iterator[int]) -> None:
    for number in numbers:
        await engine.dispatch(empty, n=number)


async def _in_one_call(place: Place, jobs: int) -> float:
    async with place.engine() as engine:
        started = time.perf_counter()
        await engine.dispatch_many(_jobs(0, jobs))
        return jobs / (time.perf_counter() - started)


def _jobs(start: int, end: int) -> Iterator[Job[None]]:
    return (empty.job(n=number) for number in range(start, end))


async def _while_draining(place: Place, calls: int) -> list[float]:
    """Seconds per dispatch, one each 5 ms, while the worker's backlog never runs dry."""
    waits: list[float] = []
    stored = _AHEAD * calls * 20
    async with place.engine() as engine:
        await engine.dispatch_many(_jobs(0, stored))
        with place.worker() as worker:
            await until_working(engine, worker)
            for _ in range(calls):
                started = time.perf_counter()
                await engine.dispatch(empty, n=stored)
                waits.append(time.perf_counter() - started)
                stored += 1
                await anyio.sleep(PAUSE)
                if stored - place.board.ran() < _AHEAD * calls:
                    await engine.dispatch_many(_jobs(stored, stored + 5_000))
                    stored += 5_000
            await until_ran(place.board, stored, worker)
            prove(place.board.read(), stored)
    return waits


SCENARIO = Scenario(
    name="dispatch",
    about="With synchronous=FULL: 50 callers at once, dispatch_many, one call each 5 ms beside a worker.",
    measure=measure,
    options=Options(jobs=20_000, repeats=5),
    quick=Options(jobs=8_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
