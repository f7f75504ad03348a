"""Four worker processes on one file, beside one."""

from harness.app import empty
from harness.draining import drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place

MANY = 4


async def measure(options: Options) -> list[Figure]:
    """Each round drains with one process, then with four."""
    speedups: list[float] = []
    one: list[float] = []
    four: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            alone = await drain(place, lambda n: empty.job(n=n), options.jobs)
        with new_place() as place:
            together = await drain(place, lambda n: empty.job(n=n), options.jobs, workers=MANY)
        speedups.append(alone.seconds / together.seconds)
        one.append(alone.cpu_micros)
        four.append(together.cpu_micros)
    return [
        figure("speed of four processes, over one", speedups, "x", at_least=1),
        figure("CPU per job of one process", one, "µs"),
        figure("CPU per job of four processes", four, "µs"),
    ]


SCENARIO = Scenario(
    name="processes",
    about="Empty async jobs on one SQLite file, worker processes of 100 slots each.",
    measure=measure,
    options=Options(jobs=20_000, repeats=5),
    quick=Options(jobs=10_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
