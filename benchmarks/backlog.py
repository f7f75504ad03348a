"""A million jobs in the queue, then a million finished ones: neither memory nor the price of a job grows."""

from harness.backlogs import SETTINGS, work_off
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place


async def measure(options: Options) -> list[Figure]:
    """One file: an idle worker, then all jobs, then some more on top of the finished ones."""
    with new_place(**SETTINGS) as place:
        async with place.engine() as engine:
            backlog = await work_off(place, engine, options.jobs)
        size = place.database.stat().st_size / 2**20
    return [*backlog.figures(), figure("size of the file", [size], "MiB")]


SCENARIO = Scenario(
    name="backlog",
    about="All jobs stored, run by one worker process of 100 slots, then 20,000 more; nothing is pruned.",
    measure=measure,
    options=Options(jobs=1_000_000, repeats=1),
    quick=Options(jobs=50_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
