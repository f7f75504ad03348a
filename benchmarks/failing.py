"""Jobs that fail at every attempt: the price of a traceback, a retry and the dead letter queue."""

from harness.app import ATTEMPTS, empty, fail
from harness.draining import drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place


async def measure(options: Options) -> list[Figure]:
    """Each round drains failing jobs, then as many that do well."""
    per_run: list[float] = []
    cpu: list[float] = []
    times: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            failing = await drain(place, lambda n: fail.job(n=n), options.jobs, runs=ATTEMPTS)
        with new_place() as place:
            well = await drain(place, lambda n: empty.job(n=n), options.jobs)
        per_run.append(failing.jobs * ATTEMPTS / failing.seconds)
        cpu.append(failing.cpu_micros / ATTEMPTS)
        times.append(failing.cpu_micros / ATTEMPTS / well.cpu_micros)
    return [
        figure("worker CPU per failed run, over that of an empty job", times, "x"),
        figure("worker CPU per failed run", cpu, "µs"),
        figure("failed runs", per_run, "runs/s"),
    ]


SCENARIO = Scenario(
    name="failing",
    about=f"Jobs that raise each time, {ATTEMPTS} attempts without a pause, one worker process of 100 slots.",
    measure=measure,
    options=Options(jobs=20_000, repeats=3),
    quick=Options(jobs=3_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
