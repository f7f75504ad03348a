"""Jobs of 50 ms at concurrency 200: how far the worker is from doing nothing but wait."""

from harness.app import nap
from harness.draining import drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place

CONCURRENCY = 200
SECONDS = 0.05


async def measure(options: Options) -> list[Figure]:
    """Each round drains all of them with one worker; the ideal is that all slots sleep all the time."""
    ideal = options.jobs * SECONDS / CONCURRENCY
    over: list[float] = []
    most: list[float] = []
    cpu: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            drained = await drain(
                place, lambda n: nap.job(n=n, seconds=SECONDS), options.jobs, concurrency=CONCURRENCY
            )
        over.append(drained.totals.seconds / ideal)
        most.append(drained.totals.most_running)
        cpu.append(drained.cpu_micros)
    return [
        figure("time from first start to last end, over the ideal", over, "x", at_most=1.15),
        figure("most handlers at once", most, ""),
        figure("worker CPU per job", cpu, "µs"),
    ]


SCENARIO = Scenario(
    name="sleepers",
    about="2,000 jobs that sleep for 50 ms, one worker process of 200 slots; ideal: 10 rounds of 50 ms.",
    measure=measure,
    options=Options(jobs=2_000, repeats=5),
    quick=Options(jobs=2_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
