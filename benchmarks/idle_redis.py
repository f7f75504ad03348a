"""One job at a time for one, four and ten idle workers on Redis: what each costs, and how soon it begins."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path.append(str(Path(__file__).parents[1]))

import anyio
from harness.app import moments, stamp
from harness.figures import Figure, Options, Scenario, figure, main, share_below
from harness.place import Place, new_place
from harness.process import cpu_seconds_of

from aiojobs_engine import Engine
from tests.servers.server import Server, redis_on_path, valkey

WORKERS = (1, 4, 10)
_EVERY = 0.02
_SETTLING = 2.0


class _Cost(NamedTuple):
    """Of one job: what ran in the server and in all processes, and ms from its dispatch to its handler."""

    scripts: float
    server_micros: float
    worker_micros: float
    waits: list[float]


async def measure(options: Options) -> list[Figure]:
    """Each number of workers on a server of its own; what they do by themselves counts too."""
    figures: list[Figure] = []
    for workers in WORKERS:
        costs = [await _cost(workers, options.jobs) for _ in range(options.repeats)]
        name = f"{workers} idle workers" if workers > 1 else "1 idle worker"
        figures += [
            figure(f"scripts per job, {name}", [cost.scripts for cost in costs], ""),
            figure(f"CPU of all workers per job, {name}", [cost.worker_micros for cost in costs], "µs"),
            figure(f"CPU of the server per job, {name}", [cost.server_micros for cost in costs], "µs"),
            figure(
                f"dispatch to handler, median, {name}", [share_below(cost.waits, 0.5) for cost in costs], "ms"
            ),
            figure(
                f"dispatch to handler, p99, {name}", [share_below(cost.waits, 0.99) for cost in costs], "ms"
            ),
        ]
    return figures


async def _cost(workers: int, jobs: int) -> _Cost:
    with (
        TemporaryDirectory() as folder,
        Server(redis_on_path() or valkey(), Path(folder) / "server") as server,
        new_place(server.url) as place,
        ExitStack() as stack,
    ):
        async with place.engine() as engine:
            processes = [stack.enter_context(place.worker()) for _ in range(workers)]
            await _dispatch(place, engine, range(10 * workers))
            await anyio.sleep(_SETTLING)
            server.run("CONFIG", "RESETSTAT")
            before = cpu_seconds_of(server.pid), sum(each.cpu_seconds() for each in processes)
            waits = await _dispatch(place, engine, range(10 * workers, 10 * workers + jobs))
            after = cpu_seconds_of(server.pid), sum(each.cpu_seconds() for each in processes)
            scripts = server.run("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
    here, there = ((then - now) / jobs * 1e6 for now, then in zip(before, after, strict=True))
    return _Cost(scripts / jobs, here, there, waits)


async def _dispatch(place: Place, engine: Engine, numbers: range) -> list[float]:
    """Send jobs, one each 20 ms, until all have run; ms until the handler of each began."""
    sent: dict[int, float] = {}
    for number in numbers:
        sent[number] = time.monotonic()
        await engine.dispatch(stamp, n=number)
        await anyio.sleep(_EVERY)
    while place.board.read().ran < numbers.stop:  # noqa: ASYNC110 - a fact of other processes
        await anyio.sleep(_EVERY)
    began = moments(place.tally)
    return [(began[number] - at) * 1000 for number, at in sent.items()]


SCENARIO = Scenario(
    name="idle workers",
    about="A job each 20 ms on Redis for worker processes of 100 slots that have nothing else to do.",
    measure=measure,
    options=Options(jobs=500, repeats=3),
    quick=Options(jobs=200, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
