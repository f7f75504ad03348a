"""Workers that empty a queue: jobs are stored while it is paused, so that all workers begin together."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import anyio

from aiojobs_engine import Engine, Job
from harness.place import Place, until_ran, until_working
from harness.process import Process
from harness.tally import Totals, prove

_SETTLING = 0.3
_QUEUE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What it took.

    Attributes:
        seconds: from the first handler's start until the last job is settled in the store.
        cpu_seconds: CPU time of the workers, the threads of their databases included.
        peak_mib: the most resident memory of any worker.
        idle_mib: the same before the first job.
    """

    jobs: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    idle_mib: float
    totals: Totals

    @property
    def per_second(self) -> float:
        """Jobs per second."""
        return self.jobs / self.seconds

    @property
    def cpu_micros(self) -> float:
        """CPU time per job, µs."""
        return self.cpu_seconds / self.jobs * 1e6


async def drain(
    place: Place,
    make: Callable[[int], Job[Any]],
    jobs: int,
    *,
    concurrency: int = 100,
    workers: int = 1,
    runs: int = 1,
    options: Sequence[str] = (),
) -> Drained:
    """Store jobs 0 .. `jobs` - 1, let `workers` run them, each `runs` times, and measure that.

    `options` are further words of the workers' command lines.
    """
    async with place.engine() as engine:
        await engine.queues.pause(_QUEUE)
        await engine.dispatch_many(make(n) for n in range(jobs))
        with ExitStack() as stack:
            processes = [stack.enter_context(place.worker(concurrency, *options)) for _ in range(workers)]
            await until_working(engine, *processes)
            await anyio.sleep(_SETTLING)
            return await _measured(place, engine, processes, jobs, runs)


async def _measured(place: Place, engine: Engine, processes: list[Process], jobs: int, runs: int) -> Drained:
    idle = max(process.peak_rss_mib() for process in processes)
    before = sum(process.cpu_seconds() for process in processes)
    await engine.queues.resume(_QUEUE)
    await until_ran(place.board, jobs * runs, *processes)
    totals = place.board.read()
    await place.until_settled()
    settled_at = time.monotonic()
    after = sum(process.cpu_seconds() for process in processes)
    prove(totals, jobs, runs)
    return Drained(
        jobs=jobs,
        seconds=settled_at - totals.first_at,
        cpu_seconds=after - before,
        peak_mib=max(process.peak_rss_mib() for process in processes),
        idle_mib=idle,
        totals=totals,
    )
