"""A backlog, worked off by one worker process stretch by stretch."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio

from aiojobs_engine import Engine, Job
from harness.app import empty
from harness.claims import claim_micros
from harness.figures import Figure, figure, share_below
from harness.place import Place, until_ran, until_working
from harness.process import Process
from harness.tally import prove

AFTERWARDS = 20_000
SETTINGS = {"AIOJOBS_RETENTION__COMPLETED__KEEP": "1000000000"}

_QUEUE = "default"
_SETTLING = 1.0
_UNDISTURBED = 0.1  # of the claim calls: what else the machine does is not in them
_Moment = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some of the jobs: CPU time and time per job, µs; `peak_mib` is the worker's until their end."""

    cpu_micros: float
    micros: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """An idle worker, a small backlog in a fresh store, all jobs by tenths, and a small one on top of them.

    Attributes:
        claims: µs per job of the claim call alone, before each of these three.
    """

    idle_mib: float
    fresh: Stretch
    queued: list[Stretch]
    finished: Stretch
    claims: list[list[float]]

    def figures(self) -> list[Figure]:
        """What they show, beside each other."""
        queued, last = self.queued, self.finished
        fresh, among_queued, on_finished = (share_below(each, _UNDISTURBED) for each in self.claims)
        return [
            figure(
                "RSS over idle, while all are queued",
                [queued[-1].peak_mib - self.idle_mib],
                "MiB",
                at_most=32,
            ),
            figure(
                "RSS over idle, when all are finished", [last.peak_mib - self.idle_mib], "MiB", at_most=32
            ),
            _ratio("CPU per job, last tenth over first", queued[-1].cpu_micros, queued[0].cpu_micros, 1.25),
            _ratio("time per job, last tenth over first", queued[-1].micros, queued[0].micros),
            _ratio(
                "CPU per job on top of all, over a fresh store", last.cpu_micros, self.fresh.cpu_micros, 1.25
            ),
            _ratio("claim among all queued, over a fresh store", among_queued, fresh, 1.25),
            _ratio("claim on top of all finished, over a fresh store", on_finished, fresh, 1.25),
            figure("claim of 100 per job, p10, fresh store", [fresh], "µs"),
            figure("claim of 100 per job, p10, all queued", [among_queued], "µs"),
            figure("claim of 100 per job, p10, all finished", [on_finished], "µs"),
            figure("claim of 100 per job, fresh store", self.claims[0], "µs"),
            figure("claim of 100 per job, all queued", self.claims[1], "µs"),
            figure("claim of 100 per job, all finished", self.claims[2], "µs"),
            figure("CPU per job, tenth by tenth", [each.cpu_micros for each in queued], "µs"),
            figure("idle RSS", [self.idle_mib], "MiB"),
        ]


async def _nothing() -> None: ...


async def work_off(
    place: Place,
    engine: Engine,
    jobs: int,
    *,
    queued: _Moment = _nothing,
    beside: _Moment = _nothing,
    finished: _Moment = _nothing,
) -> Backlog:
    """Store and run `jobs`, a tenth at a time, and see that each ran.

    Args:
        queued: called when all are stored and none has run; `finished` when all have run.
        beside: runs while they run.
    """
    tenth, claims = max(1, jobs // 10), list[list[float]]()
    idle = await _idle_mib(place, engine)
    fresh = await _drained(place, engine, 0, [AFTERWARDS], claims)
    tenths = await _drained(place, engine, AFTERWARDS, [tenth] * 10, claims, queued=queued, beside=beside)
    await finished()
    stored = AFTERWARDS + tenth * 10
    last = await _drained(place, engine, stored, [AFTERWARDS], claims)
    prove(place.board.read(), stored + AFTERWARDS)
    return Backlog(idle_mib=idle, fresh=fresh[0], queued=tenths, finished=last[0], claims=claims)


async def _idle_mib(place: Place, engine: Engine) -> float:
    with place.worker() as worker:
        await until_working(engine, worker)
        await anyio.sleep(_SETTLING)
        return worker.peak_rss_mib()


async def _drained(
    place: Place,
    engine: Engine,
    first: int,
    stretches: list[int],
    claims: list[list[float]],
    *,
    queued: _Moment = _nothing,
    beside: _Moment = _nothing,
) -> list[Stretch]:
    """Store as many jobs as the stretches have while the queue is paused, and let one worker run them."""
    await engine.queues.pause(_QUEUE)
    await engine.dispatch_many(_jobs(first, first + sum(stretches)))
    await queued()
    await engine.queues.resume(_QUEUE)
    claims.append(await claim_micros(engine))
    await engine.queues.pause(_QUEUE)
    async with AsyncExitStack() as stack:
        worker = stack.enter_context(place.worker())
        await until_working(engine, worker)
        await anyio.sleep(_SETTLING)
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(beside)
        await engine.queues.resume(_QUEUE)
        found = [each async for each in _each(place, worker, first, stretches)]
        group.cancel_scope.cancel()
    return found


def _jobs(start: int, end: int) -> Iterator[Job[None]]:
    return (empty.job(n=number) for number in range(start, end))


async def _each(place: Place, worker: Process, first: int, stretches: list[int]) -> AsyncIterator[Stretch]:
    ran = end = first
    cpu, at = worker.cpu_seconds(), time.monotonic()
    for length in stretches:
        end += length
        await until_ran(place.board, end, worker)
        done = place.board.ran() - ran
        now, used = time.monotonic(), worker.cpu_seconds()
        yield Stretch(
            cpu_micros=(used - cpu) / done * 1e6,
            micros=(now - at) / done * 1e6,
            peak_mib=worker.peak_rss_mib(),
        )
        ran, cpu, at = ran + done, used, now


def _ratio(name: str, last: float, first: float, at_most: float | None = None) -> Figure:
    return figure(name, [last / first], "x", at_most=at_most)
