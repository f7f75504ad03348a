"""Jobs that carry 1 KB of arguments, beside the same jobs without."""

from harness.app import carry
from harness.draining import drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place

TEXT = "0123456789abcdef" * 64


async def measure(options: Options) -> list[Figure]:
    """Each round drains both, in turn."""
    times: list[float] = []
    cpu: list[float] = []
    bare: list[float] = []
    peak: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            loaded = await drain(place, lambda n: carry.job(n=n, text=TEXT), options.jobs)
        with new_place() as place:
            light = await drain(place, lambda n: carry.job(n=n, text=""), options.jobs)
        times.append(loaded.seconds / light.seconds)
        cpu.append(loaded.cpu_micros)
        bare.append(light.cpu_micros)
        peak.append(loaded.peak_mib)
    return [
        figure("time to drain, over empty payloads", times, "x"),
        figure("worker CPU per job with 1 KB", cpu, "µs"),
        figure("worker CPU per job without", bare, "µs"),
        figure("peak RSS of the worker", peak, "MiB", at_most=60),
    ]


SCENARIO = Scenario(
    name="payload",
    about="Jobs with 1,024 bytes of text among their arguments, one worker process of 100 slots.",
    measure=measure,
    options=Options(jobs=20_000, repeats=3),
    quick=Options(jobs=5_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
