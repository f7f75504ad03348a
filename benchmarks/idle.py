"""What a worker costs that has nothing to do."""

import anyio
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place, until_working

_SETTLING = 2.0


async def measure(options: Options) -> list[Figure]:
    """Each round watches a fresh worker for a while."""
    shares: list[float] = []
    peaks: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            async with place.engine() as engine:
                with place.worker() as worker:
                    await until_working(engine, worker)
                    await anyio.sleep(_SETTLING)
                    before = worker.cpu_seconds()
                    await anyio.sleep(options.seconds)
                    shares.append((worker.cpu_seconds() - before) / options.seconds * 100)
                    peaks.append(worker.peak_rss_mib())
    return [
        figure("share of one core", shares, "%", at_most=1),
        figure("peak RSS", peaks, "MiB", at_most=60),
    ]


SCENARIO = Scenario(
    name="idle",
    about="One worker process of 100 slots on an empty SQLite file.",
    measure=measure,
    options=Options(jobs=0, repeats=3, seconds=20.0),
    quick=Options(jobs=0, repeats=1, seconds=5.0),
)

if __name__ == "__main__":
    main(SCENARIO)
