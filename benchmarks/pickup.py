"""How long a job waits for an idle worker in another process, beside huey."""

import time
from pathlib import Path

import anyio
from harness.app import moments, stamp
from harness.figures import Figure, Options, Scenario, figure, main, share_below
from harness.huey_jobs import HueyJobs
from harness.place import new_place, until_ran, until_working

EVERY = 0.02
_WARM_UP = 20


async def measure(options: Options) -> list[Figure]:
    """Each round sends one job each 20 ms to our worker, then to huey's."""
    ours: list[list[float]] = []
    huey: list[list[float]] = []
    for _ in range(options.repeats):
        ours.append(await _ours(options.jobs))
        huey.append(await _huey(options.jobs))
    medians = [share_below(waits, 0.5) for waits in ours]
    theirs = [share_below(waits, 0.5) for waits in huey]
    return [
        figure("from the call of dispatch to the handler's start, median", medians, "ms", at_most=10),
        figure("p99", [share_below(waits, 0.99) for waits in ours], "ms"),
        figure("huey, median", theirs, "ms"),
        figure("huey, p99", [share_below(waits, 0.99) for waits in huey], "ms"),
        figure("huey's median over ours", [b / a for a, b in zip(medians, theirs, strict=True)], "x"),
    ]


async def _ours(jobs: int) -> list[float]:
    with new_place() as place:
        async with place.engine() as engine:
            with place.worker() as worker:
                await until_working(engine, worker)
                sent: dict[int, float] = {}
                for number in range(_WARM_UP + jobs):
                    sent[number] = time.monotonic()
                    await engine.dispatch(stamp, n=number)
                    await anyio.sleep(EVERY)
                await until_ran(place.board, len(sent), worker)
        return _waits(place.tally, sent)


async def _huey(jobs: int) -> list[float]:
    with new_place() as place, place.huey() as worker:
        store = HueyJobs.at(place)
        sent: dict[int, float] = {}
        for number in range(_WARM_UP + jobs):
            sent[number] = time.monotonic()
            store.stamp(number)
            await anyio.sleep(EVERY)
            if number == 0:
                await until_ran(place.board, 1, worker)
        await until_ran(place.board, len(sent), worker)
        return _waits(place.tally, sent)


def _waits(folder: Path, sent: dict[int, float]) -> list[float]:
    """Milliseconds per job, the first few left out."""
    began = moments(folder)
    return [(began[number] - at) * 1000 for number, at in sent.items() if number >= _WARM_UP]


SCENARIO = Scenario(
    name="pickup",
    about="One job each 20 ms, dispatched to an idle worker in another process; each syncs the disk.",
    measure=measure,
    options=Options(jobs=500, repeats=3),
    quick=Options(jobs=100, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
