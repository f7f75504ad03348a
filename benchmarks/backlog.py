"""A million jobs in the queue, then a million finished ones: neither memory nor the price of a job grows."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import anyio
from harness.app import empty
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import Place, new_place, until_ran, until_working
from harness.process import Process
from harness.tally import prove

from aiojobs_engine import Engine, Job

QUEUE = "default"
AFTERWARDS = 20_000
_SETTLING = 1.0
_KEEP_ALL = {"AIOJOBS_RETENTION__COMPLETED__KEEP": "1000000000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Some of the jobs: CPU time and time per job, µs; `peak_mib` is the worker's until their end."""

    cpu_micros: float
    micros: float
    peak_mib: float


async def measure(options: Options) -> list[Figure]:
    """One file: an idle worker, then all jobs, then some more on top of the finished ones."""
    tenth = max(1, options.jobs // 10)
    with new_place(**_KEEP_ALL) as place:
        async with place.engine() as engine:
            idle = await _idle_mib(place, engine)
            fresh = await _drained(place, engine, 0, [AFTERWARDS])
            first = AFTERWARDS
            queued = await _drained(place, engine, first, [tenth] * 10)
            first += tenth * 10
            finished = await _drained(place, engine, first, [AFTERWARDS])
            prove(place.board.read(), first + AFTERWARDS)
        size = place.database.stat().st_size / 2**20
    return [
        figure("RSS over idle, while all are queued", [queued[-1].peak_mib - idle], "MiB", at_most=32),
        figure("RSS over idle, when all are finished", [finished[0].peak_mib - idle], "MiB", at_most=32),
        figure(
            "CPU per job, last tenth over first",
            [queued[-1].cpu_micros / queued[0].cpu_micros],
            "x",
            at_most=1.25,
        ),
        figure("time per job, last tenth over first", [queued[-1].micros / queued[0].micros], "x"),
        figure(
            "CPU per job on top of all, over a fresh file",
            [finished[0].cpu_micros / fresh[0].cpu_micros],
            "x",
            at_most=1.25,
        ),
        figure("CPU per job, tenth by tenth", [each.cpu_micros for each in queued], "µs"),
        figure("idle RSS", [idle], "MiB"),
        figure("size of the file", [size], "MiB"),
    ]


async def _idle_mib(place: Place, engine: Engine) -> float:
    with place.worker() as worker:
        await until_working(engine, worker)
        await anyio.sleep(_SETTLING)
        return worker.peak_rss_mib()


async def _drained(place: Place, engine: Engine, first: int, stretches: list[int]) -> list[_Stretch]:
    """Store as many jobs as the stretches have while the queue is paused, and let one worker run them."""
    await engine.queues.pause(QUEUE)
    await engine.dispatch_many(_jobs(first, first + sum(stretches)))
    with place.worker() as worker:
        await until_working(engine, worker)
        await anyio.sleep(_SETTLING)
        await engine.queues.resume(QUEUE)
        return [each async for each in _each(place, worker, first, stretches)]


def _jobs(start: int, end: int) -> Iterator[Job[None]]:
    return (empty.job(n=number) for number in range(start, end))


async def _each(place: Place, worker: Process, first: int, stretches: list[int]) -> AsyncIterator[_Stretch]:
    ran = end = first
    cpu, at = worker.cpu_seconds(), time.monotonic()
    for length in stretches:
        end += length
        await until_ran(place.board, end, worker)
        done = place.board.ran() - ran
        now, used = time.monotonic(), worker.cpu_seconds()
        yield _Stretch(
            cpu_micros=(used - cpu) / done * 1e6,
            micros=(now - at) / done * 1e6,
            peak_mib=worker.peak_rss_mib(),
        )
        ran, cpu, at = ran + done, used, now


SCENARIO = Scenario(
    name="backlog",
    about="All jobs stored, run by one worker process of 100 slots, then 20,000 more; nothing is pruned.",
    measure=measure,
    options=Options(jobs=1_000_000, repeats=1),
    quick=Options(jobs=50_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
